/**
 * RISC-V IOMMU encodings (RISC-V IOMMU Architecture Specification 1.0 with the extensions NL and S): directory entries and contexts,
 * commands, fault records, registers. Encodings only: no timing, no state. A structure is an Int32Array of little-endian dwords:
 * doubleword n of the specification is dwords 2n (bits 31:0) and 2n + 1 (bits 63:32).
 * Cross-checked with Linux drivers/iommu/riscv/iommu-bits.h and QEMU hw/riscv/riscv-iommu-bits.h.
 * Not modelled: Sv32 and Sv32x4, big-endian structures, MRIF-mode MSI entries, performance counters.
 */

import { PageRequestBit, type PageRequestRecord } from '../../../protocol/page-request.js';
type Dwords = Int32Array;

/** Upper 32 bits of an address that is a double; the lower ones are `address | 0`. */
function high(address: number): number {
  return (address / 4294967296) | 0;
}

// ---------------------------------------------------------------------------------------------------------------------
// Registers, chapter "Memory-mapped register interface"

export const enum Register {
  Capabilities = 0,
  FeaturesControl = 8,
  DirectoryPointer = 16,
  CommandQueueBase = 24,
  CommandQueueHead = 32,
  CommandQueueTail = 36,
  FaultQueueBase = 40,
  FaultQueueHead = 48,
  FaultQueueTail = 52,
  PageRequestQueueBase = 56,
  PageRequestQueueHead = 64,
  PageRequestQueueTail = 68,
  CommandQueueControl = 72,
  FaultQueueControl = 76,
  PageRequestQueueControl = 80,
  InterruptPending = 84,
}

/** ipsr; written ones clear. */
export const enum InterruptPending {
  PageRequestQueue = 1 << 3,
}

/** Bit numbers of `capabilities`; PAS is bits 37:32. */
export const enum Capability {
  Sv39 = 9,
  Sv48 = 10,
  Sv57 = 11,
  Svrsw60t59b = 14,
  Svpbmt = 15,
  Sv39x4 = 17,
  Sv48x4 = 18,
  Sv57x4 = 19,
  MsiFlat = 22,
  HardwareUpdates = 24,
  Ats = 25,
  TranslatedToGuest = 26,
  Pd8 = 38,
  Pd17 = 39,
  Pd20 = 40,
  QosId = 41,
  NonLeaf = 42,
  AddressRange = 43,
}

/** cqcsr and fqcsr; error bits are cleared by writing them. */
export const enum QueueControl {
  Enable = 1,
  InterruptEnable = 2,
  /** fqcsr.fqof, pqcsr.pqof. */
  Overflow = 1 << 9,
  /** cqcsr.cmd_to. */
  CommandTimeout = 1 << 9,
  IllegalCommand = 1 << 10,
}

/** ddtp.iommu_mode, bits 3:0. */
export const enum DirectoryMode {
  Off = 0,
  Bare = 1,
  OneLevel = 2,
  TwoLevels = 3,
  ThreeLevels = 4,
}

/** Page numbers of directory entries, MSI entries, ddtp and queue bases lie in bits 53:10: address bits 55:12. */
export function pointerHi(hi: number, lo: number): number {
  return ((hi & 0x3fffff) << 2) | (lo >>> 30);
}

export function pointerLo(lo: number): number {
  return (lo & ~0x3ff) << 2;
}

/** The page number in bits 53:10 for an address: high and low dword. */
export function pageNumberHi(address: number): number {
  return high(address / 4) & 0x3fffff;
}

export function pageNumberLo(address: number): number {
  return (address / 4) & ~0x3ff;
}

/** Low dword of cqb and fqb: LOG2SZ - 1 in bits 4:0 besides the page number. */
export function encodeQueueBaseLo(base: number, entriesLg2: number): number {
  return pageNumberLo(base) | (entriesLg2 - 1);
}

export function queueEntriesLg2(lo: number): number {
  return (lo & 0x1f) + 1;
}

// ---------------------------------------------------------------------------------------------------------------------
// Device directory, chapter "Device-Directory-Table"

/** Bits of a device id that each level decodes, leaf first: 32-byte contexts, or 64-byte ones (capabilities.MSI_FLAT). */
const BASE_BITS = [7, 9, 8] as const;
const EXTENDED_BITS = [6, 9, 9] as const;

export function contextBytes(extended: boolean): number {
  return extended ? 64 : 32;
}

/** Bits of a device id that a directory of `levels` takes. */
export function deviceIdBits(extended: boolean, levels: number): number {
  const bits = extended ? EXTENDED_BITS : BASE_BITS;
  return bits.slice(0, levels).reduce((sum: number, each) => sum + each, 0);
}

/** Byte offset of the entry for a device id in a directory table of `level` (1: contexts). */
export function deviceEntryOffset(extended: boolean, level: number, deviceId: number): number {
  const bits = (extended ? EXTENDED_BITS : BASE_BITS)[level - 1]!;
  const index = (deviceId >>> deviceIdBits(extended, level - 1)) & ((1 << bits) - 1);
  return index * (level === 1 ? contextBytes(extended) : 8);
}

/** Non-leaf DDT and PDT entries: V 0, PPN 53:10. */
export function encodeDirectoryEntry(out: Dwords, table: number): void {
  out[0] = pageNumberLo(table) | 1;
  out[1] = pageNumberHi(table);
}

/** V of directory entries, contexts and MSI entries. */
export function isValid(lo: number): boolean {
  return (lo & 1) !== 0;
}

export function directoryEntryReserved(hi: number, lo: number): boolean {
  return ((lo & 0x3fe) | (hi & ~0x3fffff)) !== 0;
}

/** tc, dword 0 of a device context. */
export const enum Control {
  Valid = 1 << 0,
  AtsEnable = 1 << 1,
  PageRequests = 1 << 2,
  TranslatedToGuest = 1 << 3,
  NoFaultReports = 1 << 4,
  ProcessDirectory = 1 << 5,
  PageResponsePasid = 1 << 6,
  SecondUpdates = 1 << 7,
  FirstUpdates = 1 << 8,
  DefaultProcess = 1 << 9,
  BigEndian = 1 << 10,
  Sv32 = 1 << 11,
  /** Bits 23:12; 31:24 are custom. */
  Reserved = 0xfff000,
}

/** Dwords of a device context. */
export const enum Dword {
  Control = 0,
  Second = 2,
  Attributes = 4,
  First = 6,
  MsiTable = 8,
  MsiMask = 10,
  MsiPattern = 12,
}

/** Dwords of a process context: ta, fsc. */
export const enum ProcessDword {
  Attributes = 0,
  First = 2,
}

/** MODE of iosatp and iohgatp (bits 63:60) for a table of `levels`; 0 is Bare. */
export function modeOfLevels(levels: number): number {
  return levels === 0 ? 0 : levels + 5;
}

/** Levels of a page-table mode: 0 Bare, 3 to 5; -1 if the mode does not exist. */
export function levelsOfMode(mode: number): number {
  if (mode === 0) return 0;
  return mode >= 8 && mode <= 10 ? mode - 5 : -1;
}

/** MODE of iosatp, iohgatp, pdtp and msiptp: bits 63:60. */
export function rootMode(hi: number): number {
  return hi >>> 28;
}

/** Their PPN: bits 43:0. */
export function rootHi(hi: number, lo: number): number {
  return ((hi & 0xfff) << 12) | (lo >>> 20);
}

export function rootLo(lo: number): number {
  return lo << 12;
}

/** iohgatp.GSCID, bits 59:44. */
export function guestId(hi: number): number {
  return (hi >>> 12) & 0xffff;
}

/** ta.PSCID, bits 31:12. */
export function processTag(lo: number): number {
  return lo >>> 12;
}

function encodeRoot(out: Dwords, at: number, root: number, mode: number, id = 0): void {
  const page = root / 4096;
  out[at] = page | 0;
  out[at + 1] = (high(page) & 0xfff) | (id << 12) | (mode << 28);
}

export interface DeviceContext {
  /** Control bits; Valid is added. */
  readonly control: number;
  /** Second stage: root of 16 KiB, levels (0: Bare), GSCID. */
  readonly secondRoot: number;
  readonly secondLevels: number;
  readonly gscid: number;
  /** First stage: root and levels (0: Bare); or, with Control.ProcessDirectory, process directory and its levels. */
  readonly firstRoot: number;
  readonly firstLevels: number;
  readonly pscid: number;
  /** Extended contexts; 0: Off. */
  readonly msiTable?: number;
  /** Page numbers, as doubles. */
  readonly msiMask?: number;
  readonly msiPattern?: number;
}

/** 8 dwords, or 16 if `extended`. */
export function encodeDeviceContext(out: Dwords, c: DeviceContext, extended: boolean): void {
  out.fill(0, 0, extended ? 16 : 8);
  out[Dword.Control] = c.control | Control.Valid;
  encodeRoot(out, Dword.Second, c.secondRoot, modeOfLevels(c.secondLevels), c.gscid);
  out[Dword.Attributes] = c.pscid << 12;
  const processes = (c.control & Control.ProcessDirectory) !== 0;
  encodeRoot(out, Dword.First, c.firstRoot, processes ? c.firstLevels : modeOfLevels(c.firstLevels));
  const { msiTable = 0, msiMask = 0, msiPattern = 0 } = c;
  if (!extended || msiTable === 0) return;
  encodeRoot(out, Dword.MsiTable, msiTable, 1);
  out[Dword.MsiMask] = msiMask | 0;
  out[Dword.MsiMask + 1] = high(msiMask);
  out[Dword.MsiPattern] = msiPattern | 0;
  out[Dword.MsiPattern + 1] = high(msiPattern);
}

/** ta of a process context, bits 2:1. */
export const enum ProcessControl {
  Supervisor = 1 << 1,
  UserMemory = 1 << 2,
}

export interface ProcessContext {
  /** ProcessControl bits. */
  readonly control: number;
  readonly pscid: number;
  readonly root: number;
  /** 0: Bare. */
  readonly levels: number;
}

/** 4 dwords. */
export function encodeProcessContext(out: Dwords, c: ProcessContext): void {
  out[ProcessDword.Attributes] = (c.pscid << 12) | c.control | 1;
  out[ProcessDword.Attributes + 1] = 0;
  encodeRoot(out, ProcessDword.First, c.root, modeOfLevels(c.levels));
}

/** Bits of a process id by levels of the process directory (PD8, PD17, PD20); without one, any. */
export const PROCESS_ID_BITS: readonly number[] = [20, 8, 17, 20];

/** Byte offset of the entry for a process id in a process directory table of `level` (1: contexts of 16 bytes). */
export function processEntryOffset(level: number, processId: number): number {
  if (level === 1) return (processId & 0xff) << 4;
  return level === 2 ? ((processId >>> 8) & 0x1ff) << 3 : (processId >>> 17) << 3;
}

/** Reserved bits of ta and fsc of a process context, modes aside. */
export function processContextReserved(words: Dwords): boolean {
  return ((words[0]! & 0xff8) | words[1]! | (words[3]! & 0x0ffff000)) !== 0;
}

/** Reserved bits of a device context, modes aside; `qosId`: RCID and MCID exist. */
export function deviceContextReserved(words: Dwords, extended: boolean, qosId: boolean): boolean {
  const control = (words[0]! & Control.Reserved) | words[1]!;
  const attributes = (words[4]! & 0xfff) | (words[5]! & (qosId ? 0xff : -1));
  const first = words[7]! & 0x0ffff000;
  if ((control | attributes | first) !== 0) return true;
  if (!extended) return false;
  const wide = (words[11]! | words[13]!) & 0xfff00000;
  return (words[14]! | words[15]! | (words[9]! & 0x0ffff000) | wide) !== 0;
}

/** MSI page-table entry in basic translate mode: V 0, M 2:1 = 3, PPN 53:10. 4 dwords. */
export function encodeMsiEntry(out: Dwords, page: number): void {
  out[0] = pageNumberLo(page) | 7;
  out[1] = pageNumberHi(page);
  out[2] = 0;
  out[3] = 0;
}

/** A valid MSI entry is not of the basic mode, or has reserved bits or C set. */
export function msiEntryMisconfigured(hi: number, lo: number): boolean {
  return (lo & 6) !== 6 || ((lo & 0x3f8) | (hi & ~0x3fffff)) !== 0;
}

// ---------------------------------------------------------------------------------------------------------------------
// Command queue, chapter "Command-Queue": 16 bytes a command

export const COMMAND_LG2 = 4;

/** Opcode 6:0 and func3 9:7, together. */
export const enum Command {
  InvalidateFirst = 1,
  InvalidateSecond = 1 | (1 << 7),
  Fence = 2,
  InvalidateDevices = 3,
  InvalidateProcess = 3 | (1 << 7),
  AtsInvalidate = 4,
  PageGroupResponse = 4 | (1 << 7),
}

/** Dword 0 of commands. */
const ADDRESS_VALID = 1 << 10;
const FENCE_WIRED = 1 << 11;
const FENCE_READS = 1 << 12;
const FENCE_WRITES = 1 << 13;
/** Dword 1. */
const PSCID_VALID = 1 << 0;
const GSCID_VALID = 1 << 1;
const DEVICE_VALID = 1 << 1;
const NON_LEAF = 1 << 2;
/** Dword 2 of IOTINVAL: the address is a range. */
const RANGE = 1 << 9;

export interface Invalidation {
  /** PSCID, or -1. First stage only. */
  readonly pscid: number;
  /** GSCID, or -1. */
  readonly gscid: number;
  /** Byte address, or -1. */
  readonly address: number;
  /** log2 of the 4 KiB pages of a naturally aligned range. */
  readonly pagesLg2: number;
  /** Non-leaf entries too. */
  readonly nonLeaf: boolean;
}

/** IOTINVAL.VMA or IOTINVAL.GVMA at `at`. */
export function encodeInvalidation(
  out: Dwords,
  at: number,
  command: Command.InvalidateFirst | Command.InvalidateSecond,
  { pscid, gscid, address, pagesLg2, nonLeaf }: Invalidation,
): void {
  const byAddress = address >= 0;
  out[at] = command | (byAddress ? ADDRESS_VALID : 0) | (Math.max(pscid, 0) << 12);
  out[at + 1] =
    (pscid >= 0 ? PSCID_VALID : 0) |
    (gscid >= 0 ? GSCID_VALID : 0) |
    (nonLeaf ? NON_LEAF : 0) |
    (Math.max(gscid, 0) << 12);
  // A range of 2^n pages is coded by n - 1 low ones below a zero.
  const size = 4096 * 2 ** pagesLg2;
  const page = byAddress
    ? Math.floor(address / size) * 2 ** pagesLg2 + (pagesLg2 > 0 ? 2 ** (pagesLg2 - 1) - 1 : 0)
    : 0;
  out[at + 2] = (page * 1024) | (byAddress && pagesLg2 > 0 ? RANGE : 0);
  out[at + 3] = high(page * 1024);
}

/** IOFENCE.C: waits for earlier commands, and with `drain` for reads and writes translated before (PR and PW); no store. */
export function encodeFence(out: Dwords, at: number, drain: boolean): void {
  out[at] = Command.Fence | (drain ? FENCE_READS | FENCE_WRITES : 0);
  out[at + 1] = 0;
  out[at + 2] = 0;
  out[at + 3] = 0;
}

/** IOFENCE.C that stores the dword `data` at a 4-byte aligned address when it completes. */
export function encodeStoringFence(out: Dwords, at: number, drain: boolean, address: number, data: number): void {
  encodeFence(out, at, drain);
  out[at]! |= ADDRESS_VALID;
  out[at + 1] = data;
  out[at + 2] = (address / 4) | 0;
  out[at + 3] = high(address / 4);
}

/** IODIR.INVAL_DDT: of one device, or (-1) of all. */
export function encodeInvalidateDevices(out: Dwords, at: number, deviceId: number): void {
  out[at] = Command.InvalidateDevices;
  out[at + 1] = deviceId < 0 ? 0 : DEVICE_VALID | (deviceId << 8);
  out[at + 2] = 0;
  out[at + 3] = 0;
}

/** IODIR.INVAL_PDT. */
export function encodeInvalidateProcess(out: Dwords, at: number, deviceId: number, processId: number): void {
  out[at] = Command.InvalidateProcess | (processId << 12);
  out[at + 1] = DEVICE_VALID | (deviceId << 8);
  out[at + 2] = 0;
  out[at + 3] = 0;
}

/** A decoded command; fields that its kind does not use are left. */
export class DecodedCommand {
  command: Command = Command.Fence;
  byAddress = false;
  byPscid = false;
  byGscid = false;
  nonLeaf = false;
  pscid = 0;
  gscid = 0;
  /** Byte address of the first page, and log2 of the 4 KiB pages. */
  addressHi = 0;
  addressLo = 0;
  pagesLg2 = 0;
  /** Fences. */
  stores = false;
  drains = false;
  data = 0;
  /** Directory commands: one device. */
  byDevice = false;
  deviceId = 0;
  processId = 0;
  /** ATS.INVAL: of requests with the process id, of any; log2 of the bytes from the address on. */
  byProcess = false;
  global = false;
  sizeLg2 = 0;
  /** ATS.PRGR. */
  group = 0;
  code = 0;
}

/** What extensions make legal. */
export interface CommandRules {
  readonly nonLeaf: boolean;
  readonly ranges: boolean;
  readonly wiredFences: boolean;
}

/** Decodes the 4 dwords of a command; false for one that is illegal: reserved bits or encodings (cqcsr.cmd_ill). */
export function decodeCommand(words: Dwords, rules: CommandRules, out: DecodedCommand): boolean {
  const [d0, d1, d2, d3] = [words[0]!, words[1]!, words[2]!, words[3]!];
  out.command = d0 & 0x3ff;
  switch (out.command) {
    case Command.InvalidateFirst:
    case Command.InvalidateSecond:
      return decodeInvalidation(d0, d1, d2, d3, rules, out);
    case Command.Fence:
      out.stores = (d0 & ADDRESS_VALID) !== 0;
      out.drains = (d0 & (FENCE_READS | FENCE_WRITES)) !== 0;
      out.data = d1;
      out.addressHi = (d3 << 2) | (d2 >>> 30);
      out.addressLo = d2 << 2;
      if ((d0 & FENCE_WIRED) !== 0 && !rules.wiredFences) return false;
      return (d0 & ~0x3fff) === 0 && (d3 & 0xc0000000) === 0;
    case Command.InvalidateDevices:
    case Command.InvalidateProcess: {
      out.byDevice = (d1 & DEVICE_VALID) !== 0;
      out.deviceId = d1 >>> 8;
      out.processId = d0 >>> 12;
      const byProcess = out.command === Command.InvalidateProcess;
      if (byProcess ? !out.byDevice : out.processId !== 0) return false;
      return ((d0 & 0xc00) | (d1 & 0xfd) | d2 | d3) === 0;
    }
    case Command.AtsInvalidate:
      out.processId = d0 >>> 12;
      out.byProcess = (d1 & 1) !== 0;
      out.deviceId = (d1 >>> 8) & 0xffff;
      out.global = (d2 & 1) !== 0;
      decodeInvalidateRequest(d2, d3, out);
      return ((d0 & 0xc00) | (d1 & 0xfc)) === 0;
    case Command.PageGroupResponse:
      out.deviceId = (d1 >>> 8) & 0xffff;
      out.group = d3 & 0x1ff;
      out.code = (d3 >>> 12) & 15;
      return ((d0 & 0xc00) | (d1 & 0xfc)) === 0;
    default:
      return false;
  }
}

function decodeInvalidation(
  d0: number,
  d1: number,
  d2: number,
  d3: number,
  rules: CommandRules,
  out: DecodedCommand,
): boolean {
  const first = out.command === Command.InvalidateFirst;
  out.byAddress = (d0 & ADDRESS_VALID) !== 0;
  out.byPscid = (d1 & PSCID_VALID) !== 0;
  out.byGscid = (d1 & GSCID_VALID) !== 0;
  out.nonLeaf = (d1 & NON_LEAF) !== 0;
  out.pscid = d0 >>> 12;
  out.gscid = (d1 >>> 12) & 0xffff;
  const range = (d2 & RANGE) !== 0;
  if ((d0 & 0x800) !== 0 || (d1 & 0xf0000ff8) !== 0 || (d2 & 0x1ff) !== 0 || (d3 & 0xc0000000) !== 0) return false;
  if ((out.nonLeaf && !rules.nonLeaf) || (range && !rules.ranges)) return false;
  if (!first && out.byPscid) return false;
  decodeRange(d2, d3, range, out);
  return true;
}

/** Payload of an Invalidate Request (PCI Express Base Specification 10.3.1): with S the bits below the first zero of the address are ones. */
function decodeInvalidateRequest(lo: number, hi: number, out: DecodedCommand): void {
  let lg2 = 12;
  if ((lo & 0x800) !== 0) {
    const low = ~lo & ~0xfff;
    const high = ~hi;
    lg2 = low !== 0 ? 32 - Math.clz32(low & -low) : high === 0 ? 64 : 64 - Math.clz32(high & -high);
  }
  out.sizeLg2 = lg2;
  out.addressLo = lg2 >= 32 ? 0 : lo & (-1 << lg2);
  out.addressHi = lg2 >= 64 ? 0 : lg2 > 32 ? hi & (-1 << (lg2 - 32)) : hi;
}

/** ATS.INVAL: 2^sizeLg2 bytes at an aligned address, 64 everything; `processId` -1: of requests without. */
export function encodeAtsInvalidate(
  out: Dwords,
  at: number,
  deviceId: number,
  processId: number,
  address: number,
  sizeLg2: number,
): void {
  out[at] = Command.AtsInvalidate | (Math.max(processId, 0) << 12);
  out[at + 1] = (processId >= 0 ? 1 : 0) | (deviceId << 8);
  const ones = sizeLg2 <= 13 ? 0 : sizeLg2 >= 64 ? 2 ** 63 - 4096 : 2 ** (sizeLg2 - 1) - 4096;
  out[at + 2] = address | 0 | ((ones % 4294967296) | 0) | (sizeLg2 > 12 ? 0x800 : 0);
  out[at + 3] = high(address) | high(ones);
}

/** ADDR holds address bits 63:12 in bits 61:10; as a range, the bits below its first zero are ones. */
function decodeRange(d2: number, d3: number, range: boolean, out: DecodedCommand): void {
  let pageLo = (d2 >>> 10) | (d3 << 22);
  let pageHi = (d3 & 0x3fffffff) >>> 10;
  out.pagesLg2 = 0;
  if (range) {
    const zeroLo = ~pageLo;
    const zeroHi = ~pageHi;
    const low = zeroLo !== 0 ? 31 - Math.clz32(zeroLo & -zeroLo) : 63 - Math.clz32(zeroHi & -zeroHi);
    // All ones: everything.
    const lg2 = Math.min(low, 51) + 1;
    out.pagesLg2 = lg2;
    if (lg2 < 32) pageLo &= -1 << lg2;
    else {
      pageLo = 0;
      pageHi &= lg2 < 64 ? -1 << (lg2 - 32) : 0;
    }
  }
  out.addressLo = pageLo << 12;
  out.addressHi = (pageHi << 12) | (pageLo >>> 20);
}

// ---------------------------------------------------------------------------------------------------------------------
// Fault queue, chapter "Fault/Event-Queue": 32 bytes a record

export const FAULT_RECORD_LG2 = 5;

export const enum Cause {
  None = 0,
  InstructionAccess = 1,
  ReadAccess = 5,
  WriteAccess = 7,
  InstructionPage = 12,
  ReadPage = 13,
  WritePage = 15,
  InstructionGuestPage = 20,
  ReadGuestPage = 21,
  WriteGuestPage = 23,
  AllDisallowed = 256,
  DirectoryAccess = 257,
  DirectoryInvalid = 258,
  DirectoryMisconfigured = 259,
  TypeDisallowed = 260,
  MsiAccess = 261,
  MsiInvalid = 262,
  MsiMisconfigured = 263,
  ProcessAccess = 265,
  ProcessInvalid = 266,
  ProcessMisconfigured = 267,
}

/** What people are told, by cause. */
export const CAUSE_NAMES: Readonly<Record<number, string>> = {
  [Cause.InstructionAccess]: 'instruction access fault',
  [Cause.ReadAccess]: 'read access fault',
  [Cause.WriteAccess]: 'write or AMO access fault',
  [Cause.InstructionPage]: 'instruction page fault',
  [Cause.ReadPage]: 'read page fault',
  [Cause.WritePage]: 'write or AMO page fault',
  [Cause.InstructionGuestPage]: 'instruction guest page fault',
  [Cause.ReadGuestPage]: 'read guest page fault',
  [Cause.WriteGuestPage]: 'write or AMO guest page fault',
  [Cause.AllDisallowed]: 'all inbound transactions disallowed',
  [Cause.DirectoryAccess]: 'DDT entry load access fault',
  [Cause.DirectoryInvalid]: 'DDT entry not valid',
  [Cause.DirectoryMisconfigured]: 'DDT entry misconfigured',
  [Cause.TypeDisallowed]: 'transaction type disallowed',
  [Cause.MsiAccess]: 'MSI PTE load access fault',
  [Cause.MsiInvalid]: 'MSI PTE not valid',
  [Cause.MsiMisconfigured]: 'MSI PTE misconfigured',
  [Cause.ProcessAccess]: 'PDT entry load access fault',
  [Cause.ProcessInvalid]: 'PDT entry not valid',
  [Cause.ProcessMisconfigured]: 'PDT entry misconfigured',
};

/** Causes that tc.DTF does not keep from being reported; poisoned data (268) and internal errors (272, 273) are not modelled. */
export function alwaysReported(cause: Cause): boolean {
  return cause >= Cause.AllDisallowed && cause <= Cause.DirectoryMisconfigured;
}

export function isGuestPageFault(cause: Cause): boolean {
  return cause === Cause.InstructionGuestPage || cause === Cause.ReadGuestPage || cause === Cause.WriteGuestPage;
}

/** TTYP of untranslated requests. */
export const enum TransactionType {
  None = 0,
  Execute = 1,
  Read = 2,
  Write = 3,
  TranslatedExecute = 5,
  TranslatedRead = 6,
  TranslatedWrite = 7,
  AtsRequest = 8,
}

export interface FaultRecord {
  readonly cause: Cause;
  readonly type: TransactionType;
  readonly deviceId: number;
  /** Process id, or -1. */
  readonly processId: number;
  readonly privileged: boolean;
  /** iotval and iotval2. */
  readonly addressHi: number;
  readonly addressLo: number;
  readonly secondHi: number;
  readonly secondLo: number;
}

/** 8 dwords. */
export function encodeFaultRecord(out: Dwords, r: FaultRecord): void {
  out[0] = r.cause | (Math.max(r.processId, 0) << 12);
  out[1] = (r.processId >= 0 ? 1 : 0) | (r.privileged ? 2 : 0) | (r.type << 2) | (r.deviceId << 8);
  out[2] = 0;
  out[3] = 0;
  out[4] = r.addressLo;
  out[5] = r.addressHi;
  out[6] = r.secondLo;
  out[7] = r.secondHi;
}

// ---------------------------------------------------------------------------------------------------------------------
// Page requests: "Page-Request-Queue" and ATS.PRGR

/** ATS.PRGR: PID 31:12, PV 32, RID 55:40; payload PRGI 104:96, response code 111:108. `processId` -1: none. */
export function encodePageGroupResponse(
  out: Dwords,
  at: number,
  deviceId: number,
  processId: number,
  group: number,
  code: number,
): void {
  out[at] = Command.PageGroupResponse | (Math.max(processId, 0) << 12);
  out[at + 1] = (processId >= 0 ? 1 : 0) | (deviceId << 8);
  out[at + 2] = 0;
  out[at + 3] = (group & 0x1ff) | (code << 12);
}

export const PAGE_REQUEST_LG2 = 4;

/** PID 31:12, PV 32, PRIV 33, EXEC 34, DID 63:40; payload R 64, W 65, L 66, PRGI 75:67, address 127:76. Four dwords. */
export function encodePageRequest(
  out: Dwords,
  deviceId: number,
  processId: number,
  bits: number,
  group: number,
  addressHi: number,
  addressLo: number,
): void {
  out[0] = Math.max(processId, 0) << 12;
  out[1] =
    (processId >= 0 ? 1 : 0) |
    ((bits & PageRequestBit.Privileged) !== 0 ? 2 : 0) |
    ((bits & PageRequestBit.Execute) !== 0 ? 4 : 0) |
    (deviceId << 8);
  out[2] =
    (bits & (PageRequestBit.Read | PageRequestBit.Write)) |
    ((bits & PageRequestBit.Last) !== 0 ? 4 : 0) |
    ((group & 0x1ff) << 3) |
    (addressLo & ~0xfff);
  out[3] = addressHi;
}

export function decodePageRequest(d: Dwords, out: PageRequestRecord): void {
  const [d0, d1, d2, d3] = [d[0]!, d[1]!, d[2]!, d[3]!];
  out.source = d1 >>> 8;
  out.pasid = (d1 & 1) !== 0 ? d0 >>> 12 : -1;
  out.bits =
    (d2 & 3) |
    ((d1 & 2) !== 0 ? PageRequestBit.Privileged : 0) |
    ((d1 & 4) !== 0 ? PageRequestBit.Execute : 0) |
    ((d2 & 4) !== 0 ? PageRequestBit.Last : 0);
  out.group = (d2 >>> 3) & 0x1ff;
  out.addressHi = d3;
  out.addressLo = d2 & ~0xfff;
}
