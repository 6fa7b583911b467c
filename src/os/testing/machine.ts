/**
 * A machine for tests of the operating system alone: units that only execute their invalidation queues, each command batch a fixed time
 * after its doorbell, in order; devices that finish every DMA after a fixed time; no caches.
 */
import { Descriptor, DescriptorType, decodeDescriptor, Register } from '../../iommu/arch/vtd/format.js';
import { Event } from '../../kernel/event.js';
import { Kernel } from '../../kernel/kernel.js';
import { FrameAllocator } from '../../memory/frames.js';
import { PhysicalMemory } from '../../memory/physical.js';
import type { Access } from '../../protocol/access.js';
import type { Observer } from '../../protocol/observer.js';
import { Op } from '../../protocol/op.js';
import type { Portals } from '../../protocol/portal.js';
import { type DeviceQueue, DmaStatus } from '../../protocol/queue.js';
import type { RegisterBus } from '../../protocol/registers.js';
import { type MakeDriver, Os } from '../os.js';
import type { OsDevice } from '../os-machine.js';
import type { CostSpec, DmaMode, OsSpec, StrategySpec, UnitSpec } from '../spec.js';
import { FREE } from '../mm/testing/bench.js';
import { testCosts } from './costs.js';

const MS = 1e9;
const SOCKET_BYTES = 2 ** 34;

/** A command as hardware saw it. */
export interface SeenCommand {
  readonly unit: number;
  readonly at: number;
  readonly type: DescriptorType;
  readonly granularity: number;
  readonly domain: number;
  readonly pasid: number;
  readonly address: number;
  readonly addressMask: number;
  readonly hint: number;
}

export interface PostedDma {
  readonly device: number;
  readonly tag: number;
  readonly address: number;
  readonly bytes: number;
  readonly access: Access;
  readonly at: number;
}

export interface MachineOptions {
  readonly mode?: DmaMode;
  readonly costs?: Partial<CostSpec>;
  readonly userMap?: Partial<OsSpec['userMap']>;
  readonly guest?: Partial<OsSpec['guest']>;
  readonly unit?: Partial<UnitSpec>;
  readonly units?: number;
  readonly devices?: readonly OsDevice[];
  /** Cores of each socket. */
  readonly cores?: readonly number[];
  readonly iova?: Partial<OsSpec['dma']['iova']>;
  readonly strategy?: Partial<StrategySpec>;
  readonly flushQueue?: Partial<OsSpec['dma']['flushQueue']>;
  readonly bounce?: OsSpec['dma']['bounce'];
  readonly swiotlb?: Partial<OsSpec['dma']['swiotlb']>;
  readonly invalidationHint?: boolean;
  readonly superpages?: boolean;
  readonly traced?: boolean;
  readonly perPageCallbacks?: boolean;
  readonly tableCode?: Partial<OsSpec['tableCode']>;
  /** From a doorbell's arrival to its status write, ps. */
  readonly invalidation?: number;
  /** From the post of a DMA to its completion, ps. */
  readonly dma?: number;
  readonly observer?: Observer | null;
  readonly makeDriver?: MakeDriver;
  readonly seed?: number;
}

export const UNIT: UnitSpec = {
  architecture: 'vtd',
  mode: 'legacy',
  stage: 'second',
  levels: 4,
  secondLevels: 0,
  granule: 4096,
  deviceLevels: 2,
  processLevels: 2,
  hostAddressWidth: 46,
  largestPage: 2 ** 30,
  coherent: true,
  invalidation: { sizeLg2: 8, maxAddressMask: 18, queues: 1 },
  faults: { records: 8, stalls: 0, pageRequests: 128 },
};

/** The kernel's own strategy. */
export const LINUX: StrategySpec = {
  kind: 'linux',
  before: { walkPerLeaf: true, flushPerPage: true, noHint: true, legacyCode: true },
  batch: 64,
  chunk: 64,
  slots: 512,
};

/** Nothing costs anything. */
export const NO_GUEST: OsSpec['guest'] = {
  mode: 'none',
  exit: 0,
  lock: 0,
  lockHandOver: 0,
  emulation: 0,
  batch: 1,
  call: 0,
  pin: 0,
  unpin: 0,
  stage2Change: 0,
};

export const NO_PROCESS_COSTS: OsSpec['processes'] = {
  memory: { ...FREE, cluster: 32, storageLatency: 0, storageInterval: 0 },
  faults: { workers: 1, hardInterrupt: 0, unmask: 0, queueWork: 0, takeWork: 0, report: 0 },
  wakeLatency: 0,
  contextSwitch: 0,
  enqcmd: { fixup: 0, translate: 0, exit: 0 },
  bind: 0,
  unbind: 0,
};

/** Work queues that nobody serves. */
const IDLE_PORTALS: Portals = { configure: () => 0, submit: () => undefined };

/** A kernel from before generic_pt. */
export const LEGACY: OsSpec['tableCode'] = {
  amdv1: 'legacy',
  vtdss: 'legacy',
  x86_64: 'legacy',
  armv8: 'legacy',
  riscv64: 'legacy',
};

const enum Unit {
  Doorbell,
  Executed,
}

/** One fake unit: its registers, and the tails whose commands it has still to execute. */
class FakeUnit {
  ring = 0;
  wide = false;
  bytes = 4096;
  head = 0;
  readonly tails: number[] = [];
}

export class TestMachine implements RegisterBus, DeviceQueue {
  readonly kernel = new Kernel();
  readonly memory = new PhysicalMemory();
  readonly frames: readonly FrameAllocator[];
  readonly commands: SeenCommand[] = [];
  readonly registerWrites: { unit: number; offset: number; hi: number; lo: number }[] = [];
  readonly dmas: PostedDma[] = [];
  readonly operations: { job: number; latencyPs: number; at: number }[] = [];
  readonly os: Os;
  readonly spec: OsSpec;
  /** What every unit is. */
  readonly unit: UnitSpec;
  private readonly units: FakeUnit[];
  private readonly invalidation: number;
  private readonly dma: number;

  constructor(options: MachineOptions = {}) {
    const cores = options.cores ?? [4];
    const count = options.units ?? 1;
    this.unit = { ...UNIT, ...options.unit };
    this.invalidation = options.invalidation ?? 1000;
    this.dma = options.dma ?? 0;
    this.units = Array.from({ length: count }, () => new FakeUnit());
    this.frames = cores.map((_, socket) => new FrameAllocator(2 ** 32 + socket * SOCKET_BYTES, SOCKET_BYTES));
    this.spec = {
      dma: {
        mode: options.mode ?? 'strict',
        flushQueue: { kind: 'per-cpu', entries: 256, timeout: 10 * MS, ...options.flushQueue },
        iova: { magazine: 127, cachedOrders: 6, trim: 100 * MS, addressBits: 48, aged: 0, ...options.iova },
        strategy: { ...LINUX, ...options.strategy },
        bounce: options.bounce ?? 'never',
        swiotlb: { size: 2 ** 26, areas: 0, ...options.swiotlb },
      },
      superpages: options.superpages ?? true,
      invalidationHint: options.invalidationHint ?? true,
      completion: 'msi',
      queueMemory: 'near',
      tick: MS,
      jitter: 0,
      traced: options.traced ?? false,
      perPageCallbacks: options.perPageCallbacks ?? false,
      tableCode: { ...LEGACY, ...options.tableCode },
      userMap: { call: 0, pinBatch: 512, pinCall: 0, pinPage: 0, unpinPage: 0, run: 0, ...options.userMap },
      processes: NO_PROCESS_COSTS,
      guest: { ...NO_GUEST, ...options.guest },
      costs: testCosts(options.costs ?? {}),
    };
    this.os = new Os(
      this.spec,
      {
        kernel: this.kernel,
        memory: this.memory,
        timing: null,
        sockets: cores.map((n, i) => ({ name: `s${i}`, cores: n, frequency: 3e9, frames: this.frames[i]! })),
        units: this.units.map(() => ({ spec: this.unit, socket: 0 })),
        devices: options.devices ?? [{ name: 'dev', unit: 0, requester: 0x100 }],
        registers: this,
        queue: this,
        portals: IDLE_PORTALS,
        observer: options.observer ?? null,
        sink: { operationDone: (job, latencyPs) => this.operations.push({ job, latencyPs, at: this.now }) },
        seed: options.seed ?? 1,
      },
      options.makeDriver,
    );
  }

  get now(): number {
    return this.kernel.clock[0]!;
  }

  write(unit: number, offset: number, hi: number, lo: number, flightPs: number): void {
    this.registerWrites.push({ unit, offset, hi, lo });
    const target = this.units[unit]!;
    if (offset === Register.InvalidationQueueAddress) {
      target.ring = hi * 2 ** 32 + ((lo & ~0xfff) >>> 0);
      target.wide = (lo & 0x800) !== 0;
      target.bytes = 4096 << (lo & 7);
    }
    if (offset !== Register.InvalidationQueueTail || this.os === undefined) return;
    this.doorbell(unit, lo, flightPs);
  }

  /** The unit executes its queue up to `tail` some time after the doorbell has arrived. */
  protected doorbell(unit: number, tail: number, flightPs: number): void {
    const event = new Event();
    event.unit = unit;
    event.value = tail;
    event.state = Unit.Doorbell;
    this.kernel.after(flightPs, event, Op.MmioWrite);
  }

  post(device: number, tag: number, hi: number, lo: number, bytes: number, access: Access): void {
    this.dmas.push({ device, tag, address: hi * 2 ** 32 + (lo >>> 0), bytes, access, at: this.now });
    const event = new Event();
    event.source = device;
    event.id = tag;
    this.kernel.after(this.dma, event, Op.DeviceDone);
  }

  /** Runs until nothing is pending, `until` (absolute ps) has passed, or `done` says so. */
  run(until: number = Number.POSITIVE_INFINITY, done: () => boolean = () => false): void {
    while (!done()) {
      const event = this.kernel.next();
      if (event === null) return;
      this.dispatch(event);
      if (this.now >= until) return;
    }
  }

  /** Runs until the jobs have done so many operations in all. */
  runOperations(count: number): void {
    this.run(Number.POSITIVE_INFINITY, () => this.os.operations >= count);
  }

  private dispatch(event: Event): void {
    if (event.op === Op.ThreadStep) this.os.threadStep(event);
    else if (event.op === Op.Timer) this.os.timer(event);
    else if (event.op === Op.DeviceDone) this.os.completed(event.source, event.id, DmaStatus.Ok);
    else if (event.state === Unit.Doorbell) {
      event.state = Unit.Executed;
      this.kernel.after(this.invalidation, event, Op.MmioWrite);
    } else this.execute(event.unit, event.value);
  }

  /** The unit executes its queue up to `tail`. */
  protected execute(unit: number, tail: number): void {
    const target = this.units[unit]!;
    const size = target.wide ? 32 : 16;
    const words = new Int32Array(8);
    const command = new Descriptor();
    for (; target.head !== tail; target.head = (target.head + size) % target.bytes) {
      const address = target.ring + target.head;
      for (let at = 0; at < size; at += 8) {
        this.memory.read(Math.floor(address / 2 ** 32), ((address + at) % 2 ** 32) | 0);
        words[at >> 2] = this.memory.wordLo;
        words[(at >> 2) + 1] = this.memory.wordHi;
      }
      if (!decodeDescriptor(words, target.wide, 63, command)) throw new Error(`unit ${unit}: invalid descriptor`);
      if (command.type === DescriptorType.Wait) this.complete(command);
      else this.record(unit, command);
    }
  }

  private complete(wait: Descriptor): void {
    const { addressHi: hi, addressLo: lo, statusData } = wait;
    this.memory.read(hi, lo);
    const upper = (lo & 4) !== 0;
    this.memory.write(hi, lo, upper ? statusData : this.memory.wordHi, upper ? this.memory.wordLo : statusData);
    this.os.stored(hi, lo);
  }

  private record(unit: number, d: Descriptor): void {
    const address = d.addressHi * 2 ** 32 + (d.addressLo >>> 0);
    const { type, granularity, domain, pasid, addressMask, hint } = d;
    this.commands.push({ unit, at: this.now, type, granularity, domain, pasid, address, addressMask, hint });
  }
}
