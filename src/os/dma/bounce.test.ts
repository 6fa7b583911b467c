import { describe, expect, it } from 'vitest';
import { MemorySystem } from '../../memory/system.js';
import { Access } from '../../protocol/access.js';
import { Registry } from '../../stats/registry.js';
import { LockStatistics, SpinLock } from '../lock.js';
import { STEP_NAMES } from '../step.js';
import { LARGEST_BOUNCE, SLOT_BYTES, SlotPool } from '../swiotlb/pool.js';
import { SwiotlbStatistics } from '../swiotlb/statistics.js';
import { Swiotlb } from '../swiotlb/swiotlb.js';
import { type MachineOptions, TestMachine } from '../testing/machine.js';
import { Recorder } from '../testing/recorder.js';
import type { Program, Thread } from '../thread.js';
import { DmaApi } from './api.js';
import type { Bouncing } from './bounce.js';
import { DEFAULT_LIMITS } from './limits.js';
import { ScatterList } from './scatter-list.js';

const BOTH: Access = Access.Read | Access.Write;
const PAGE = 4096;
const PA = 2 ** 32 + 2 ** 28;
const POOL = 2 ** 32 + 2 ** 27;

function bench(rule: Bouncing['rule'], options: MachineOptions & { size?: number; areas?: number } = {}) {
  const recorder = new Recorder();
  const machine = new TestMachine({ observer: recorder, ...options });
  recorder.now = () => machine.now;
  const { scheduler, devices } = machine.os;
  const { costs } = machine.spec;
  const statistics = new SwiotlbStatistics();
  const locks = new LockStatistics();
  const pool = new SlotPool(options.size ?? 2 ** 26, options.areas ?? 1);
  const swiotlb = new Swiotlb(pool, POOL, {
    scheduler,
    costs,
    statistics,
    memory: null,
    makeLock: () => new SpinLock(scheduler, costs, locks),
    socketOf: (pa) => (pa < 2 ** 32 + 2 ** 34 ? 0 : 1),
  });
  const dma = new DmaApi(scheduler, costs, recorder, 64, { swiotlb, rule });
  const on = (cpu: number, program: (thread: Thread) => Program): void => {
    scheduler.start(scheduler.spawn(`cpu ${cpu}`, scheduler.cpus[cpu]!, program));
  };
  return { machine, recorder, dma, domain: devices[0]!.domainOf(-1)!, pool, statistics, locks, on };
}

function steps(meter: DmaApi['maps']): Record<string, number> {
  const all = STEP_NAMES.map((name, step) => [name, meter.ledger.totalPs(step)] as const);
  return Object.fromEntries(all.filter(([, ps]) => ps !== 0));
}

describe('bounce buffers without translation', () => {
  const costs = { mapCall: 1000, unmapCall: 2000, lock: 7, slot: 10, copyLine: 100, copyLineRemote: 150 };

  it('gives the device the address of the copy, copies in at the map and back at the unmap', () => {
    const { machine, dma, domain, statistics, on } = bench('always', { mode: 'bounce', costs });
    on(0, function* (thread) {
      const address = yield* dma.map(thread, domain, PA, 1500, Access.Write);
      expect(address).toBe(POOL);
      expect(steps(dma.maps)).toEqual({ call: 1000, lock: 7, slot: 2 * 10, copy: 24 * 100 });
      yield* dma.unmap(thread, domain, address, 1500, Access.Write);
      expect(steps(dma.unmaps)).toEqual({ call: 2000, lock: 7, slot: 10, copy: 24 * 100 });
    });
    machine.run();
    expect(statistics.copied).toBe(3000);
    expect(machine.now).toBe(3427 + 4417);
  });

  it('copies in whatever the direction is, but not back what the device could not write', () => {
    for (const [access, copied] of [
      [Access.Read, 1],
      [Access.Write, 2],
      [BOTH, 2],
    ] as const) {
      const { machine, dma, domain, statistics, on } = bench('always', { mode: 'bounce', costs });
      on(0, function* (thread) {
        const address = yield* dma.map(thread, domain, PA, PAGE, access);
        yield* dma.unmap(thread, domain, address, PAGE, access);
      });
      machine.run();
      expect(statistics.copied).toBe(copied * PAGE);
    }
  });

  it('takes longer from and to memory of another socket', () => {
    const copy = (cpu: number, pa: number): number => {
      const { machine, dma, domain, on } = bench('always', { mode: 'bounce', costs, cores: [1, 1] });
      on(cpu, function* (thread) {
        yield* dma.map(thread, domain, pa, PAGE, BOTH);
      });
      machine.run();
      return steps(dma.maps)['copy']!;
    };
    expect(copy(0, PA)).toBe(64 * 100);
    expect(copy(0, PA + 2 ** 34)).toBe(64 * 150);
    expect(copy(1, PA)).toBe(64 * 150);
  });

  it('fails when no area has room, and has it again after an unmap', () => {
    const { machine, dma, domain, statistics, on } = bench('always', { mode: 'bounce', size: LARGEST_BOUNCE });
    on(0, function* (thread) {
      const first = yield* dma.map(thread, domain, PA, LARGEST_BOUNCE, BOTH);
      expect(yield* dma.map(thread, domain, PA + 2 ** 20, PAGE, BOTH)).toBe(0);
      yield* dma.unmap(thread, domain, first, LARGEST_BOUNCE, BOTH);
      expect(yield* dma.map(thread, domain, PA + 2 ** 20, PAGE, BOTH)).toBe(POOL);
      // More than a segment never fits.
      expect(yield* dma.map(thread, domain, PA, LARGEST_BOUNCE + 1, BOTH)).toBe(0);
    });
    machine.run();
    expect(dma.failures).toBe(2);
    expect(statistics.full).toBe(2);
  });

  it("searches this CPU's area first, then the next", () => {
    const { machine, dma, domain, pool, statistics, on } = bench('always', {
      mode: 'bounce',
      size: 4 * LARGEST_BOUNCE,
      areas: 4,
    });
    on(3, function* (thread) {
      yield* dma.map(thread, domain, PA, LARGEST_BOUNCE, BOTH);
      expect(pool.usedIn(3)).toBe(128);
      expect(statistics.otherAreas).toBe(0);
      yield* dma.map(thread, domain, PA + 2 ** 20, SLOT_BYTES, BOTH);
      expect(pool.usedIn(0)).toBe(1);
      expect(statistics.otherAreas).toBe(1);
    });
    machine.run();
  });

  it('makes CPUs wait for one lock when there is one area, and not when each has its own', () => {
    const waiting = (areas: number): number => {
      const { machine, dma, domain, locks, on } = bench('always', { mode: 'bounce', areas, costs: { slot: 1000 } });
      for (const cpu of [0, 1, 2, 3]) {
        on(cpu, function* (thread) {
          for (let i = 0; i < 20; i++) {
            const address = yield* dma.map(thread, domain, PA + cpu * PAGE, SLOT_BYTES, BOTH);
            yield* dma.unmap(thread, domain, address, SLOT_BYTES, BOTH);
          }
        });
      }
      machine.run();
      return locks.wait[0]!;
    };
    expect(waiting(4)).toBe(0);
    expect(waiting(1)).toBeGreaterThan(4 * 20 * 3000);
  });

  it('bounces a scatter list segment by segment and gives all back when one finds no room', () => {
    const { machine, dma, domain, pool, on } = bench('always', { mode: 'bounce', size: LARGEST_BOUNCE });
    const fits = new ScatterList(
      [
        [PA, PAGE],
        [PA + 2 * PAGE, PAGE],
      ],
      DEFAULT_LIMITS,
    );
    const large = new ScatterList(
      [
        [PA, PAGE],
        [PA + 2 ** 20, LARGEST_BOUNCE],
      ],
      DEFAULT_LIMITS,
    );
    on(0, function* (thread) {
      expect(yield* dma.mapList(thread, domain, fits, BOTH)).toBe(true);
      expect([...fits.addresses]).toEqual([POOL, POOL + PAGE]);
      yield* dma.unmapList(thread, domain, fits, BOTH);
      expect(pool.usedIn(0)).toBe(0);
      expect(yield* dma.mapList(thread, domain, large, BOTH)).toBe(false);
      expect(pool.usedIn(0)).toBe(0);
    });
    machine.run();
  });
});

describe('bounce buffers behind an IOMMU', () => {
  it('copies for untrusted devices what does not fill whole pages, to whole pages that are zeroed behind it', () => {
    const costs = { copyLine: 100, dirtyLine: 10 };
    const { machine, dma, domain, statistics, recorder, pool, on } = bench('untrusted', { mode: 'strict', costs });
    on(0, function* (thread) {
      const address = yield* dma.map(thread, domain, PA + 512, 1500, BOTH);
      expect(address % PAGE).toBe(0);
      expect(domain.space!.table.lookup(address)).toBe(POOL);
      expect(steps(dma.maps)).toEqual({ copy: 24 * 100 + 41 * 10 });
      const whole = yield* dma.map(thread, domain, PA + PAGE, 2 * PAGE, BOTH);
      expect(domain.space!.table.lookup(whole)).toBe(PA + PAGE);
      expect(statistics.bounced).toBe(1);
      yield* dma.unmap(thread, domain, address, 1500, BOTH);
      expect(pool.usedIn(0)).toBe(0);
      yield* dma.unmap(thread, domain, whole, 2 * PAGE, BOTH);
    });
    machine.run();
    expect(recorder.pagesLive).toBe(0);
    expect(statistics.copied).toBe(3000);
  });

  it('copies back only after the invalidation: the device cannot change the copy any more', () => {
    const costs = { copyLine: 1_000_000, poll: 1 };
    const { machine, dma, domain, recorder, on } = bench('untrusted', { mode: 'strict', costs, invalidation: 500_000 });
    let returned = 0;
    on(0, function* (thread) {
      const address = yield* dma.map(thread, domain, PA, 64, Access.Write);
      yield* dma.unmap(thread, domain, address, 64, Access.Write);
      returned = machine.now;
    });
    machine.run();
    expect(returned - recorder.of('unmapped')[0]!.at).toBe(1_000_000);
  });

  it('gives slots back when there is no I/O address space for the copy', () => {
    const { machine, dma, domain, pool, on } = bench('always', { mode: 'strict', iova: { addressBits: 20 } });
    on(0, function* (thread) {
      const mapped: number[] = [];
      for (let i = 0; i < 5; i++) mapped.push(yield* dma.map(thread, domain, PA + i * 2 ** 20, 64 * PAGE, BOTH));
      expect(mapped.map((address) => address > 0)).toEqual([true, true, true, false, false]);
      expect(pool.usedIn(0)).toBe(3 * 128);
    });
    machine.run();
  });

  it('maps a scatter list as one range unless a segment has to be copied', () => {
    const { machine, dma, domain, recorder, on } = bench('untrusted', { mode: 'strict' });
    const whole = new ScatterList(
      [
        [PA, PAGE],
        [PA + 2 * PAGE, PAGE],
      ],
      DEFAULT_LIMITS,
    );
    const part = new ScatterList(
      [
        [PA, PAGE],
        [PA + 2 * PAGE, 100],
      ],
      DEFAULT_LIMITS,
    );
    on(0, function* (thread) {
      yield* dma.mapList(thread, domain, whole, BOTH);
      expect(recorder.of('allocated')).toHaveLength(1);
      yield* dma.unmapList(thread, domain, whole, BOTH);
      yield* dma.mapList(thread, domain, part, BOTH);
      expect(recorder.of('allocated')).toHaveLength(3);
      expect(domain.space!.table.lookup(part.addresses[0]!)).toBe(PA);
      expect(domain.space!.table.lookup(part.addresses[1]!)).toBe(POOL);
      yield* dma.unmapList(thread, domain, part, BOTH);
    });
    machine.run();
    expect(recorder.pagesLive).toBe(0);
  });
});

describe('bounce pool of the operating system', () => {
  it('lies in the first socket and has an area for each CPU, rounded up to a power of two', () => {
    const COSTS = { mapCall: 1000, unmapCall: 1000, copyLine: 10, lock: 5, lockHandOver: 50 };
    for (const [areas, contended] of [
      [0, false],
      [1, true],
    ] as const) {
      const machine = new TestMachine({ mode: 'bounce', cores: [3], costs: COSTS, swiotlb: { areas } });
      machine.os.jobs.addMapBenchmark(
        'b',
        {
          threads: 3,
          mode: 'single',
          placement: 'contiguous',
          granule: 1,
          direction: 'bidirectional',
          transfer: 0,
          copy: 0,
        },
        0,
        0,
      );
      const registry = new Registry();
      machine.os.registerMetrics(registry);
      machine.os.start();
      machine.runOperations(300);
      const metric = (name: string): number =>
        registry.collect(machine.now).find(({ metric }) => metric === name)!.value;
      expect(metric('swiotlb.bounced')).toBeGreaterThanOrEqual(300);
      expect(metric('swiotlb.used.max')).toBeLessThanOrEqual(6);
      expect(metric('lock.swiotlb.contended') > 0).toBe(contended);
      expect(metric('cycles.copy')).toBeCloseTo((2 * 64 * 10 * 3e9) / 1e12, 1);
    }
  });
});

describe('copies and the last-level cache', () => {
  it('leave the buffer and the copy in it', () => {
    const size = 2 ** 20;
    const llc = { size, ways: 16, ddioWays: 2, latency: 20_000, bandwidth: 1e12, scatter: 0 };
    const dram = { size: 2 ** 34, channels: 1, latency: 80_000, bandwidth: 1e11 };
    const memory = new MemorySystem({
      sockets: { s0: { llc, dram, cores: 1, frequency: 3e9 } },
      interconnect: { latency: 0, bandwidth: 1 },
      hostCache: 'cold',
    });
    memory.cpuRead(1, 0x1000, 64);
    expect(memory.deviceRead(0, 1, 0x1000, 64)).toBe(20_000);
    expect(memory.deviceRead(0, 1, 0x1040, 64)).toBeGreaterThanOrEqual(100_000);
  });
});
