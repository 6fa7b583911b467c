/** Whole machines whose devices ask for the pages of processes, watched by the audit. */
import { describe, expect, it } from 'vitest';
import { RandomStream } from '../kernel/random.js';
import type { SvaJob } from '../os/drivers/sva.js';
import type { Processes } from '../os/processes.js';
import type { SvaBond, SvaSpace } from '../os/sva-space.js';
import { type Call, type Thread, Wait } from '../os/thread.js';
import { Machine } from '../system/machine.js';
import type { PointResult } from './result.js';
import { pointOf, run } from './testing/point.js';

/** Machine and operating system by architecture. */
const SYSTEMS: Readonly<Record<string, string>> = {
  vtd: `machine: { preset: spr-8480 }
os: { preset: linux-7.2, jitter: 0% }`,
  smmuv3: `machine: { preset: kunpeng-920-2s }
os: { preset: linux-5.14-kunpeng-920, jitter: 0% }`,
  amdvi: `machine: { preset: spr-8480, iommus: { iommu0: { preset: amdvi-genoa, stage: first, levels: 4 } } }
os: { preset: linux-7.2, jitter: 0% }`,
  riscv: `machine: { preset: spr-8480, iommus: { iommu0: { preset: riscv-server, levels: 4 } } }
os: { preset: linux-7.2, jitter: 0% }`,
};

const textOf = (system: string): string => `name: sva-pri
question: How long does a page request take?
${SYSTEMS[system]!}
devices:
  accelerator:
    preset: nic-100g
    port: port0
    requester: "1:00.0"
    ats: { enabled: true, pri: { enabled: true, outstanding: 64, gather: 500ns } }
workload:
  copy: { kind: sva, device: accelerator, processes: 4, size: 32KiB, window: 16MiB, outstanding: 1, prefault: none, socket: s0 }
seeds: 1
stop: { operations: 200 }
`;
const SVA = textOf('vtd');

const group = (n: number): string => `devices.accelerator.ats.pri.group=${n}`;
const workers = (n: number): string => `os.processes.faults.workers=${n}`;

const value = (result: PointResult, metric: string): number =>
  result.metrics.find((m) => m.metric === metric && ['os', 'copy', 'iommu0', 'accelerator'].includes(m.component))!
    .value;

function audited(sets: readonly string[], text = SVA): PointResult {
  const result = run(pointOf(text, sets), true);
  expect(result.audit!.violations).toEqual([]);
  return result;
}

describe('a device that asks for pages', () => {
  it('asks once for each, and the stages of the faults add up to their latency', () => {
    const result = audited([group(4)]);
    const histogram = (metric: string) => result.histograms.find((h) => h.metric === metric)!;
    const parts = result.histograms.filter(({ metric }) => metric.startsWith('fault.latency.'));
    const total = histogram('fault.latency');
    expect(parts.reduce((sum, { sum: each }) => sum + each, 0)).toBe(total.sum);
    expect([total.count, value(result, 'pri.requests'), value(result, 'iommu.page_requests.queued')]).toEqual([
      1600, 1600, 1600,
    ]);
    expect([value(result, 'pri.groups'), value(result, 'fault.success'), value(result, 'pri.success')]).toEqual([
      400, 400, 400,
    ]);
    expect([value(result, 'pri.unexpected'), value(result, 'dma.faults'), value(result, 'fault.invalid')]).toEqual([
      0, 0, 0,
    ]);
    // A page takes 2 us in memory management, four of a group 8.
    expect(histogram('fault.latency.handler').sum / 1600).toBe(8_000_000);
  });

  it('pays less for a group of n pages than for n groups, where one worker resolves them', () => {
    const [alone, together] = [1, 8].map((n) => audited([group(n), workers(1)]));
    expect(value(together!, 'operation.rate')).toBeGreaterThan(value(alone!, 'operation.rate'));
    expect(value(together!, 'iommu.page_requests.responses') * 8).toBe(value(alone!, 'iommu.page_requests.responses'));
    // Several workers share out groups, not the pages of one.
    const [spread, still] = [1, 8].map((n) => audited([group(n), workers(4)]));
    expect(value(spread!, 'operation.rate')).toBeGreaterThan(1.5 * value(alone!, 'operation.rate'));
    expect(value(still!, 'operation.rate')).toBe(value(together!, 'operation.rate'));
  });

  it('keeps to the requests that software allows it', () => {
    const sets = ['workload.copy.outstanding=8', 'devices.accelerator.ats.pri.outstanding=4', group(4)];
    const result = audited(sets);
    expect(value(result, 'pri.outstanding.max')).toBe(4);
    expect(value(result, 'pri.waits')).toBeGreaterThan(0);
  });

  it('is faster where pages are touched ahead of it, and fastest where they are pinned', () => {
    const [none, ahead, all] = ['none', 'ahead', 'all'].map((prefault) => {
      return value(audited([`workload.copy.prefault=${prefault}`, 'workload.copy.size=4KiB']), 'operation.rate');
    });
    expect(all!).toBeGreaterThan(ahead!);
    expect(ahead!).toBeGreaterThan(none!);
  });

  it('meets no fault in a sequential copy after the first pages where it asks ahead; only pinned memory is faster', () => {
    const facts = (prefault: string, distance: number): PointResult =>
      audited([
        `workload.copy.prefault=${prefault}`,
        'workload.copy.size=4KiB',
        'devices.accelerator.ats.entries=256',
        `devices.accelerator.ats.prefetch.distance=${distance}`,
        'devices.accelerator.ats.pri.gather=0ns',
      ]);
    const [pinned, early, near, ahead, none] = [
      facts('all', 16),
      facts('none', 16),
      facts('none', 4),
      facts('ahead', 16),
      facts('none', 0),
    ].map((result) => ({ rate: value(result, 'operation.rate'), result }));
    expect(pinned!.rate).toBeGreaterThan(early!.rate);
    expect(early!.rate).toBeGreaterThan(near!.rate);
    expect(near!.rate).toBeGreaterThan(2 * ahead!.rate);
    expect(ahead!.rate).toBeGreaterThan(2 * none!.rate);
    // Four processes, whose first two pages say that there is a stream.
    const waitedFor = ({ result }: { result: PointResult }): number =>
      value(result, 'pri.requests') - value(result, 'pri.prefetches');
    expect([none!, near!, early!].map(waitedFor)).toEqual([200, 8, 8]);
    expect(value(early!.result, 'pri.prefetch_late')).toBe(0);
    expect(value(early!.result, 'dma.faults')).toBe(0);
  });

  it('asks ahead only where accesses follow each other, and past the end of a region without harm', () => {
    const sets = ['workload.copy.size=4KiB', 'devices.accelerator.ats.prefetch.distance=16'];
    const random = audited([...sets, 'workload.copy.pattern=random']);
    expect(value(random, 'ats.prefetches')).toBeLessThan(10);
    const around = audited([...sets, 'workload.copy.window=64KiB', 'workload.copy.pageOut=5us', group(4)]);
    expect(value(around, 'fault.invalid')).toBeGreaterThan(0);
    expect([value(around, 'dma.faults'), value(around, 'pri.unexpected')]).toEqual([0, 0]);
  });

  it('page-outs, large pages, reads, random order: every DMA is translated, and nothing reaches a free page', () => {
    for (const sets of [
      ['workload.copy.pageOut=5us', 'workload.copy.window=256KiB', 'workload.copy.pattern=random'],
      ['workload.copy.huge=true'],
      ['workload.copy.reads=50%', 'workload.copy.pageOut=20us', 'workload.copy.window=256KiB'],
    ]) {
      const result = audited([group(8), 'workload.copy.outstanding=4', ...sets]);
      expect([value(result, 'dma.faults'), value(result, 'fault.invalid')]).toEqual([0, 0]);
      expect(value(result, 'mm.evicted') > 0).toBe(sets.some((set) => set.includes('pageOut')));
    }
  });

  it('the same with every event scheduled', () => {
    const facts = [false, true].map((every) => {
      const { metrics, windows } = run(pointOf(SVA, [group(4)]), true, every);
      return JSON.stringify([metrics.map((m) => [m.component, m.metric, String(m.value)]), windows]);
    });
    expect(facts[1]).toBe(facts[0]);
  });
});

/** Records of a small queue, and how many of them hardware uses. */
const SMALL = [
  ['vtd', 128, 127],
  ['smmuv3', 64, 64],
  ['amdvi', 256, 255],
  ['riscv', 128, 127],
] as const;

describe.each(SMALL)('%s', (system, records, used) => {
  const text = textOf(system);

  it('answers every group once, after which the device goes on', () => {
    const result = audited([group(4), 'workload.copy.outstanding=4'], text);
    const histogram = (metric: string) => result.histograms.find((h) => h.metric === metric)!;
    const parts = result.histograms.filter(({ metric }) => metric.startsWith('fault.latency.'));
    expect(parts.reduce((sum, { sum: each }) => sum + each, 0)).toBe(histogram('fault.latency').sum);
    expect(value(result, 'pri.success')).toBe(value(result, 'iommu.page_requests.responses'));
    expect([value(result, 'pri.unexpected'), value(result, 'dma.faults'), value(result, 'fault.invalid')]).toEqual([
      0, 0, 0,
    ]);
  });

  it('overflows the queue: hardware answers, the device asks again, and every DMA is done', () => {
    const result = audited(
      [
        `machine.iommus.iommu0.faults.pageRequests=${records}`,
        'workload.copy.outstanding=512',
        'workload.copy.size=256B',
        'workload.copy.pattern=random',
        'workload.copy.window=256MiB',
        'workload.copy.reads=100%',
        'devices.accelerator.ats.pri.outstanding=4096',
        'devices.accelerator.ats.queue=65536',
        'devices.accelerator.ats.outstanding=1024',
        'stop.operations=700',
        'devices.accelerator.engine.outstanding=512',
      ],
      text,
    );
    expect(value(result, 'iommu.page_requests.overflows')).toBeGreaterThan(0);
    expect(value(result, 'iommu.page_requests.auto_success')).toBeGreaterThan(0);
    expect([value(result, 'pri.unexpected'), value(result, 'dma.faults')]).toEqual([0, 0]);
    expect(value(result, 'iommu.page_requests.occupancy.max')).toBe(used);
  });
});

describe('what cannot be resolved', () => {
  /** Runs the job with a program of the processes' own beside it. */
  function beside(
    body: (thread: Thread, processes: Processes, bond: SvaBond) => Call<void>,
    text = SVA,
    sets: readonly string[] = [group(4), 'workload.copy.outstanding=4'],
    unfinished: () => boolean = () => false,
  ): {
    machine: Machine;
    job: SvaJob;
    processes: Processes;
  } {
    const spec = pointOf(text, ['workload.copy.processes=1', ...sets]);
    const machine = new Machine(spec, { everyEvent: false, audit: true });
    const processes = machine.os.jobs.processes!;
    const [job] = machine.os.jobs.list as [SvaJob];
    const { mm } = (job as unknown as { processes: { mm: { notifiers: SvaSpace[] } }[] }).processes[0]!;
    const bond = mm.notifiers[0]!.bonds[0]!;
    const { scheduler } = machine.os;
    const cpu = scheduler.cpus.findLast((each) => each.thread === null)!;
    const thread = scheduler.spawn('test', cpu, (self) => body(self, processes, bond));
    machine.start();
    scheduler.start(thread);
    machine.dispatcher.batch(200_000);
    for (let more = 0; more < 20 && unfinished(); more++) machine.dispatcher.batch(100_000);
    machine.close();
    expect(machine.audit!.violations).toEqual([]);
    expect(machine.pris[0]!.counters.unexpected).toBe(0);
    return { machine, job, processes };
  }

  it('a page of no region: the DMA ends with an error, and the job goes on', () => {
    const { job, processes } = beside(function* (thread, { manager }, { space }) {
      thread.charge(0, 50_000_000);
      yield Wait.Run;
      yield* manager.munmap(thread, space.mm, 2 ** 32, 2 ** 23);
    });
    const { success, invalid } = processes.statistics;
    expect(success).toBeGreaterThan(0);
    expect(job.faults).toBeGreaterThan(10);
    expect(invalid).toBeGreaterThanOrEqual(job.faults);
  });

  it('unbinding while requests are without an answer: all are answered first, later accesses are errors', () => {
    let held = -1;
    let after = -1;
    const { machine, job, processes } = beside(function* (thread, { sva, statistics }, bond) {
      thread.charge(0, 52_000_000);
      yield Wait.Run;
      held = statistics.reported;
      yield* sva.unbind(thread, bond);
      after = statistics.success + statistics.invalid;
    });
    expect(held).toBeGreaterThan(0);
    expect(4 * after).toBeGreaterThanOrEqual(held);
    expect([machine.pris[0]!.occupancy.value, processes.sva.bonds, job.faults > 10]).toEqual([0, 0, true]);
  });

  it.each(Object.keys(SYSTEMS))('%s: whatever the process does meanwhile, every group has one answer', (system) => {
    for (let seed = 1; seed <= 4; seed++) {
      const random = new RandomStream(seed, 'page requests');
      const sets = [
        group(1 + random.below(8)),
        workers(1 + random.below(4)),
        `workload.copy.outstanding=${1 + random.below(64)}`,
        `workload.copy.size=${['256B', '4KiB', '32KiB'][random.below(3)]!}`,
        `workload.copy.pattern=${random.below(2) === 0 ? 'random' : 'sequential'}`,
        'workload.copy.window=1MiB',
        `devices.accelerator.ats.pri.outstanding=${1 + random.below(128)}`,
        `devices.accelerator.ats.prefetch.distance=${[0, 3, 16][random.below(3)]!}`,
        `machine.iommus.iommu0.faults.pageRequests=${system === 'amdvi' ? 256 : 128}`,
      ];
      let unbound = false;
      const { processes } = beside(
        function* (thread, { manager, sva }, bond) {
          const { mm } = bond.space;
          const [base, pages] = [2 ** 32, 256];
          for (let turn = 0; turn < 40; turn++) {
            thread.charge(0, 1 + random.below(4_000_000));
            yield Wait.Run;
            const page = random.below(pages);
            const [start, bytes] = [base + page * 4096, (1 + random.below(pages - page)) * 4096];
            if (random.below(2) === 0) yield* manager.pageOut(thread, mm, start, bytes);
            else {
              yield* manager.munmap(thread, mm, start, bytes);
              if (random.below(4) > 0) yield* manager.mmap(thread, mm, start, bytes);
            }
          }
          yield* sva.unbind(thread, bond);
          unbound = true;
        },
        textOf(system),
        sets,
        () => !unbound,
      );
      const { success, invalid } = processes.statistics;
      expect([seed, unbound, success > 0, invalid > 0]).toEqual([seed, true, true, true]);
    }
  });
});
