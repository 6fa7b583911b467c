/**
 * Intel VT-d encodings: translation structures (VT-d specification chapter 9), queued-invalidation descriptors (6.5.2), registers
 * (chapter 11), fault records and fault reasons (chapter 7). Encodings only: no timing, no state. A structure is an Int32Array of
 * little-endian dwords: dword i holds bits 32i+31..32i, so absolute bit numbers of the specification can be read off.
 * Cross-checked with Linux drivers/iommu/intel/{iommu,pasid}.h and QEMU hw/i386/intel_iommu_internal.h.
 * Fault conditions after table 30 of rev. 5.10 (7.1.3). Not modelled: interrupt remapping entries, memory-type fields of the PASID entry,
 * page-request queue entries.
 */
import { PageRequestBit, type PageRequestRecord } from '../../../protocol/page-request.js';
import { Access } from '../../../protocol/access.js';
import { Fault } from '../../../pagetable/walk.js';

type Dwords = Int32Array;

const PAGE_MASK = ~0xfff;

/** Upper 32 bits of an address that is a double; the lower ones are `address | 0`. */
function high(address: number): number {
  return (address / 4294967296) | 0;
}

/** Mask, in the upper dword of a pointer, of the address bits at and above the host address width (33 to 63). */
export function aboveAddressWidth(hostAddressWidth: number): number {
  return -1 << (hostAddressWidth - 32);
}

// ---------------------------------------------------------------------------------------------------------------------
// Registers, chapter 11

export const enum Register {
  Version = 0x00,
  Capability = 0x08,
  ExtendedCapability = 0x10,
  GlobalCommand = 0x18,
  GlobalStatus = 0x1c,
  RootTableAddress = 0x20,
  FaultStatus = 0x34,
  FaultEventControl = 0x38,
  FaultEventData = 0x3c,
  FaultEventAddress = 0x40,
  FaultEventUpperAddress = 0x44,
  InvalidationQueueHead = 0x80,
  InvalidationQueueTail = 0x88,
  InvalidationQueueAddress = 0x90,
  InvalidationCompletionStatus = 0x9c,
  InvalidationEventControl = 0xa0,
  InvalidationQueueError = 0xb0,
  PageRequestHead = 0xc0,
  PageRequestTail = 0xc8,
  PageRequestAddress = 0xd0,
  PageRequestStatus = 0xdc,
  PageRequestEventControl = 0xe0,
}

/** PRS_REG, 11.4.11.4; written ones clear. */
export const enum PageRequestStatus {
  Pending = 1,
  Overflow = 2,
}

/** IM, bit 31 of PECTL_REG. */
export const EVENT_MASKED: number = 1 << 31;

/** GCMD_REG; GSTS_REG reports each in the same position. */
export const enum GlobalBit {
  TranslationEnable = 1 << 31,
  SetRootTablePointer = 1 << 30,
  SetFaultLog = 1 << 29,
  AdvancedFaultLog = 1 << 28,
  WriteBufferFlush = 1 << 27,
  QueuedInvalidationEnable = 1 << 26,
  InterruptRemappingEnable = 1 << 25,
  SetInterruptTablePointer = 1 << 24,
  CompatibilityFormatInterrupt = 1 << 23,
}

/** FSTS_REG. */
export const enum FaultStatusBit {
  PrimaryFaultOverflow = 1 << 0,
  PrimaryPendingFault = 1 << 1,
  InvalidationQueueError = 1 << 4,
  InvalidationCompletionError = 1 << 5,
  InvalidationTimeout = 1 << 6,
}

/** FSTS_REG.FRI, bits 15:8: the fault recording register that PPF is about. */
export function faultRecordIndex(index: number): number {
  return (index & 0xff) << 8;
}

/** RTADDR_REG.TTM, bits 11:10. */
export const enum TableMode {
  Legacy = 0,
  Scalable = 1,
  AbortDma = 3,
}

/** Low dword of RTADDR_REG (bits 63:12 base, 11:10 TTM); the high one is that of the base. */
export function encodeRootTableAddress(base: number, mode: TableMode): number {
  return (base & PAGE_MASK) | (mode << 10);
}

export function tableMode(registerLo: number): TableMode {
  return (registerLo >>> 10) & 3;
}

/** Low dword of IQA_REG: base 63:12, DW 11 (256-bit descriptors), QS 2:0 (2^QS pages). `entriesLg2` from 8, or 7 when wide. */
export function encodeQueueAddress(base: number, entriesLg2: number, wide: boolean): number {
  return (base & PAGE_MASK) | (wide ? 0x800 : 0) | (entriesLg2 - (wide ? 7 : 8));
}

export function queueIsWide(registerLo: number): boolean {
  return (registerLo & 0x800) !== 0;
}

export function queueBytes(registerLo: number): number {
  return 4096 << (registerLo & 7);
}

/** Bytes of a descriptor; IQH_REG and IQT_REG hold byte offsets, bits 18:4 (18:5 with 256-bit descriptors). */
export function descriptorBytes(registerLo: number): number {
  return queueIsWide(registerLo) ? 32 : 16;
}

export function queueOffset(registerLo: number): number {
  return registerLo & 0x7fff0;
}

type Layout = Readonly<Record<string, readonly [high: number, low: number]>>;

/** CAP_REG. Widths and counts as encoded: MGAW and NFR one less than the value, FRO in 16 bytes, ND so that DIDs have 4 + 2 ND bits. */
export const CAPABILITY = {
  ND: [2, 0],
  RWBF: [4, 4],
  CM: [7, 7],
  SAGAW: [12, 8],
  MGAW: [21, 16],
  ZLR: [22, 22],
  FRO: [33, 24],
  SSLPS: [37, 34],
  PSI: [39, 39],
  NFR: [47, 40],
  MAMV: [53, 48],
  DWD: [54, 54],
  DRD: [55, 55],
  FS1GP: [56, 56],
  PI: [59, 59],
  FS5LP: [60, 60],
  ESIRTPS: [62, 62],
  ESRTPS: [63, 63],
} as const satisfies Layout;

/** ECAP_REG. PSS one less than the PASID width, IRO in 16 bytes. */
export const EXTENDED_CAPABILITY = {
  C: [0, 0],
  QI: [1, 1],
  DT: [2, 2],
  IR: [3, 3],
  EIM: [4, 4],
  PT: [6, 6],
  SC: [7, 7],
  IRO: [17, 8],
  MHMV: [23, 20],
  MTS: [25, 25],
  NEST: [26, 26],
  PRS: [29, 29],
  ERS: [30, 30],
  SRS: [31, 31],
  NWFS: [33, 33],
  EAFS: [34, 34],
  PSS: [39, 35],
  PASID: [40, 40],
  DIT: [41, 41],
  PDS: [42, 42],
  SMTS: [43, 43],
  SSADS: [45, 45],
  SSTS: [46, 46],
  FSTS: [47, 47],
  SMPWCS: [48, 48],
  RPS: [49, 49],
} as const satisfies Layout;

/** A register from its fields, as [low dword, high dword]. Cold. */
export function packRegister<L extends Layout>(layout: L, values: Partial<Record<keyof L, number>>): [number, number] {
  const words: [number, number] = [0, 0];
  for (const [name, value] of Object.entries(values)) {
    const [top, low] = layout[name]!;
    for (let bit = low; bit <= top; bit++) {
      if (((value as number) >>> (bit - low)) & 1) words[bit >>> 5]! |= 1 << (bit & 31);
    }
  }
  return words;
}

export function registerField(range: readonly [high: number, low: number], lo: number, hi: number): number {
  let value = 0;
  for (let bit = range[0]; bit >= range[1]; bit--) value = (value << 1) | (((bit < 32 ? lo : hi) >>> (bit & 31)) & 1);
  return value;
}

// ---------------------------------------------------------------------------------------------------------------------
// Translation structures, chapter 9

/** Bit 0 of root, context, PASID directory and PASID table entries. */
export function isPresent(lo: number): boolean {
  return (lo & 1) !== 0;
}

/** FPD, bit 1 of context, PASID directory and PASID table entries: qualified faults are not recorded. */
export function faultsSuppressed(lo: number): boolean {
  return (lo & 2) !== 0;
}

/** Pointers are page aligned; this is their low dword, the high one is that of the entry. */
export function pointerLo(lo: number): number {
  return lo & PAGE_MASK;
}

/** Root entry, 9.1 and 9.2: byte offset in the root table of the qword for a requester id. Bus by 16 bytes; scalable: half a bus by 8. */
export function rootEntryOffset(mode: TableMode, requester: number): number {
  return (((requester >>> 8) & 0xff) << 4) | (mode === TableMode.Scalable ? ((requester >>> 7) & 1) << 3 : 0);
}

/** Both halves of a root entry have this form: P 0, table pointer 63:12. `out` gets two dwords. */
export function encodeRootEntry(out: Dwords, contextTable: number): void {
  out[0] = (contextTable & PAGE_MASK) | 1;
  out[1] = high(contextTable);
}

/** Offset of a context entry in its table: 16 bytes by devfn; scalable: 32 bytes by the low seven bits of devfn. */
export function contextEntryOffset(mode: TableMode, requester: number): number {
  return mode === TableMode.Scalable ? (requester & 0x7f) << 5 : (requester & 0xff) << 4;
}

/** Legacy context entry TT, bits 3:2. */
export const enum TranslationType {
  /** Untranslated requests through the second stage; translated and translation requests are blocked. */
  Untranslated = 0,
  /** The same, with ATS. */
  DeviceTlb = 1,
  PassThrough = 2,
}

export interface LegacyContext {
  readonly translationType: TranslationType;
  /** Second-stage root; ignored for pass-through. */
  readonly root: number;
  readonly levels: number;
  readonly domain: number;
  readonly suppressFaults: boolean;
}

/** Context entry, 9.3: P 0, FPD 1, TT 3:2, SSPTPTR 63:12, AW 66:64 (levels - 2), DID 87:72. Four dwords. */
export function encodeLegacyContext(out: Dwords, c: LegacyContext): void {
  out[0] = (c.root & PAGE_MASK) | (c.translationType << 2) | (c.suppressFaults ? 2 : 0) | 1;
  out[1] = high(c.root);
  out[2] = (c.levels - 2) | (c.domain << 8);
  out[3] = 0;
}

export function translationType(lo: number): TranslationType {
  return (lo >>> 2) & 3;
}

/** Table levels from dword 2 of a context entry, or from the AW field of a PASID entry (`pasidLevels`). */
export function contextLevels(dword2: number): number {
  return (dword2 & 7) + 2;
}

export function contextDomain(dword2: number): number {
  return (dword2 >>> 8) & 0xffff;
}

export interface ScalableContext {
  readonly pasidDirectory: number;
  /** PDTS: the directory has 2^(PDTS + 7) entries, each for 64 PASIDs. */
  readonly directorySize: number;
  /** PASID of requests that carry none (RID_PASID). */
  readonly requesterPasid: number;
  readonly pasidEnable: boolean;
  readonly deviceTlbEnable: boolean;
  readonly pageRequestEnable: boolean;
  readonly suppressFaults: boolean;
}

/** Scalable-mode context entry, 9.4: P 0, FPD 1, DTE 2, PASIDE 3, PRE 4, PDTS 11:9, PASIDDIRPTR 63:12, RID_PASID 83:64. Eight dwords. */
export function encodeScalableContext(out: Dwords, c: ScalableContext): void {
  out.fill(0, 0, 8);
  out[0] =
    (c.pasidDirectory & PAGE_MASK) |
    (c.directorySize << 9) |
    (c.pageRequestEnable ? 0x10 : 0) |
    (c.pasidEnable ? 8 : 0) |
    (c.deviceTlbEnable ? 4 : 0) |
    (c.suppressFaults ? 2 : 0) |
    1;
  out[1] = high(c.pasidDirectory);
  out[2] = c.requesterPasid & 0xfffff;
}

export function requesterPasid(dword2: number): number {
  return dword2 & 0xfffff;
}

/** RID_PRIV, bit 84: requests without PASID are privileged. */
export function requesterPrivileged(dword2: number): boolean {
  return (dword2 & 0x100000) !== 0;
}

/** PRE: page requests are let through. */
export function pageRequestsEnabled(lo: number): boolean {
  return (lo & 0x10) !== 0;
}

/** DTE: translation requests and translated requests are let through. */
export function deviceTlbEnabled(lo: number): boolean {
  return (lo & 4) !== 0;
}

export function pasidEnabled(lo: number): boolean {
  return (lo & 8) !== 0;
}

/** PASIDs below this number are in the directory: 2^(PDTS + 7) entries of 64. */
export function pasidLimit(lo: number): number {
  return 1 << (((lo >>> 9) & 7) + 13);
}

/** PASID directory entry, 9.5: P 0, FPD 1, SMPTBLPTR 63:12. Index PASID[19:6], 8 bytes each. */
export function directoryEntryOffset(pasid: number): number {
  return ((pasid >>> 6) & 0x3fff) << 3;
}

export function encodeDirectoryEntry(out: Dwords, pasidTable: number): void {
  out[0] = (pasidTable & PAGE_MASK) | 1;
  out[1] = high(pasidTable);
}

/** PASID table entry, 9.6: index PASID[5:0], 64 bytes each. */
export function pasidEntryOffset(pasid: number): number {
  return (pasid & 0x3f) << 6;
}

/** PASID entry PGTT, bits 8:6. */
export const enum PasidType {
  FirstStage = 1,
  SecondStage = 2,
  Nested = 3,
  PassThrough = 4,
}

export interface PasidEntry {
  readonly type: PasidType;
  readonly domain: number;
  /** First-stage root (a guest address when nested) and levels; zero and 4 where unused. */
  readonly firstRoot: number;
  readonly firstLevels: number;
  /** Second-stage root and levels; zero and 3 or more where unused. */
  readonly secondRoot: number;
  readonly secondLevels: number;
  /** Accessed and dirty bits in second-stage entries (SSADE). */
  readonly secondAccessedDirty: boolean;
  /** Walks snoop the processor caches (PWSNP); page accesses are forced to (PGSNP). */
  readonly walkSnoop: boolean;
  readonly pageSnoop: boolean;
  readonly supervisorRequests: boolean;
  readonly suppressFaults: boolean;
}

/**
 * P 0, FPD 1, AW 4:2, PGTT 8:6, SSADE 9, SSPTPTR 63:12, DID 79:64, PWSNP 87, PGSNP 88, SRE 128, FSPM 131:130,
 * FSPTPTR 191:140. Sixteen dwords, the upper ten reserved.
 */
export function encodePasidEntry(out: Dwords, e: PasidEntry): void {
  out.fill(0, 0, 16);
  out[0] =
    (e.secondRoot & PAGE_MASK) |
    (e.secondAccessedDirty ? 0x200 : 0) |
    (e.type << 6) |
    ((e.secondLevels - 2) << 2) |
    (e.suppressFaults ? 2 : 0) |
    1;
  out[1] = high(e.secondRoot);
  out[2] = (e.domain & 0xffff) | (e.walkSnoop ? 1 << 23 : 0) | (e.pageSnoop ? 1 << 24 : 0);
  out[4] = (e.firstRoot & PAGE_MASK) | ((e.firstLevels - 4) << 2) | (e.supervisorRequests ? 1 : 0);
  out[5] = high(e.firstRoot);
}

export function pasidType(dword0: number): PasidType {
  return (dword0 >>> 6) & 7;
}

export function secondStageLevels(dword0: number): number {
  return ((dword0 >>> 2) & 7) + 2;
}

export function secondStageAccessedDirty(dword0: number): boolean {
  return (dword0 & 0x200) !== 0;
}

export function pasidDomain(dword2: number): number {
  return dword2 & 0xffff;
}

/** PWSNP, bit 87: walks snoop processor caches, so that hardware can update entries. */
export function walksSnoop(dword2: number): boolean {
  return (dword2 & 0x800000) !== 0;
}

export function firstStageLevels(dword4: number): number {
  return ((dword4 >>> 2) & 3) + 4;
}

export function supervisorAllowed(dword4: number): boolean {
  return (dword4 & 1) !== 0;
}

/** WPE, bit 132: privileged requests write only where RW permits it. */
export function writeProtected(dword4: number): boolean {
  return (dword4 & 0x10) !== 0;
}

/** EAFE, bit 135: the extended-accessed flag of first-stage entries. */
export function extendedAccessed(dword4: number): boolean {
  return (dword4 & 0x80) !== 0;
}

// Checks of a structure just read; `above` is aboveAddressWidth(). FaultReason.None means usable.

/**
 * A qword of a root entry: the half for the requester in scalable mode, the low one in legacy mode; and the other qword. Of a scalable
 * entry both halves are checked if they are present; the other qword of a legacy entry is reserved.
 */
export function checkRootEntry(
  mode: TableMode,
  lo: number,
  hi: number,
  otherLo: number,
  otherHi: number,
  above: number,
): FaultReason {
  const scalable = mode === TableMode.Scalable;
  if ((lo & 1) === 0) return scalable ? FaultReason.ScalableRootNotPresent : FaultReason.RootNotPresent;
  let rest = otherLo | otherHi;
  if (scalable) rest = (otherLo & 1) === 0 ? 0 : (otherLo & 0xffe) | (otherHi & above);
  if (((lo & 0xffe) | (hi & above) | rest) === 0) return FaultReason.None;
  return scalable ? FaultReason.ScalableRootReserved : FaultReason.RootReserved;
}

/** `sagaw` is CAP.SAGAW (bit 1: 39 bits, 2: 48, 3: 57); `passThrough` is ECAP.PT. */
export function checkLegacyContext(
  d0: number,
  d1: number,
  d2: number,
  d3: number,
  above: number,
  sagaw: number,
  passThrough: boolean,
): FaultReason {
  if ((d0 & 1) === 0) return FaultReason.ContextNotPresent;
  if (((d0 & 0xff0) | (d1 & above) | (d2 & ~0xffff7f) | d3) !== 0) return FaultReason.ContextReserved;
  const type = (d0 >>> 2) & 3;
  if (type === 3 || (type === TranslationType.PassThrough && !passThrough)) return FaultReason.ContextInvalid;
  return ((sagaw >>> (d2 & 7)) & 1) === 0 ? FaultReason.ContextInvalid : FaultReason.None;
}

/**
 * The first two qwords; qwords 2 and 3 are reserved and given ORed together. PRE without DTE, and a RID_PASID beyond the directory, are
 * programming errors of the entry.
 */
export function checkScalableContext(
  d0: number,
  d1: number,
  d2: number,
  d3: number,
  rest: number,
  above: number,
): FaultReason {
  if ((d0 & 1) === 0) return FaultReason.ScalableContextNotPresent;
  const reserved = (d0 & 0x1e0) | (d1 & above) | (d2 & 0xffe00000) | d3 | rest;
  if (reserved !== 0) return FaultReason.ScalableContextReserved;
  const invalid = (d0 & 0x14) === 0x10 || requesterPasid(d2) >= pasidLimit(d0);
  return invalid ? FaultReason.ScalableContextInvalid : FaultReason.None;
}

export function checkDirectoryEntry(lo: number, hi: number, above: number): FaultReason {
  if ((lo & 1) === 0) return FaultReason.PasidDirectoryNotPresent;
  return ((lo & 0xffc) | (hi & above)) === 0 ? FaultReason.None : FaultReason.PasidDirectoryReserved;
}

/** Reserved bits of dwords 0 to 5 of a PASID entry besides address bits above the width; the ten that follow are reserved as a whole. */
const PASID_RESERVED = [0xc20, 0, 0xf87f0000, 0, 0xf02, 0] as const;

/**
 * Sixteen dwords of a PASID entry. `maxLevels`: of first-stage tables, 5 with CAP.FS5LP; `nesting`: ECAP.NEST. What belongs to a stage that
 * is not in use is ignored. The root of a nested first stage is a guest address, within the width of the second stage.
 */
export function checkPasidEntry(
  d: Dwords,
  above: number,
  sagaw: number,
  maxLevels: number,
  nesting: boolean,
): FaultReason {
  const [d0, d4, d5] = [d[0]!, d[4]!, d[5]!];
  if ((d0 & 1) === 0) return FaultReason.PasidNotPresent;
  let reserved = (d[1]! | d5) & above;
  for (let i = 0; i < 16; i++) reserved |= d[i]! & (PASID_RESERVED[i] ?? -1);
  if (reserved !== 0) return FaultReason.PasidReserved;
  const type = (d0 >>> 6) & 7;
  const second = type === PasidType.SecondStage || type === PasidType.Nested;
  const first = type === PasidType.FirstStage || type === PasidType.Nested;
  const exists = type === PasidType.Nested ? nesting : first || second || type === PasidType.PassThrough;
  if (!exists) return FaultReason.PasidInvalid;
  if (second && ((sagaw >>> ((d0 >>> 2) & 7)) & 1) === 0) return FaultReason.PasidInvalid;
  if (first && firstStageLevels(d4) > maxLevels) return FaultReason.PasidInvalid;
  const width = 12 + 9 * secondStageLevels(d0);
  const beyond = type === PasidType.Nested && (d5 & aboveAddressWidth(width)) !== 0;
  return beyond ? FaultReason.PasidInvalid : FaultReason.None;
}

// ---------------------------------------------------------------------------------------------------------------------
// Queued-invalidation descriptors, 6.5.2. The encoders fill eight dwords from out[at]; a queue of 128-bit descriptors takes four.

export const enum DescriptorType {
  ContextCache = 1,
  Iotlb = 2,
  DeviceTlb = 3,
  InterruptCache = 4,
  Wait = 5,
  PasidIotlb = 6,
  PasidCache = 7,
  PasidDeviceTlb = 8,
  PageGroupResponse = 9,
}

/** Field G, bits 5:4, of context-cache, IOTLB and PASID-based IOTLB descriptors. */
export const enum Granularity {
  Global = 1,
  /** Domain-selective; of a PASID-based IOTLB descriptor: everything of (domain, PASID). */
  Domain = 2,
  /** Of a context-cache descriptor: device-selective. Of IOTLB descriptors: page-selective. */
  Selective = 3,
}

/** Field G of a PASID-cache descriptor. */
export const enum PasidCacheGranularity {
  Domain = 0,
  Pasid = 1,
  Global = 3,
}

export const enum WaitFlag {
  Interrupt = 1 << 4,
  StatusWrite = 1 << 5,
  Fence = 1 << 6,
  PageRequestDrain = 1 << 7,
}

function header(out: Dwords, at: number, d0: number, d1: number): void {
  out[at] = d0;
  out[at + 1] = d1;
  for (let i = at + 2; i < at + 8; i++) out[i] = 0;
}

/** 6.5.2.1: G 5:4, DID 31:16, SID 47:32, FM 49:48. */
export function encodeContextInvalidation(
  out: Dwords,
  at: number,
  granularity: Granularity,
  domain: number,
  source: number,
  functionMask: number,
): void {
  header(
    out,
    at,
    DescriptorType.ContextCache | (granularity << 4) | (domain << 16),
    (source & 0xffff) | (functionMask << 16),
  );
}

/** 6.5.2.2: G 5:4, DID 31:16, PASID 51:32. */
export function encodePasidCacheInvalidation(
  out: Dwords,
  at: number,
  granularity: PasidCacheGranularity,
  domain: number,
  pasid: number,
): void {
  header(out, at, DescriptorType.PasidCache | (granularity << 4) | (domain << 16), pasid & 0xfffff);
}

/** 6.5.2.3: G 5:4, DW 6, DR 7, DID 31:16, AM 69:64, IH 70, ADDR 127:76. Covers 2^(12 + AM) bytes. */
export function encodeIotlbInvalidation(
  out: Dwords,
  at: number,
  granularity: Granularity,
  domain: number,
  addressHi: number,
  addressLo: number,
  addressMask: number,
  hint: boolean,
  drainReads: boolean,
  drainWrites: boolean,
): void {
  const drain = (drainWrites ? 0x40 : 0) | (drainReads ? 0x80 : 0);
  header(out, at, DescriptorType.Iotlb | (granularity << 4) | drain | (domain << 16), 0);
  out[at + 2] = (addressLo & PAGE_MASK) | (hint ? 0x40 : 0) | addressMask;
  out[at + 3] = addressHi;
}

/** 6.5.2.4: G 5:4, DID 31:16, PASID 51:32, AM 69:64, IH 70, ADDR 127:76. */
export function encodePasidIotlbInvalidation(
  out: Dwords,
  at: number,
  granularity: Granularity,
  domain: number,
  pasid: number,
  addressHi: number,
  addressLo: number,
  addressMask: number,
  hint: boolean,
): void {
  header(out, at, DescriptorType.PasidIotlb | (granularity << 4) | (domain << 16), pasid & 0xfffff);
  out[at + 2] = (addressLo & PAGE_MASK) | (hint ? 0x40 : 0) | addressMask;
  out[at + 3] = addressHi;
}

/** Address with the size code of device-TLB descriptors: bits below the size are ones but the top one of them, which is zero. */
function sizeCode(out: Dwords, at: number, addressHi: number, addressLo: number, sizeLg2: number, flag: number): void {
  const ones = sizeLg2 <= 13 ? 0 : sizeLg2 >= 64 ? 2 ** 63 - 4096 : 2 ** (sizeLg2 - 1) - 4096;
  const clearLo = sizeLg2 >= 32 ? 0 : -1 << sizeLg2;
  const clearHi = sizeLg2 >= 64 ? 0 : sizeLg2 > 32 ? -1 << (sizeLg2 - 32) : -1;
  const size = sizeLg2 > 12 ? flag : 0;
  const onesHi = Math.floor(ones / 4294967296);
  out[at + 2] = (addressLo & clearLo & PAGE_MASK) | (sizeLg2 > 32 ? PAGE_MASK : ones | 0) | size;
  out[at + 3] = (addressHi & clearHi) | onesHi;
}

/** log2 of the bytes that the address of a device-TLB descriptor names: the lowest bit that is zero is the top one below the size. */
export function deviceTlbSizeLg2({ flags, addressHi, addressLo }: Descriptor): number {
  if (flags === 0) return 12;
  const low = ~addressLo & PAGE_MASK;
  if (low !== 0) return 32 - Math.clz32(low & -low);
  const high = ~addressHi;
  return high === 0 ? 64 : 64 - Math.clz32(high & -high);
}

/** 6.5.2.5: PFSID[3:0] 15:12, MaxInvsPend 20:16, SID 47:32, PFSID[15:4] 63:52, S 64, ADDR 127:76. `sizeLg2` 12 to 64. */
export function encodeDeviceTlbInvalidation(
  out: Dwords,
  at: number,
  source: number,
  physicalSource: number,
  maxPending: number,
  addressHi: number,
  addressLo: number,
  sizeLg2: number,
): void {
  header(
    out,
    at,
    DescriptorType.DeviceTlb | ((physicalSource & 0xf) << 12) | ((maxPending & 0x1f) << 16),
    (source & 0xffff) | ((physicalSource >>> 4) << 20),
  );
  sizeCode(out, at, addressHi, addressLo, sizeLg2, 1);
}

/** 6.5.2.6: MaxInvsPend 8:4, PFSID[3:0] 15:12, SID 31:16, PASID 51:32, PFSID[15:4] 63:52, G 64, S 75, ADDR 127:76. */
export function encodePasidDeviceTlbInvalidation(
  out: Dwords,
  at: number,
  source: number,
  physicalSource: number,
  maxPending: number,
  pasid: number,
  addressHi: number,
  addressLo: number,
  sizeLg2: number,
): void {
  header(
    out,
    at,
    DescriptorType.PasidDeviceTlb | ((maxPending & 0x1f) << 4) | ((physicalSource & 0xf) << 12) | (source << 16),
    (pasid & 0xfffff) | ((physicalSource >>> 4) << 20),
  );
  sizeCode(out, at, addressHi, addressLo, sizeLg2, 0x800);
}

/** 6.5.2.7: G 4 (1: index-selective), IM 31:27 (2^IM entries), IIDX 47:32. */
export function encodeInterruptInvalidation(
  out: Dwords,
  at: number,
  selective: boolean,
  index: number,
  indexMask: number,
): void {
  header(out, at, DescriptorType.InterruptCache | (selective ? 0x10 : 0) | (indexMask << 27), index & 0xffff);
}

/** 6.5.2.8: IF 4, SW 5, FN 6, PD 7, status data 63:32, status address 127:66. */
export function encodeWait(
  out: Dwords,
  at: number,
  flags: number,
  statusHi: number,
  statusLo: number,
  statusData: number,
): void {
  header(out, at, DescriptorType.Wait | flags, statusData | 0);
  out[at + 2] = statusLo & ~3;
  out[at + 3] = statusHi;
}

/** 7.7.1: PASID present 4, response code 15:12, RID 31:16, PASID 51:32, PRGI 75:67. */
export function encodePageGroupResponse(
  out: Dwords,
  at: number,
  source: number,
  pasid: number,
  pasidPresent: boolean,
  code: number,
  group: number,
): void {
  const d0 = DescriptorType.PageGroupResponse | (pasidPresent ? 0x10 : 0) | (code << 12) | (source << 16);
  header(out, at, d0, pasidPresent ? pasid & 0xfffff : 0);
  out[at + 2] = (group & 0x1ff) << 3;
}

// ---------------------------------------------------------------------------------------------------------------------
// Page requests, 7.4 and 11.4.11

/** log2 of the bytes of a page request descriptor. */
export const PAGE_REQUEST_LG2 = 5;
export const PAGE_REQUEST_WORDS = 8;
const PAGE_REQUEST_TYPE = 1;

/** PQA_REG.PQS, bits 2:0: the ring has 2^PQS pages. `entriesLg2` 7 to 14. */
export function encodePageRequestAddress(address: number, entriesLg2: number): number {
  return (address & PAGE_MASK) | (entriesLg2 + PAGE_REQUEST_LG2 - 12);
}

/** log2 of the descriptors of the ring. */
export function pageRequestQueueLg2(lo: number): number {
  return (lo & 7) + 12 - PAGE_REQUEST_LG2;
}

/** 7.4.1: type 7:0, PASID present 8, RID 31:16, PASID 51:32, EXE 52, PRIV 53, R 64, W 65, LPIG 66, PRGI 75:67, ADDR 127:76. Eight dwords. */
export function encodePageRequest(
  out: Dwords,
  source: number,
  pasid: number,
  bits: number,
  group: number,
  addressHi: number,
  addressLo: number,
): void {
  out.fill(0, 0, PAGE_REQUEST_WORDS);
  out[0] = PAGE_REQUEST_TYPE | (pasid < 0 ? 0 : 0x100) | (source << 16);
  out[1] =
    (pasid < 0 ? 0 : pasid & 0xfffff) |
    ((bits & PageRequestBit.Execute) !== 0 ? 1 << 20 : 0) |
    ((bits & PageRequestBit.Privileged) !== 0 ? 1 << 21 : 0);
  out[2] =
    (bits & (PageRequestBit.Read | PageRequestBit.Write)) |
    ((bits & PageRequestBit.Last) !== 0 ? 4 : 0) |
    ((group & 0x1ff) << 3) |
    (addressLo & PAGE_MASK);
  out[3] = addressHi;
}

/** Decodes eight dwords. False: not a page request. */
export function decodePageRequest(d: Dwords, out: PageRequestRecord): boolean {
  const [d0, d1, d2, d3] = [d[0]!, d[1]!, d[2]!, d[3]!];
  out.source = d0 >>> 16;
  out.pasid = (d0 & 0x100) === 0 ? -1 : d1 & 0xfffff;
  out.bits =
    (d2 & 3) |
    ((d1 & (1 << 20)) !== 0 ? PageRequestBit.Execute : 0) |
    ((d1 & (1 << 21)) !== 0 ? PageRequestBit.Privileged : 0) |
    ((d2 & 4) !== 0 ? PageRequestBit.Last : 0);
  out.group = (d2 >>> 3) & 0x1ff;
  out.addressHi = d3;
  out.addressLo = d2 & PAGE_MASK;
  return (d0 & 0xff) === PAGE_REQUEST_TYPE;
}

/** A decoded descriptor; fields that its type lacks are zero. */
export class Descriptor {
  type = 0;
  granularity = 0;
  domain = 0;
  pasid = 0;
  source = 0;
  functionMask = 0;
  /** Page-aligned address as encoded (device-TLB descriptors: size code included), or the status address of a wait. */
  addressHi = 0;
  addressLo = 0;
  addressMask = 0;
  hint = 0;
  drainReads = 0;
  drainWrites = 0;
  /** Wait: `WaitFlag` bits. Device TLB: 1 if the address carries a size code. */
  flags = 0;
  /** Device TLB: unanswered invalidations that the device takes (MaxInvsPend), 0 for 32; G: entries of every PASID. */
  maxPending = 0;
  everyPasid = 0;
  statusData = 0;
  /** Of a page group response. */
  code = 0;
  group = 0;
}

/** Reserved bits of the four dwords by descriptor type. */
const RESERVED = Int32Array.from([
  ...[-1, -1, -1, -1],
  ...[0xf1c0, 0xfffc0000, -1, -1],
  ...[0xf100, -1, 0xf80, 0],
  ...[0xffe001f0, 0x000f0000, 0xffe, 0],
  ...[0x07fff1e0, 0xffff0000, -1, -1],
  ...[0xfffff100, 0, 3, 0],
  ...[0xf1c0, 0xfff00000, 0xf80, 0],
  ...[0xf1c0, 0xfff00000, -1, -1],
  ...[0, 0, 0x7fe, 0],
  ...[0x1e0, 0xfff00000, 0xfffff007, -1],
]);
/** Legal values of G (bits 5:4) by descriptor type, as bit sets; types without the field have all four. */
const GRANULARITIES = Int32Array.from([0, 0b1110, 0b1110, 0b1111, 0b1111, 0b1111, 0b1100, 0b1011, 0b1111, 0b1111]);
/** Types that only a queue of 256-bit descriptors may hold. */
const WIDE_ONLY =
  (1 << DescriptorType.PasidIotlb) | (1 << DescriptorType.PasidCache) | (1 << DescriptorType.PasidDeviceTlb);

/**
 * Decodes the descriptor in `d` (four dwords, eight when `wide`). False is an invalidation queue error: unknown type, reserved
 * bit or granularity, address mask above CAP.MAMV, PASID-based descriptor in a narrow queue.
 */
export function decodeDescriptor(d: Dwords, wide: boolean, maxAddressMask: number, out: Descriptor): boolean {
  const d0 = d[0]!;
  const d1 = d[1]!;
  const d2 = d[2]!;
  const type = (d0 & 0xf) | ((d0 >>> 5) & 0x70);
  if (type === 0 || type > DescriptorType.PageGroupResponse) return false;
  if (!wide && ((WIDE_ONLY >>> type) & 1) !== 0) return false;
  const r = type << 2;
  if (((d0 & RESERVED[r]!) | (d1 & RESERVED[r + 1]!) | (d2 & RESERVED[r + 2]!) | (d[3]! & RESERVED[r + 3]!)) !== 0) {
    return false;
  }
  if (wide && (d[4]! | d[5]! | d[6]! | d[7]!) !== 0) return false;
  if (((GRANULARITIES[type]! >>> ((d0 >>> 4) & 3)) & 1) === 0) return false;

  out.type = type;
  out.granularity = 0;
  out.domain = 0;
  out.pasid = 0;
  out.source = 0;
  out.functionMask = 0;
  out.addressHi = d[3]!;
  out.addressLo = d2 & PAGE_MASK;
  out.addressMask = 0;
  out.hint = 0;
  out.drainReads = 0;
  out.drainWrites = 0;
  out.flags = 0;
  out.maxPending = 0;
  out.everyPasid = 0;
  out.statusData = 0;
  out.code = 0;
  out.group = 0;
  switch (type) {
    case DescriptorType.ContextCache:
      out.granularity = (d0 >>> 4) & 3;
      out.domain = d0 >>> 16;
      out.source = d1 & 0xffff;
      out.functionMask = (d1 >>> 16) & 3;
      break;
    case DescriptorType.Iotlb:
    case DescriptorType.PasidIotlb:
      out.granularity = (d0 >>> 4) & 3;
      out.domain = d0 >>> 16;
      out.pasid = d1 & 0xfffff;
      out.addressMask = d2 & 0x3f;
      out.hint = (d2 >>> 6) & 1;
      out.drainWrites = (d0 >>> 6) & 1;
      out.drainReads = (d0 >>> 7) & 1;
      return out.granularity !== Granularity.Selective || out.addressMask <= maxAddressMask;
    case DescriptorType.PasidCache:
      out.granularity = (d0 >>> 4) & 3;
      out.domain = d0 >>> 16;
      out.pasid = d1 & 0xfffff;
      break;
    case DescriptorType.DeviceTlb:
      out.source = d1 & 0xffff;
      out.flags = d2 & 1;
      out.maxPending = (d0 >>> 16) & 0x1f;
      break;
    case DescriptorType.PasidDeviceTlb:
      out.source = d0 >>> 16;
      out.pasid = d1 & 0xfffff;
      out.flags = (d2 >>> 11) & 1;
      out.maxPending = (d0 >>> 4) & 0x1f;
      out.everyPasid = d2 & 1;
      break;
    case DescriptorType.Wait:
      out.flags = d0 & 0xf0;
      out.statusData = d1;
      out.addressLo = d2 & ~3;
      break;
    case DescriptorType.PageGroupResponse:
      out.flags = (d0 >>> 4) & 1;
      out.code = (d0 >>> 12) & 0xf;
      out.source = d0 >>> 16;
      out.pasid = d1 & 0xfffff;
      out.group = (d2 >>> 3) & 0x1ff;
      break;
  }
  return true;
}

// ---------------------------------------------------------------------------------------------------------------------
// Faults, chapter 7 (7.1.3 conditions, 9.9 and 11 fault recording registers)

/** Field FR of a fault record. Names from the tables in Linux drivers/iommu/intel/dmar.c. */
export const enum FaultReason {
  None = 0,
  RootNotPresent = 0x01,
  ContextNotPresent = 0x02,
  ContextInvalid = 0x03,
  AddressBeyondWidth = 0x04,
  WriteDenied = 0x05,
  ReadDenied = 0x06,
  PagingEntryAccess = 0x07,
  RootAccess = 0x08,
  ContextAccess = 0x09,
  RootReserved = 0x0a,
  ContextReserved = 0x0b,
  PagingEntryReserved = 0x0c,
  TranslationTypeBlocked = 0x0d,
  InterruptAddress = 0x0e,
  RootTablePointer = 0x30,
  PasidRequestInLegacyMode = 0x31,
  PageRequestInLegacyMode = 0x32,
  ScalableRootAccess = 0x38,
  ScalableRootNotPresent = 0x39,
  ScalableRootReserved = 0x3a,
  ScalableContextAccess = 0x40,
  ScalableContextNotPresent = 0x41,
  ScalableContextReserved = 0x42,
  ScalableContextInvalid = 0x43,
  DeviceTlbDisabled = 0x44,
  PasidDisabled = 0x45,
  PasidTooLarge = 0x46,
  PageRequestDisabled = 0x47,
  RequesterPasid = 0x48,
  PasidDirectoryAccess = 0x50,
  PasidDirectoryNotPresent = 0x51,
  PasidDirectoryReserved = 0x52,
  PasidAccess = 0x58,
  PasidNotPresent = 0x59,
  PasidReserved = 0x5a,
  PasidInvalid = 0x5b,
  ExecuteRequestDisabled = 0x5c,
  SupervisorRequestDisabled = 0x5d,
  FirstStageAccess = 0x70,
  FirstStageNotPresent = 0x71,
  FirstStageReserved = 0x72,
  FirstStageRoot = 0x73,
  FirstStageBeyondGuest = 0x74,
  FirstStageRootDenied = 0x75,
  FirstStageTableDenied = 0x76,
  FirstStageUpdateDenied = 0x77,
  SecondStageAccess = 0x78,
  SecondStagePermission = 0x79,
  SecondStageReserved = 0x7a,
  SecondStageRoot = 0x7b,
  SecondStageUpdateNotSnooped = 0x7c,
  NonCanonical = 0x80,
  Privilege = 0x81,
  ExecuteDenied = 0x82,
  AddressBeyondMaximum = 0x83,
  SecondStageOutputBeyondMaximum = 0x84,
  ScalableWriteDenied = 0x85,
  ScalableReadDenied = 0x86,
  ScalableInterruptAddress = 0x87,
  FirstStageUpdateNotSnooped = 0x90,
  AccessedDirtyUpdate = 0x91,
}

/** One line for people, by fault reason. */
export const FAULT_REASON_NAMES: Readonly<Record<number, string>> = {
  [FaultReason.RootNotPresent]: 'root entry not present',
  [FaultReason.ContextNotPresent]: 'context entry not present',
  [FaultReason.ContextInvalid]: 'context entry invalid',
  [FaultReason.AddressBeyondWidth]: 'address beyond the guest address width',
  [FaultReason.WriteDenied]: 'no write permission',
  [FaultReason.ReadDenied]: 'no read permission',
  [FaultReason.PagingEntryAccess]: 'paging entry cannot be read',
  [FaultReason.RootAccess]: 'root entry cannot be read',
  [FaultReason.ContextAccess]: 'context entry cannot be read',
  [FaultReason.RootReserved]: 'reserved bit set in root entry',
  [FaultReason.ContextReserved]: 'reserved bit set in context entry',
  [FaultReason.PagingEntryReserved]: 'reserved bit set in paging entry',
  [FaultReason.TranslationTypeBlocked]: 'request type blocked by the translation type',
  [FaultReason.InterruptAddress]: 'translated into the interrupt address range',
  [FaultReason.RootTablePointer]: 'root table pointer or mode invalid',
  [FaultReason.PasidRequestInLegacyMode]: 'request with PASID in legacy mode',
  [FaultReason.PageRequestInLegacyMode]: 'page request in legacy mode',
  [FaultReason.ScalableRootAccess]: 'scalable-mode root entry cannot be read',
  [FaultReason.ScalableRootNotPresent]: 'scalable-mode root entry not present',
  [FaultReason.ScalableRootReserved]: 'reserved bit set in scalable-mode root entry',
  [FaultReason.ScalableContextAccess]: 'scalable-mode context entry cannot be read',
  [FaultReason.ScalableContextNotPresent]: 'scalable-mode context entry not present',
  [FaultReason.ScalableContextReserved]: 'reserved bit set in scalable-mode context entry',
  [FaultReason.ScalableContextInvalid]: 'scalable-mode context entry invalid',
  [FaultReason.DeviceTlbDisabled]: 'device TLB not enabled in context entry',
  [FaultReason.PasidDisabled]: 'PASID not enabled in context entry',
  [FaultReason.PasidTooLarge]: 'PASID beyond the PASID directory',
  [FaultReason.PageRequestDisabled]: 'page requests not enabled in context entry',
  [FaultReason.RequesterPasid]: 'request with a PASID that is RID_PASID',
  [FaultReason.PasidDirectoryAccess]: 'PASID directory entry cannot be read',
  [FaultReason.PasidDirectoryNotPresent]: 'PASID directory entry not present',
  [FaultReason.PasidDirectoryReserved]: 'reserved bit set in PASID directory entry',
  [FaultReason.PasidAccess]: 'PASID entry cannot be read',
  [FaultReason.PasidNotPresent]: 'PASID entry not present',
  [FaultReason.PasidReserved]: 'reserved bit set in PASID entry',
  [FaultReason.PasidInvalid]: 'PASID entry invalid',
  [FaultReason.ExecuteRequestDisabled]: 'execute requests not enabled for the PASID',
  [FaultReason.SupervisorRequestDisabled]: 'supervisor requests not enabled for the PASID',
  [FaultReason.FirstStageAccess]: 'first-stage paging entry cannot be read',
  [FaultReason.FirstStageNotPresent]: 'first-stage paging entry not present',
  [FaultReason.FirstStageReserved]: 'reserved bit set in first-stage paging entry',
  [FaultReason.FirstStageRoot]: 'first-stage root table cannot be read',
  [FaultReason.FirstStageBeyondGuest]: 'address in a first-stage paging entry beyond the guest address width',
  [FaultReason.FirstStageRootDenied]: 'first-stage root table not readable through the second stage',
  [FaultReason.FirstStageTableDenied]: 'first-stage table not readable through the second stage',
  [FaultReason.FirstStageUpdateDenied]: 'first-stage table not writable through the second stage',
  [FaultReason.SecondStageAccess]: 'second-stage paging entry cannot be read',
  [FaultReason.SecondStagePermission]: 'second-stage paging entry permits neither read nor write',
  [FaultReason.SecondStageReserved]: 'reserved bit set in second-stage paging entry',
  [FaultReason.SecondStageRoot]: 'second-stage root table cannot be read',
  [FaultReason.SecondStageUpdateNotSnooped]: 'second-stage flag cannot be set by a walk that does not snoop',
  [FaultReason.NonCanonical]: 'first-stage address not canonical',
  [FaultReason.Privilege]: 'user request to a supervisor page',
  [FaultReason.ExecuteDenied]: 'no execute permission',
  [FaultReason.AddressBeyondMaximum]: 'address beyond what the hardware accepts',
  [FaultReason.SecondStageOutputBeyondMaximum]: 'second-stage address beyond the guest address width',
  [FaultReason.ScalableWriteDenied]: 'no write permission (scalable mode)',
  [FaultReason.ScalableReadDenied]: 'no read permission (scalable mode)',
  [FaultReason.ScalableInterruptAddress]: 'interrupt address range (scalable mode)',
  [FaultReason.FirstStageUpdateNotSnooped]: 'first-stage flag cannot be set by a walk that does not snoop',
  [FaultReason.AccessedDirtyUpdate]: 'accessed or dirty bit could not be set',
};

/** FPD suppresses qualified faults only; those met before a trustworthy FPD bit was read are recorded always. */
export function isQualified(reason: FaultReason): boolean {
  if (reason >= FaultReason.RootTablePointer && reason <= FaultReason.ScalableContextAccess) return false;
  switch (reason) {
    case FaultReason.RootNotPresent:
    case FaultReason.RootAccess:
    case FaultReason.ContextAccess:
    case FaultReason.RootReserved:
    case FaultReason.PasidDirectoryAccess:
    case FaultReason.PasidAccess:
      return false;
    default:
      return true;
  }
}

/** The structure could not be read: outside memory. */
export function isAccessError(reason: FaultReason): boolean {
  switch (reason) {
    case FaultReason.RootAccess:
    case FaultReason.ContextAccess:
    case FaultReason.PagingEntryAccess:
    case FaultReason.ScalableRootAccess:
    case FaultReason.ScalableContextAccess:
    case FaultReason.PasidDirectoryAccess:
    case FaultReason.PasidAccess:
    case FaultReason.FirstStageAccess:
    case FaultReason.FirstStageRoot:
    case FaultReason.SecondStageAccess:
    case FaultReason.SecondStageRoot:
      return true;
    default:
      return false;
  }
}

/** Which tables a walk went through, for `faultReason`. */
export const enum Stage {
  LegacySecond,
  ScalableFirst,
  ScalableSecond,
  /** The second stage, for an entry of a first-stage table. */
  ScalableSecondForTable,
}

/**
 * Fault reason of a walk that ended in `fault`. `access`: Access bits that were needed; `permissions`: those that all second-stage
 * entries read so far grant. `atRoot`: the entry at fault was the root's; for a first-stage table not readable: it is the root.
 * In legacy mode second-stage entries that grant neither right deny the one that is needed. In scalable mode they are 0x79, and
 * entries that deny the access but not every access 0x85 or 0x86 (SGN.6, SGN.7).
 */
export function faultReason(
  stage: Stage,
  fault: Fault,
  access: number,
  permissions: number,
  atRoot: boolean,
): FaultReason {
  const legacy = stage === Stage.LegacySecond;
  const first = stage === Stage.ScalableFirst;
  const forTable = stage === Stage.ScalableSecondForTable;
  const neither = !legacy && !first && (permissions & (Access.Read | Access.Write)) === 0;
  switch (fault) {
    case Fault.None:
      return FaultReason.None;
    case Fault.NotPresent:
      if (first) return FaultReason.FirstStageNotPresent;
      if (!legacy) return FaultReason.SecondStagePermission;
      return (access & Access.Write) !== 0 ? FaultReason.WriteDenied : FaultReason.ReadDenied;
    case Fault.Reserved:
      if (legacy) return FaultReason.PagingEntryReserved;
      return first ? FaultReason.FirstStageReserved : FaultReason.SecondStageReserved;
    case Fault.ReadDenied:
      if (neither) return FaultReason.SecondStagePermission;
      if (forTable) return atRoot ? FaultReason.FirstStageRootDenied : FaultReason.FirstStageTableDenied;
      return legacy ? FaultReason.ReadDenied : FaultReason.ScalableReadDenied;
    case Fault.WriteDenied:
      if (neither) return FaultReason.SecondStagePermission;
      if (forTable) return FaultReason.FirstStageUpdateDenied;
      return legacy ? FaultReason.WriteDenied : FaultReason.ScalableWriteDenied;
    case Fault.ExecuteDenied:
      return FaultReason.ExecuteDenied;
    case Fault.Privilege:
      return FaultReason.Privilege;
    case Fault.AddressWidth:
      return legacy ? FaultReason.AddressBeyondWidth : FaultReason.SecondStageOutputBeyondMaximum;
    case Fault.OutputSize:
      return FaultReason.FirstStageBeyondGuest;
    case Fault.AccessFlag:
      return first ? FaultReason.FirstStageUpdateNotSnooped : FaultReason.SecondStageUpdateNotSnooped;
    case Fault.NonCanonical:
      return FaultReason.NonCanonical;
    case Fault.TableAccess:
      if (legacy) return atRoot ? FaultReason.ContextInvalid : FaultReason.PagingEntryAccess;
      if (first) return atRoot ? FaultReason.FirstStageRoot : FaultReason.FirstStageAccess;
      return atRoot ? FaultReason.SecondStageRoot : FaultReason.SecondStageAccess;
    default:
      throw new RangeError(`no walk of VT-d tables ends in fault ${fault}`);
  }
}

/** Kind of the faulting request: T1 (bit 126) and T2 (bit 92) of a fault record. */
export const enum RequestType {
  Write = 0,
  PageRequest = 1,
  Read = 2,
  Atomic = 3,
}

/** Field AT, bits 125:124. */
export const enum AddressType {
  Untranslated = 0,
  TranslationRequest = 1,
  Translated = 2,
}

/**
 * Fault recording register: FI 63:12, SID 79:64, T2 92, PRIV 93, EXE 94, PP 95, FR 103:96, PASID 123:104, AT 125:124, T1 126,
 * F 127. Four dwords. `pasid` is -1 for a request without one.
 */
export function encodeFaultRecord(
  out: Dwords,
  reason: FaultReason,
  source: number,
  pasid: number,
  addressHi: number,
  addressLo: number,
  request: RequestType,
  addressType: AddressType,
): void {
  out[0] = addressLo & PAGE_MASK;
  out[1] = addressHi;
  out[2] = (source & 0xffff) | ((request & 1) << 28) | (pasid < 0 ? 0 : 1 << 31);
  out[3] =
    reason | (pasid < 0 ? 0 : (pasid & 0xfffff) << 8) | (addressType << 28) | ((request >>> 1) << 30) | (1 << 31);
}

/** F, bit 127: the record holds a fault that software has not cleared. */
export function faultRecorded(dword3: number): boolean {
  return dword3 < 0;
}
