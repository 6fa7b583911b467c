/**
 * A machine around one RISC-V unit for tests: real kernel, memory, directories, queues; requests are handed over one at a time and
 * collected when they leave. Nothing is cached but contexts and translations, unless a test says so.
 */
import { Event } from '../../kernel/event.js';
import { Kernel } from '../../kernel/kernel.js';
import { FrameAllocator } from '../../memory/frames.js';
import { PhysicalMemory } from '../../memory/physical.js';
import { MemorySystem } from '../../memory/system.js';
import { compileFormat } from '../../pagetable/format.js';
import { riscv } from '../../pagetable/formats/riscv.js';
import { PageTable } from '../../pagetable/table.js';
import { Access } from '../../protocol/access.js';
import { Op } from '../../protocol/op.js';
import { Cause, CAUSES, TlpFlag } from '../../protocol/tlp.js';
import { LatencyLedger } from '../../stats/latency-ledger.js';
import { buildRiscv } from '../arch/riscv/build.js';
import {
  Capability,
  Control,
  contextBytes,
  type DeviceContext,
  DirectoryMode,
  deviceEntryOffset,
  encodeDeviceContext,
  encodeDirectoryEntry,
  encodeProcessContext,
  encodeQueueBaseLo,
  type ProcessContext,
  pageNumberHi,
  pageNumberLo,
  processEntryOffset,
  QueueControl,
  Register,
} from '../arch/riscv/format.js';
import type { Riscv } from '../arch/riscv/riscv.js';
import type { IommuSpec } from '../spec.js';
import type { IommuUnit } from '../unit.js';
import { MEMORY, NO_WALK_CACHES, type UnitChanges, unitSpec } from './spec.js';
import { unitEvent, unowned } from './unit-events.js';

export const DEVICE = 0x2345;
const FAULTS_LG2 = 2;
const SLOTS = 64;
const EVERY_TABLE = [
  ...[Capability.Sv39, Capability.Sv48, Capability.Sv57, Capability.Sv39x4, Capability.Sv48x4, Capability.Sv57x4],
  ...[Capability.Pd8, Capability.Pd17, Capability.Pd20, Capability.HardwareUpdates],
  ...[Capability.NonLeaf, Capability.AddressRange],
];
/** Identity-mapped guest memory: everything that a test allocates. */
const GUEST_BYTES = 2 ** 22;

export interface RiscvRequest {
  readonly address: number;
  readonly deviceId?: number;
  readonly pasid?: number;
  readonly write?: boolean;
  readonly execute?: boolean;
  readonly privileged?: boolean;
}

export interface Outcome {
  readonly aborted: boolean;
  readonly output: number;
  readonly at: number;
}

export interface Shape {
  readonly deviceLevels?: number;
  readonly unit?: UnitChanges;
  /** Besides all tables, A/D updates, NL and S. */
  readonly capabilities?: readonly Capability[];
  readonly without?: readonly Capability[];
}

const upper = (address: number): number => Math.floor(address / 2 ** 32) | 0;
const lower = (address: number): number => (address % 2 ** 32) | 0;

export class RiscvRig {
  readonly kernel = new Kernel(Op.Relay);
  readonly physical = new PhysicalMemory();
  readonly memory = new MemorySystem(MEMORY, this.kernel.clock);
  readonly frames = new FrameAllocator(this.memory.baseOf(0), this.memory.sizeOf(0));
  readonly unit: IommuUnit;
  readonly hardware: Riscv;
  readonly spec: IommuSpec;
  readonly root: number;
  readonly ring: number;
  readonly faults: number;
  readonly extended: boolean;
  readonly deviceLevels: number;
  /** Addresses that who polls memory or the head was told. */
  readonly stored: number[] = [];
  servicePs = 0;
  private readonly ledger = new LatencyLedger(SLOTS, CAUSES);
  private readonly requesters = new Int32Array(SLOTS);
  private readonly outcomes: (Outcome | undefined)[] = [];
  private readonly below = new Map<number, number>();
  private readonly words = new Int32Array(16);
  private tail = 0;
  private sent = 0;

  constructor({ deviceLevels = 3, unit: changes = {}, capabilities = [], without = [] }: Shape = {}) {
    const base: UnitChanges = { architecture: 'riscv', mode: 'native', hostAddressWidth: 46, ...NO_WALK_CACHES };
    const spec = unitSpec({ ...base, secondStageTlb: { enabled: false }, ...changes });
    this.spec = spec;
    this.deviceLevels = deviceLevels;
    const { kernel, memory, physical, ledger, frames } = this;
    const recycle = (): void => {};
    const { unit, hardware } = buildRiscv('rig', 0, spec, { kernel, memory, physical, ledger, seed: 1, recycle });
    this.unit = unit;
    this.hardware = hardware;
    const bits = new Set([...EVERY_TABLE, ...capabilities]);
    for (const bit of without) bits.delete(bit);
    let word = BigInt(0x10) | (BigInt(spec.hostAddressWidth) << 32n);
    for (const bit of bits) word |= 1n << BigInt(bit);
    hardware.registers.setCapabilities(Number(word >> 32n) | 0, Number(word & 0xffffffffn) | 0);
    this.extended = bits.has(Capability.MsiFlat);
    const forwarder = { forward: (tlp: Event): void => this.forward(tlp) };
    unit.connect(
      Array.from({ length: SLOTS }, () => forwarder),
      this.requesters,
      null,
    );
    hardware.connect({ stored: (hi, lo) => this.stored.push((hi >>> 0) * 2 ** 32 + (lo >>> 0)) });
    this.root = frames.allocate();
    const entries = spec.invalidation.sizeLg2;
    this.ring = frames.allocateContiguous(Math.max(4096, 16 * 2 ** entries), 4096);
    this.faults = frames.allocate();
    this.write(Register.CommandQueueBase, pageNumberHi(this.ring), encodeQueueBaseLo(this.ring, entries));
    this.write(Register.CommandQueueControl, 0, QueueControl.Enable);
    this.write(Register.FaultQueueBase, pageNumberHi(this.faults), encodeQueueBaseLo(this.faults, FAULTS_LG2));
    this.write(Register.FaultQueueControl, 0, QueueControl.Enable);
    const mode = DirectoryMode.Bare + deviceLevels;
    this.write(Register.DirectoryPointer, pageNumberHi(this.root), pageNumberLo(this.root) | mode);
  }

  get now(): number {
    return this.kernel.clock[0]!;
  }

  write(offset: Register, hi: number, lo: number): void {
    this.hardware.write(offset, hi, lo);
  }

  /** A table of the stage that maps one page of 2^sizeLg2 bytes at `address` to memory; returns its root and the page's address. */
  mapped(
    levels: number,
    secondStage: boolean,
    address: number,
    { sizeLg2 = 12, access = Access.Read | Access.Write, pa = 0 } = {},
  ): { root: number; pa: number; table: PageTable } {
    const table = this.table(levels, secondStage);
    const size = 2 ** sizeLg2;
    const page = pa === 0 ? this.frames.allocateContiguous(size, size) : pa;
    table.map(address - (address % size), page, size, access, sizeLg2);
    return { root: table.root, pa: page, table };
  }

  table(levels: number, secondStage: boolean): PageTable {
    const options = { hostAddressWidth: 46, secondStage, hardwareUpdates: false, napot: true, pageTypes: false };
    return new PageTable(compileFormat(riscv(options)), this.physical, this.frames, levels);
  }

  /** A second-stage table that maps all memory allocated by tests to itself, page by page. */
  guest(levels: number): number {
    const table = this.table(levels, true);
    const base = this.memory.baseOf(0);
    table.map(base, base, GUEST_BYTES, Access.Read | Access.Write | Access.Execute, 12);
    return table.root;
  }

  device(context: Partial<DeviceContext> = {}, deviceId: number = DEVICE): number {
    const at = this.contextAt(deviceId);
    const bare = { control: 0, secondRoot: 0, secondLevels: 0, gscid: 0, firstRoot: 0, firstLevels: 0, pscid: 0 };
    encodeDeviceContext(this.words, { ...bare, ...context }, this.extended);
    this.store(at, contextBytes(this.extended));
    return at;
  }

  /** A device whose process directory, of `levels`, is empty; `process` fills it. */
  processes(levels: number, context: Partial<DeviceContext> = {}, deviceId: number = DEVICE): number {
    const directory = this.frames.allocate();
    const control = (context.control ?? 0) | Control.ProcessDirectory;
    this.device({ ...context, control, firstRoot: directory, firstLevels: levels }, deviceId);
    return directory;
  }

  process(directory: number, levels: number, processId: number, context: Partial<ProcessContext> = {}): number {
    const at = this.processAt(directory, levels, processId);
    encodeProcessContext(this.words, { control: 0, pscid: 0, root: 0, levels: 0, ...context });
    this.store(at, 16);
    return at;
  }

  contextAt(deviceId: number, level = 1): number {
    let table = this.root;
    for (let at = this.deviceLevels; at > level; at--) {
      table = this.tableAt(table + deviceEntryOffset(this.extended, at, deviceId));
    }
    return table + deviceEntryOffset(this.extended, level, deviceId);
  }

  processAt(directory: number, levels: number, processId: number, level = 1): number {
    let table = directory;
    for (let at = levels; at > level; at--) table = this.tableAt(table + processEntryOffset(at, processId));
    return table + processEntryOffset(level, processId);
  }

  private tableAt(entry: number): number {
    const known = this.below.get(entry);
    if (known !== undefined) return known;
    const table = this.frames.allocate();
    this.below.set(entry, table);
    encodeDirectoryEntry(this.words, table);
    this.store(entry, 8);
    return table;
  }

  /** Changes a 64-bit word of memory. */
  poke(address: number, change: (word: bigint) => bigint): void {
    const word = BigInt.asUintN(64, change(this.word(address)));
    this.physical.write(upper(address), lower(address), Number(word >> 32n) | 0, Number(word & 0xffffffffn) | 0);
  }

  word(address: number): bigint {
    this.physical.read(upper(address), lower(address));
    return (BigInt(this.physical.wordHi >>> 0) << 32n) | BigInt(this.physical.wordLo >>> 0);
  }

  private store(address: number, bytes: number): void {
    for (let i = 0; i < bytes; i += 8) {
      this.physical.write(upper(address), lower(address) + i, this.words[i / 4 + 1]!, this.words[i / 4]!);
    }
  }

  /** Writes commands into the ring and rings the doorbell; runs until nothing is left to do. */
  submit(...encode: ((words: Int32Array) => void)[]): void {
    for (const each of encode) {
      this.words.fill(0);
      each(this.words);
      this.store(this.ring + 16 * this.tail, 16);
      this.tail = (this.tail + 1) % 2 ** this.spec.invalidation.sizeLg2;
    }
    this.write(Register.CommandQueueTail, 0, this.tail);
    this.run();
  }

  /** Hands a request over at this instant; returns its number. */
  send({ address, deviceId = DEVICE, pasid = -1, write, execute, privileged }: RiscvRequest): number {
    const id = this.sent++ % SLOTS;
    this.requesters[id] = deviceId;
    this.outcomes[id] = undefined;
    const tlp = new Event();
    tlp.id = id;
    tlp.source = id;
    tlp.flags =
      (write === true ? TlpFlag.Write : 0) |
      (execute === true ? TlpFlag.Execute : 0) |
      (privileged === true ? TlpFlag.Privileged : 0);
    tlp.bytes = 64;
    // Negative addresses are those of the upper half.
    tlp.addressHi = upper(address);
    tlp.addressLo = (((address % 2 ** 32) + 2 ** 32) % 2 ** 32) | 0;
    tlp.context = pasid;
    this.ledger.start(id, this.now);
    this.unit.arrive(tlp);
    return id;
  }

  translate(request: RiscvRequest): Outcome {
    const id = this.send(request);
    this.run();
    return this.outcomes[id]!;
  }

  outcome(id: number): Outcome | undefined {
    return this.outcomes[id];
  }

  /** Directory and table entries read since the last call. */
  reads(): [directory: number, table: number] {
    const { counters } = this.unit;
    const both: [number, number] = [counters.directoryReads, counters.tableReads];
    counters.directoryReads = 0;
    counters.tableReads = 0;
    return both;
  }

  /** Faults counted since the last call, by cause. */
  causes(): Record<number, number> {
    const { byCode } = this.hardware.faults;
    const counts = Object.fromEntries([...byCode].map((n, cause) => [cause, n]).filter(([, n]) => n !== 0));
    byCode.fill(0);
    return counts;
  }

  run(): void {
    for (let event = this.kernel.next(); event !== null; event = this.kernel.next()) this.dispatchOne(event);
  }

  /** Handles one event, for tests that act in the middle of something. */
  dispatchOne(event: Event): void {
    if (!unitEvent(this.unit, this.hardware, event)) unowned(event);
  }

  private forward(tlp: Event): void {
    const output = (tlp.outHi >>> 0) * 2 ** 32 + (tlp.outLo >>> 0);
    this.outcomes[tlp.id] = { aborted: (tlp.flags & TlpFlag.Aborted) !== 0, output, at: this.now };
    this.ledger.charge(tlp.id, Cause.Order, this.now);
    this.ledger.finish(tlp.id, this.now);
    this.kernel.after(this.servicePs, tlp, Op.MemoryServed);
  }
}
