import { describe, expect, it } from 'vitest';
import { Granularity } from '../iommu/arch/vtd/format.js';
import { Access } from '../protocol/access.js';
import { DmaApi } from './dma/api.js';
import type { Domain } from './domain.js';
import { Step } from './step.js';
import { type MachineOptions, TestMachine } from './testing/machine.js';
import { Recorder } from './testing/recorder.js';
import { type Call, type Program, type Thread, Wait } from './thread.js';

const PAGE = 4096;
const PA = 2 ** 32 + 2 ** 24;
const MS = 1e9;

function lazy(options: MachineOptions = {}) {
  const recorder = new Recorder();
  const machine = new TestMachine({ observer: recorder, mode: 'lazy', ...options });
  recorder.now = () => machine.now;
  const { scheduler, devices } = machine.os;
  const domain: Domain = devices[0]!.domainOf(-1)!;
  const dma = new DmaApi(scheduler, machine.spec.costs, recorder, 16);
  const on = (cpu: number, program: (thread: Thread) => Program): void => {
    scheduler.start(scheduler.spawn(`cpu ${cpu}`, scheduler.cpus[cpu]!, program));
  };
  function* cycle(thread: Thread, times: number): Call<void> {
    for (let i = 0; i < times; i++) {
      const address = yield* dma.map(thread, domain, PA, PAGE, Access.Write);
      yield* dma.unmap(thread, domain, address, PAGE, Access.Write);
    }
  }
  function* pause(thread: Thread, ps: number): Call<void> {
    thread.charge(0, ps);
    yield Wait.Delay;
  }
  return { machine, recorder, dma, domain, queue: domain.space!.queue!, on, cycle, pause };
}

describe('flush queue', () => {
  it('flushes once at the 256th range and frees the 255 that were queued', () => {
    const { machine, recorder, queue, on, cycle } = lazy();
    on(0, function* (thread) {
      yield* cycle(thread, 255);
      expect(machine.commands).toHaveLength(0);
      expect(queue.length(0)).toBe(255);
      yield* cycle(thread, 1);
      expect(machine.commands).toHaveLength(1);
      expect(queue.length(0)).toBe(1);
      expect(recorder.of('freed')).toHaveLength(255);
    });
    machine.run(9 * MS);
    expect(machine.commands[0]!.granularity).toBe(Granularity.Domain);
  });

  it('flushes when the timer expires, one tick after the timeout at the latest, and stays idle then', () => {
    const { machine, recorder, on, cycle } = lazy({ costs: { unmapCall: 300 } });
    on(0, (thread) => cycle(thread, 3));
    machine.run();
    expect(machine.commands).toHaveLength(1);
    const [flush] = recorder.flushes;
    // Armed within the first tick: 10 ticks and the one that a timer wheel adds.
    expect(flush!.startedAt).toBe(11 * MS);
    expect(recorder.of('freed').every(({ at }) => at >= flush!.now)).toBe(true);
    expect(recorder.of('freed')).toHaveLength(3);
    expect(machine.kernel.pending).toBe(0);
  });

  it('measures how long unmapped ranges stay reachable: to the timer, or to the full ring', () => {
    const slow = lazy({ costs: { unmapCall: 300 } });
    slow.on(0, (thread) => slow.cycle(thread, 3));
    slow.machine.run();
    const { lifetime, reachable } = slow.machine.os.statistics.flushQueue;
    const [flush] = slow.recorder.flushes;
    const returned = slow.recorder.of('unmapped').map(({ at }) => at);
    expect([lifetime.count, lifetime.max, lifetime.min]).toEqual([
      3,
      flush!.now - returned[0]!,
      flush!.now - returned[2]!,
    ]);
    // Nobody says when the hardware of this machine executed it.
    expect(reachable.max).toBe(lifetime.max);
    const fast = lazy({ costs: { unmapCall: 300 } });
    fast.on(0, (thread) => fast.cycle(thread, 256));
    fast.machine.run(9 * MS);
    expect(fast.machine.os.statistics.flushQueue.lifetime.count).toBe(255);
    expect(fast.machine.os.statistics.flushQueue.lifetime.max).toBeLessThan(MS);
  });

  it('says when hardware had executed the flush, if it knows', () => {
    const { machine, recorder, on, cycle } = lazy({ costs: { unmapCall: 300 } });
    const { flushQueue } = machine.os.statistics;
    on(0, (thread) => cycle(thread, 1));
    flushQueue.executed[0] = 11 * MS + 5;
    machine.run();
    const [flush] = recorder.flushes;
    expect(flush!.startedAt).toBe(11 * MS);
    expect(flushQueue.lifetime.max - flushQueue.reachable.max).toBe(flush!.now - (11 * MS + 5));
  });

  it('arms one timer for the domain, whichever CPUs queue', () => {
    const { machine, recorder, on, cycle, pause } = lazy();
    for (const cpu of [0, 1, 2]) {
      on(cpu, function* (thread) {
        yield* pause(thread, cpu * MS);
        yield* cycle(thread, 2);
      });
    }
    machine.run();
    expect(recorder.flushes.map(({ startedAt }) => startedAt)).toEqual([11 * MS]);
    expect(recorder.of('freed')).toHaveLength(6);
  });

  it('frees on another CPU what a flush has covered, without flushing again', () => {
    const { machine, queue, on, cycle, pause } = lazy();
    on(0, function* (thread) {
      yield* cycle(thread, 100);
      yield* pause(thread, MS);
      expect(machine.commands).toHaveLength(1);
      expect(queue.length(0)).toBe(100);
      yield* cycle(thread, 1);
      expect(queue.length(0)).toBe(1);
      expect(machine.commands).toHaveLength(1);
    });
    on(1, function* (thread) {
      yield* pause(thread, MS / 2);
      yield* cycle(thread, 256);
    });
    machine.run(9 * MS);
  });

  it('keeps what was queued while a flush was running until the next one', () => {
    const { machine, recorder, queue, on, cycle, pause } = lazy({ invalidation: 1_000_000 });
    on(0, (thread) => cycle(thread, 256));
    on(1, function* (thread) {
      yield* pause(thread, 500_000);
      yield* cycle(thread, 1);
      const queued = recorder.of('unmapping').at(-1)!;
      yield* pause(thread, 5_000_000);
      expect(recorder.flushes).toHaveLength(1);
      expect(recorder.flushes[0]!.startedAt).toBeLessThan(queued.at);
      expect(recorder.flushes[0]!.now).toBeGreaterThan(queued.at);
      yield* cycle(thread, 1);
      expect(queue.length(1)).toBe(2);
    });
    machine.run(9 * MS);
  });

  it('never frees a range before a flush that started after its entries were cleared', () => {
    const { machine, recorder, domain, on, cycle } = lazy({
      cores: [3, 2],
      invalidation: 30_000_000,
      costs: {
        mapCall: 15_000,
        unmapCall: 25_000,
        iovaCache: 30_000,
        iovaDepot: 100_000,
        poll: 500_000,
        lockHandOver: 50_000,
        timer: 1_000_000,
      },
    });
    let checked = 0;
    recorder.beforeFree = (id, iova) => {
      const cleared = recorder.clearedAt(id, iova);
      expect(recorder.flushes.some((flush) => flush.domain === id && flush.startedAt >= cleared)).toBe(true);
      checked++;
    };
    for (let cpu = 0; cpu < 5; cpu++) on(cpu, (thread) => cycle(thread, 2000 + 500 * cpu));
    machine.run();
    expect(checked).toBe(2000 + 2500 + 3000 + 3500 + 4000);
    expect(recorder.pagesLive).toBe(0);
    expect(domain.space!.queue!.length(0)).toBe(0);
  });

  it('bounds the flushes: one per 255 ranges and CPU, plus the timer', () => {
    const { machine, on, cycle } = lazy({ costs: { mapCall: 500_000, unmapCall: 500_000 } });
    on(0, (thread) => cycle(thread, 100_000));
    machine.run();
    const seconds = machine.now / 1e12;
    expect(machine.commands.length).toBeGreaterThanOrEqual(Math.floor(100_000 / 255));
    expect(machine.commands.length).toBeLessThanOrEqual(Math.ceil(100_000 / 255) + Math.ceil(seconds / 0.01) + 1);
  });

  it('returns freed table pages with the range, after the flush', () => {
    const { machine, dma, domain, on, pause } = lazy();
    const frames = machine.frames[0]!;
    on(0, function* (thread) {
      const address = yield* dma.map(thread, domain, PA + PAGE, 512 * PAGE, Access.Write);
      const mapped = frames.inUse;
      yield* dma.unmap(thread, domain, address, 512 * PAGE, Access.Write);
      yield* pause(thread, 10.5 * MS);
      expect(frames.inUse).toBe(mapped);
      yield* pause(thread, MS);
      expect(frames.inUse).toBe(mapped - 1);
    });
    machine.run();
  });
});

describe('single flush queue', () => {
  const SINGLE = { kind: 'single', entries: 8, timeout: 10 * MS } as const;

  it('is one ring for all CPUs: the eighth range of any of them makes the flush', () => {
    const { machine, recorder, queue, on, cycle, pause } = lazy({ flushQueue: SINGLE });
    on(0, (thread) => cycle(thread, 4));
    on(1, function* (thread) {
      yield* pause(thread, MS);
      yield* cycle(thread, 3);
      expect(queue.length(0)).toBe(7);
      expect(queue.length(1)).toBe(7);
      expect(machine.commands).toHaveLength(0);
      yield* cycle(thread, 1);
      expect(machine.commands).toHaveLength(1);
      expect(queue.length(0)).toBe(1);
    });
    machine.run(9 * MS);
    expect(recorder.of('freed')).toHaveLength(7);
  });

  it('makes CPUs wait for each other, which rings of their own do not', () => {
    const waiting = (kind: 'per-cpu' | 'single'): number => {
      const costs = { queueIova: 30_000, mapCall: 1000 };
      const flushQueue = { kind, entries: 1024, timeout: 10 * MS };
      const { machine, dma, on, cycle } = lazy({ flushQueue, costs });
      for (const cpu of [0, 1, 2, 3]) on(cpu, (thread) => cycle(thread, 50));
      machine.run(9 * MS);
      return dma.unmaps.ledger.totalPs(Step.LockWait);
    };
    expect(waiting('per-cpu')).toBe(0);
    // 200 entries take 30 ns each, one after the other: a CPU finds the three others before it, but for the 1 ns of its map.
    expect(waiting('single')).toBeGreaterThan(190 * (3 * 30_000 - 1000));
    expect(waiting('single')).toBeLessThanOrEqual(200 * 3 * 30_000);
  });

  it('holds the lock of all during the flush, and frees what the timer flushed', () => {
    const { machine, recorder, queue, on, cycle } = lazy({ flushQueue: SINGLE });
    on(0, (thread) => cycle(thread, 5));
    on(3, (thread) => cycle(thread, 2));
    machine.run();
    expect(recorder.flushes).toHaveLength(1);
    expect(recorder.flushes[0]!.startedAt).toBe(11 * MS);
    expect(recorder.of('freed')).toHaveLength(7);
    expect(queue.length(2)).toBe(0);
  });
});
