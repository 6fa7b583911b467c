/**
 * One AMD-Vi unit as its driver sees it: device table, command buffer, what is known of its devices. The constructor enables the unit as
 * Linux does at boot (early_enable_iommu): device table, command buffer, event log, then translation.
 */
import {
  ControlBit,
  ControlHighBit,
  DeviceTableEntry,
  encodeDeviceTableBase,
  encodeInvalidatePages,
  encodeRingBaseHi,
  ENTRY_LG2,
  EVERYTHING,
  Register,
} from '../../iommu/arch/amdvi/format.js';
import type { FrameAllocator } from '../../memory/frames.js';
import type { PageTable } from '../../pagetable/table.js';
import { addressMask, blockStart } from '../flush-range.js';
import { identityTable } from '../identity-table.js';
import type { UnitSpec } from '../spec.js';
import type { Call, Thread } from '../thread.js';
import type { UnitDriverEnvironment } from '../unit-environment.js';
import { COMMAND_WORDS, CommandBuffer } from './command-buffer.js';
import type { FaultPath } from '../iommu-driver.js';
import { log2 } from '../log2.js';
import { PageRequestDriver } from './page-requests.js';
import { EmulatedBuffer } from './emulated-buffer.js';
import { DeviceTable, Gcr3Table } from './device-table.js';
import { hostTableFormat, usesGuestTables } from './formats.js';

const PAGE = 4096;

/** A device with guest tables: its GCR3 table, and the domain id that tags its translations (struct gcr3_tbl_info). */
export interface GuestDevice {
  readonly gcr3: Gcr3Table;
  readonly domainId: number;
  /** Domains attached to it. */
  users: number;
}

export class AmdviUnit {
  readonly devices: DeviceTable;
  /** What the driver queues to: the hardware's buffer, or that of a virtual unit. */
  readonly commands: CommandBuffer;
  /** The hardware's buffer, which in a virtual machine is the host's. */
  readonly hostCommands: CommandBuffer;
  /** The virtual unit's buffer as its monitor sees it; null where hardware executes the driver's. */
  readonly emulated: EmulatedBuffer | null;
  /** Whoever reads the page request log; null: nobody does. */
  pages: PageRequestDriver | null = null;
  private readonly controlHi: number;
  private readonly controlLo: number;
  /** Host table under nested guest tables. */
  private readonly host: PageTable | null;
  /** By requester id. */
  private readonly guests = new Map<number, GuestDevice>();

  constructor(
    readonly id: number,
    readonly spec: UnitSpec,
    private readonly frames: FrameAllocator,
    private readonly environment: UnitDriverEnvironment,
  ) {
    const { memory, registers, ranges, monitor } = environment;
    const { stage, secondLevels, largestPage, invalidation } = spec;
    const nested = stage === 'nested';
    this.host = nested ? identityTable(hostTableFormat(spec), memory, frames, secondLevels, ranges, largestPage) : null;
    this.devices = new DeviceTable(memory, frames);
    const slots = 1 << invalidation.sizeLg2;
    const ring = ringMemory(frames, invalidation.sizeLg2);
    const logLg2 = 31 - Math.clz32(spec.faults.records);
    const log = ringMemory(frames, logLg2);
    const semaphore = frames.allocate();
    if (monitor === null || monitor.spec.mode === 'nested-queue') {
      this.commands = new CommandBuffer(id, { ring, semaphore, slots }, environment);
      this.hostCommands = this.commands;
      this.emulated = null;
    } else {
      const { statistics, locks: queueLocks } = monitor.host;
      this.hostCommands = new CommandBuffer(id, { ring, semaphore, slots }, { ...environment, statistics, queueLocks });
      const own = { ring: ringMemory(frames, invalidation.sizeLg2), semaphore: frames.allocate(), slots };
      this.emulated = new EmulatedBuffer(own, this.hostCommands, monitor, memory);
      this.commands = new CommandBuffer(id, own, environment);
      this.commands.doorbell = this.emulated;
    }
    const { base, bytes } = this.devices;
    registers.write(id, Register.DeviceTableBase, Math.floor(base / 2 ** 32), encodeDeviceTableBase(base, bytes), 0);
    registers.write(id, Register.CommandBufferBase, encodeRingBaseHi(ring, invalidation.sizeLg2), ring | 0, 0);
    registers.write(id, Register.EventLogBase, encodeRingBaseHi(log, logLg2), log | 0, 0);
    const high = nested ? ControlHighBit.Gcr3GuestPhysical : 0;
    this.controlHi = high;
    const low =
      ControlBit.EventLogEnable |
      ControlBit.CommandBufferEnable |
      (spec.coherent ? ControlBit.Coherent : 0) |
      (usesGuestTables(spec) ? ControlBit.GuestTranslationEnable : 0);
    registers.write(id, Register.Control, high, low, 0);
    this.controlLo = low | ControlBit.IommuEnable;
    registers.write(id, Register.Control, high, this.controlLo, 0);
  }

  /** From now on page requests are logged and read. */
  recoverPageRequests(path: FaultPath): PageRequestDriver {
    const { id, frames, environment, commands: buffer } = this;
    const slots = this.spec.faults.pageRequests;
    const base = ringMemory(frames, log2(slots));
    const controlHi = this.controlHi | ControlHighBit.PageRequestAutoResponse;
    const controlLo =
      this.controlLo |
      ControlBit.PageRequestLogEnable |
      ControlBit.PageRequestInterruptEnable |
      ControlBit.PageRequestEnable;
    const enable = ControlBit.PageRequestLogEnable;
    const layout = { unit: id, base, slots, controlHi, controlLo, enable };
    this.pages = new PageRequestDriver(layout, buffer, path, environment);
    const { registers } = environment;
    registers.write(id, Register.PageRequestLogBase, encodeRingBaseHi(base, log2(slots)), base | 0, 0);
    registers.write(id, Register.Control, controlHi, controlLo, 0);
    return this.pages;
  }

  /** Removes host pages of a range from the domain, by the hardware's buffer, and waits. */
  *invalidate(thread: Thread, domainId: number, iova: number, bytes: number, tablesFreed: boolean): Call<void> {
    const words = new Int32Array(COMMAND_WORDS);
    const mask = addressMask(iova, bytes);
    const all = mask > this.spec.invalidation.maxAddressMask;
    const start = all ? 0 : blockStart(iova, mask);
    const [hi, lo] = [Math.floor(start / 2 ** 32), start | 0];
    encodeInvalidatePages(words, 0, domainId, -1, hi, lo, all ? EVERYTHING : mask, tablesFreed);
    yield* this.hostCommands.queue(thread, words);
    yield* this.hostCommands.completion(thread);
  }

  /** Everything that went through host tables of a guest's devices. */
  *flushStage2(thread: Thread): Call<void> {
    const words = new Int32Array(COMMAND_WORDS);
    for (const { domainId } of [...this.guests.values()]) {
      encodeInvalidatePages(words, 0, domainId, -1, 0, 0, EVERYTHING, true);
      yield* this.hostCommands.queue(thread, words);
    }
    yield* this.hostCommands.completion(thread);
  }

  /** The device's GCR3 table; `allocateId` gives the domain id of a device that has none yet. */
  guest(requester: number, allocateId: () => number): GuestDevice {
    let guest = this.guests.get(requester);
    if (guest === undefined) {
      const gcr3 = new Gcr3Table(this.spec.processLevels, this.environment.memory, this.frames);
      guest = { gcr3, domainId: allocateId(), users: 0 };
      this.guests.set(requester, guest);
    }
    return guest;
  }

  /** Requests of the device use the host table at `root`, or pass when it is null. `ats`: it may ask for translations. */
  setHostEntry(requester: number, root: number | null, domainId: number, ats = false): void {
    const entry = permittedEntry(domainId);
    entry.iotlb = ats;
    if (root !== null) entry.setHost(this.spec.levels, root);
    this.devices.set(requester, entry);
  }

  /** The device has a GCR3 table. Requests without PASID use PASID 0 in it, or none of it: then they are host (guest-physical) addresses. */
  setGuestEntry(
    requester: number,
    { gcr3, domainId }: GuestDevice,
    withoutPasid: boolean,
    ats = false,
    asks = false,
  ): void {
    const entry = permittedEntry(domainId);
    entry.iotlb = ats;
    entry.pageRequests = asks;
    entry.setGuest(gcr3.levels, gcr3.root, this.spec.levels);
    entry.guestWithoutPasid = withoutPasid;
    if (this.host !== null) entry.setHost(this.spec.secondLevels, this.host.root);
    this.devices.set(requester, entry);
  }
}

function permittedEntry(domainId: number): DeviceTableEntry {
  const entry = new DeviceTableEntry();
  entry.valid = true;
  entry.translationValid = true;
  entry.read = true;
  entry.write = true;
  entry.domain = domainId;
  return entry;
}

function ringMemory(frames: FrameAllocator, entriesLg2: number): number {
  return frames.allocateContiguous(Math.max(2 ** (entriesLg2 + ENTRY_LG2), PAGE), PAGE);
}
