/**
 * Encodings of a POWER9 PCI host bridge (PHB4) as far as DMA translation goes: registers, TVE, RTE, PEST entries, TCE kill. Sources: skiboot
 * hw/phb4.c and include/phb4-regs.h, QEMU include/hw/pci-host/pnv_phb4_regs.h. IBM numbers bits from the top: bit 0 of a register is
 * bit 31 of its upper word here. Words are as the big-endian processor reads them; memory is not byte-swapped.
 */

/** Byte offsets of registers. */
export const enum Register {
  RttBar = 0x168,
  PestBar = 0x1a8,
  /** Start and completion of a DMA read sync. */
  DmaReadSync = 0x200,
  RtcInvalidate = 0x208,
  TceKill = 0x210,
  IodaAddress = 0x220,
  IodaData0 = 0x228,
  /** Holds TCE_KILL_STATUS. */
  QuiesceDma = 0x888,
}

/** Bit 0 of a register: BARs that are enabled, everything for RTC_INVALIDATE, auto-increment of IODA_ADDR, start of DMARD_SYNC, frozen in PEST. */
export const TOP = 0x8000_0000 | 0;

/** Further bits of upper words, by register. */
export const enum Bit {
  /** DMARD_SYNC. */
  SyncComplete = 0x4000_0000,
  /** Q_DMA_R bit 7: kills are under way. */
  KillStatus = 0x0100_0000,
}

/** Upper word of TCE_KILL. */
export const enum KillBit {
  All = 0x8000_0000 | 0,
  Pe = 0x4000_0000,
  One = 0x2000_0000,
  /** Any of them: a kill that has not been queued yet. */
  Commands = 0xe000_0000 | 0,
  /** The page size of One is in bits 50 and 51. */
  PageSize = 0x1000_0000,
}

/** On-chip tables behind IODA_ADDR and IODA_DATA0. */
export const enum IodaTable {
  PestA = 7,
  PestB = 8,
  Tvt = 9,
}

/** Partitionable endpoints of a PHB4 (a small one has 256), and TVEs. */
export const PES = 512;
/** PE of requesters that belong to no device: RTT entries are zero until they are written. It has no window. */
export const RESERVED_PE = 0;
export const RTT_BYTES = 2 * 65536;
export const PEST_ENTRY = 16;

/** Cause of a freeze: its bit of the first PEST doubleword. */
export const enum FaultCode {
  /** Not a cause: the endpoint was frozen before. */
  Frozen = 1,
  /** No RTT, no such PE, no window for the address, or a PASID. */
  Ioda = 16,
  TcePage = 18,
  TceAccess = 19,
}

/** Value of IODA_ADDR that selects a table entry: upper word, and lower word. */
export function iodaAddressHi(table: IodaTable, increment: boolean): number {
  return (increment ? TOP : 0) | (table << 16);
}

export function iodaTable(hi: number): IodaTable {
  return (hi >>> 16) & 0x1f;
}

export function iodaIndex(lo: number): number {
  return lo & 0x3ff;
}

/** Byte offset of the 64-bit word with the RTT entry of a requester, and the entry in it. */
export function rteWord(requester: number): number {
  return (requester >>> 2) * 8;
}

export function rteOf(requester: number, hi: number, lo: number): number {
  const half = (requester & 2) === 0 ? hi : lo;
  return (requester & 1) === 0 ? half >>> 16 : half & 0xffff;
}

/** Puts the entry of a requester into its word: [hi, lo]. */
export function withRte(requester: number, pe: number, hi: number, lo: number): readonly [number, number] {
  const put = (half: number): number =>
    (requester & 1) === 0 ? (half & 0xffff) | (pe << 16) : (half & 0xffff_0000) | pe;
  return (requester & 2) === 0 ? [put(hi), lo] : [hi, put(lo)];
}

/** A translation validation table entry. */
export class Tve {
  kind: 'invalid' | 'translate' | 'bypass' = 'invalid';
  /** Translate: root table, levels, log2 of the entries of each table, log2 of the I/O page. */
  rootHi = 0;
  rootLo = 0;
  levels = 0;
  indexBits = 0;
  pageLg2 = 0;
  /** Bypass: addresses in [start, end), in units of 16 MiB, pass. */
  start = 0;
  end = 0;
}

/** A TVE whose table size is 0 is invalid; one whose page size is 0 does not translate (QEMU pnv_phb4_translate_tve). */
export function decodeTve(hi: number, lo: number, tve: Tve): void {
  const tableSize = (lo >>> 8) & 0x1f;
  const pageSize = lo & 0x1f;
  const levels = ((lo >>> 13) & 7) + 1;
  tve.kind = 'invalid';
  if (tableSize === 0) return;
  if (pageSize === 0) {
    tve.kind = 'bypass';
    tve.start = (hi >>> 8) | (((lo >>> 10) & 3) << 24);
    tve.end = ((hi & 0xff) << 16) | (lo >>> 16) | (((lo >>> 8) & 3) << 24);
    return;
  }
  if (levels > 5) return;
  tve.kind = 'translate';
  tve.rootHi = hi >>> 4;
  tve.rootLo = (hi << 28) | ((lo >>> 4) & 0x0fff_f000);
  tve.levels = levels;
  tve.indexBits = tableSize + 8;
  tve.pageLg2 = pageSize + 11;
}

/** A TVE that translates: [hi, lo]. `root` is a byte address, `tableBytes` the size of each table. */
export function encodeTranslatingTve(
  root: number,
  levels: number,
  indexBits: number,
  pageLg2: number,
): readonly [number, number] {
  const address = root * 16;
  const low = ((levels - 1) << 13) | ((indexBits - 8) << 8) | (pageLg2 - 11);
  return [Math.floor(address / 2 ** 32) | 0, ((address % 2 ** 32) & 0xffff_0000) | low];
}

const CHUNK = 2 ** 24;

/** A TVE that lets addresses of [start, end) through, both multiples of 16 MiB below 2^50 (skiboot phb4_map_pe_dma_window_real). */
export function encodeBypassTve(start: number, end: number): readonly [number, number] {
  const first = start / CHUNK;
  const last = end / CHUNK;
  const hi = ((first & 0xff_ffff) << 8) | ((last >>> 16) & 0xff);
  // Bit 51 makes the table size non-zero; bit 56 is the 50-bit range check.
  const lo = ((last & 0xffff) << 16) | (1 << 12) | ((first >>> 24) << 10) | ((last >>> 24) << 8) | 0x80;
  return [hi, lo];
}

/** Whether the 59-bit address hi:lo (the window bit cleared) lies in the range of a bypass TVE. */
export function bypasses(tve: Tve, hi: number, lo: number): boolean {
  if (hi >>> 18 !== 0) return false;
  const chunk = (hi << 8) | (lo >>> 24);
  return chunk >= tve.start && chunk < tve.end;
}

/** Which of the two windows of a PE an address selects: bit 59. */
export function windowOf(addressHi: number): 0 | 1 {
  return ((addressHi >>> 27) & 1) as 0 | 1;
}

export const WINDOW_MASK = 0x07ff_ffff;
/** Address bits that a bypass window hands to memory, upper word: 50 bits in all. */
export const BYPASS_MASK = 0x0003_ffff;

const KILL_SIZES: readonly [pageLg2: number, bits: number][] = [
  [16, 0x1000],
  [21, 0x2000],
  [30, 0x3000],
];

/** TCE_KILL of one page: [hi, lo]. Window bit 59 is part of the address. */
export function encodeKillOne(pe: number, hi: number, lo: number, pageLg2: number): readonly [number, number] {
  const size = KILL_SIZES.find(([lg2]) => lg2 === pageLg2);
  const select = size === undefined ? 0 : KillBit.PageSize;
  return [KillBit.One | select | hi, (lo & ~0xfff) | (size?.[1] ?? 0) | pe];
}

/** log2 of the page that a KillOne names. */
export function killPageLg2(hi: number, lo: number): number {
  if ((hi & KillBit.PageSize) === 0) return 12;
  return KILL_SIZES.find(([, bits]) => bits === (lo & 0x3000))?.[0] ?? 12;
}

export function killPe(lo: number): number {
  return lo & 0x1ff;
}

/** Transaction types of a PEST entry. */
const enum Transaction {
  DmaWrite = 0,
  DmaRead = 2,
}

/** PEST entry of a DMA fault, four words: first doubleword upper, lower, second doubleword upper, lower. */
export function encodePest(
  words: Int32Array,
  code: FaultCode,
  write: boolean,
  requester: number,
  hi: number,
  lo: number,
): void {
  const type = write ? Transaction.DmaWrite : Transaction.DmaRead;
  words[0] = (1 << (31 - code)) | (type << 24) | TOP;
  words[1] = requester << 16;
  words[2] = (hi & 0x1fff_ffff) | TOP;
  words[3] = lo;
}
