import { SmmuMachine } from './smmuv3/testing/machine.js';
import { describe, expect, it } from 'vitest';
import {
  contextDomain,
  contextLevels,
  PasidType,
  pasidDomain,
  pasidType,
  Register,
  TranslationType,
  translationType,
} from '../iommu/arch/vtd/format.js';
import { Registry } from '../stats/registry.js';
import { OS_METRICS } from './metrics.js';
import { testTableCosts } from './testing/costs.js';
import { type MachineOptions, TestMachine } from './testing/machine.js';
import { Recorder } from './testing/recorder.js';

const COSTS = {
  mapCall: 15_000,
  unmapCall: 25_000,
  iovaCache: 30_000,
  iovaDepot: 100_000,
  iovaTree: 250_000,
  iovaTreeNode: 25_000,
  table: testTableCosts({ call: 53_700, leaf: 1300 }, { call: 68_000, leaf: 600 }),
  tablePage: 150_000,
  lock: 8000,
  lockHandOver: 50_000,
  lockHandOverRemote: 120_000,
  descriptor: 10_000,
  mmioWrite: 100_000,
  mmioFlight: 150_000,
  poll: 560_000,
  queueIova: 30_000,
  timer: 1_000_000,
  dirtyLine: 6000,
  completion: 100_000,
};

/** Table address and dwords that an 8-byte pointer entry and an entry of `bytes` hold. */
function words(machine: TestMachine, address: number, count: number): number[] {
  const all: number[] = [];
  for (let at = 0; at < count * 4; at += 8) {
    machine.memory.read(Math.floor(address / 2 ** 32), ((address + at) % 2 ** 32) | 0);
    all.push(machine.memory.wordLo, machine.memory.wordHi);
  }
  return all;
}

function pointer([lo, hi]: number[]): number {
  return hi! * 2 ** 32 + ((lo! & ~0xfff) >>> 0);
}

function register(machine: TestMachine, offset: number): number {
  const write = machine.registerWrites.filter((w) => w.offset === offset).at(-1)!;
  return pointer([write.lo, write.hi]);
}

describe('boot', () => {
  it('enables queued invalidation, sets the root table, then enables translation', () => {
    const machine = new TestMachine();
    expect(machine.registerWrites.map(({ offset }) => offset)).toEqual([
      Register.InvalidationQueueTail,
      Register.InvalidationQueueAddress,
      Register.GlobalCommand,
      Register.RootTableAddress,
      Register.GlobalCommand,
      Register.GlobalCommand,
    ]);
    expect(
      machine.registerWrites.filter(({ offset }) => offset === Register.GlobalCommand).map(({ lo }) => lo >>> 0),
    ).toEqual([0x04000000, 0x44000000, 0x84000000]);
    expect(machine.now).toBe(0);
  });

  it.each([
    ['strict', TranslationType.Untranslated, 2],
    ['passthrough', TranslationType.PassThrough, 1],
  ] as const)('writes legacy root and context entries for %s mode', (mode, type, did) => {
    const machine = new TestMachine({ mode, devices: [{ name: 'd', unit: 0, requester: 0x3b21 }] });
    const root = register(machine, Register.RootTableAddress);
    const context = words(machine, pointer(words(machine, root + 16 * 0x3b, 2)) + 16 * 0x21, 4);
    expect(context[0]! & 1).toBe(1);
    expect(translationType(context[0]!)).toBe(type);
    expect(contextLevels(context[2]!)).toBe(4);
    expect(contextDomain(context[2]!)).toBe(did);
    const space = machine.os.devices[0]!.domainOf(-1)!.space;
    expect(pointer(context)).toBe(space === null ? 0 : space.table.root);
  });

  it.each([
    ['first', 'strict', PasidType.FirstStage, 2],
    ['second', 'strict', PasidType.SecondStage, 2],
    ['first', 'passthrough', PasidType.PassThrough, 1],
  ] as const)('writes scalable-mode entries: %s stage, %s', (stage, mode, type, did) => {
    const machine = new TestMachine({
      mode,
      unit: { mode: 'scalable', stage },
      devices: [{ name: 'd', unit: 0, requester: 0x0a9c }],
    });
    machine.os.attachPasid(0, 0x12345);
    const root = register(machine, Register.RootTableAddress);
    const context = words(machine, pointer(words(machine, root + 16 * 0x0a + 8, 2)) + 32 * 0x1c, 8);
    expect(context[0]! & 0xfff).toBe(1 | 8 | (7 << 9));
    for (const [pasid, domain] of [
      [0, did],
      [0x12345, mode === 'passthrough' ? 1 : 3],
    ] as const) {
      const leaf = pointer(words(machine, pointer(context) + 8 * (pasid >>> 6), 2));
      const entry = words(machine, leaf + 64 * (pasid & 63), 16);
      expect(pasidType(entry[0]!)).toBe(type);
      expect(pasidDomain(entry[2]!)).toBe(domain);
      const space = machine.os.devices[0]!.domainOf(pasid === 0 ? -1 : pasid)!.space;
      const at = type === PasidType.FirstStage ? 4 : 0;
      expect(pointer(entry.slice(at))).toBe(space === null ? 0 : space.table.root);
    }
  });

  it('uses one identity domain for all, and a domain for each device otherwise', () => {
    const devices = [0x100, 0x200].map((requester, i) => ({ name: `d${i}`, unit: i, requester }));
    const attachments = (options: MachineOptions): string[] => {
      const recorder = new Recorder();
      new TestMachine({ devices, units: 2, observer: recorder, ...options });
      return recorder.attachments;
    };
    expect(attachments({ mode: 'passthrough' })).toEqual(['0:0:256:-1:true', '0:1:512:-1:true']);
    expect(attachments({})).toEqual(['0:0:256:-1:false', '1:1:512:-1:false']);
  });

  it('leaves devices without a unit alone', () => {
    const machine = new TestMachine({
      devices: [{ name: 'd', unit: -1, requester: 1 }],
      unit: { architecture: 'none' },
    });
    expect(machine.registerWrites).toEqual([]);
    expect(machine.os.mapStatic(0, 2 ** 32 + 5, 100)).toBe(2 ** 32 + 5);
  });

  it('rejects queue sizes that the hardware cannot have', () => {
    expect(() => new TestMachine({ unit: { invalidation: { sizeLg2: 7, maxAddressMask: 18, queues: 1 } } })).toThrow(
      '2^8 to 2^15',
    );
  });
});

describe('static mappings', () => {
  it('are aligned so that large leaves result', () => {
    const machine = new TestMachine();
    const bytes = 64 * 2 ** 20;
    const iova = machine.os.mapStatic(0, 2 ** 33, bytes);
    const { table } = machine.os.devices[0]!.domainOf(-1)!.space!;
    expect(iova % bytes).toBe(0);
    expect(table.work.leaves).toBe(32);
    expect(table.lookup(iova + bytes - 1)).toBe(2 ** 33 + bytes - 1);
    expect(machine.now).toBe(0);
  });

  it('use 4 KiB leaves when superpages are off', () => {
    const machine = new TestMachine({ superpages: false });
    machine.os.mapStatic(0, 2 ** 33, 4 * 2 ** 20);
    expect(machine.os.devices[0]!.domainOf(-1)!.space!.table.work.leaves).toBe(1024);
  });

  it('go to the domain of the PASID', () => {
    const machine = new TestMachine({ unit: { mode: 'scalable' } });
    machine.os.attachPasid(0, 7);
    const iova = machine.os.mapStatic(0, 2 ** 33, 4096, 7);
    expect(machine.os.devices[0]!.domainOf(7)!.space!.table.lookup(iova)).toBe(2 ** 33);
    expect(machine.os.devices[0]!.domainOf(-1)!.space!.table.lookup(iova)).toBe(-1);
    expect(() => machine.os.mapStatic(0, 2 ** 33, 4096, 8)).toThrow('PASID 8');
  });

  it('fail when the address space is full', () => {
    const machine = new TestMachine({ iova: { addressBits: 24 } });
    expect(() => machine.os.mapStatic(0, 2 ** 33, 2 ** 24)).toThrow('no I/O address space');
  });
});

describe('attachments', () => {
  it('refuse what the kernel refuses', () => {
    const legacy = new TestMachine();
    const device = legacy.os.devices[0]!;
    expect(() => device.attachPasid(1, device.domainOf(-1)!)).toThrow(/does not translate by PASID/);
    expect(() => device.group.attach(device.domainOf(-1)!)).toThrow(/attached to domain 0/);
    const scalable = new TestMachine({ unit: { mode: 'scalable' } });
    for (const pasid of [0, 2 ** 20, 1.5]) expect(() => scalable.os.attachPasid(0, pasid)).toThrow(/not in 1/);
    scalable.os.attachPasid(0, 1);
    expect(() => scalable.os.attachPasid(0, 1)).toThrow(/domain already/);
  });

  it('end with the entry gone, its caches invalidated, and may begin again', () => {
    for (const mode of ['legacy', 'scalable'] as const) {
      const recorder = new Recorder();
      const machine = new TestMachine({ unit: { mode }, observer: recorder });
      const { scheduler, devices } = machine.os;
      const device = devices[0]!;
      const domain = device.domainOf(-1)!;
      const thread = scheduler.spawn('t', scheduler.cpus[0]!, function* (self) {
        yield* device.group.detach(self);
        expect(machine.commands).toHaveLength(2);
        expect(device.domainOf(-1)).toBeNull();
        device.group.attach(domain);
      });
      scheduler.start(thread);
      machine.run();
      expect(recorder.attachments).toEqual(['0:0:256:-1:false', '-0:0:256:-1', '0:0:256:-1:false']);
      // The domain id was free again.
      expect(domain.tags).toEqual([{ unit: 0, id: 2, pasid: -1, users: 1 }]);
    }
  });
});

describe('jobs', () => {
  function build(options: MachineOptions): TestMachine {
    const devices = [0x100, 0x200].map((requester, i) => ({ name: `d${i}`, unit: i, requester }));
    const machine = new TestMachine({ devices, units: 2, cores: [4, 4], costs: COSTS, dma: 3_000_000, ...options });
    machine.os.jobs.addStream(
      'rx',
      {
        threads: 2,
        depth: 8,
        burst: 1,
        size: 1500,
        segments: 1,
        placement: 'contiguous',
        maxSegment: 65536,
        completers: 0,
        direction: 'from-device',
        lateAccess: 5,
        lateAfter: 1e6,
      },
      0,
      0,
    );
    machine.os.jobs.addMapBenchmark(
      'bench',
      {
        threads: 3,
        mode: 'single',
        placement: 'contiguous',
        granule: 4,
        direction: 'bidirectional',
        transfer: 200_000,
        copy: 0,
      },
      1,
      1,
    );
    machine.os.jobs.addMapBenchmark(
      'same',
      {
        threads: 2,
        mode: 'single',
        placement: 'contiguous',
        granule: 40,
        direction: 'to-device',
        transfer: 0,
        copy: 0,
      },
      0,
      0,
    );
    return machine;
  }

  it.each(['strict', 'lazy', 'passthrough'] as const)('run twice the same in %s mode, with balanced books', (mode) => {
    const results = [0, 1].map(() => {
      const recorder = new Recorder();
      const machine = build({ mode, observer: recorder });
      recorder.now = () => machine.now;
      const registry = new Registry();
      machine.os.registerMetrics(registry);
      machine.os.start();
      machine.run(3e9);
      registry.reset(machine.now);
      machine.run(25e9);
      return {
        metrics: registry.collect(machine.now),
        told: recorder.told.length,
        last: recorder.told.at(-1),
        operations: machine.operations.length,
        dispatched: machine.kernel.dispatched,
      };
    });
    expect(results[0]).toEqual(results[1]);
    expect(results[0]!.operations).toBeGreaterThan(5000);
  });

  it('are refused when the socket has no core left', () => {
    const machine = build({});
    expect(() =>
      machine.os.jobs.addMapBenchmark(
        'more',
        {
          threads: 1,
          mode: 'single',
          placement: 'contiguous',
          granule: 1,
          direction: 'to-device',
          transfer: 0,
          copy: 0,
        },
        0,
        0,
      ),
    ).toThrow('socket s0 has 4 cores');
  });

  it('have metrics that are all defined, and define none that nobody reports', () => {
    const reported = new Set<string>();
    const invalidate = {
      granularity: 'domain',
      align: 'page',
      batch: 1,
      tables: false,
      interval: 0,
      size: 4096,
    } as const;
    // Some are only reported by a guest, by a job that invalidates, or by strategies that hold buffers back.
    for (const options of [{}, { guest: { mode: 'caching' } }, { strategy: { kind: 'batched' } }] as const) {
      const registry = new Registry();
      const { os } = build({ ...options, cores: [5, 4] });
      os.jobs.addInvalidate('flush', { threads: 1, ...invalidate }, 0, -1, 0, 4096, 0);
      os.registerMetrics(registry);
      for (const { metric } of [...registry.collect(0), ...registry.histograms()]) reported.add(metric);
    }
    const registry = new Registry();
    const { os } = new SmmuMachine({ cores: [8], unit: { faults: { records: 1, stalls: 4, pageRequests: 0 } } });
    const sva = { processes: 1, size: 4096, window: 8192, reads: 0, outstanding: 1, ahead: 1, huge: false, pageOut: 1 };
    os.jobs.addSva('sva', { ...sva, munmap: 0, pattern: 'random', prefault: 'none' }, 0, 0);
    const queue = {
      queue: 'shared',
      entries: 1,
      depth: 1,
      pattern: 'random',
      retries: { limit: 0, pause: 0 },
    } as const;
    const processes = { threads: 1, processes: 1, virtualMachines: 0, translation: 'ahead', prefault: 'all' } as const;
    os.jobs.addOffload('offload', { ...queue, ...processes, size: 4096, window: 4096 }, 0, 0);
    os.registerMetrics(registry);
    for (const { metric } of [...registry.collect(0), ...registry.histograms()]) reported.add(metric);
    expect([...reported].sort()).toEqual(OS_METRICS.map(({ name }) => name).sort());
    expect(new Set(OS_METRICS.map(({ name }) => name)).size).toBe(OS_METRICS.length);
  });
});
