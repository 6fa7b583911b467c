import { describe, expect, it } from 'vitest';
import { DescriptorType, Granularity } from '../../iommu/arch/vtd/format.js';
import { Access } from '../../protocol/access.js';
import { Registry } from '../../stats/registry.js';
import { DmaApi } from './api.js';
import type { Domain } from '../domain.js';
import { STEP_NAMES, Step } from '../step.js';
import { ForgetfulVtdDriver } from '../testing/broken-driver.js';
import { testTableCosts } from '../testing/costs.js';
import { type MachineOptions, TestMachine } from '../testing/machine.js';
import { Recorder } from '../testing/recorder.js';
import { type Program, type Thread, Wait } from '../thread.js';
import { blockStart } from '../flush-range.js';

const BOTH: Access = Access.Read | Access.Write;
const PAGE = 4096;
const PA = 2 ** 32 + 2 ** 24;

interface Bench {
  readonly machine: TestMachine;
  readonly dma: DmaApi;
  readonly domain: Domain;
  readonly recorder: Recorder;
  /** Starts a program on a CPU. */
  readonly on: (cpu: number, program: (thread: Thread) => Program) => void;
}

function bench(options: MachineOptions = {}): Bench {
  const recorder = new Recorder();
  const machine = new TestMachine({ observer: recorder, ...options });
  recorder.now = () => machine.now;
  const { scheduler, devices } = machine.os;
  return {
    machine,
    recorder,
    dma: new DmaApi(scheduler, machine.spec.costs, recorder, 16),
    domain: devices[0]!.domainOf(-1)!,
    on: (cpu, program) => scheduler.start(scheduler.spawn(`cpu ${cpu}`, scheduler.cpus[cpu]!, program)),
  };
}

/** Time of each step of all calls so far, the zero ones left out. */
function steps(meter: DmaApi['maps']): Record<string, number> {
  const all = STEP_NAMES.map((name, step) => [name, meter.ledger.totalPs(step)] as const);
  return Object.fromEntries(all.filter(([, ps]) => ps !== 0));
}

describe('dma_map', () => {
  it('keeps the offset in the page and maps whole pages (size + offset rounded up)', () => {
    const { machine, dma, domain, on } = bench();
    let address = 0;
    on(0, function* (thread) {
      address = yield* dma.map(thread, domain, PA + 0x123, 2 * PAGE, BOTH);
    });
    machine.run();
    expect(address % PAGE).toBe(0x123);
    const table = domain.space!.table;
    expect(table.lookup(address)).toBe(PA + 0x123);
    expect(table.lookup(address - 0x123 + 3 * PAGE - 1)).toBe(PA + 3 * PAGE - 1);
    expect(dma.pages).toBe(3);
  });

  it('charges call, IOVA and table work, and nothing else', () => {
    const costs = {
      mapCall: 1000,
      iovaCache: 100,
      iovaTree: 50,
      lock: 7,
      table: testTableCosts({ call: 500, leaf: 3 }),
      tablePage: 11,
    };
    const { machine, dma, domain, on } = bench({ costs });
    on(0, function* (thread) {
      yield* dma.map(thread, domain, PA, 4 * PAGE, BOTH);
    });
    machine.run();
    // The first IOVA comes from the tree, after a look into the depot; three tables are new below the root.
    expect(steps(dma.maps)).toEqual({ call: 1000, iova: 150, lock: 2 * 7, table: 500 + 4 * 3 + 3 * 11 });
    expect(dma.maps.latency.sum).toBe(1000 + 150 + 14 + 545);
    expect(machine.now).toBe(1709);
  });

  it('charges the page-table code that the kernel has for the format', () => {
    const [generic] = Object.values(testTableCosts({ call: 100, level: 1 }, { call: 200, leaf: 5, level: 2 }));
    const [legacy] = Object.values(testTableCosts({ call: 70, leaf: 10, level: 1 }, { call: 90, level: 2 }, true));
    const table = { ...testTableCosts({}), vtdss: { generic: generic!.generic, legacy: legacy!.legacy } };
    const times = (vtdss: 'generic' | 'legacy'): [number, number] => {
      const { machine, dma, domain, on } = bench({ costs: { table }, tableCode: { vtdss } });
      on(0, function* (thread) {
        const address = yield* dma.map(thread, domain, PA, 8 * PAGE, BOTH);
        yield* dma.unmap(thread, domain, address, 8 * PAGE, BOTH);
      });
      machine.run();
      return [dma.maps.ledger.totalPs(Step.Table), dma.unmaps.ledger.totalPs(Step.Table)];
    };
    // Four levels: once for the run of eight leaves, or for each of them.
    expect(times('generic')).toEqual([100 + 4, 200 + 8 * 5 + 4 * 2]);
    expect(times('legacy')).toEqual([70 + 8 * 10 + 8 * 4, 90 + 8 * 4 * 2]);
  });

  it('takes a cached IOVA without the tree and in one step', () => {
    const costs = { mapCall: 10, iovaCache: 5, iovaTree: 1000, table: testTableCosts({ call: 20 }) };
    const { machine, dma, domain, on } = bench({ costs });
    on(0, function* (thread) {
      const first = yield* dma.map(thread, domain, PA, PAGE, BOTH);
      yield* dma.unmap(thread, domain, first, PAGE, BOTH);
      dma.maps.reset();
      const second = yield* dma.map(thread, domain, PA, PAGE, BOTH);
      expect(second).toBe(first);
    });
    machine.run();
    expect(steps(dma.maps)).toEqual({ call: 10, iova: 5, table: 20 });
  });

  it('pays a cache-line flush for each line it stores when the walker does not snoop', () => {
    const costs = { cacheLineFlush: 10, mapCall: 1 };
    const { machine, dma, domain, on } = bench({ costs, unit: { coherent: false } });
    on(0, function* (thread) {
      yield* dma.map(thread, domain, PA, PAGE, BOTH);
      dma.maps.reset();
      yield* dma.map(thread, domain, PA, PAGE, BOTH);
    });
    machine.run();
    expect(steps(dma.maps)).toEqual({ call: 1, cache_flush: 10 });
  });

  it('returns the physical address, and does nothing, in passthrough mode', () => {
    const { machine, dma, domain, on } = bench({ mode: 'passthrough', costs: { mapCall: 15, unmapCall: 25 } });
    on(0, function* (thread) {
      expect(yield* dma.map(thread, domain, PA + 5, PAGE, BOTH)).toBe(PA + 5);
      yield* dma.unmap(thread, domain, PA + 5, PAGE, BOTH);
    });
    machine.run();
    expect(machine.now).toBe(40);
    expect(machine.commands).toEqual([]);
  });

  it('returns 0 when the address space is exhausted, after draining the magazines once', () => {
    const { machine, dma, domain, recorder, on } = bench({ iova: { addressBits: 20 } });
    on(0, function* (thread) {
      const first = yield* dma.map(thread, domain, PA, PAGE, BOTH);
      yield* dma.unmap(thread, domain, first, PAGE, BOTH);
      // 255 pages exist below 1 MiB (page 0 is never used); a 128-page mapping needs the cached page's neighbourhood.
      expect(yield* dma.map(thread, domain, PA, 128 * PAGE, BOTH)).toBe(128 * PAGE);
      expect(yield* dma.map(thread, domain, PA, 128 * PAGE, BOTH)).toBe(0);
    });
    machine.run();
    expect(dma.failures).toBe(1);
    expect(recorder.pagesLive).toBe(128);
  });
});

describe('strict dma_unmap', () => {
  const costs = {
    unmapCall: 25_000,
    table: testTableCosts({}, { call: 60_000, leaf: 1000 }),
    lock: 8000,
    descriptor: 10_000,
    mmioWrite: 100_000,
    mmioFlight: 150_000,
    poll: 500_000,
    iovaCache: 30_000,
  };

  it('submits, polls, and gives the IOVA back only after the status write', () => {
    const { machine, dma, domain, recorder, on } = bench({ costs, invalidation: 600_000 });
    let returned = 0;
    on(0, function* (thread) {
      const address = yield* dma.map(thread, domain, PA, PAGE, BOTH);
      dma.unmaps.reset();
      const start = machine.now;
      yield* dma.unmap(thread, domain, address, PAGE, BOTH);
      returned = machine.now - start;
    });
    machine.run();
    // Doorbell at the end of the stores; the status is written 150 + 600 ns later and seen at the second poll.
    const submit = 2 * 8000 + 2 * 10_000 + 100_000;
    expect(steps(dma.unmaps)).toEqual({
      call: 25_000,
      table: 61_000,
      lock: 16_000,
      descriptor: 20_000,
      doorbell: 100_000,
      completion: 1_000_000,
      iova_free: 30_000,
    });
    expect(returned).toBe(25_000 + 61_000 + submit + 1_000_000 + 30_000);
    const command = machine.commands.at(-1)!;
    const freed = recorder.of('freed').at(-1)!;
    expect(freed.at).toBeGreaterThan(command.at);
    expect(recorder.of('unmapped').at(-1)!.at).toBeGreaterThan(command.at);
    expect(recorder.of('unmapping').at(-1)!.at).toBeLessThan(command.at);
  });

  it.each([
    // Status written this long after the doorbell, seen this long after it: never early, at the next poll, at the same instant if equal.
    [499_999, 500_000],
    [500_000, 500_000],
    [500_001, 1_000_000],
  ])('sees a status written %i ps after the doorbell at %i ps', (written, seen) => {
    const { machine, dma, domain, on } = bench({ costs: { poll: 500_000, mmioFlight: 0 }, invalidation: written });
    on(0, function* (thread) {
      const address = yield* dma.map(thread, domain, PA, PAGE, BOTH);
      yield* dma.unmap(thread, domain, address, PAGE, BOTH);
    });
    machine.run();
    expect(steps(dma.unmaps)).toEqual({ completion: seen });
  });

  it('invalidates what was unmapped, with the hint when no table page was freed', () => {
    const { machine, dma, domain, on } = bench();
    on(0, function* (thread) {
      const small = yield* dma.map(thread, domain, PA, 4 * PAGE, BOTH);
      const large = yield* dma.map(thread, domain, PA + PAGE, 512 * PAGE, BOTH);
      yield* dma.unmap(thread, domain, small, 4 * PAGE, BOTH);
      yield* dma.unmap(thread, domain, large, 512 * PAGE, BOTH);
      expect(machine.commands.map(({ address, addressMask }) => [address, addressMask])).toEqual([
        [small, 2],
        [large, 9],
      ]);
    });
    machine.run();
    expect(machine.commands.map((command) => command.granularity)).toEqual([
      Granularity.Selective,
      Granularity.Selective,
    ]);
    // The 2 MiB of 4 KiB pages had a table of their own, which goes.
    expect(machine.commands.map((command) => command.hint)).toEqual([1, 0]);
  });

  it('never passes the hint when the driver does not know it', () => {
    const { machine, dma, domain, on } = bench({ invalidationHint: false });
    on(0, function* (thread) {
      const address = yield* dma.map(thread, domain, PA, PAGE, BOTH);
      yield* dma.unmap(thread, domain, address, PAGE, BOTH);
    });
    machine.run();
    expect(machine.commands[0]!.hint).toBe(0);
  });

  it('gives freed table pages back only after the invalidation', () => {
    const { machine, dma, domain, on } = bench({ costs: { poll: 100 } });
    const frames = machine.frames[0]!;
    let during = 0;
    let before = 0;
    on(0, function* (thread) {
      const address = yield* dma.map(thread, domain, PA + PAGE, 512 * PAGE, BOTH);
      before = frames.inUse;
      yield* dma.unmap(thread, domain, address, 512 * PAGE, BOTH);
    });
    on(1, function* (thread) {
      thread.charge(0, 500);
      yield Wait.Run;
      during = frames.inUse;
    });
    machine.run();
    expect(during).toBe(before);
    expect(frames.inUse).toBe(before - 1);
    expect(dma.mapper.tablesFreed).toBe(1);
  });

  it('uses PASID-based invalidations for first-stage domains', () => {
    const { machine, dma, domain, on } = bench({ unit: { mode: 'scalable', stage: 'first' } });
    on(0, function* (thread) {
      const address = yield* dma.map(thread, domain, PA, PAGE, BOTH);
      yield* dma.unmap(thread, domain, address, PAGE, BOTH);
    });
    machine.run();
    expect(
      machine.commands.map(({ type, granularity, pasid, domain: did }) => [type, granularity, pasid, did]),
    ).toEqual([[DescriptorType.PasidIotlb, Granularity.Selective, 0, 2]]);
  });

  it('frees nothing that hardware may still know; a driver that forgets to invalidate does', () => {
    const staleFrees = (options: MachineOptions): number => {
      const { machine, dma, domain, recorder, on } = bench(options);
      on(0, function* (thread) {
        const address = yield* dma.map(thread, domain, PA, PAGE, BOTH);
        yield* dma.unmap(thread, domain, address, PAGE, BOTH);
      });
      machine.run();
      const covers = (iova: number, since: number, until: number): boolean =>
        machine.commands.some((c) => c.at >= since && c.at <= until && blockStart(iova, c.addressMask) === c.address);
      return recorder.of('freed').filter(({ iova, at }) => !covers(iova, recorder.clearedAt(domain.id, iova), at))
        .length;
    };
    expect(staleFrees({})).toBe(0);
    expect(staleFrees({ makeDriver: (_, environment) => new ForgetfulVtdDriver(environment) })).toBe(1);
  });
});

describe('threads that unmap in one domain', () => {
  /** Operations done in a fixed time by threads on devices 0..domains-1. */
  function unmapsWith(threads: number, domains: number): number {
    const devices = Array.from({ length: domains }, (_, i) => ({ name: `d${i}`, unit: 0, requester: 0x100 + i }));
    const machine = new TestMachine({ devices, invalidation: 700_000, costs: { poll: 10_000 }, cores: [8] });
    for (let i = 0; i < threads; i++) {
      machine.os.jobs.addMapBenchmark(
        `j${i}`,
        {
          threads: 1,
          mode: 'single',
          placement: 'contiguous',
          granule: 1,
          direction: 'from-device',
          transfer: 0,
          copy: 0,
        },
        i % domains,
        0,
      );
    }
    machine.os.start();
    machine.run(700_000 * 100);
    return machine.os.operations;
  }

  it('share the throughput of one: the domain lock is held while waiting for hardware', () => {
    const one = unmapsWith(1, 1);
    expect(one).toBeGreaterThanOrEqual(98);
    expect(Math.abs(unmapsWith(4, 1) - one)).toBeLessThanOrEqual(1);
  });

  it('overlap their waits when each has a domain of its own, but for the looks of the others at their status words', () => {
    expect(unmapsWith(4, 4)).toBeGreaterThanOrEqual(3.2 * 98);
    expect(unmapsWith(4, 4)).toBeLessThan(4 * 98);
  });
});

describe('an invalidation queue that is full', () => {
  it('makes submitters spin until slots are reclaimed, in order, and loses nothing', () => {
    const devices = Array.from({ length: 200 }, (_, i) => ({ name: `d${i}`, unit: 0, requester: i }));
    const machine = new TestMachine({
      devices,
      cores: [200],
      invalidation: 1_000_000,
      costs: { lockHandOver: 10, poll: 10 },
    });
    for (let i = 0; i < 200; i++) {
      machine.os.jobs.addMapBenchmark(
        `j${i}`,
        {
          threads: 1,
          mode: 'single',
          placement: 'contiguous',
          granule: 1,
          direction: 'from-device',
          transfer: 0,
          copy: 0,
        },
        i,
        0,
      );
    }
    const registry = new Registry();
    machine.os.registerMetrics(registry);
    machine.os.start();
    machine.runOperations(1000);
    // 256 slots hold 127 submissions of two.
    expect(machine.commands.length).toBeGreaterThanOrEqual(1000);
    const metrics = registry.collect(machine.now);
    expect(metrics.find(({ metric }) => metric === 'invalidation.slot_waits')!.value).toBeGreaterThan(0);
  });
});
