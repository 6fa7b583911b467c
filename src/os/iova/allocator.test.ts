import { describe, expect, it } from 'vitest';
import { Registry } from '../../stats/registry.js';
import { type MachineOptions, TestMachine } from '../testing/machine.js';
import { Recorder } from '../testing/recorder.js';
import { type Program, type Thread, Wait } from '../thread.js';
import type { IovaAllocator } from './allocator.js';

function setUp(options: MachineOptions = {}) {
  const recorder = new Recorder();
  const machine = new TestMachine({ observer: recorder, ...options });
  recorder.now = () => machine.now;
  const { scheduler, devices } = machine.os;
  const iova = devices[0]!.domainOf(-1)!.space!.iova;
  const registry = new Registry();
  machine.os.registerMetrics(registry);
  const on = (cpu: number, program: (thread: Thread) => Program): void => {
    scheduler.start(scheduler.spawn(`cpu ${cpu}`, scheduler.cpus[cpu]!, program));
  };
  const metric = (name: string): number => registry.collect(machine.now).find((value) => value.metric === name)!.value;
  return { machine, recorder, iova, on, metric };
}

function* take(iova: IovaAllocator, thread: Thread, pages: number): Generator<Wait, number, void> {
  const pfn = iova.allocateLocal(thread, pages);
  return pfn !== 0 ? pfn : yield* iova.allocate(thread, pages);
}

function* give(iova: IovaAllocator, thread: Thread, pfn: number, pages: number): Generator<Wait, void, void> {
  if (iova.freesLocally(thread, pages)) iova.freeLocal(thread, pfn, pages);
  else yield* iova.free(thread, pfn, pages);
}

describe('IOVA allocator', () => {
  it('serves alternating map and unmap on one CPU from the loaded magazine after the first', () => {
    const { machine, iova, on, metric } = setUp();
    on(0, function* (thread) {
      for (let i = 0; i < 1000; i++) yield* give(iova, thread, yield* take(iova, thread, 1), 1);
    });
    machine.run();
    expect(metric('iova.tree.allocations')).toBe(1);
    expect(metric('iova.magazine.hits')).toBe(999);
    expect(metric('iova.depot.stores')).toBe(0);
  });

  it('exchanges one magazine per 127 operations when one CPU allocates and another frees', () => {
    const { machine, iova, on, metric } = setUp();
    const inFlight: number[] = [];
    const count = 127 * 40;
    on(0, function* (thread) {
      for (let i = 0; i < count; i++) {
        inFlight.push(yield* take(iova, thread, 1));
        thread.charge(0, 1000);
        yield Wait.Run;
      }
    });
    on(1, function* (thread) {
      thread.charge(0, 500);
      yield Wait.Run;
      for (let i = 0; i < count; i++) {
        yield* give(iova, thread, inFlight.shift()!, 1);
        thread.charge(0, 1000);
        yield Wait.Run;
      }
    });
    machine.run(count * 1000 + 1000);
    // The 255th free finds both magazines of CPU 1 full; until then, and not after, CPU 0 needs the tree.
    expect(metric('iova.depot.stores')).toBe(38);
    expect(metric('iova.depot.fetches')).toBe(38);
    expect(metric('iova.tree.allocations')).toBe(2 * 127 + 1);
  });

  it('always goes to the tree for more than 32 pages', () => {
    const { machine, iova, on, metric } = setUp();
    on(0, function* (thread) {
      for (let i = 0; i < 100; i++) yield* give(iova, thread, yield* take(iova, thread, 33), 33);
    });
    machine.run();
    expect(metric('iova.tree.allocations')).toBe(100);
    expect(metric('iova.tree.frees')).toBe(100);
    expect(metric('iova.magazine.hits')).toBe(0);
    expect(metric('lock.iova.tree.acquisitions')).toBe(200);
  });

  it('takes 32 pages of address space for 24 pages, and 33 for 33', () => {
    const { machine, iova, recorder, on } = setUp();
    on(0, function* (thread) {
      yield* take(iova, thread, 24);
      yield* take(iova, thread, 33);
    });
    machine.run();
    expect(recorder.of('allocated').map(({ bytes }) => bytes / 4096)).toEqual([32, 33]);
  });

  it('goes to the full mask for good once nothing is left below 4 GiB', () => {
    const { machine, iova, on, metric } = setUp({ observer: null });
    const seen: number[] = [];
    on(0, function* (thread) {
      for (let i = 0; i < 6; i++) seen.push(yield* take(iova, thread, 2 ** 18));
    });
    machine.run();
    // 1 GiB each: not the first (page 0), not the last (interrupt window); then below 2^48.
    expect(seen).toEqual([
      2 ** 19,
      2 ** 18,
      2 ** 36 - 2 ** 18,
      2 ** 36 - 2 ** 19,
      2 ** 36 - 3 * 2 ** 18,
      2 ** 36 - 2 ** 20,
    ]);
    expect(metric('iova.wide')).toBe(1);
  });

  it('stays below the device mask and the aperture of the table', () => {
    for (const [options, expected] of [
      [{ iova: { addressBits: 32 } }, 0],
      [{ unit: { levels: 3 } }, 2 ** 27 - 2 ** 20],
      [{ unit: { mode: 'scalable', stage: 'first' }, iova: { addressBits: 64 } }, 2 ** 35 - 2 ** 20],
    ] as const) {
      const { machine, iova, on } = setUp({ observer: null, ...options });
      let pfn = -1;
      on(0, function* (thread) {
        pfn = yield* take(iova, thread, 2 ** 20);
      });
      machine.run();
      expect(pfn).toBe(expected);
    }
  });

  it('trims the depots to one magazine per CPU, one each 100 ms', () => {
    const { machine, iova, on, metric } = setUp({ cores: [2] });
    on(0, function* (thread) {
      const all: number[] = [];
      for (let i = 0; i < 127 * 7; i++) all.push(yield* take(iova, thread, 1));
      for (const pfn of all) yield* give(iova, thread, pfn, 1);
      expect(iova.depotMagazines).toBe(5);
    });
    machine.run();
    expect(iova.depotMagazines).toBe(2);
    expect(metric('iova.depot.trims')).toBe(3);
    expect(metric('iova.tree.frees')).toBe(3 * 127);
    // 100 ticks round up to 104 on the timer wheel; the fourth visit finds nothing to do.
    expect(machine.now).toBe(4 * 104e9);
  });

  it('drains every magazine before it gives up', () => {
    const { machine, iova, on, metric } = setUp({ iova: { addressBits: 24 } });
    on(1, function* (thread) {
      const all: number[] = [];
      for (let i = 0; i < 1000; i++) all.push(yield* take(iova, thread, 1));
      for (const pfn of all) yield* give(iova, thread, pfn, 1);
    });
    on(0, function* (thread) {
      thread.charge(0, 1000);
      yield Wait.Run;
      expect(yield* take(iova, thread, 2048)).toBe(2048);
    });
    machine.run(1e6);
    expect(metric('iova.drains')).toBe(1);
    expect(metric('iova.exhausted')).toBe(0);
  });

  it('charges the tree by the nodes it visits', () => {
    const { machine, iova, on } = setUp({ costs: { iovaTree: 100_000, iovaTreeNode: 1000 } });
    on(0, function* (thread) {
      const start = machine.now;
      yield* take(iova, thread, 64);
      // From the anchor one step down to the reserved window, then two nodes on the way to the place between them.
      expect(machine.now - start).toBe(100_000 + 3 * 1000);
    });
    machine.run();
  });

  it('begins with the ranges of an aged address space, the same for the same seed', () => {
    const fresh = setUp();
    const aged = [1, 1, 2].map((seed) => setUp({ iova: { aged: 5000 }, seed }));
    const reserved = fresh.iova.ranges;
    for (const { iova } of aged) expect(iova.ranges).toBe(reserved + 5000);
    const places = aged.map(({ machine, iova, on }) => {
      const found: number[] = [];
      on(0, function* (thread) {
        for (let i = 0; i < 100; i++) found.push(yield* take(iova, thread, 4));
      });
      machine.run();
      return found;
    });
    expect(places[0]).toEqual(places[1]);
    expect(places[0]).not.toEqual(places[2]);
    // Ranges follow each other downwards in a fresh address space, and lie in many holes of an aged one.
    const gaps = (pfns: number[]): number => pfns.slice(1).filter((pfn, i) => pfns[i]! - pfn !== 4).length;
    expect(gaps(places[0]!)).toBeGreaterThan(10);
    const together: number[] = [];
    fresh.on(0, function* (thread) {
      for (let i = 0; i < 100; i++) together.push(yield* take(fresh.iova, thread, 4));
    });
    fresh.machine.run();
    expect(gaps(together)).toBe(0);
  });

  it('looks at every hole of an aged address space for a range that fits none, after something above was freed', () => {
    const { machine, iova, on, metric } = setUp({ iova: { aged: 20_000, cachedOrders: 0 } });
    on(0, function* (thread) {
      const small = yield* take(iova, thread, 1);
      for (const [freed, least, most] of [
        [false, 20_000, 100_000],
        [false, 0, 50],
        [true, 20_000, 100_000],
      ] as const) {
        if (freed) yield* give(iova, thread, small, 1);
        const before = metric('iova.tree.visits');
        yield* take(iova, thread, 64);
        expect(metric('iova.tree.visits') - before).toBeGreaterThanOrEqual(least);
        expect(metric('iova.tree.visits') - before).toBeLessThanOrEqual(most);
      }
    });
    machine.run();
  });
});
