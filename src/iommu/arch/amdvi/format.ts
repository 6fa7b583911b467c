/**
 * AMD-Vi encodings (AMD I/O Virtualization Technology (IOMMU) Specification 48882): device table entry (2.2.2), GCR3 table entry
 * (2.2.6), commands (2.4), event log entries (2.5), registers (3.4). Encodings only: no timing, no state. A structure is an
 * Int32Array of little-endian dwords: dword i holds bits 32i+31..32i.
 * Cross-checked with Linux drivers/iommu/amd/amd_iommu_types.h, VirtualBox include/VBox/iommu-amd.h and QEMU hw/i386/amd_iommu.[ch].
 * Not modelled: interrupt remapping fields, vIOMMU fields.
 */
import { Fault } from '../../../pagetable/fault.js';
import { PageRequestBit, type PageRequestRecord } from '../../../protocol/page-request.js';

type Dwords = Int32Array;

const PAGE_MASK = ~0xfff;

/** Upper 32 bits of an address that is a double; the lower ones are `address | 0`. */
function high(address: number): number {
  return (address / 4294967296) | 0;
}

// ---------------------------------------------------------------------------------------------------------------------
// Registers, 3.4

export const enum Register {
  DeviceTableBase = 0x00,
  CommandBufferBase = 0x08,
  EventLogBase = 0x10,
  PageRequestLogBase = 0x38,
  Control = 0x18,
  CommandHead = 0x2000,
  CommandTail = 0x2008,
  EventHead = 0x2010,
  EventTail = 0x2018,
  Status = 0x2020,
  PageRequestHead = 0x2030,
  PageRequestTail = 0x2038,
}

/** Control register, lower dword. */
export const enum ControlBit {
  IommuEnable = 1 << 0,
  EventLogEnable = 1 << 2,
  EventInterruptEnable = 1 << 3,
  CompletionInterruptEnable = 1 << 4,
  Coherent = 1 << 10,
  CommandBufferEnable = 1 << 12,
  PageRequestLogEnable = 1 << 13,
  PageRequestInterruptEnable = 1 << 14,
  PageRequestEnable = 1 << 15,
  GuestTranslationEnable = 1 << 16,
}

/** Control register, upper dword. Bit 58, GCR3TRPMode: GCR3 table roots are guest-physical. */
export const enum ControlHighBit {
  /** PPRAutoRspEn. */
  PageRequestAutoResponse = 1 << 7,
  Gcr3GuestPhysical = 1 << 26,
}

/** Status register. */
export const enum StatusBit {
  EventOverflow = 1 << 0,
  EventInterrupt = 1 << 1,
  CompletionInterrupt = 1 << 2,
  EventLogRunning = 1 << 3,
  CommandBufferRunning = 1 << 4,
  PageRequestOverflow = 1 << 5,
  PageRequestInterrupt = 1 << 6,
  PageRequestLogRunning = 1 << 7,
}

/** Lower dword of a table or ring base register without its flags. */
export function pointerLo(lo: number): number {
  return lo & PAGE_MASK;
}

/** Upper dword of an address of at most 52 bits, without what stands above it. */
export function pointerHi(hi: number): number {
  return hi & 0xfffff;
}

/** Size field of the device table base register: 4 KiB pages less one, bits 8:0. */
export function encodeDeviceTableBase(base: number, bytes: number): number {
  return (base & PAGE_MASK) | (bytes / 4096 - 1);
}

export function deviceTableBytes(registerLo: number): number {
  return ((registerLo & 0x1ff) + 1) * 4096;
}

/** Upper dword of a ring's base register: log2 of its entries in bits 59:56. */
export function encodeRingBaseHi(base: number, entriesLg2: number): number {
  return high(base) | (entriesLg2 << 24);
}

export function ringEntriesLg2(registerHi: number): number {
  return (registerHi >>> 24) & 15;
}

/** Bytes of a command and of an event log entry, log2. Head and tail registers hold byte offsets, bits 18:4. */
export const ENTRY_LG2 = 4;

export function ringIndex(register: number): number {
  return (register & 0x7ffff) >>> ENTRY_LG2;
}

// ---------------------------------------------------------------------------------------------------------------------
// Device table entry, 2.2.2

export const DEVICE_ENTRY_BYTES = 32;

/** Offset of the entry of a device id. */
export function deviceEntryOffset(deviceId: number): number {
  return deviceId * DEVICE_ENTRY_BYTES;
}

/** V and PPR of a device table entry. */
export function deviceMayAsk(lo: number, hi: number): boolean {
  return (lo & 1) !== 0 && (hi & (1 << 20)) !== 0;
}

/** DTE.HAD: which bits hardware sets in host entries. */
export const enum HostAccessDirty {
  None = 0,
  Accessed = 1,
  Both = 3,
}

/** Mode that stands for no table: guest-physical is system-physical. */
export const NO_HOST_TABLE = 0;
export const RESERVED_MODE = 7;

/** One device table entry, field by field. `decode` and `encode` leave out what the head of this file says. */
export class DeviceTableEntry {
  valid = false;
  translationValid = false;
  accessDirty: number = HostAccessDirty.None;
  mode = NO_HOST_TABLE;
  hostRootHi = 0;
  hostRootLo = 0;
  /** PPR: the device may ask for pages. */
  pageRequests = false;
  /** GIOV: requests without PASID use the guest table of PASID 0. */
  guestWithoutPasid = false;
  /** GV. */
  guestValid = false;
  /** GLX: levels of the GCR3 table less one; 3 is reserved. */
  gcr3LevelCode = 0;
  gcr3RootHi = 0;
  gcr3RootLo = 0;
  read = false;
  write = false;
  domain = 0;
  /** I: the device may ask for translations and use them. */
  iotlb = false;
  /** SE: after one event, I/O page faults of the device are not reported. */
  suppressAfterFirst = false;
  /** SA: I/O page faults are not reported. */
  suppressAll = false;
  /** GuestPagingMode: levels of guest tables less four; 2 and 3 are reserved. */
  guestLevelCode = 0;
  /** A bit that must be zero is set. */
  reserved = false;

  decode(d: Dwords): void {
    const [d0, d1, d2, d3, d5] = [d[0]!, d[1]!, d[2]!, d[3]!, d[5]!];
    this.valid = (d0 & 1) !== 0;
    this.translationValid = (d0 & 2) !== 0;
    this.accessDirty = (d0 >>> 7) & 3;
    this.mode = (d0 >>> 9) & 7;
    this.hostRootHi = d1 & 0xfffff;
    this.hostRootLo = d0 & PAGE_MASK;
    this.pageRequests = (d1 & (1 << 20)) !== 0;
    this.guestWithoutPasid = (d1 & (1 << 22)) !== 0;
    this.guestValid = (d1 & (1 << 23)) !== 0;
    this.gcr3LevelCode = (d1 >>> 24) & 3;
    this.gcr3RootHi = d3 >>> 12;
    this.gcr3RootLo = (((d1 >>> 26) & 7) << 12) | ((d2 >>> 16) << 15) | ((d3 & 0x800) << 20);
    this.read = (d1 & (1 << 29)) !== 0;
    this.write = (d1 & (1 << 30)) !== 0;
    this.domain = d2 & 0xffff;
    this.iotlb = (d3 & 1) !== 0;
    this.suppressAfterFirst = (d3 & 2) !== 0;
    this.suppressAll = (d3 & 4) !== 0;
    this.guestLevelCode = (d5 >>> 22) & 3;
    // 6:2 and 63; the other reserved bits are in the part about interrupts.
    this.reserved = (d0 & 0x7c) !== 0 || d1 < 0;
  }

  /** Writes eight dwords. */
  encode(out: Dwords): void {
    const { gcr3RootHi: hi, gcr3RootLo: lo } = this;
    out[0] =
      flag(this.valid, 0) |
      flag(this.translationValid, 1) |
      (this.accessDirty << 7) |
      (this.mode << 9) |
      (this.hostRootLo & PAGE_MASK);
    out[1] =
      (this.hostRootHi & 0xfffff) |
      flag(this.pageRequests, 20) |
      flag(this.guestWithoutPasid, 22) |
      flag(this.guestValid, 23) |
      (this.gcr3LevelCode << 24) |
      (((lo >>> 12) & 7) << 26) |
      flag(this.read, 29) |
      flag(this.write, 30);
    out[2] = (this.domain & 0xffff) | ((lo >>> 15) << 16);
    out[3] =
      flag(this.iotlb, 0) |
      flag(this.suppressAfterFirst, 1) |
      flag(this.suppressAll, 2) |
      ((lo >>> 31) << 11) |
      (hi << 12);
    out[4] = 0;
    out[5] = this.guestLevelCode << 22;
    out[6] = 0;
    out[7] = 0;
  }

  /** Points to a host table, or to none with mode 0. */
  setHost(mode: number, root: number): void {
    this.mode = mode;
    this.hostRootHi = high(root);
    this.hostRootLo = root | 0;
  }

  /** GV = 1: a GCR3 table of 1 to 3 levels and guest tables of 4 or 5. */
  setGuest(gcr3Levels: number, gcr3Root: number, guestLevels: number): void {
    this.guestValid = true;
    this.gcr3LevelCode = gcr3Levels - 1;
    this.gcr3RootHi = high(gcr3Root);
    this.gcr3RootLo = gcr3Root | 0;
    this.guestLevelCode = guestLevels - 4;
  }
}

function flag(on: boolean, bit: number): number {
  return on ? 1 << bit : 0;
}

// ---------------------------------------------------------------------------------------------------------------------
// GCR3 table, 2.2.6

export const GCR3_ENTRY_BYTES = 8;
const GCR3_INDEX_BITS = 9;

/** PASIDs that a GCR3 table of so many levels has entries for. */
export function pasidLimit(gcr3Levels: number): number {
  return 2 ** (GCR3_INDEX_BITS * gcr3Levels);
}

/** Offset of the entry of a PASID in a table of `level` (1 the lowest). */
export function gcr3EntryOffset(pasid: number, level: number): number {
  return ((pasid >>> (GCR3_INDEX_BITS * (level - 1))) & 0x1ff) * GCR3_ENTRY_BYTES;
}

/** A valid entry: the address of a lower GCR3 table, or a guest CR3. */
export function encodeGcr3Entry(out: Dwords, address: number): void {
  out[0] = (address & PAGE_MASK) | 1;
  out[1] = high(address) & 0xfffff;
}

export function gcr3EntryValid(lo: number): boolean {
  return (lo & 1) !== 0;
}

// ---------------------------------------------------------------------------------------------------------------------
// Commands, 2.4

export const enum Opcode {
  CompletionWait = 1,
  InvalidateDeviceTableEntry = 2,
  InvalidatePages = 3,
  InvalidateIotlbPages = 4,
  InvalidateInterruptTable = 5,
  PrefetchPages = 6,
  CompletePageRequest = 7,
  InvalidateAll = 8,
}

/** Block sizes of commands and log2 of the 4 KiB pages of the largest: everything. */
export const EVERYTHING = 52;

/** A decoded command; fields that a command does not have keep older values. */
export class Command {
  opcode: Opcode = Opcode.CompletionWait;
  device = 0;
  domain = 0;
  pasid = 0;
  /** GN: the address is translated by the guest tables of `pasid`. */
  guest = false;
  /** PDE: cached page directory entries go as well. */
  directories = false;
  addressHi = 0;
  addressLo = 0;
  /** log2 of the 4 KiB pages from addressHi:addressLo, naturally aligned. */
  addressMask = 0;
  /** COMPLETION_WAIT. */
  store = false;
  interrupt = false;
  dataHi = 0;
  dataLo = 0;
  /** COMPLETE_PPR_REQUEST. */
  group = 0;
  status = 0;
  /** INVALIDATE_IOTLB_PAGES: unanswered invalidations that the device takes (MaxPend). */
  maxPending = 0;
}

/**
 * Bits that must be zero, by opcode: four dwords, without the opcode itself. A command with one of them set is illegal. INVALIDATE_IOTLB_PAGES
 * with its type field (EFR.InvIotlbTypeSup), COMPLETE_PPR_REQUEST with its bit S clear.
 */
const RESERVED: Readonly<Partial<Record<Opcode, readonly [number, number, number, number]>>> = {
  [Opcode.CompletionWait]: [0, 0x0ff00000, 0, 0],
  [Opcode.InvalidateDeviceTableEntry]: [0xffff0000 | 0, 0x0fffffff, -1, -1],
  [Opcode.InvalidatePages]: [0xfff00000 | 0, 0x0fff0000, 0xff8, 0],
  [Opcode.InvalidateIotlbPages]: [0, 0, 0xfca, 0],
  [Opcode.InvalidateInterruptTable]: [0xffff0000 | 0, 0x0fffffff, -1, -1],
  [Opcode.CompletePageRequest]: [0xffff0000 | 0, 0x0ff00000, ~7, 0xffff0000 | 0],
  [Opcode.InvalidateAll]: [-1, 0x0fffffff, -1, -1],
};

/**
 * Decodes four dwords. False for an illegal command: an opcode that does not exist here (PREFETCH_IOMMU_PAGES needs EFR.PreFSup, which
 * no known part sets) or a reserved bit.
 */
export function decodeCommand(words: Dwords, out: Command): boolean {
  const [d0, d1, d2, d3] = [words[0]!, words[1]!, words[2]!, words[3]!];
  out.opcode = d1 >>> 28;
  const reserved = RESERVED[out.opcode];
  if (reserved === undefined) return false;
  if ((d0 & reserved[0]) !== 0 || (d1 & reserved[1]) !== 0) return false;
  if ((d2 & reserved[2]) !== 0 || (d3 & reserved[3]) !== 0) return false;
  out.device = d0 & 0xffff;
  out.guest = (d2 & 4) !== 0;
  out.directories = (d2 & 2) !== 0;
  switch (out.opcode) {
    case Opcode.CompletionWait:
      out.store = (d0 & 1) !== 0;
      out.interrupt = (d0 & 2) !== 0;
      out.addressHi = d1 & 0xfffff;
      out.addressLo = d0 & ~7;
      out.dataHi = d3;
      out.dataLo = d2;
      break;
    case Opcode.InvalidatePages:
      out.pasid = d0 & 0xfffff;
      out.domain = d1 & 0xffff;
      decodeBlock(d3, d2, out);
      break;
    case Opcode.CompletePageRequest:
      out.pasid = d1 & 0xfffff;
      out.group = d3 & 0x1ff;
      out.status = (d3 >>> 12) & 15;
      break;
    case Opcode.InvalidateIotlbPages:
      out.maxPending = d0 >>> 24;
      out.pasid = ((d0 >>> 8) & 0xff00) | ((d1 >>> 16) & 0xff) | (((d1 >>> 24) & 15) << 16);
      decodeBlock(d3, d2, out);
      break;
    default:
      break;
  }
  return true;
}

/** With S, n low ones of the page number below a zero stand for 2^(n+1) pages. */
function decodeBlock(hi: number, lo: number, out: Command): void {
  let mask = 0;
  if ((lo & 1) !== 0) {
    const zeroLow = ~(lo >>> 12) & 0xfffff;
    const zeroHigh = ~hi;
    if (zeroLow !== 0) mask = 32 - Math.clz32(zeroLow & -zeroLow);
    else if (zeroHigh !== 0) mask = 20 + 32 - Math.clz32(zeroHigh & -zeroHigh);
    else mask = EVERYTHING;
  }
  out.addressMask = mask;
  const bits = 12 + mask;
  out.addressLo = bits < 32 ? lo & (-1 << bits) : 0;
  out.addressHi = bits < 32 ? hi : bits < 64 ? hi & (-1 << (bits - 32)) : 0;
}

/** Dwords 2 and 3 of a command for 2^mask pages at hi:lo (aligned): S and the size-coded address. */
function encodeBlock(out: Dwords, at: number, hi: number, lo: number, mask: number): void {
  const ones = mask > 1 ? 2 ** (mask - 1) - 1 : 0;
  out[at + 2] = (lo & PAGE_MASK) | ((ones % 2 ** 20) << 12) | (mask > 0 ? 1 : 0);
  out[at + 3] = hi | Math.floor(ones / 2 ** 20);
}

/** Stores data hi:lo at an 8-aligned address when all commands before it have taken effect. */
export function encodeCompletionWait(out: Dwords, at: number, address: number, dataHi: number, dataLo: number): void {
  out[at] = (address & ~7) | 1;
  out[at + 1] = (Opcode.CompletionWait << 28) | high(address);
  out[at + 2] = dataLo;
  out[at + 3] = dataHi;
}

export function encodeInvalidateDevice(out: Dwords, at: number, deviceId: number): void {
  out[at] = deviceId;
  out[at + 1] = Opcode.InvalidateDeviceTableEntry << 28;
  out[at + 2] = 0;
  out[at + 3] = 0;
}

/** 2^mask pages at the aligned address hi:lo of a domain. `pasid` -1: host translations (GN = 0). `directories`: PDE. */
export function encodeInvalidatePages(
  out: Dwords,
  at: number,
  domain: number,
  pasid: number,
  hi: number,
  lo: number,
  mask: number,
  directories: boolean,
): void {
  out[at] = Math.max(pasid, 0);
  out[at + 1] = (Opcode.InvalidatePages << 28) | domain;
  encodeBlock(out, at, hi, lo, mask);
  out[at + 2]! |= (directories ? 2 : 0) | (pasid >= 0 ? 4 : 0);
}

/** INVALIDATE_IOTLB_PAGES: 2^mask pages at the aligned address hi:lo in the TLB of a device. `pasid` -1: GN = 0. QueueID is the device's. */
export function encodeInvalidateDeviceTlb(
  out: Dwords,
  at: number,
  device: number,
  maxPending: number,
  pasid: number,
  hi: number,
  lo: number,
  mask: number,
): void {
  const p = Math.max(pasid, 0);
  out[at] = device | (((p >>> 8) & 0xff) << 16) | (maxPending << 24);
  out[at + 1] = (Opcode.InvalidateIotlbPages << 28) | ((p >>> 16) << 24) | ((p & 0xff) << 16) | device;
  encodeBlock(out, at, hi, lo, mask);
  out[at + 2]! |= pasid >= 0 ? 4 : 0;
}

export function encodeInvalidateAll(out: Dwords, at: number): void {
  out.fill(0, at, at + 4);
  out[at + 1] = Opcode.InvalidateAll << 28;
}

// ---------------------------------------------------------------------------------------------------------------------
// Event log, 2.5

export const enum EventCode {
  None = 0,
  IllegalDeviceTableEntry = 1,
  IoPageFault = 2,
  DeviceTableHardwareError = 3,
  PageTableHardwareError = 4,
  IllegalCommand = 5,
  CommandHardwareError = 6,
  IotlbInvalidationTimeout = 7,
  InvalidDeviceRequest = 8,
  InvalidPageRequest = 9,
}

/** One line for people, by event code. */
export const EVENT_NAMES: Readonly<Record<number, string>> = {
  [EventCode.IllegalDeviceTableEntry]: 'ILLEGAL_DEV_TABLE_ENTRY: malformed device table entry',
  [EventCode.IoPageFault]: 'IO_PAGE_FAULT: no translation, or not permitted',
  [EventCode.DeviceTableHardwareError]: 'DEV_TAB_HARDWARE_ERROR: device table entry could not be read',
  [EventCode.PageTableHardwareError]: 'PAGE_TAB_HARDWARE_ERROR: table entry could not be read',
  [EventCode.IllegalCommand]: 'ILLEGAL_COMMAND_ERROR: malformed command',
  [EventCode.CommandHardwareError]: 'COMMAND_HARDWARE_ERROR: command could not be read',
  [EventCode.IotlbInvalidationTimeout]: 'IOTLB_INV_TIMEOUT: a device did not answer an invalidation',
  [EventCode.InvalidDeviceRequest]: 'INVALID_DEVICE_REQUEST: PASID of a device without guest translation',
};

/** Bits 63:48 of an event, as bits of its second dword. */
export const enum EventFlag {
  /** GN: the PASID field is one; otherwise it holds the domain. */
  Guest = 1 << 16,
  NoExecute = 1 << 17,
  User = 1 << 18,
  Interrupt = 1 << 19,
  /** PR: what was at fault was present. */
  Present = 1 << 20,
  /** RW: a write. */
  Write = 1 << 21,
  /** PE: permissions. */
  Permission = 1 << 22,
  /** RZ: a bit that must be zero, or an encoding that does not exist. */
  Reserved = 1 << 23,
  /** TR: a translation request. */
  Translation = 1 << 24,
}

/** Four dwords. `tag`: PASID (20 bits) or domain, 0 where the event has neither. */
export function encodeEvent(
  out: Dwords,
  code: EventCode,
  flags: number,
  device: number,
  tag: number,
  hi: number,
  lo: number,
): void {
  out[0] = (device & 0xffff) | ((tag >>> 16) << 16);
  out[1] = (code << 28) | flags | (tag & 0xffff);
  out[2] = lo;
  out[3] = hi;
}

/** What an IO_PAGE_FAULT says of a walk that ended so. */
export function pageFaultFlags(fault: Fault): number {
  switch (fault) {
    case Fault.NotPresent:
    case Fault.AddressWidth:
    case Fault.NonCanonical:
    case Fault.SkippedBits:
      return 0;
    case Fault.Reserved:
    case Fault.Level:
    case Fault.OutputSize:
      return EventFlag.Present | EventFlag.Reserved;
    default:
      return EventFlag.Present | EventFlag.Permission;
  }
}

// ---------------------------------------------------------------------------------------------------------------------
// Page requests, 2.4.7 and 2.6

/** COMPLETE_PPR_REQUEST: DeviceID 15:0, PASID 51:32, GN 66, PPR tag 104:96, completion code 111:108. `pasid` -1: none. */
export function encodeCompletePageRequest(
  out: Dwords,
  at: number,
  device: number,
  pasid: number,
  group: number,
  status: number,
): void {
  out[at] = device;
  out[at + 1] = (pasid < 0 ? 0 : pasid) | (Opcode.CompletePageRequest << 28);
  out[at + 2] = pasid < 0 ? 0 : 4;
  out[at + 3] = (group & 0x1ff) | (status << 12);
}

/** PPR_LOG_ENTRY type of a page request, bits 63:60. */
const PAGE_REQUEST_TYPE = 1;
const enum PageFlag {
  Execute = 0x2,
  Read = 0x4,
  Write = 0x20,
  User = 0x40,
  Guest = 0x100,
}
const LAST = 1 << 9;

/** Log entry: DeviceID 15:0, PASID 31:16 and 45:42, PPR tag 41:32 (bit 9: last of its group), flags 59:48, type 63:60, address 127:64. Four dwords. */
export function encodePageRequest(
  out: Dwords,
  device: number,
  pasid: number,
  bits: number,
  group: number,
  addressHi: number,
  addressLo: number,
): void {
  const named = Math.max(pasid, 0);
  const tag = (group & 0x1ff) | ((bits & PageRequestBit.Last) !== 0 ? LAST : 0);
  const flags =
    ((bits & PageRequestBit.Execute) !== 0 ? PageFlag.Execute : 0) |
    ((bits & PageRequestBit.Read) !== 0 ? PageFlag.Read : 0) |
    ((bits & PageRequestBit.Write) !== 0 ? PageFlag.Write : 0) |
    ((bits & PageRequestBit.Privileged) !== 0 ? 0 : PageFlag.User) |
    (pasid < 0 ? 0 : PageFlag.Guest);
  out[0] = device | ((named & 0xffff) << 16);
  out[1] = tag | ((named >>> 16) << 10) | (flags << 16) | (PAGE_REQUEST_TYPE << 28);
  out[2] = addressLo & PAGE_MASK;
  out[3] = addressHi;
}

export function decodePageRequest(d: Dwords, out: PageRequestRecord): void {
  const [d0, d1, d2, d3] = [d[0]!, d[1]!, d[2]!, d[3]!];
  const flags = (d1 >>> 16) & 0xfff;
  out.source = d0 & 0xffff;
  out.pasid = (flags & PageFlag.Guest) === 0 ? -1 : (d0 >>> 16) | (((d1 >>> 10) & 15) << 16);
  out.bits =
    ((flags & PageFlag.Execute) !== 0 ? PageRequestBit.Execute : 0) |
    ((flags & PageFlag.Read) !== 0 ? PageRequestBit.Read : 0) |
    ((flags & PageFlag.Write) !== 0 ? PageRequestBit.Write : 0) |
    ((flags & PageFlag.User) !== 0 ? 0 : PageRequestBit.Privileged) |
    ((d1 & LAST) !== 0 ? PageRequestBit.Last : 0);
  out.group = d1 & 0x1ff;
  out.addressHi = d3;
  out.addressLo = d2 & PAGE_MASK;
}
