import { describe, expect, it } from 'vitest';
import { DescriptorType, Granularity } from '../../iommu/arch/vtd/format.js';
import { leavesOf } from '../../pagetable/leaves.js';
import { Access } from '../../protocol/access.js';
import { DmaApi } from '../dma/api.js';
import type { Domain } from '../domain.js';
import { STEP_NAMES } from '../step.js';
import { testTableCosts } from '../testing/costs.js';
import { type MachineOptions, TestMachine } from '../testing/machine.js';
import { Recorder } from '../testing/recorder.js';
import type { Program, Thread } from '../thread.js';

const BOTH: Access = Access.Read | Access.Write;
const PAGE = 4096;
const PA = 2 ** 32 + 2 ** 24;
const NESTED: MachineOptions = {
  unit: { mode: 'scalable', stage: 'nested', secondLevels: 4 },
  guest: { mode: 'nested-trapped', exit: 2000, lock: 5, lockHandOver: 400, emulation: 30, call: 11 },
};
const CACHING: MachineOptions = {
  guest: { mode: 'caching', exit: 2000, lock: 5, emulation: 30, call: 11, pin: 100, unpin: 60 },
};

interface Bench {
  readonly machine: TestMachine;
  readonly dma: DmaApi;
  readonly domain: Domain;
  readonly on: (cpu: number, program: (thread: Thread) => Program) => void;
}

function bench(options: MachineOptions): Bench {
  const recorder = new Recorder();
  const machine = new TestMachine({ invalidation: 700, observer: recorder, ...options });
  recorder.now = () => machine.now;
  const { scheduler, devices } = machine.os;
  return {
    machine,
    dma: new DmaApi(scheduler, machine.spec.costs, recorder, 16),
    domain: devices[0]!.domainOf(-1)!,
    on: (cpu, program) => scheduler.start(scheduler.spawn(`cpu ${cpu}`, scheduler.cpus[cpu]!, program)),
  };
}

function steps(meter: DmaApi['maps']): Record<string, number> {
  const all = STEP_NAMES.map((name, step) => [name, meter.ledger.totalPs(step)] as const);
  return Object.fromEntries(all.filter(([, ps]) => ps !== 0));
}

describe('a guest that owns its first stage, with an emulated queue', () => {
  it('maps without leaving the guest; an unmap leaves it once and waits in the host', () => {
    const { machine, dma, domain, on } = bench(NESTED);
    on(0, function* (thread) {
      const address = yield* dma.map(thread, domain, PA, PAGE, BOTH);
      expect(machine.now).toBe(0);
      yield* dma.unmap(thread, domain, address, PAGE, BOTH);
    });
    machine.run();
    expect(steps(dma.maps)).toEqual({});
    // Two descriptors are emulated: the invalidation and the wait of the guest.
    expect(steps(dma.unmaps)).toEqual({ exit: 2000, emulation: 5 + 2 * 30, host_call: 11 + 700 });
    expect(machine.now).toBe(2776);
    expect(machine.commands).toMatchObject([{ type: DescriptorType.PasidIotlb, granularity: Granularity.Selective }]);
  });

  it('rings the hardware only by the queue of the host, whose ring is another', () => {
    const { machine, dma, domain, on } = bench(NESTED);
    const boot = machine.registerWrites.length;
    on(0, function* (thread) {
      for (let i = 0; i < 5; i++) {
        const address = yield* dma.map(thread, domain, PA, PAGE, BOTH);
        yield* dma.unmap(thread, domain, address, PAGE, BOTH);
      }
    });
    machine.run();
    expect(machine.registerWrites.length - boot).toBe(5);
    expect(machine.commands).toHaveLength(5);
  });

  it('runs the guest on a ring that wraps around', () => {
    const { machine, dma, domain, on } = bench({
      ...NESTED,
      unit: { ...NESTED.unit!, invalidation: { sizeLg2: 7, maxAddressMask: 18, queues: 1 } },
    });
    on(0, function* (thread) {
      for (let i = 0; i < 200; i++) {
        const address = yield* dma.map(thread, domain, PA, PAGE, BOTH);
        yield* dma.unmap(thread, domain, address, PAGE, BOTH);
      }
    });
    machine.run();
    expect(machine.commands).toHaveLength(200);
    expect(dma.unmaps.latency.count).toBe(200);
  });

  it('vCPUs on different devices share the lock of the monitor; the waits add up', () => {
    const devices = [
      { name: 'a', unit: 0, requester: 0x100 },
      { name: 'b', unit: 1, requester: 0x200 },
    ];
    const { machine, dma, on } = bench({ ...NESTED, units: 2, devices });
    for (const cpu of [0, 1]) {
      on(cpu, function* (thread) {
        const domain = machine.os.devices[cpu]!.domainOf(-1)!;
        const address = yield* dma.map(thread, domain, PA, PAGE, BOTH);
        yield* dma.unmap(thread, domain, address, PAGE, BOTH);
      });
    }
    machine.run();
    // The second waits for lock, emulation and host of the first, and for the hand-over; it takes the lock without its free price.
    const held = 5 + 2 * 30 + 711;
    expect(steps(dma.unmaps)['host_lock']).toBe(held + 400);
    expect(machine.now).toBe(1000 + held + 400 + 2 * 30 + 711 + 1000);
  });

  it('a change of the second stage removes every domain of the guest by the queue of the host', () => {
    const guest = { ...NESTED.guest!, stage2Change: 5000 };
    const { machine } = bench({ ...NESTED, guest, cores: [2] });
    machine.os.start();
    machine.run(5000 + 11 + 700);
    const whole = { at: 5711, type: DescriptorType.Iotlb, granularity: Granularity.Domain };
    expect(machine.commands).toMatchObject([
      { ...whole, domain: 1 },
      { ...whole, domain: 2 },
    ]);
    machine.run(2 * 5711);
    expect(machine.commands.map(({ at }) => at)).toEqual([5711, 5711, 11_422, 11_422]);
  });
});

describe('a guest in caching mode', () => {
  /** What hardware would walk: the table that the context entry points to. */
  function shadowLeaves(machine: TestMachine, domain: Domain): ReturnType<typeof leavesOf> {
    const { table } = domain.space!;
    const root = shadowRoot(machine);
    return leavesOf(Object.assign(Object.create(table) as typeof table, { root }), machine.memory, 0, 2 ** 48);
  }

  /** Second-stage root of the context entry of requester 0x100. */
  function shadowRoot(machine: TestMachine): number {
    const read = (address: number): [hi: number, lo: number] => {
      machine.memory.read(Math.floor(address / 2 ** 32), address | 0);
      return [machine.memory.wordHi, machine.memory.wordLo];
    };
    const rootTable = machine.registerWrites.find(({ offset }) => offset === 0x20)!;
    const page = ([hi, lo]: [number, number]): number => hi * 2 ** 32 + ((lo & ~0xfff) >>> 0);
    const context = page(read(rootTable.hi * 2 ** 32 + (rootTable.lo >>> 0) + 16));
    return page(read(context));
  }

  it('a map leaves the guest, and the host enters the page into the shadow table before it returns', () => {
    const { machine, dma, domain, on } = bench(CACHING);
    expect(shadowLeaves(machine, domain)).toEqual([]);
    on(0, function* (thread) {
      const address = yield* dma.map(thread, domain, PA, PAGE, BOTH);
      expect(shadowLeaves(machine, domain)).toEqual([{ iova: address, bytes: PAGE, pa: PA, access: BOTH }]);
      expect(machine.commands).toEqual([]);
      yield* dma.unmap(thread, domain, address, PAGE, BOTH);
      expect(shadowLeaves(machine, domain)).toEqual([]);
    });
    machine.run();
    expect(steps(dma.maps)).toEqual({ exit: 2000, emulation: 5 + 2 * 30, host_call: 11 + 100 });
    expect(steps(dma.unmaps)).toEqual({ exit: 2000, emulation: 5 + 2 * 30, host_call: 11 + 700 + 60 });
    expect(machine.commands).toMatchObject([{ type: DescriptorType.Iotlb, granularity: Granularity.Selective }]);
  });

  it('pays the page-table code of the host, and one call for each leaf', () => {
    const costs = { table: testTableCosts({ call: 1000, leaf: 10 }, { call: 3000, leaf: 20 }), tablePage: 0 };
    const { machine, dma, domain, on } = bench({ ...CACHING, costs });
    on(0, function* (thread) {
      const address = yield* dma.map(thread, domain, PA, 3 * PAGE, BOTH);
      yield* dma.unmap(thread, domain, address, 3 * PAGE, BOTH);
    });
    machine.run();
    expect(steps(dma.maps)).toMatchObject({ table: 1030, host_call: 3 * (11 + 100 + 1010) });
    expect(steps(dma.unmaps)).toMatchObject({ table: 3060, host_call: 3 * (11 + 3020 + 700 + 60) });
    expect(machine.commands).toHaveLength(3);
  });

  it('finds nothing to do for pages beside the range that are as they were', () => {
    const { machine, dma, domain, on } = bench({ ...CACHING, iova: { cachedOrders: 0 } });
    on(0, function* (thread) {
      const first = yield* dma.map(thread, domain, PA, PAGE, BOTH);
      const second = yield* dma.map(thread, domain, PA + PAGE, 3 * PAGE, BOTH);
      yield* dma.unmap(thread, domain, second, 3 * PAGE, BOTH);
      expect(shadowLeaves(machine, domain)).toEqual([{ iova: first, bytes: PAGE, pa: PA, access: BOTH }]);
    });
    machine.run();
    expect(machine.commands).toHaveLength(3);
  });

  it('is strict, whatever the mode, and shadows what was mapped before the run', () => {
    const { machine, domain } = bench({ ...CACHING, mode: 'lazy' });
    expect(domain.space!.queue).toBeNull();
    const address = machine.os.mapStatic(0, PA, 2 * PAGE);
    expect(shadowLeaves(machine, domain).map(({ iova, pa }) => [iova, pa])).toEqual([
      [address, PA],
      [address + PAGE, PA + PAGE],
    ]);
    expect(machine.now).toBe(0);
  });

  it('gives the shadow back when the device leaves', () => {
    const { machine, dma, domain, on } = bench(CACHING);
    const device = machine.os.devices[0]!;
    on(0, function* (thread) {
      yield* dma.map(thread, domain, PA, PAGE, BOTH);
      yield* device.group.detach(thread);
    });
    machine.run();
    expect(machine.commands.map(({ type }) => type)).toEqual([DescriptorType.ContextCache]);
    expect(domain.tags).toEqual([]);
  });
});
