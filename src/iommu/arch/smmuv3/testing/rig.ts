/**
 * A machine around one SMMUv3 unit for tests: real kernel, memory, tables, command queue. Device numbers are StreamIDs; tables are
 * written with the encoders of the format file, so that a test can spoil them. One request at a time.
 */
import { Event } from '../../../../kernel/event.js';
import { Kernel } from '../../../../kernel/kernel.js';
import { FrameAllocator } from '../../../../memory/frames.js';
import { PhysicalMemory } from '../../../../memory/physical.js';
import { MemorySystem } from '../../../../memory/system.js';
import { compileFormat } from '../../../../pagetable/format.js';
import { armv8 } from '../../../../pagetable/formats/armv8.js';
import { PageTable } from '../../../../pagetable/table.js';
import { Access } from '../../../../protocol/access.js';
import { Op } from '../../../../protocol/op.js';
import { CAUSES, TlpFlag } from '../../../../protocol/tlp.js';
import { LatencyLedger } from '../../../../stats/latency-ledger.js';
import type { IommuSpec } from '../../../spec.js';
import { MEMORY, NO_WALK_CACHES, type UnitChanges, unitSpec } from '../../../testing/spec.js';
import type { IommuUnit } from '../../../unit.js';
import { buildSmmuv3 } from '../build.js';
import {
  COMMAND_LG2,
  COMMAND_WORDS,
  Control0Bit,
  Control2Bit,
  type ContextEntry,
  ContextFormat,
  encodeContext,
  encodeContextPointer,
  encodeQueueBase,
  encodeStreamEntry,
  encodeStreamPointer,
  encodeStreamTableConfig,
  encodeSync,
  PAGE_1,
  Register,
  type Stage2Encoding,
  type StreamEntry,
} from '../format.js';
import type { Smmuv3 } from '../smmuv3.js';
import { unitEvent, unowned } from '../../../testing/unit-events.js';

export const STREAMS_LG2 = 16;
export const SPLIT = 8;
const EVENTS_LG2 = 2;
const upper = (address: number): number => Math.floor(address / 2 ** 32) | 0;
const lower = (address: number): number => address | 0;

export interface RigRequest {
  readonly sid: number;
  readonly ssid?: number;
  readonly address: number;
  readonly flags?: number;
}

export interface RigAnswer {
  readonly aborted: boolean;
  readonly output: number;
}

function answerOf(tlp: Event): RigAnswer {
  const output = (tlp.outHi >>> 0) * 2 ** 32 + (tlp.outLo >>> 0);
  return { aborted: (tlp.flags & TlpFlag.Aborted) !== 0, output };
}

/** Everything cold: no paging-structure caches and no second-stage TLB. */
export const COLD: UnitChanges = { ...NO_WALK_CACHES, secondStageTlb: { enabled: false } };

export class SmmuRig {
  readonly kernel = new Kernel(Op.Relay);
  readonly physical = new PhysicalMemory();
  readonly memory = new MemorySystem(MEMORY);
  readonly frames: FrameAllocator;
  readonly spec: IommuSpec;
  readonly unit: IommuUnit;
  readonly smmu: Smmuv3;
  /** Addresses that CMD_SYNC has stored to. */
  readonly stored: number[] = [];
  readonly streams: number;
  readonly ring: number;
  readonly events: number;
  readonly status: number;
  private readonly ledger = new LatencyLedger(16, CAUSES);
  private readonly requester = new Int32Array(1);
  private readonly words = new Int32Array(16);
  private left: Event | null = null;
  /** Requests that have left the unit, by id, and when, ps. */
  readonly gone = new Map<number, { readonly answer: RigAnswer; readonly at: number }>();
  /** When software was interrupted, ps. */
  readonly interrupts: number[] = [];
  private tail = 0;

  constructor(
    changes: UnitChanges = {},
    readonly twoLevel = false,
  ) {
    this.spec = unitSpec({ architecture: 'smmuv3', mode: 'native', stage: 'nested', hostAddressWidth: 48, ...changes });
    const { kernel, memory, physical, ledger, spec, frames } = {
      ...{ kernel: this.kernel, memory: this.memory, physical: this.physical, ledger: this.ledger, spec: this.spec },
      frames: new FrameAllocator(this.memory.baseOf(0), this.memory.sizeOf(0)),
    };
    this.frames = frames;
    const recycle = (): void => {};
    const { unit, hardware } = buildSmmuv3('rig', 0, spec, { kernel, memory, physical, ledger, seed: 1, recycle });
    this.unit = unit;
    this.smmu = hardware;
    const forwarder = {
      forward: (tlp: Event): void => {
        this.left = tlp;
        this.gone.set(tlp.id, { answer: answerOf(tlp), at: this.kernel.clock[0]! });
      },
    };
    unit.connect([forwarder], this.requester, null);
    hardware.connect({
      stored: (hi, lo) => this.stored.push((hi >>> 0) * 2 ** 32 + (lo >>> 0)),
      interrupted: () => this.interrupts.push(kernel.clock[0]!),
    });
    const { sizeLg2 } = spec.invalidation;
    const bytes = twoLevel ? 4096 : 64 << STREAMS_LG2;
    this.streams = frames.allocateContiguous(bytes, bytes);
    this.ring = frames.allocateContiguous(Math.max(4096, 16 << sizeLg2), Math.max(4096, 16 << sizeLg2));
    this.events = frames.allocate();
    this.status = frames.allocate();
    const write = (register: number, value: number, hi = 0): void => hardware.write(register, hi, value);
    write(Register.Control2, Control2Bit.RECINVSID);
    write(Register.StreamTableBase, lower(this.streams), upper(this.streams));
    write(Register.StreamTableConfig, encodeStreamTableConfig(STREAMS_LG2, twoLevel ? SPLIT : null));
    write(Register.CommandQueueBase, encodeQueueBase(this.ring, sizeLg2), upper(this.ring));
    write(Register.EventQueueBase, encodeQueueBase(this.events, EVENTS_LG2), upper(this.events));
    write(PAGE_1 + Register.EventQueueConsumer, 0);
    write(Register.Control0, Control0Bit.SMMUEN | Control0Bit.CMDQEN | Control0Bit.EVTQEN);
  }

  /** An empty table that software may fill; stage 2 roots can be several tables side by side. */
  table(stage: 1 | 2, levels: number, granuleLg2: 12 | 14 | 16 = 12, inputLg2?: number): PageTable {
    const format = compileFormat(armv8({ stage, granuleLg2, hostAddressWidth: 48, updates: 'none', contiguous: true }));
    const options = inputLg2 === undefined ? {} : { inputLg2 };
    return new PageTable(format, this.physical, this.frames, levels, 'covered', options);
  }

  /** A stage 2 table that maps the first GiB of memory to itself, in pages of 2^largestLg2 bytes, and how an STE names it. */
  host(
    levels: number,
    largestLg2 = 30,
    inputLg2 = levels === 4 ? 48 : 40,
  ): { table: PageTable; stage2: Stage2Encoding } {
    const table = this.table(2, levels, 12, inputLg2);
    const base = this.memory.baseOf(0);
    table.map(base, base, 2 ** 30, Access.Read | Access.Write, largestLg2);
    return { table, stage2: this.stage2(table) };
  }

  stage2(table: PageTable): Stage2Encoding {
    const { root, levels, inputLg2, format } = table;
    return { root, levels, inputLg2, granuleLg2: format.granuleLg2, outputLg2: 48 };
  }

  /** A first-stage table with one page at `iova`; returns it and the page. */
  mapped(iova: number, access = Access.Read | Access.Write, levels = 4): { table: PageTable; pa: number } {
    const table = this.table(1, levels);
    const pa = this.frames.allocate();
    table.map(iova, pa, 4096, access, 12);
    return { table, pa };
  }

  /** Address of an STE; installs the level 2 block. */
  streamAt(sid: number): number {
    if (!this.twoLevel) return this.streams + 64 * sid;
    const pointer = this.streams + 8 * (sid >>> SPLIT);
    let block = this.word(pointer, 0) & ~0x3f;
    if (block === 0) {
      const table = this.frames.allocateContiguous(64 << SPLIT, 64 << SPLIT);
      encodeStreamPointer(this.words, table, SPLIT + 1);
      this.poke(pointer, this.words.subarray(0, 2));
      block = lower(table);
    }
    return this.word(pointer, 1) * 2 ** 32 + (block >>> 0) + 64 * (sid & (2 ** SPLIT - 1));
  }

  stream(sid: number, entry: StreamEntry): void {
    const at = this.streamAt(sid);
    encodeStreamEntry(this.words, entry);
    this.poke(at, this.words);
  }

  /** A CD table: linear with 2^lg2 entries, or two-level with one leaf of 1024. */
  contexts(lg2: number, twoLevel = false): { table: number; first: number; encoding: Partial<StreamEntry> } {
    const bytes = twoLevel ? 65536 : Math.max(64, 64 << lg2);
    const first = this.frames.allocateContiguous(Math.max(bytes, 4096), Math.max(bytes, 4096));
    if (!twoLevel) return { table: first, first, encoding: { contextTable: first, contextsLg2: lg2 } };
    const table = this.frames.allocateContiguous(8192, 8192);
    encodeContextPointer(this.words, first);
    this.poke(table, this.words.subarray(0, 2));
    const contextFormat = ContextFormat.TwoLevel64K;
    return { table, first, encoding: { contextTable: table, contextsLg2: 20, contextFormat } };
  }

  context(first: number, index: number, table: PageTable, changes: Partial<ContextEntry> = {}): void {
    const { root, inputLg2, format } = table;
    const entry = { asid: 1, root, inputLg2, granuleLg2: format.granuleLg2, outputLg2: 48, ...changes };
    encodeContext(this.words, entry);
    this.poke(first + 64 * index, this.words);
  }

  poke(address: number, words: Int32Array): void {
    for (let i = 0; i < words.length; i += 2) {
      this.physical.write(upper(address), lower(address + 4 * i), words[i + 1]!, words[i]!);
    }
  }

  /** Changes dword `index` of the structure at an address. */
  change(address: number, index: number, by: (word: number) => number): void {
    const pair = Int32Array.of(this.word(address, index & ~1), this.word(address, index | 1));
    pair[index & 1] = by(pair[index & 1]!);
    this.poke(address + 4 * (index & ~1), pair);
  }

  word(address: number, index: number): number {
    const at = address + 8 * (index >> 1);
    this.physical.read(upper(at), lower(at));
    return (index & 1) === 0 ? this.physical.wordLo : this.physical.wordHi;
  }

  /** Sends a request of stream `sid`, of one stream only at a time, and runs until nothing is left to do: it may have been held. */
  send(id: number, { sid, ssid = -1, address, flags = 0 }: RigRequest): Event {
    const tlp = new Event();
    tlp.id = id;
    tlp.flags = flags;
    tlp.bytes = 64;
    tlp.addressHi = upper(address);
    tlp.addressLo = lower(address);
    tlp.context = ssid;
    this.requester[0] = sid;
    this.ledger.start(id, this.kernel.clock[0]!);
    this.unit.arrive(tlp);
    this.run();
    return tlp;
  }

  /** Sends one request and runs until nothing is left to do. */
  translate(request: RigRequest): RigAnswer {
    this.left = null;
    const tlp = this.send(0, request);
    if (this.left === null) throw new Error('the request never left the unit');
    this.unit.served(tlp);
    return answerOf(tlp);
  }

  /** Sends a request that stays on its way to memory; returns what serves it. */
  hold(request: RigRequest): () => void {
    const { unit } = this;
    const served = unit.served.bind(unit);
    unit.served = (): void => {};
    this.translate(request);
    unit.served = served;
    const tlp = this.left!;
    return () => {
      served(tlp);
      this.run();
    };
  }

  /** Writes commands (made by the encoders of the format file) into the ring and rings the doorbell. */
  submit(...encode: ((words: Int32Array) => void)[]): void {
    const slots = 2 ** this.spec.invalidation.sizeLg2;
    for (const each of encode) {
      const command = new Int32Array(COMMAND_WORDS);
      each(command);
      this.poke(this.ring + ((this.tail % slots) << COMMAND_LG2), command);
      this.tail = (this.tail + 1) % (2 * slots);
    }
    this.smmu.write(Register.CommandQueueProducer, 0, this.tail);
    this.run();
  }

  /** CMD_SYNC that stores `data` at the status page. */
  sync(data = 1): (words: Int32Array) => void {
    return (words) => encodeSync(words, 0, this.status, data);
  }

  run(): void {
    for (let event = this.kernel.next(); event !== null; event = this.kernel.next()) {
      if (event.op === Op.EventRecorded) this.smmu.recorded(event);
      else if (!unitEvent(this.unit, this.smmu, event)) unowned(event);
    }
  }
}
