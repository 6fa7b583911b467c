/**
 * A machine around one AMD-Vi unit for tests: real kernel, memory, tables, command buffer and event log; requests are handed over one
 * at a time and collected when they leave for memory. Every device number stands for one requester id.
 */
import { Event } from '../../../../kernel/event.js';
import { Kernel } from '../../../../kernel/kernel.js';
import { FrameAllocator } from '../../../../memory/frames.js';
import { PhysicalMemory } from '../../../../memory/physical.js';
import { MemorySystem } from '../../../../memory/system.js';
import { PageTable } from '../../../../pagetable/table.js';
import { Access } from '../../../../protocol/access.js';
import { Op } from '../../../../protocol/op.js';
import { Cause, CAUSES, TlpFlag } from '../../../../protocol/tlp.js';
import { LatencyLedger } from '../../../../stats/latency-ledger.js';
import type { IommuSpec } from '../../../spec.js';
import { MEMORY, type UnitChanges, unitSpec } from '../../../testing/spec.js';
import type { IommuUnit } from '../../../unit.js';
import type { Amdvi } from '../amdvi.js';
import { buildAmdvi } from '../build.js';
import {
  ControlBit,
  ControlHighBit,
  DEVICE_ENTRY_BYTES,
  DeviceTableEntry,
  deviceEntryOffset,
  encodeCompletionWait,
  encodeDeviceTableBase,
  encodeGcr3Entry,
  encodeRingBaseHi,
  gcr3EntryOffset,
  Register,
} from '../format.js';
import { FormatIndex } from '../tables.js';
import { unitEvent, unowned } from '../../../testing/unit-events.js';

/** Requester ids by device number; the device table ends after 0x3ff. */
export const REQUESTERS: Int32Array = Int32Array.of(0x100, 0x101, 0x208, 0x500);
const DEVICE_TABLE_BYTES = 0x400 * DEVICE_ENTRY_BYTES;
const SLOTS = 512;
export const COMMANDS_LG2 = 8;
export const EVENTS_LG2 = 8;

export interface Request {
  readonly address: number;
  readonly write?: boolean;
  readonly device?: number;
  readonly pasid?: number;
  /** Further TlpFlag bits. */
  readonly flags?: number;
}

export interface Departure {
  readonly id: number;
  /** When it left for memory, ps. */
  readonly at: number;
  readonly output: number;
  readonly aborted: boolean;
}

export const upper = (address: number): number => Math.floor(address / 2 ** 32) | 0;
export const lower = (address: number): number => (address % 2 ** 32) | 0;

const SPEC: UnitChanges = {
  architecture: 'amdvi',
  mode: 'native',
  stage: 'nested',
  levels: 5,
  deviceLevels: 1,
  processLevels: 3,
  hostAddressWidth: 52,
};

export class Rig {
  readonly kernel = new Kernel(Op.Relay);
  readonly physical = new PhysicalMemory();
  readonly memory = new MemorySystem(MEMORY, this.kernel.clock);
  readonly frames: FrameAllocator;
  readonly ledger = new LatencyLedger(SLOTS, CAUSES);
  readonly spec: IommuSpec;
  readonly unit: IommuUnit;
  readonly hardware: Amdvi;
  readonly departures: Departure[] = [];
  /** Words written by COMPLETION_WAIT. */
  readonly stored: { address: number; at: number }[] = [];
  /** Called at every such write, with its address. */
  onStored: (address: number) => void = () => {};
  /** Time memory takes for a forwarded request, ps. */
  servicePs = 0;
  readonly deviceTable: number;
  readonly ring: number;
  readonly log: number;
  /** A page for completion words. */
  readonly status: number;
  private tail = 0;
  private sent = 0;
  private readonly actions: (() => void)[] = [];
  private readonly words = new Int32Array(8);

  constructor(
    changes: UnitChanges = {},
    private readonly gcr3GuestPhysical = false,
  ) {
    this.spec = unitSpec({ ...SPEC, ...changes });
    const { kernel, memory, physical, ledger } = this;
    this.frames = new FrameAllocator(memory.baseOf(0), memory.sizeOf(0));
    const recycle = (): void => {};
    const built = buildAmdvi('rig', 0, this.spec, { kernel, memory, physical, ledger, seed: 1, recycle });
    this.unit = built.unit;
    this.hardware = built.hardware;
    const forwarder = { forward: (tlp: Event) => this.forward(tlp) };
    this.unit.connect(
      Array.from(REQUESTERS, () => forwarder),
      REQUESTERS,
      null,
    );
    this.hardware.connect({
      stored: (hi, lo) => {
        const address = (hi >>> 0) * 2 ** 32 + (lo >>> 0);
        this.stored.push({ address, at: this.now });
        this.onStored(address);
      },
    });
    this.deviceTable = this.frames.allocateContiguous(DEVICE_TABLE_BYTES);
    this.ring = this.frames.allocate();
    this.log = this.frames.allocate();
    this.status = this.frames.allocate();
    const { hardware, deviceTable, ring, log } = this;
    const size = encodeDeviceTableBase(deviceTable, DEVICE_TABLE_BYTES);
    hardware.write(Register.DeviceTableBase, upper(deviceTable), size);
    hardware.write(Register.CommandBufferBase, encodeRingBaseHi(ring, COMMANDS_LG2), lower(ring));
    hardware.write(Register.EventLogBase, encodeRingBaseHi(log, EVENTS_LG2), lower(log));
    this.enable(true, true);
  }

  /** Writes the control register; translation is on. */
  enable(commands: boolean, events: boolean): void {
    const low =
      ControlBit.IommuEnable |
      ControlBit.GuestTranslationEnable |
      (commands ? ControlBit.CommandBufferEnable : 0) |
      (events ? ControlBit.EventLogEnable : 0);
    this.hardware.write(Register.Control, this.gcr3GuestPhysical ? ControlHighBit.Gcr3GuestPhysical : 0, low);
  }

  get now(): number {
    return this.kernel.clock[0]!;
  }

  /** An empty host table. */
  hostTable(levels: number): PageTable {
    return new PageTable(this.unit.architecture.formats[FormatIndex.Host]!, this.physical, this.frames, levels);
  }

  guestTable(levels = 4): PageTable {
    return new PageTable(this.unit.architecture.formats[FormatIndex.Guest]!, this.physical, this.frames, levels);
  }

  /** Maps new memory at `iova` and returns its address. */
  map(table: PageTable, iova: number, bytes = 4096, largestLg2 = 12, access = Access.Read | Access.Write): number {
    const pa = this.frames.allocateContiguous(bytes, Math.max(4096, Math.min(bytes, 2 ** largestLg2)));
    table.map(iova, pa, bytes, access, largestLg2);
    return pa;
  }

  /** A host table that maps all of low memory to itself, in pages of 4 KiB where tables of tests lie. */
  identity(levels: number, bytes = 2 ** 24, largestLg2 = 12): PageTable {
    const table = this.hostTable(levels);
    const base = this.memory.baseOf(0);
    table.map(base, base, bytes, Access.Read | Access.Write, largestLg2);
    return table;
  }

  /** Writes a device table entry: valid and permitted, changed by `change`. */
  device(requester: number, change: (entry: DeviceTableEntry) => void): void {
    const entry = new DeviceTableEntry();
    Object.assign(entry, { valid: true, translationValid: true, read: true, write: true, domain: 5 });
    change(entry);
    entry.encode(this.words);
    this.store(this.entryAt(requester), 8);
  }

  entryAt(requester: number): number {
    return this.deviceTable + deviceEntryOffset(requester);
  }

  /** A GCR3 table of `levels` whose lowest entry of `pasid` holds `root`; returns the address of the root table. */
  gcr3(levels: number, entries: readonly (readonly [pasid: number, root: number])[]): number {
    const top = this.frames.allocate();
    const below = new Map<number, number>();
    for (const [pasid, root] of entries) {
      let table = top;
      for (let level = levels; level > 0; level--) {
        const at = table + gcr3EntryOffset(pasid, level);
        const next = level === 1 ? root : (below.get(at) ?? this.frames.allocate());
        below.set(at, next);
        encodeGcr3Entry(this.words, next);
        this.store(at, 2);
        table = next;
      }
    }
    return top;
  }

  /** Changes the 64-bit word at an address: upper and lower half. */
  poke(address: number, change: (hi: number, lo: number) => readonly [number, number]): void {
    const [hi, lo] = [upper(address), lower(address)];
    this.physical.read(hi, lo);
    const [wordHi, wordLo] = change(this.physical.wordHi, this.physical.wordLo);
    this.physical.write(hi, lo, wordHi, wordLo);
  }

  /** Four dwords of an event log entry. */
  event(index: number): number[] {
    const words: number[] = [];
    for (const at of [0, 8]) {
      const address = this.log + 16 * index + at;
      this.physical.read(upper(address), lower(address));
      words.push(this.physical.wordLo, this.physical.wordHi);
    }
    return words;
  }

  /** Counts of events by code, without zeros. */
  get events(): Record<number, number> {
    const counts = [...this.hardware.faults.byCode].map((n, code) => [code, n] as const);
    return Object.fromEntries(counts.filter(([, n]) => n !== 0));
  }

  /** Hands a request over at this instant; returns its number. */
  send({ address, write = false, device = 0, pasid = -1, flags = 0 }: Request): number {
    const id = this.sent++;
    const tlp = new Event();
    tlp.id = id;
    tlp.source = device;
    tlp.flags = (write ? TlpFlag.Write : 0) | flags;
    tlp.bytes = 64;
    tlp.addressHi = upper(address);
    tlp.addressLo = lower(address);
    tlp.context = pasid;
    this.ledger.start(id, this.now);
    this.unit.arrive(tlp);
    return id;
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

  /** Writes commands (made by the encoders of the format file) into the ring and rings the doorbell. */
  submit(...encode: ((words: Int32Array) => void)[]): void {
    for (const each of encode) {
      this.words.fill(0);
      each(this.words);
      this.store(this.ring + 16 * this.tail, 4);
      this.tail = (this.tail + 1) % 2 ** COMMANDS_LG2;
    }
    this.hardware.write(Register.CommandTail, 0, 16 * this.tail);
  }

  /** A COMPLETION_WAIT that stores `data` to word `slot`. */
  wait(slot = 0, data = 1): (words: Int32Array) => void {
    return (words) => encodeCompletionWait(words, 0, this.status + 8 * slot, 0, data);
  }

  run(): void {
    for (let event = this.kernel.next(); event !== null; event = this.kernel.next()) this.dispatch(event);
  }

  private store(address: number, dwords: number): void {
    for (let i = 0; i < dwords; i += 2) {
      this.physical.write(upper(address), lower(address + 4 * i), this.words[i + 1]!, this.words[i]!);
    }
  }

  private dispatch(event: Event): void {
    if (event.op === Op.Timer) this.actions[event.id]!();
    else if (!unitEvent(this.unit, this.hardware, event)) unowned(event);
  }

  private forward(tlp: Event): void {
    const output = (tlp.outHi >>> 0) * 2 ** 32 + (tlp.outLo >>> 0);
    const aborted = (tlp.flags & TlpFlag.Aborted) !== 0;
    if (this.departures.some((d) => d.id === tlp.id)) throw new Error(`request ${tlp.id} left twice`);
    this.departures.push({ id: tlp.id, at: this.now, output, aborted });
    this.ledger.charge(tlp.id, Cause.Order, this.now);
    this.ledger.finish(tlp.id, this.now);
    this.kernel.after(this.servicePs, tlp, Op.MemoryServed);
  }
}
