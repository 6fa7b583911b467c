/**
 * A machine of one IOMMU for vectors: the simulator's own kernel, memory and unit, register writes that travel as such, and one request
 * at a time, which never reaches memory: what counts is how it leaves the unit. Off every hot path.
 */
import type { IommuSpec } from '../../iommu/spec.js';
import type { TranslationAgent } from '../../iommu/translation-agent.js';
import { WalkRecorder, type WalkStep } from '../../iommu/walk-trace.js';
import type { Miss } from '../../iommu/miss.js';
import { Event } from '../../kernel/event.js';
import { Kernel } from '../../kernel/kernel.js';
import type { MemorySpec } from '../../memory/spec.js';
import { PhysicalMemory } from '../../memory/physical.js';
import { FIRST_BASE, MemorySystem } from '../../memory/system.js';
import { AtsStatus, TRANSLATION_BYTES } from '../../protocol/ats.js';
import { Op } from '../../protocol/op.js';
import { CAUSES, TlpFlag } from '../../protocol/tlp.js';
import { LatencyLedger } from '../../stats/latency-ledger.js';
import { RegisterFabric } from '../../system/registers.js';
import { type BuiltUnit, buildUnit } from '../../system/unit.js';
import type { RegisterWrite, VectorAccess } from './vector.js';

/** Memory from 4 GiB to 2^`width`, at most 2^52, with a last-level cache of one set: time does not matter here. */
function memoryOf(width: number): MemorySpec {
  return {
    sockets: {
      s0: {
        cores: 1,
        frequency: 1e9,
        llc: { size: 64, ways: 1, ddioWays: 1, scatter: 0, latency: 0, bandwidth: 512e12 },
        dram: { size: 2 ** Math.min(width, 52) - FIRST_BASE, channels: 1, latency: 0, bandwidth: 512e12 },
      },
    },
    interconnect: { latency: 0, bandwidth: 1e12 },
    hostCache: 'cold',
  };
}

/** No translation takes so many events: then the unit goes round in circles. */
const MOST_EVENTS = 100_000;

/**
 * Clock and memory timing, which know nothing of a vector and are large: machines that follow each other share one. A machine that
 * failed leaves events behind, and its workplace must not be used again.
 */
export class Workplace {
  readonly kernel = new Kernel(Op.Relay);
  readonly memory: MemorySystem;

  /** `width`: bits of a physical address. */
  constructor(width: number) {
    this.memory = new MemorySystem(memoryOf(width), this.kernel.clock);
  }

  get clean(): boolean {
    return this.kernel.pending === 0;
  }
}

/** A workplace for each width of physical addresses. */
export class Workplaces {
  private readonly places = new Map<number, Workplace>();

  /** For the next machine; the one before is over. */
  next({ hostAddressWidth }: IommuSpec): Workplace {
    const known = this.places.get(hostAddressWidth);
    if (known?.clean === true) return known;
    const place = new Workplace(hostAddressWidth);
    this.places.set(hostAddressWidth, place);
    return place;
  }
}

/** How a request left the unit. */
export interface Outcome {
  readonly aborted: boolean;
  /** Of a translation request: status and permissions (Access bits) of its completion, and log2 of the size of the translation. */
  readonly completion: { readonly status: AtsStatus; readonly permissions: number; readonly sizeLg2: number } | null;
  /** Translated byte address. */
  readonly output: bigint;
  /** The walk that answered it as it ended; null when no walk was needed. Valid until the next request. */
  readonly walk: Miss | null;
  /** A refused request that was counted: a fault record, or one that found no room. */
  readonly recorded: boolean;
}

export class VectorBench {
  readonly physical = new PhysicalMemory();
  readonly built: BuiltUnit;
  private readonly kernel: Kernel;
  private readonly ledger = new LatencyLedger(1, CAUSES);
  private readonly fabric: RegisterFabric;
  private readonly recorder: WalkRecorder;
  private readonly requester = new Int32Array(1);
  private readonly agent: TranslationAgent;
  private left: Event | null = null;
  /** The walk that answered the last request, as it ended; null when none was needed. */
  walk: Miss | null = null;

  /** @throws RangeError where no unit of the architecture can be built */
  constructor(spec: IommuSpec, { kernel, memory }: Workplace) {
    const { physical, ledger } = this;
    this.kernel = kernel;
    this.fabric = new RegisterFabric(kernel);
    this.recorder = new WalkRecorder(physical, (m) => {
      this.walk = m;
    });
    const recycle = (event: Event): void => this.fabric.recycle(event);
    this.built = buildUnit('iommu0', 0, spec, { kernel, memory, physical, ledger, seed: 1, recycle, frames: [] });
    const { unit, hardware } = this.built;
    const forwarder = {
      forward: (tlp: Event): void => {
        this.left = tlp;
      },
    };
    unit.connect([forwarder], this.requester, null);
    // Every requester is a device with a TLB of its own; nothing is ever invalidated in it.
    this.agent = unit.addAgent();
    const silent = { ...forwarder, message: () => undefined, returnCredits: () => undefined };
    this.agent.add({ device: 0, port: silent, firstSlot: 0 });
    unit.walkers.trace = this.recorder;
    hardware.connect({ stored: () => undefined });
  }

  /** What the walk of the last request did, in order. */
  get steps(): readonly WalkStep[] {
    return this.recorder.steps;
  }

  load(words: ReadonlyMap<bigint, bigint>): void {
    for (const [address, word] of words) {
      this.physical.write(upper(address), lower(address), upper(word), lower(word));
    }
  }

  /** The 64-bit word at an address as it is now. */
  word(address: bigint): bigint {
    this.physical.read(upper(address), lower(address));
    return wordOf(this.physical.wordHi, this.physical.wordLo);
  }

  /** One write after the other, each when the one before has taken effect. */
  writeRegisters(writes: readonly RegisterWrite[]): void {
    for (const { offset, value } of writes) {
      this.fabric.write(0, offset, upper(value), lower(value), 0);
      this.run();
    }
  }

  /** Sends one request and waits until it leaves. @throws Error if it never does */
  send(access: VectorAccess): Outcome {
    const { hardware } = this.built;
    const { iova, rid, pasid, length = 1 } = access;
    this.requester[0] = rid;
    this.recorder.clear();
    this.walk = null;
    this.left = null;
    const tlp = new Event();
    tlp.flags = flagsOf(access);
    tlp.bytes = length;
    tlp.addressHi = upper(iova);
    tlp.addressLo = lower(iova);
    tlp.context = pasid ?? -1;
    if (access.at === 'translated') {
      tlp.outHi = tlp.addressHi;
      tlp.outLo = tlp.addressLo;
    } else if (access.at === 'ats') tlp.bytes = TRANSLATION_BYTES;
    const before = hardware.faults.total;
    this.ledger.start(0, this.kernel.clock[0]!);
    this.agent.arrive(tlp);
    this.run();
    if (this.left === null) throw new Error(`request ${access.id} never left the unit`);
    this.agent.served(tlp);
    return {
      aborted: (tlp.flags & TlpFlag.Aborted) !== 0,
      completion: completionOf(tlp),
      output: wordOf(tlp.outHi, tlp.outLo),
      walk: this.walk,
      recorded: hardware.faults.total !== before,
    };
  }

  private run(): void {
    const { unit, hardware } = this.built;
    const { kernel } = this;
    let events = 0;
    for (let event = kernel.next(); event !== null; event = kernel.next()) {
      if (++events > MOST_EVENTS) throw new Error(`the unit is still busy after ${MOST_EVENTS} events`);
      switch (event.op as Op) {
        case Op.IommuLookup:
          unit.lookup(event);
          break;
        case Op.AtsCheck:
          this.agent.check(event);
          break;
        case Op.WalkRead:
          unit.walkers.walkRead(event);
          break;
        case Op.WalkReplay:
          unit.walkers.walkReplay(event);
          break;
        case Op.MmioWrite:
          hardware.registerWrite(event);
          break;
        case Op.InvalidationStep:
          hardware.step();
          break;
        default:
          throw new Error(`op ${event.op} in a machine without its owner`);
      }
    }
  }
}

function completionOf(tlp: Event): Outcome['completion'] {
  if ((tlp.flags & TlpFlag.TranslationRequest) === 0) return null;
  if (tlp.bytes === 0) return { status: tlp.value, permissions: 0, sizeLg2: 0 };
  return { status: AtsStatus.Success, permissions: tlp.value, sizeLg2: tlp.level };
}

/** Execute Requested and Privileged Mode Requested, which belong to the PASID prefix. */
function flagsOfPrefix({ kind, privileged }: VectorAccess): number {
  return (privileged === true ? TlpFlag.Privileged : 0) | (kind === 'x' ? TlpFlag.Execute : 0);
}

/** @throws RangeError for translation requests of atomic operations, which do not exist: a device asks for reads and writes */
function flagsOf(access: VectorAccess): number {
  const { kind, privileged, at } = access;
  if (at === 'ats') {
    if (kind === 'rw') throw new RangeError(`x ${access.id}: translation requests are of kind r, w or x`);
    const prefix = access.pasid === null ? 0 : flagsOfPrefix(access);
    return TlpFlag.TranslationRequest | (kind === 'w' ? 0 : TlpFlag.NoWrite) | prefix;
  }
  const mode = (privileged === true ? TlpFlag.Privileged : 0) | (at === 'translated' ? TlpFlag.Translated : 0);
  switch (kind) {
    case 'r':
      return mode;
    case 'w':
      return mode | TlpFlag.Write;
    case 'x':
      return mode | TlpFlag.Execute;
    case 'rw':
      return mode | TlpFlag.Write | TlpFlag.Atomic;
  }
}

/** Upper and lower half of a 64-bit word as int32. */
export function upper(word: bigint): number {
  return Number((word >> 32n) & 0xffffffffn) | 0;
}

export function lower(word: bigint): number {
  return Number(word & 0xffffffffn) | 0;
}

export function wordOf(hi: number, lo: number): bigint {
  return (BigInt(hi >>> 0) << 32n) | BigInt(lo >>> 0);
}
