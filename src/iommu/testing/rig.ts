/**
 * A machine around one IOMMU unit for tests: real kernel, memory, tables, invalidation queue; requests are handed over one at a time and
 * collected when they leave for memory. Every device number stands for one requester id.
 */
import { Event } from '../../kernel/event.js';
import { Kernel } from '../../kernel/kernel.js';
import { FrameAllocator } from '../../memory/frames.js';
import { PhysicalMemory } from '../../memory/physical.js';
import { MemorySystem } from '../../memory/system.js';
import type { Format } from '../../pagetable/format.js';
import { PageTable } from '../../pagetable/table.js';
import { Access } from '../../protocol/access.js';
import { Op } from '../../protocol/op.js';
import { Cause, CAUSES, TlpFlag } from '../../protocol/tlp.js';
import { LatencyLedger } from '../../stats/latency-ledger.js';
import { buildVtd } from '../arch/vtd/build.js';
import type { Directory } from '../arch/vtd/directory.js';
import type { FaultLog } from '../arch/vtd/fault-log.js';
import {
  encodeQueueAddress,
  encodeRootTableAddress,
  encodeWait,
  GlobalBit,
  Register,
  TableMode,
  WaitFlag,
} from '../arch/vtd/format.js';
import type { Registers } from '../arch/vtd/registers.js';
import type { Vtd } from '../arch/vtd/vtd.js';
import type { CommandQueue, Ring } from '../command-queue.js';
import type { IommuSpec } from '../spec.js';
import type { IommuUnit } from '../unit.js';
import { MEMORY, type UnitChanges, unitSpec } from './spec.js';
import { Tables } from './tables.js';
import { unitEvent, unowned } from './unit-events.js';

/** Requester ids by device number. */
export const REQUESTERS: Int32Array = Int32Array.of(0x100, 0x101, 0x208, 0x1a5, 0x102, 0x104);
const SLOTS = 512;

export interface Request {
  readonly address: number;
  readonly write?: boolean;
  readonly bytes?: number;
  readonly device?: number;
  readonly pasid?: number;
  /** TlpFlag bits besides Write. */
  readonly flags?: number;
}

export interface Departure extends Required<Omit<Request, 'flags'>> {
  readonly id: number;
  /** When it left for memory, ps. */
  readonly at: number;
  readonly output: number;
  readonly aborted: boolean;
}

const upper = (address: number): number => Math.floor(address / 2 ** 32) | 0;

export class Rig {
  readonly kernel = new Kernel(Op.Relay);
  readonly physical = new PhysicalMemory();
  readonly memory = new MemorySystem(MEMORY, this.kernel.clock);
  readonly frames: FrameAllocator;
  readonly ledger = new LatencyLedger(SLOTS, CAUSES);
  readonly registers: Registers;
  readonly spec: IommuSpec;
  readonly directory: Directory;
  readonly faults: FaultLog;
  readonly unit: IommuUnit;
  readonly queue: CommandQueue;
  readonly ringState: Ring;
  readonly vtd: Vtd;
  readonly tables: Tables;
  /** By Stage: second, first. */
  readonly formats: readonly [Format, Format];
  readonly departures: Departure[] = [];
  /** Status words written by wait descriptors. */
  readonly stored: { address: number; at: number }[] = [];
  /** Called at every such write, with its address. */
  onStored: (address: number) => void = () => {};
  /** Time memory takes for a forwarded request, ps. */
  servicePs = 0;
  readonly ring: number;
  readonly status: number;
  private tail = 0;
  private sent = 0;
  private readonly actions: (() => void)[] = [];
  private readonly words = new Int32Array(8);

  constructor(changes: UnitChanges = {}) {
    const spec = unitSpec(changes);
    this.spec = spec;
    const { kernel, memory, physical, ledger } = this;
    this.frames = new FrameAllocator(memory.baseOf(0), memory.sizeOf(0));
    const recycle = (): void => {};
    const { unit, hardware } = buildVtd('rig', 0, spec, { kernel, memory, physical, ledger, seed: 1, recycle });
    this.unit = unit;
    this.vtd = hardware;
    this.directory = hardware.directory;
    this.faults = hardware.log;
    this.queue = hardware.queue;
    this.ringState = hardware.queue.ring;
    this.registers = hardware.registers;
    const { tables } = hardware.directory;
    this.formats = [tables.formats[tables.second(0)]!, tables.formats[tables.first(0)]!];
    const forwarder = { forward: (tlp: Event) => this.forward(tlp) };
    this.unit.connect(
      Array.from(REQUESTERS, () => forwarder),
      REQUESTERS,
      null,
    );
    this.queue.connect({
      stored: (hi, lo) => {
        const address = (hi >>> 0) * 2 ** 32 + (lo >>> 0);
        this.stored.push({ address, at: this.now });
        this.onStored(address);
      },
    });
    const scalable = spec.mode === 'scalable';
    this.tables = new Tables(scalable ? TableMode.Scalable : TableMode.Legacy, physical, this.frames);
    const ringBytes = 2 ** spec.invalidation.sizeLg2 * (scalable ? 32 : 16);
    this.ring = this.frames.allocateContiguous(ringBytes, ringBytes);
    this.status = this.frames.allocate();
    const queueAddress = encodeQueueAddress(this.ring, spec.invalidation.sizeLg2, scalable);
    this.vtd.write(Register.InvalidationQueueAddress, upper(this.ring), queueAddress);
    const root = encodeRootTableAddress(this.tables.root, this.tables.mode);
    this.vtd.write(Register.RootTableAddress, upper(this.tables.root), root);
    const enabled = GlobalBit.QueuedInvalidationEnable | GlobalBit.TranslationEnable;
    this.vtd.write(Register.GlobalCommand, 0, enabled | GlobalBit.SetRootTablePointer);
  }

  get now(): number {
    return this.kernel.clock[0]!;
  }

  /** An empty page table: second stage, or `first`. */
  pageTable(first = false, levels: number = this.spec.levels): PageTable {
    return new PageTable(this.formats[first ? 1 : 0], this.physical, this.frames, levels);
  }

  /** A table that maps `bytes` at `iova` to new memory aligned to the largest leaf; returns it with the physical address. */
  mapped(
    iova: number,
    bytes: number,
    { first = false, access = Access.Read | Access.Write, largestLg2 = 12, levels = this.spec.levels } = {},
  ): { table: PageTable; pa: number } {
    const table = this.pageTable(first, levels);
    const pa = this.frames.allocateContiguous(bytes, 2 ** largestLg2);
    table.map(iova, pa, bytes, access, largestLg2);
    return { table, pa };
  }

  /** Hands a request over at this instant; returns its number. */
  send({ address, write = false, bytes = 64, device = 0, pasid = -1, flags = 0 }: Request): number {
    const id = this.sent++;
    const tlp = new Event();
    tlp.id = id;
    tlp.source = device;
    tlp.flags = (write ? TlpFlag.Write : 0) | flags;
    tlp.bytes = bytes;
    tlp.addressHi = upper(address);
    tlp.addressLo = (address % 2 ** 32) | 0;
    tlp.context = pasid;
    this.ledger.start(id, this.now);
    this.unit.arrive(tlp);
    return id;
  }

  /** A read that a device has translated, to be handed to the unit's Translation Agent. */
  translated(output: number, address: number, device: number): Event {
    const tlp = new Event();
    tlp.id = this.sent++;
    tlp.source = device;
    tlp.flags = TlpFlag.Translated;
    tlp.bytes = 64;
    tlp.addressHi = upper(address);
    tlp.addressLo = (address % 2 ** 32) | 0;
    tlp.outHi = upper(output);
    tlp.outLo = (output % 2 ** 32) | 0;
    this.ledger.start(tlp.id, this.now);
    return tlp;
  }

  /** Sends one request and runs until nothing is left to do. */
  translate(request: Request): Departure {
    const id = this.send(request);
    this.run();
    return this.departures.find((d) => d.id === id)!;
  }

  /** Calls `action` in `delayPs` from now. */
  after(delayPs: number, action: () => void): void {
    const event = new Event();
    event.id = this.actions.push(action) - 1;
    this.kernel.after(delayPs, event, Op.Timer);
  }

  /** Writes descriptors (made by the encoders of the format file) into the ring and rings the doorbell. */
  submit(...encode: ((words: Int32Array) => void)[]): void {
    const size = this.registers.wide ? 32 : 16;
    for (const each of encode) {
      this.words.fill(0);
      each(this.words);
      const at = this.ring + this.tail * size;
      for (let i = 0; i < size / 4; i++) this.tables.poke(at, i, () => this.words[i]!);
      this.tail = (this.tail + 1) % 2 ** this.spec.invalidation.sizeLg2;
    }
    this.vtd.write(Register.InvalidationQueueTail, 0, this.tail * size);
  }

  /** A wait descriptor that writes `data` to status word `slot`. */
  wait(slot = 0, data = 1): (words: Int32Array) => void {
    const address = this.status + 4 * slot;
    return (words) => encodeWait(words, 0, WaitFlag.StatusWrite, upper(address), (address % 2 ** 32) | 0, data);
  }

  /** The dword of a status slot. */
  statusWord(slot = 0): number {
    const address = this.status + 4 * slot;
    this.physical.read(upper(address), (address % 2 ** 32) | 0);
    return (slot & 1) === 0 ? this.physical.wordLo : this.physical.wordHi;
  }

  run(): void {
    for (let event = this.kernel.next(); event !== null; event = this.kernel.next()) this.dispatch(event);
  }

  private dispatch(event: Event): void {
    if (unitEvent(this.unit, this.vtd, event)) return;
    if (event.op === Op.AtsCheck) this.unit.agent!.check(event);
    else if (event.op === Op.AtsTimeout) this.unit.agent!.invalidations.expire();
    else if (event.op === Op.Timer) this.actions[event.id]!();
    else unowned(event);
  }

  private forward(tlp: Event): void {
    const address = (tlp.addressHi >>> 0) * 2 ** 32 + (tlp.addressLo >>> 0);
    const output = (tlp.outHi >>> 0) * 2 ** 32 + (tlp.outLo >>> 0);
    const write = (tlp.flags & TlpFlag.Write) !== 0;
    const aborted = (tlp.flags & TlpFlag.Aborted) !== 0;
    const { id, bytes, source: device, context: pasid } = tlp;
    if (this.departures.some((d) => d.id === id)) throw new Error(`request ${id} left twice`);
    this.departures.push({ id, address, write, bytes, device, pasid, at: this.now, output, aborted });
    this.ledger.charge(id, Cause.Order, this.now);
    this.ledger.finish(id, this.now);
    // Nobody drains what devices have translated.
    if ((tlp.flags & TlpFlag.Translated) === 0) this.kernel.after(this.servicePs, tlp, Op.MemoryServed);
  }
}
