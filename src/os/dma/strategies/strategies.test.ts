import { describe, expect, it } from 'vitest';
import { Granularity } from '../../../iommu/arch/vtd/format.js';
import { Access } from '../../../protocol/access.js';
import type { Domain } from '../../domain.js';
import type { CostSpec, StrategySpec } from '../../spec.js';
import { STEP_NAMES } from '../../step.js';
import { testTableCosts } from '../../testing/costs.js';
import { type MachineOptions, TestMachine } from '../../testing/machine.js';
import { Recorder } from '../../testing/recorder.js';
import type { Call, Program, Thread } from '../../thread.js';
import { DmaApi } from '../api.js';

const PAGE = 4096;
const PA = 2 ** 32 + 2 ** 24;

const COSTS: Partial<CostSpec> = {
  mapCall: 1,
  unmapCall: 2,
  iovaCache: 10,
  table: testTableCosts({ call: 100, leaf: 3 }, { call: 200, leaf: 5 }),
  descriptor: 1000,
  mmioWrite: 5000,
  poll: 100_000,
  queueIova: 20,
  copyLine: 7,
  poolLookup: 40,
};

interface Bench {
  readonly machine: TestMachine;
  readonly dma: DmaApi;
  readonly domain: Domain;
  readonly recorder: Recorder;
}

/** Runs a program on CPU 0 to its end. */
function bench(
  strategy: Partial<StrategySpec>,
  program: (thread: Thread, bench: Bench) => Program,
  options: MachineOptions = {},
): Bench {
  const recorder = new Recorder();
  const machine = new TestMachine({ strategy, costs: COSTS, invalidation: 250_000, observer: recorder, ...options });
  recorder.now = () => machine.now;
  const { scheduler, devices } = machine.os;
  const buffer = (bytes: number): number => machine.frames[0]!.allocateContiguous(bytes, PAGE);
  const environment = { spec: machine.spec.dma.strategy, timing: null, buffer };
  const dma = new DmaApi(scheduler, machine.spec.costs, recorder, 16, null, environment);
  const all = { machine, dma, domain: devices[0]!.domainOf(-1)!, recorder };
  scheduler.start(scheduler.spawn('cpu 0', scheduler.cpus[0]!, (thread) => program(thread, all)));
  machine.run();
  return all;
}

/** Time of each step of all calls so far, the zero ones left out. */
function steps(meter: DmaApi['maps']): Record<string, number> {
  const all = STEP_NAMES.map((name, step) => [name, meter.ledger.totalPs(step)] as const);
  return Object.fromEntries(all.filter(([, ps]) => ps !== 0));
}

function* mapPages(thread: Thread, { dma, domain }: Bench, count: number): Call<number[]> {
  const addresses: number[] = [];
  for (let i = 0; i < count; i++) {
    // Every other page, so that buffers never merge into a larger leaf.
    addresses.push(yield* dma.map(thread, domain, PA + 2 * i * PAGE, PAGE, Access.Write));
  }
  return addresses;
}

const ranges = ({ machine }: Bench): [number, number][] =>
  machine.commands.map(({ address, addressMask }) => [address, 2 ** addressMask]);

describe('batched', () => {
  it('clears at once, and one flush of the domain gives everything back', () => {
    const { machine, dma, recorder } = bench({ kind: 'batched' }, function* (thread, all) {
      const addresses = yield* mapPages(thread, all, 3);
      all.dma.maps.reset();
      for (const address of addresses) yield* all.dma.unmap(thread, all.domain, address, PAGE, Access.Write);
      expect(all.domain.space!.table.lookup(addresses[0]!)).toBe(-1);
      expect(all.machine.commands).toEqual([]);
      expect(all.recorder.of('freed')).toEqual([]);
      expect(all.dma.path.statistics!.held.value).toBe(3);
      yield* all.dma.settle(thread, all.domain);
      expect(all.dma.path.statistics!.held.value).toBe(0);
    });
    expect(machine.commands.map(({ granularity }) => granularity)).toEqual([Granularity.Domain]);
    expect(steps(dma.unmaps)).toEqual({ call: 3 * 2, table: 3 * 205 });
    // Status written 250 ns after the doorbell, seen at the third poll.
    expect(steps(dma.settles)).toEqual({ descriptor: 2000, doorbell: 5000, completion: 300_000, iova_free: 30 });
    expect(dma.settles.latency.sum).toBe(307_030);
    expect(dma.path.statistics!.heldTime.count).toBe(3);
    for (const { at } of recorder.of('unmapped')) expect(at).toBeGreaterThan(machine.commands[0]!.at);
    expect(recorder.of('freed')).toHaveLength(3);
  });

  it('flushes by itself when the list is full', () => {
    const { machine } = bench({ kind: 'batched', batch: 2 }, function* (thread, all) {
      const addresses = yield* mapPages(thread, all, 5);
      for (const address of addresses) yield* all.dma.unmap(thread, all.domain, address, PAGE, Access.Write);
      expect(all.machine.commands).toHaveLength(2);
      yield* all.dma.settle(thread, all.domain);
    });
    expect(machine.commands).toHaveLength(3);
  });
});

describe('ranged', () => {
  it('takes neighbours out by one call and one command, whatever the order, with the hint', () => {
    let first = 0;
    const all = bench({ kind: 'ranged' }, function* (thread, own) {
      const [a, b, c, d] = yield* mapPages(thread, own, 4);
      first = d!;
      for (const address of [c!, a!, d!, b!]) yield* own.dma.unmap(thread, own.domain, address, PAGE, Access.Write);
      // Nothing has happened yet.
      expect(own.domain.space!.table.lookup(a!)).toBe(PA);
      yield* own.dma.settle(thread, own.domain);
      expect(own.domain.space!.table.lookup(a!)).toBe(-1);
    });
    // The tree hands out from the top down.
    expect(ranges(all)).toEqual([[first, 4]]);
    expect(all.machine.commands[0]!.hint).toBe(1);
    expect(steps(all.dma.unmaps)).toEqual({ call: 4 * 2, queue: 4 * 20 });
    expect(steps(all.dma.settles)).toMatchObject({ table: 200 + 4 * 5, completion: 300_000, iova_free: 40 });
    expect(all.recorder.of('freed').map(({ bytes }) => bytes)).toEqual([PAGE, PAGE, PAGE, PAGE]);
  });

  it('needs a command for each stretch without a gap', () => {
    const all = bench({ kind: 'ranged' }, function* (thread, own) {
      const [a, b, , d] = yield* mapPages(thread, own, 4);
      for (const address of [a!, b!, d!]) yield* own.dma.unmap(thread, own.domain, address, PAGE, Access.Write);
      yield* own.dma.settle(thread, own.domain);
    });
    expect(ranges(all).map(([, pages]) => pages)).toEqual([1, 2]);
  });
});

describe('contiguous', () => {
  it('hands out chunks from the first page to the last, invalidates each as one range, keeps tables and chunks', () => {
    const addresses: number[] = [];
    const all = bench({ kind: 'contiguous', chunk: 4 }, function* (thread, own) {
      addresses.push(...(yield* mapPages(thread, own, 6)));
      for (const address of addresses) yield* own.dma.unmap(thread, own.domain, address, PAGE, Access.Write);
      yield* own.dma.settle(thread, own.domain);
      own.dma.maps.reset();
      // Two pages are left of the second chunk, which is empty: it begins again; then the first one comes back.
      addresses.push(...(yield* mapPages(thread, own, 5)));
    });
    const [first, second] = [addresses[0]!, addresses[4]!];
    const pages = (base: number, count: number): number[] => Array.from({ length: count }, (_, i) => base + i * PAGE);
    expect(first % (4 * PAGE)).toBe(0);
    expect(addresses.slice(0, 6)).toEqual([...pages(first, 4), ...pages(second, 2)]);
    expect(addresses.slice(6)).toEqual([second + 2 * PAGE, second + 3 * PAGE, ...pages(first, 3)]);
    expect(ranges(all).sort(([a], [b]) => b - a)).toEqual([
      [first, 4],
      [second, 2],
    ]);
    expect(all.machine.commands.every(({ hint }) => hint === 1)).toBe(true);
    expect(all.dma.mapper.tablesFreed).toBe(0);
    // One look for the spare chunk, no tree.
    expect(steps(all.dma.maps)).toEqual({ call: 5, iova: 10, table: 5 * 103 });
  });

  it('gives a buffer larger than a chunk a range of its own, and its addresses back', () => {
    const all = bench({ kind: 'contiguous', chunk: 2 }, function* (thread, own) {
      const address = yield* own.dma.map(thread, own.domain, PA, 3 * PAGE, Access.Read);
      yield* own.dma.unmap(thread, own.domain, address, 3 * PAGE, Access.Read);
      yield* own.dma.settle(thread, own.domain);
    });
    expect(all.machine.commands).toHaveLength(1);
    expect(all.recorder.pagesLive).toBe(0);
  });
});

describe('ring', () => {
  it('uses fixed addresses in order, refuses when it is full, and invalidates a burst as one range', () => {
    const first: number[] = [];
    const all = bench({ kind: 'ring', slots: 4 }, function* (thread, own) {
      first.push(...(yield* mapPages(thread, own, 5)));
      for (const address of first.slice(0, 3)) yield* own.dma.unmap(thread, own.domain, address, PAGE, Access.Write);
      // Slots that are not invalidated are not free.
      expect(yield* own.dma.map(thread, own.domain, PA, PAGE, Access.Write)).toBe(0);
      yield* own.dma.settle(thread, own.domain);
      own.dma.maps.reset();
      const again = yield* mapPages(thread, own, 3);
      expect(again).toEqual(first.slice(0, 3));
      // The burst wraps around: slots 3 and 0.
      for (const address of [first[3]!, again[0]!]) {
        yield* own.dma.unmap(thread, own.domain, address, PAGE, Access.Write);
      }
      yield* own.dma.settle(thread, own.domain);
    });
    const base = first[0]!;
    expect(first).toEqual([base, base + PAGE, base + 2 * PAGE, base + 3 * PAGE, 0]);
    // Three pages from an aligned block of four; then two single ones.
    expect(ranges(all)).toEqual([
      [base, 4],
      [base, 1],
      [base + 3 * PAGE, 1],
    ]);
    expect(steps(all.dma.maps)).toEqual({ call: 3, iova: 3 * 40, table: 3 * 103 });
    expect(all.recorder.of('allocated')).toHaveLength(1);
    expect(all.dma.mapper.tablesFreed).toBe(0);
  });
});

describe('shadow', () => {
  it('copies lines in for reads and out for writes, and invalidates nothing', () => {
    const all = bench({ kind: 'shadow' }, function* (thread, own) {
      const { dma, domain } = own;
      const address = yield* dma.map(thread, domain, PA + 100, 200, Access.Read);
      const shadow = domain.space!.table.lookup(address);
      expect(shadow).not.toBe(PA);
      yield* dma.unmap(thread, domain, address, 200, Access.Read);
      dma.maps.reset();
      dma.unmaps.reset();
      expect(yield* dma.map(thread, domain, PA + 100, 200, Access.Read)).toBe(address);
      yield* dma.unmap(thread, domain, address, 200, Access.Read);
      // A device that may write gets another buffer.
      const written = yield* dma.map(thread, domain, PA + 100, 200, Access.Write);
      expect(written).not.toBe(address);
      yield* dma.unmap(thread, domain, written, 200, Access.Write);
    });
    // 200 bytes at the start of a shadow are 4 lines; at offset 100 of the buffer, 36 bytes into a line, they are 4, too.
    expect(steps(all.dma.maps)).toMatchObject({ copy: 4 * 7, iova: expect.any(Number) as number });
    expect(steps(all.dma.unmaps)).toEqual({ call: 4, iova_free: 20, copy: 4 * 7 });
    expect(all.dma.path.statistics!.copiedBytes).toBe(3 * 200);
    expect(all.dma.path.statistics!.poolBytes).toBe(2 * PAGE);
    expect(all.machine.commands).toEqual([]);
  });
});

describe('pool', () => {
  it('maps a buffer for good at its first use, and looks it up afterwards', () => {
    const all = bench({ kind: 'pool' }, function* (thread, own) {
      const { dma, domain } = own;
      const address = yield* dma.map(thread, domain, PA + 5, PAGE, Access.Write);
      yield* dma.unmap(thread, domain, address, PAGE, Access.Write);
      expect(domain.space!.table.lookup(address)).toBe(PA + 5);
      dma.maps.reset();
      expect(yield* dma.map(thread, domain, PA + 7, 100, Access.Read)).toBe(address + 2);
    });
    expect(steps(all.dma.maps)).toEqual({ call: 1, iova: 40 });
    expect(steps(all.dma.unmaps)).toEqual({ call: 2 });
    expect(all.dma.path.statistics!.poolBytes).toBe(2 * PAGE);
    expect(all.machine.commands).toEqual([]);
  });
});

describe('linux-before', () => {
  const NOTHING = { walkPerLeaf: false, flushPerPage: false, noHint: false, legacyCode: false };

  function once(before: Partial<StrategySpec['before']>): Bench {
    return bench({ kind: 'linux-before', before: { ...NOTHING, ...before } }, function* (thread, { dma, domain }) {
      const address = yield* dma.map(thread, domain, PA, 4 * PAGE, Access.Write);
      yield* dma.unmap(thread, domain, address, 4 * PAGE, Access.Write);
    });
  }

  it('is Linux today without its parts', () => {
    const { dma, machine } = once({});
    expect(steps(dma.maps)['table']).toBe(100 + 4 * 3);
    expect(steps(dma.unmaps)['table']).toBe(200 + 4 * 5);
    expect(machine.commands.map(({ addressMask, hint }) => [addressMask, hint])).toEqual([[2, 1]]);
  });

  it('walks for each leaf', () => {
    const { dma, machine } = once({ walkPerLeaf: true });
    expect(steps(dma.maps)['table']).toBe(4 * (100 + 3));
    expect(steps(dma.unmaps)['table']).toBe(4 * (200 + 5));
    expect(machine.commands).toHaveLength(1);
  });

  it('invalidates each page and waits each time', () => {
    const { dma, machine } = once({ flushPerPage: true });
    expect(machine.commands.map(({ addressMask, hint }) => [addressMask, hint])).toEqual(
      Array.from({ length: 4 }, () => [0, 1]),
    );
    expect(steps(dma.unmaps)['completion']).toBe(4 * 300_000);
  });

  it('never passes the hint', () => {
    expect(once({ noHint: true }).machine.commands.map(({ hint }) => hint)).toEqual([0]);
  });

  it('runs older page-table code', () => {
    const generic = testTableCosts({ call: 100 })['vtdss'].generic;
    const legacy = testTableCosts({ call: 900 })['vtdss'].legacy;
    const table = { ...testTableCosts({}), vtdss: { generic, legacy } };
    const mapTime = (legacyCode: boolean): number | undefined => {
      const spec = { kind: 'linux-before', before: { ...NOTHING, legacyCode } } as const;
      const options = { costs: { ...COSTS, table }, tableCode: { vtdss: 'generic' } } as const;
      const { dma } = bench(spec, (thread, all) => discard(mapPages(thread, all, 1)), options);
      return steps(dma.maps)['table'];
    };
    expect([mapTime(false), mapTime(true)]).toEqual([100, 900]);
  });
});

function* discard(program: Call<unknown>): Program {
  yield* program;
}
