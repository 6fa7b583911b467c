/** Whole machines whose devices share address spaces with processes: page faults by stall, watched by the audit. */
import { describe, expect, it } from 'vitest';
import type { SvaJob } from '../os/drivers/sva.js';
import type { Processes } from '../os/processes.js';
import type { SvaBond, SvaSpace } from '../os/sva-space.js';
import { type Call, type Thread, Wait } from '../os/thread.js';
import { Machine } from '../system/machine.js';
import type { PointResult } from './result.js';
import { pointOf, run } from './testing/point.js';

const SVA = `name: sva
question: How long does a page fault take?
machine: { preset: kunpeng-920-2s }
os: { preset: linux-5.14-kunpeng-920, jitter: 0% }
devices:
  accelerator: { preset: nic-100g, port: port0, requester: "1:00.0" }
workload:
  copy: { kind: sva, device: accelerator, processes: 4, size: 4KiB, window: 64MiB, outstanding: 4, ahead: 32, socket: s0 }
seeds: 1
stop: { operations: 4000 }
`;
const NONE = ['workload.copy.prefault=none', 'workload.copy.outstanding=1', 'stop.operations=300'];

const value = (result: PointResult, metric: string): number =>
  result.metrics.find((m) => m.metric === metric && ['os', 'copy', 'iommu0', 'accelerator'].includes(m.component))!
    .value;

function audited(sets: readonly string[]): PointResult {
  const result = run(pointOf(SVA, sets), true);
  expect(result.audit!.violations).toEqual([]);
  return result;
}

describe('a device in the address spaces of processes', () => {
  it('pinned is faster than touched ahead, and that faster than first touch', () => {
    const rates = ['all', 'ahead', 'none'].map((prefault) => {
      const sets = [`workload.copy.prefault=${prefault}`, 'workload.copy.outstanding=4', 'stop.operations=400'];
      const result = audited(sets);
      expect(value(result, 'dma.faults')).toBe(0);
      expect(value(result, 'iommu.stalls') > 0).toBe(prefault === 'none');
      return value(result, 'operation.rate');
    });
    expect(rates[0]!).toBeGreaterThan(2 * rates[1]!);
    expect(rates[1]!).toBeGreaterThan(1.5 * rates[2]!);
  });

  it('each page faults once, and the stages of the faults add up to their latency and to the time stalled', () => {
    const result = audited(NONE);
    const histogram = (metric: string) => result.histograms.find((h) => h.metric === metric)!;
    const total = histogram('fault.latency');
    const parts = result.histograms.filter(({ metric }) => metric.startsWith('fault.latency.'));
    expect(parts.length).toBe(9);
    expect(parts.reduce((sum, { sum: each }) => sum + each, 0)).toBe(total.sum);
    expect([total.count, value(result, 'fault.success'), value(result, 'iommu.stalls')]).toEqual([300, 300, 300]);
    // What the costs of the sheet say, to the picosecond.
    const mean = (stage: string): number => histogram(`fault.latency.${stage}`).sum / 300;
    expect(mean('interrupt')).toBe(1_200_000);
    expect(mean('wake')).toBe(3_200_000);
    expect(mean('hand_off')).toBe(3_300_000);
    expect(mean('handler')).toBe(2_000_000);
    expect(mean('group')).toBe(0);
  });

  it('one place for a stalled transaction makes the others wait, longer than many places', () => {
    const sets = ['workload.copy.prefault=none', 'workload.copy.outstanding=4', 'stop.operations=200'];
    const [one, many] = [1, 64].map((n) => audited([...sets, `machine.iommus.iommu0.faults.stalls=${n}`]));
    expect(value(one!, 'iommu.stalls.max')).toBe(1);
    expect(value(one!, 'iommu.stalls.waits')).toBeGreaterThan(0);
    expect(value(many!, 'iommu.stalls.waits')).toBe(0);
    expect(value(one!, 'operation.rate')).toBeLessThan(value(many!, 'operation.rate'));
  });

  it('page-outs, large pages, reads, random order: every DMA is translated, and nothing reaches a free page', () => {
    for (const sets of [
      ['workload.copy.pageOut=5us', 'workload.copy.window=128KiB', 'workload.copy.pattern=random'],
      ['workload.copy.huge=true'],
      [
        'workload.copy.reads=50%',
        'workload.copy.prefault=ahead',
        'workload.copy.pageOut=20us',
        'workload.copy.window=256KiB',
      ],
    ]) {
      const result = audited([...NONE, ...sets]);
      expect([value(result, 'dma.faults'), value(result, 'fault.invalid')]).toEqual([0, 0]);
      expect(value(result, 'mm.evicted') > 0).toBe(sets.some((set) => set.includes('pageOut')));
    }
  });

  it('unmapping races DMA: what hits the gap is a page fault, nothing reaches a page that was freed', () => {
    for (const sets of [
      ['workload.copy.prefault=all', 'workload.copy.outstanding=8', 'stop.operations=2000'],
      ['workload.copy.huge=true', 'workload.copy.window=4MiB', 'workload.copy.outstanding=4'],
      ['workload.copy.pageOut=7us', 'workload.copy.outstanding=4'],
    ]) {
      const result = audited([...NONE, 'workload.copy.window=64KiB', ...sets, 'workload.copy.munmap=3us']);
      expect(value(result, 'mm.invalidations')).toBeGreaterThan(10);
      const errors = value(result, 'fault.invalid') + value(result, 'fault.errors');
      expect(value(result, 'dma.faults') > 0).toBe(errors > 0);
      // By the time that a worker looks the page is mapped again, or the DMA ends with an error.
      expect(value(result, 'iommu.stalls')).toBeGreaterThan(0);
    }
  });

  it('the same with every event scheduled', () => {
    const facts = [false, true].map((every) => {
      const { metrics, windows } = run(pointOf(SVA, NONE), true, every);
      return JSON.stringify([metrics.map((m) => [m.component, m.metric, String(m.value)]), windows]);
    });
    expect(facts[1]).toBe(facts[0]);
  });
});

describe('what cannot be resolved', () => {
  /** Runs the job with a program of the processes' own beside it. */
  function beside(body: (thread: Thread, processes: Processes, bond: SvaBond) => Call<void>): {
    machine: Machine;
    job: SvaJob;
    processes: Processes;
  } {
    const sets = [...NONE, 'workload.copy.processes=1', 'workload.copy.outstanding=4'];
    const machine = new Machine(pointOf(SVA, sets), { everyEvent: false, audit: true });
    const { list } = machine.os.jobs;
    const processes = machine.os.jobs.processes!;
    const [job] = list as [SvaJob];
    const { mm } = (job as unknown as { processes: { mm: { notifiers: SvaSpace[] } }[] }).processes[0]!;
    const bond = mm.notifiers[0]!.bonds[0]!;
    const { scheduler } = machine.os;
    const cpu = scheduler.cpus.findLast((each) => each.thread === null)!;
    const thread = scheduler.spawn('test', cpu, (self) => body(self, processes, bond));
    machine.start();
    scheduler.start(thread);
    machine.dispatcher.batch(200_000);
    machine.close();
    expect(machine.audit!.violations).toEqual([]);
    return { machine, job, processes };
  }

  it('a page of no region: the DMA ends with an error, and the job goes on', () => {
    const { job, processes, machine } = beside(function* (thread, { manager }, { space }) {
      thread.charge(0, 50_000_000);
      yield Wait.Run;
      yield* manager.munmap(thread, space.mm, 2 ** 32, 2 ** 25);
    });
    const { success, invalid } = processes.statistics;
    expect(success).toBeGreaterThan(0);
    expect(job.faults).toBeGreaterThan(10);
    expect(invalid).toBeGreaterThanOrEqual(job.faults);
    expect(machine.units[0]!.unit.counters.aborted).toBeGreaterThanOrEqual(job.faults);
  });

  it('unbinding while transactions are stalled: all are answered first, later ones are errors of the stream', () => {
    let held = -1;
    let after = -1;
    const stalls = (m: Machine): number => m.units[0]!.hardware.stalls!.occupancy.value;
    const made: Machine[] = [];
    const { machine, job, processes } = beside(function* (thread, { sva, statistics }, bond) {
      thread.charge(0, 52_000_000);
      yield Wait.Run;
      held = statistics.reported;
      yield* sva.unbind(thread, bond);
      after = statistics.success + statistics.invalid;
      made.length = 0;
    });
    expect(held).toBeGreaterThan(0);
    expect(after).toBeGreaterThanOrEqual(held);
    expect([stalls(machine), job.faults > 10, processes.sva.bonds]).toEqual([0, true, 0]);
    expect(processes.statistics.errors).toBeGreaterThan(0);
  });
});
