/**
 * One AMD-Vi unit as its driver sees it: device table, command buffer, what is known of its devices. The constructor enables the unit as
 * Linux does at boot (early_enable_iommu): device table, command buffer, event log, then translation.
 */
import {
  ControlBit,
  ControlHighBit,
  DeviceTableEntry,
  encodeDeviceTableBase,
  encodeRingBaseHi,
  ENTRY_LG2,
  Register,
} from '../../iommu/arch/amdvi/format.js';
import type { FrameAllocator } from '../../memory/frames.js';
import type { PageTable } from '../../pagetable/table.js';
import { identityTable } from '../identity-table.js';
import type { UnitSpec } from '../spec.js';
import type { UnitDriverEnvironment } from '../unit-environment.js';
import { CommandBuffer } from './command-buffer.js';
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
  readonly commands: CommandBuffer;
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
    const { memory, registers, ranges } = environment;
    const { stage, secondLevels, largestPage, invalidation } = spec;
    const nested = stage === 'nested';
    this.host = nested ? identityTable(hostTableFormat(spec), memory, frames, secondLevels, ranges, largestPage) : null;
    this.devices = new DeviceTable(memory, frames);
    const slots = 2 ** invalidation.sizeLg2;
    const ring = ringMemory(frames, invalidation.sizeLg2);
    const logLg2 = 31 - Math.clz32(spec.faults.records);
    const log = ringMemory(frames, logLg2);
    const semaphore = frames.allocate();
    this.commands = new CommandBuffer(id, { ring, semaphore, slots }, environment);
    const { base, bytes } = this.devices;
    registers.write(id, Register.DeviceTableBase, Math.floor(base / 2 ** 32), encodeDeviceTableBase(base, bytes), 0);
    registers.write(id, Register.CommandBufferBase, encodeRingBaseHi(ring, invalidation.sizeLg2), ring | 0, 0);
    registers.write(id, Register.EventLogBase, encodeRingBaseHi(log, logLg2), log | 0, 0);
    const high = nested ? ControlHighBit.Gcr3GuestPhysical : 0;
    const low =
      ControlBit.EventLogEnable |
      ControlBit.CommandBufferEnable |
      (spec.coherent ? ControlBit.Coherent : 0) |
      (usesGuestTables(spec) ? ControlBit.GuestTranslationEnable : 0);
    registers.write(id, Register.Control, high, low, 0);
    registers.write(id, Register.Control, high, low | ControlBit.IommuEnable, 0);
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

  /** Requests of the device use the host table at `root`, or pass when it is null. */
  setHostEntry(requester: number, root: number | null, domainId: number): void {
    const entry = permittedEntry(domainId);
    if (root !== null) entry.setHost(this.spec.levels, root);
    this.devices.set(requester, entry);
  }

  /** The device has a GCR3 table. Requests without PASID use PASID 0 in it, or none of it: then they are host (guest-physical) addresses. */
  setGuestEntry(requester: number, { gcr3, domainId }: GuestDevice, withoutPasid: boolean): void {
    const entry = permittedEntry(domainId);
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
