/**
 * Arm SMMUv3 encodings: registers (Arm IHI 0070G chapter 6), stream table entries and context descriptors (chapter 5), commands
 * (chapter 4), event records (7.3), PRI queue entries (8.1). Encodings only: no timing, no state. A structure is an Int32Array of little-endian dwords; names and
 * bit numbers are the specification's, those of 64-bit words counted within the word. Cross-checked with Linux
 * drivers/iommu/arm/arm-smmu-v3/arm-smmu-v3.h and QEMU hw/arm/smmuv3-internal.h.
 * Not modelled: Secure and Realm programming interfaces, AArch32 tables, memory attributes, MPAM, ECMDQ.
 */
import { PageRequestBit, type PageRequestRecord } from '../../../protocol/page-request.js';
type Dwords = Int32Array;

const ADDRESS_LO = ~0x3f;
/** Bits 55:32 of an address field, in the upper dword. */
const ADDRESS_HI = 0x00ffffff;

function high(address: number): number {
  return (address / 4294967296) | 0;
}

// ---------------------------------------------------------------------------------------------------------------------
// Registers, chapter 6

export const enum Register {
  Control0 = 0x20,
  Control0Acknowledge = 0x24,
  Control1 = 0x28,
  Control2 = 0x2c,
  GlobalBypass = 0x44,
  InterruptControl = 0x50,
  GlobalError = 0x60,
  GlobalErrorAcknowledge = 0x64,
  StreamTableBase = 0x80,
  StreamTableConfig = 0x88,
  CommandQueueBase = 0x90,
  CommandQueueProducer = 0x98,
  CommandQueueConsumer = 0x9c,
  EventQueueBase = 0xa0,
  /** In register page 1 since SMMUv3.0; page 0 offsets are aliases here. */
  EventQueueProducer = 0xa8,
  EventQueueConsumer = 0xac,
  PageRequestQueueBase = 0xc0,
  /** In register page 1 too. */
  PageRequestQueueProducer = 0xc8,
  PageRequestQueueConsumer = 0xcc,
}

/** Offset of register page 1. */
export const PAGE_1 = 0x10000;

/**
 * Registers of the command queues after the first (enhanced command queues, ECMDQ), one block of 16 bytes each: base (64 bits), producer, consumer.
 * The offset of the blocks is the simulator's: units state theirs in further registers.
 */
const QUEUE_BLOCKS = 0x40000;
const QUEUE_BLOCK = 16;
const PRODUCER = 8;
const CONSUMER = 12;

export function baseRegister(queue: number): number {
  return queue === 0 ? Register.CommandQueueBase : QUEUE_BLOCKS + QUEUE_BLOCK * (queue - 1);
}

export function producerRegister(queue: number): number {
  return queue === 0 ? Register.CommandQueueProducer : baseRegister(queue) + PRODUCER;
}

export function consumerRegister(queue: number): number {
  return queue === 0 ? Register.CommandQueueConsumer : baseRegister(queue) + CONSUMER;
}

/** Number of the further queue whose registers hold the offset, and the register of the first queue that has the same meaning; or null. */
export function queueRegister(offset: number): { queue: number; register: Register } | null {
  if (offset < QUEUE_BLOCKS) return null;
  const queue = Math.floor((offset - QUEUE_BLOCKS) / QUEUE_BLOCK) + 1;
  const within = (offset - QUEUE_BLOCKS) % QUEUE_BLOCK;
  if (within === 0) return { queue, register: Register.CommandQueueBase };
  return { queue, register: within === PRODUCER ? Register.CommandQueueProducer : Register.CommandQueueConsumer };
}

/** SMMU_CR0. */
export const enum Control0Bit {
  SMMUEN = 1 << 0,
  PRIQEN = 1 << 1,
  EVTQEN = 1 << 2,
  CMDQEN = 1 << 3,
  ATSCHK = 1 << 4,
}

/** SMMU_CR2. */
export const enum Control2Bit {
  E2H = 1 << 0,
  RECINVSID = 1 << 1,
  PTM = 1 << 2,
}

/** SMMU_GBPA. */
export const enum GlobalBypassBit {
  ABORT = 1 << 20,
  UPDATE = 1 << 31,
}

/** SMMU_IRQ_CTRL. */
export const enum InterruptBit {
  PRIQ = 1 << 1,
  EVENTQ = 1 << 2,
}

/** SMMU_GERROR: an error is active while its bit differs from SMMU_GERRORN. */
export const enum GlobalErrorBit {
  CMDQ = 1 << 0,
  EVTQ_ABT = 1 << 2,
  MSI_CMDQ = 1 << 4,
}

/** SMMU_STRTAB_BASE_CFG: FMT 17:16, SPLIT 10:6, LOG2SIZE 5:0. */
export function encodeStreamTableConfig(sizeLg2: number, split: number | null): number {
  return split === null ? sizeLg2 : (1 << 16) | (split << 6) | sizeLg2;
}

export function streamTableSizeLg2(config: number): number {
  return config & 0x3f;
}

/** StreamID bits of the second level, or 0 for a linear table. Reserved values of SPLIT behave as 6. */
export function streamTableSplit(config: number): number {
  if (((config >>> 16) & 3) !== 1) return 0;
  const split = (config >>> 6) & 0x1f;
  return split === 8 || split === 10 ? split : 6;
}

/** Low dword of SMMU_CMDQ_BASE and SMMU_EVTQ_BASE: ADDR 51:5, LOG2SIZE 4:0; the high one is that of the address. */
export function encodeQueueBase(address: number, entriesLg2: number): number {
  return (address & ~0x1f) | entriesLg2;
}

export function queueBaseLo(registerLo: number): number {
  return registerLo & ~0x1f;
}

export function queueSizeLg2(registerLo: number): number {
  return registerLo & 0x1f;
}

/** Bits 51:32 of SMMU_STRTAB_BASE, SMMU_CMDQ_BASE and SMMU_EVTQ_BASE. */
export function queueBaseHi(registerHi: number): number {
  return registerHi & 0xfffff;
}

/** SMMU_EVTQ_PROD.OVFLG and SMMU_EVTQ_CONS.OVACKFLG. */
export const OVERFLOW_FLAG: number = 1 << 31;

/** SMMU_CMDQ_CONS.ERR, bits 30:24. */
export const enum CommandError {
  None = 0,
  CERROR_ILL = 1,
  CERROR_ABT = 2,
  CERROR_ATC_INV_SYNC = 3,
}

// ---------------------------------------------------------------------------------------------------------------------
// Translation structures, chapter 5

/** Log2 of bytes: of a level 1 descriptor, STE and CD. */
export const POINTER_LG2 = 3;
export const STE_LG2 = 6;
export const CD_LG2 = 6;
/** Dwords of an STE that are looked at. */
export const STE_DWORDS = 8;

/** 5.1, L1STD: SPAN 4:0 means 2^(SPAN-1) STEs, 0 none. */
export function encodeStreamPointer(out: Dwords, table: number, span: number): void {
  out[0] = (table & ADDRESS_LO) | span;
  out[1] = high(table);
}

/** log2 of the STEs that a level 1 stream descriptor points at; -1 where it is invalid or its SPAN reserved (5.1). */
export function streamSpanLg2(lo: number, split: number): number {
  const span = lo & 0x1f;
  return span > 11 || span > split + 1 ? -1 : span - 1;
}

/** Address of an array of 2^sizeLg2 bytes, lower bits not counted. */
export function alignedLo(lo: number, sizeLg2: number): number {
  return sizeLg2 >= 32 ? 0 : lo & ADDRESS_LO & (-1 << sizeLg2);
}

/** Bits 55:32 of a pointer in a stream table. */
export function pointerHi(hi: number): number {
  return hi & ADDRESS_HI;
}

/** STE.Config; values below Bypass abort without a record. */
export const enum StreamConfig {
  Abort = 0,
  Bypass = 4,
  Stage1 = 5,
  Stage2 = 6,
  Nested = 7,
}

/** STE.S1Fmt. */
export const enum ContextFormat {
  Linear = 0,
  /** Two levels, leaves of 64 CDs (4 KiB) or 1024 CDs (64 KiB). */
  TwoLevel4K = 1,
  TwoLevel64K = 2,
}

/** STE.S1DSS: requests without SubstreamID on a stream that takes them. */
export const enum DefaultSubstream {
  Terminate = 0,
  Bypass = 1,
  UseContext0 = 2,
}

/** STE.STRW. */
export const enum StreamWorld {
  NonSecureEL1 = 0,
  EL2 = 2,
}

export interface StreamEntry {
  /** EATS; left out: no. */
  readonly ats?: boolean;
  readonly config: StreamConfig;
  /** Stage 1. `contextsLg2`: S1CDMax; 0: no substreams. */
  readonly contextTable?: number;
  readonly contextFormat?: ContextFormat;
  readonly contextsLg2?: number;
  readonly defaultSubstream?: DefaultSubstream;
  readonly world?: StreamWorld;
  readonly vmid?: number;
  /** Stage 2. */
  readonly stage2?: Stage2Encoding;
}

/** Where stage 2 tables are and how they are walked: table levels counted from the leaf. */
export interface Stage2Encoding {
  readonly root: number;
  readonly granuleLg2: number;
  readonly levels: number;
  readonly inputLg2: number;
  readonly outputLg2: number;
}

/** STE.S2TG and CD.TG0. */
const GRANULE_CODES: Readonly<Record<number, number>> = { 12: 0, 16: 1, 14: 2 };
const GRANULES0: readonly number[] = [12, 16, 14, 0];
/** CD.TG1 numbers them otherwise. */
const GRANULES1: readonly number[] = [0, 14, 12, 16];
/** IPS and S2PS; 7 is reserved and behaves as 6. */
const ADDRESS_SIZES: readonly number[] = [32, 36, 40, 42, 44, 48, 52, 52];

/** Code of the largest size that is at most `bits`. */
function addressSizeCode(bits: number): number {
  let code = 6;
  while (code > 0 && ADDRESS_SIZES[code]! > bits) code--;
  return code;
}

/** STE.S2SL0 from table levels: start level 2, 1, 0 (4 KiB granule), or 3, 2, 1, is 0, 1, 2. */
function startLevelCode(granuleLg2: number, levels: number): number {
  return granuleLg2 === 12 ? levels - 2 : levels - 1;
}

/** STE.EATS 0b01: translation requests are answered, and translated requests pass. */
const EATS_TRANSLATE = 1;

/** An STE (5.2), valid; 16 dwords. */
export function encodeStreamEntry(out: Dwords, e: StreamEntry): void {
  const { config, contextTable = 0, contextFormat = 0, contextsLg2 = 0, defaultSubstream = 0, world = 0, vmid = 0 } = e;
  out.fill(0, 0, 16);
  out[0] = 1 | (config << 1);
  if (config === StreamConfig.Stage1 || config === StreamConfig.Nested) {
    out[0] |= (contextFormat << 4) | (contextTable & ADDRESS_LO);
    out[1] = high(contextTable) | (contextsLg2 << 27);
    out[2] = defaultSubstream | (world << 30);
  }
  if (e.ats === true) out[2]! |= EATS_TRANSLATE << 28;
  out[4] = vmid;
  if (e.stage2 === undefined) return;
  const { root, granuleLg2, levels, inputLg2, outputLg2 } = e.stage2;
  // S2AA64 and S2R set: AArch64 tables, faults are recorded.
  out[5] =
    (64 - inputLg2) |
    (startLevelCode(granuleLg2, levels) << 6) |
    (GRANULE_CODES[granuleLg2]! << 14) |
    (addressSizeCode(outputLg2) << 16) |
    (1 << 19) |
    (1 << 26);
  out[6] = root | 0;
  out[7] = high(root);
}

/** The stream may use ATS. Checks of stage 2 for translated requests (EATS 0b10) are not modelled. */
export function streamTranslatesRequests(d2: number): boolean {
  return ((d2 >>> 28) & 3) === EATS_TRANSLATE;
}

export function streamValid(d0: number): boolean {
  return (d0 & 1) !== 0;
}

export function streamConfig(d0: number): StreamConfig {
  return (d0 >>> 1) & 7;
}

export function contextFormat(d0: number): ContextFormat {
  return (d0 >>> 4) & 3;
}

/** STE.S1CDMax. */
export function contextsLg2(d1: number): number {
  return d1 >>> 27;
}

/** Reserved values terminate. */
export function defaultSubstream(d2: number): DefaultSubstream {
  return (d2 & 3) === 3 ? DefaultSubstream.Terminate : d2 & 3;
}

export function stallDisabled(d2: number): boolean {
  return (d2 & (1 << 27)) !== 0;
}

export function streamWorld(d2: number): number {
  return d2 >>> 30;
}

export function streamVmid(d4: number): number {
  return d4 & 0xffff;
}

/** Fields of dword 5 of an STE: stage 2 control. */
export function stage2InputLg2(d5: number): number {
  return 64 - (d5 & 0x3f);
}

/** S2SL0. */
export function stage2Start(d5: number): number {
  return (d5 >>> 6) & 3;
}

/** 0: reserved. */
export function stage2Granule(d5: number): number {
  return GRANULES0[(d5 >>> 14) & 3]!;
}

export function stage2OutputLg2(d5: number): number {
  return ADDRESS_SIZES[(d5 >>> 16) & 7]!;
}

export const enum Stage2Bit {
  S2AA64 = 1 << 19,
  S2ENDI = 1 << 20,
  S2AFFD = 1 << 21,
  S2HD = 1 << 23,
  S2HA = 1 << 24,
  S2S = 1 << 25,
  S2R = 1 << 26,
}

/** 5.3, L1CD. */
export function encodeContextPointer(out: Dwords, table: number): void {
  out[0] = (table & ~0xfff) | 1;
  out[1] = high(table);
}

export interface ContextEntry {
  readonly asid: number;
  readonly root: number;
  readonly granuleLg2: number;
  readonly inputLg2: number;
  readonly outputLg2: number;
  /** The upper half of the VA space, if it has tables. */
  readonly upper?: { readonly root: number; readonly granuleLg2: number; readonly inputLg2: number };
  /** S: faults stall. */
  readonly stalls?: boolean;
}

/** A CD (5.4), valid; 16 dwords. Faults abort, or stall, and are recorded, no hardware updates; without `upper` EPD1 is set. */
export function encodeContext(out: Dwords, entry: ContextEntry): void {
  const { asid, root, granuleLg2, inputLg2, outputLg2, upper, stalls = false } = entry;
  out.fill(0, 0, 16);
  out[0] = (64 - inputLg2) | (GRANULE_CODES[granuleLg2]! << 6) | (1 << 31);
  if (upper === undefined) out[0] |= 1 << 30;
  else {
    out[0] |= ((64 - upper.inputLg2) << 16) | (GRANULES1.indexOf(upper.granuleLg2) << 22);
    out[4] = upper.root | 0;
    out[5] = high(upper.root);
  }
  // AA64, R, A, ASET.
  out[1] = addressSizeCode(outputLg2) | (1 << 9) | (1 << 13) | (1 << 14) | (1 << 15) | (asid << 16);
  if (stalls) out[1] |= ContextBit.S;
  out[2] = root | 0;
  out[3] = high(root);
}

export const enum ContextBit {
  /** Dword 0. */
  ENDI = 1 << 15,
  V = 1 << 31,
  /** Dword 1. */
  AFFD = 1 << 3,
  WXN = 1 << 4,
  PAN = 1 << 8,
  AA64 = 1 << 9,
  HD = 1 << 10,
  HA = 1 << 11,
  S = 1 << 12,
  R = 1 << 13,
  A = 1 << 14,
}

export function contextAsid(d1: number): number {
  return d1 >>> 16;
}

export function contextOutputLg2(d1: number): number {
  return ADDRESS_SIZES[d1 & 7]!;
}

/** Width of the input addresses of TTB0 (half 0) or TTB1. */
export function contextInputLg2(d0: number, half: 0 | 1): number {
  return 64 - ((d0 >>> (16 * half)) & 0x3f);
}

/** 0: reserved. */
export function contextGranule(d0: number, half: 0 | 1): number {
  return (half === 0 ? GRANULES0 : GRANULES1)[(d0 >>> (16 * half + 6)) & 3]!;
}

/** EPD0, EPD1. */
export function walksDisabled(d0: number, half: 0 | 1): boolean {
  return ((d0 >>> (16 * half + 14)) & 1) !== 0;
}

/** TBI0, TBI1. */
export function topByteIgnored(d1: number, half: 0 | 1): boolean {
  return ((d1 >>> (6 + half)) & 1) !== 0;
}

/** HAD0, HAD1 in the lower dword of TTB0, TTB1. */
export function tableAttributesIgnored(lo: number): boolean {
  return (lo & 2) !== 0;
}

/** Bits 51:32 of S2TTB, TTB0 and TTB1. */
export function tableBaseHi(hi: number): number {
  return hi & 0xfffff;
}

// ---------------------------------------------------------------------------------------------------------------------
// Commands, chapter 4

export const COMMAND_LG2 = 4;
/** Dwords of a command. */
export const COMMAND_WORDS = 4;

export const enum Opcode {
  PREFETCH_CONFIG = 0x01,
  PREFETCH_ADDR = 0x02,
  CFGI_STE = 0x03,
  CFGI_STE_RANGE = 0x04,
  CFGI_CD = 0x05,
  CFGI_CD_ALL = 0x06,
  CFGI_VMS_PIDM = 0x07,
  TLBI_NH_ALL = 0x10,
  TLBI_NH_ASID = 0x11,
  TLBI_NH_VA = 0x12,
  TLBI_NH_VAA = 0x13,
  TLBI_EL3_ALL = 0x18,
  TLBI_EL3_VA = 0x1a,
  TLBI_EL2_ALL = 0x20,
  TLBI_EL2_ASID = 0x21,
  TLBI_EL2_VA = 0x22,
  TLBI_EL2_VAA = 0x23,
  TLBI_S12_VMALL = 0x28,
  TLBI_S2_IPA = 0x2a,
  TLBI_NSNH_ALL = 0x30,
  ATC_INV = 0x40,
  PRI_RESP = 0x41,
  RESUME = 0x44,
  STALL_TERM = 0x45,
  CMD_SYNC = 0x46,
}

/** CFGI_STE_RANGE of this range is CFGI_ALL. */
export const RANGE_ALL = 31;

/** CMD_SYNC.CS: how its completion is signalled. */
export const enum Completion {
  None = 0,
  /** An MSI write, where MSIAddress is not 0, or a wired interrupt. */
  Interrupt = 1,
  Event = 2,
}

/** What a decoded command says; fields that its opcode lacks are meaningless. */
export class Command {
  opcode: Opcode = Opcode.CMD_SYNC;
  sid = 0;
  ssid = 0;
  substreamValid = false;
  /** CFGI_STE_RANGE. */
  range = 0;
  vmid = 0;
  asid = 0;
  leaf = false;
  /** log2 of the granule of a range, 0: one page of any size. */
  granuleLg2 = 0;
  /** Granules of the range, from the address on. */
  pages = 1;
  addressHi = 0;
  addressLo = 0;
  completion: Completion = Completion.None;
  data = 0;
  /** RESUME: STAG, and Ac: look the transaction up again. */
  tag = 0;
  retry = false;
  /** CMD_PRI_RESP. */
  group = 0;
  response = 0;
  /** ATC_INV: log2 of the bytes named; entries of every substream. */
  sizeLg2 = 0;
  global = false;
}

function encodeOpcode(out: Dwords, at: number, opcode: Opcode): void {
  out[at] = opcode;
  out[at + 1] = 0;
  out[at + 2] = 0;
  out[at + 3] = 0;
}

/** CFGI_STE: the STE of one stream, and with `leaf` false the level 1 descriptor on the way. */
export function encodeStreamInvalidation(out: Dwords, at: number, sid: number, leaf: boolean): void {
  encodeOpcode(out, at, Opcode.CFGI_STE);
  out[at + 1] = sid;
  out[at + 2] = leaf ? 1 : 0;
}

/** CFGI_STE_RANGE: 2^(range + 1) StreamIDs; RANGE_ALL is CFGI_ALL. */
export function encodeStreamRangeInvalidation(out: Dwords, at: number, sid: number, range: number): void {
  encodeOpcode(out, at, Opcode.CFGI_STE_RANGE);
  out[at + 1] = sid;
  out[at + 2] = range;
}

/** CFGI_CD. */
export function encodeContextInvalidation(out: Dwords, at: number, sid: number, ssid: number, leaf: boolean): void {
  encodeOpcode(out, at, Opcode.CFGI_CD);
  out[at]! |= ssid << 12;
  out[at + 1] = sid;
  out[at + 2] = leaf ? 1 : 0;
}

/** ATC_INV, 4.5.1: 2^size pages of 4 KiB, ATC_INV_ALL everything, of a substream or (-1) of requests without. */
export function encodeDeviceTlbInvalidation(
  out: Dwords,
  at: number,
  sid: number,
  ssid: number,
  address: number,
  size: number,
): void {
  encodeOpcode(out, at, Opcode.ATC_INV);
  if (ssid >= 0) out[at]! |= (ssid << 12) | 0x800;
  out[at + 1] = sid;
  out[at + 2] = (address & ~0xfff) | size;
  out[at + 3] = high(address);
}

export const ATC_INV_ALL = 52;

/** CFGI_CD_ALL. */
export function encodeContextsInvalidation(out: Dwords, at: number, sid: number): void {
  encodeOpcode(out, at, Opcode.CFGI_CD_ALL);
  out[at + 1] = sid;
}

/** A TLBI command without an address. */
export function encodeTlbi(out: Dwords, at: number, opcode: Opcode, vmid: number, asid: number): void {
  encodeOpcode(out, at, opcode);
  out[at + 1] = vmid | (asid << 16);
}

/** TLBI by VA or IPA: one page. */
export function encodeTlbiPage(
  out: Dwords,
  at: number,
  opcode: Opcode,
  vmid: number,
  asid: number,
  address: number,
  leaf: boolean,
): void {
  encodeTlbi(out, at, opcode, vmid, asid);
  out[at + 2] = (address & ~0xfff) | (leaf ? 1 : 0);
  out[at + 3] = high(address);
}

/** The same for (number + 1) * 2^scale granules. `ttl`: level of the leaves, 1 to 3, or 0 where they differ. */
export function encodeTlbiRange(
  out: Dwords,
  at: number,
  range: { readonly granuleLg2: number; readonly number: number; readonly scale: number; readonly ttl: number },
): void {
  const { granuleLg2, number, scale, ttl } = range;
  out[at]! |= (number << 12) | (scale << 20);
  out[at + 2]! |= (ttl << 8) | ((granuleLg2 / 2 - 5) << 10);
}

/** CMD_RESUME.Resp as Linux names it: Ac is bit 0, Ab bit 1. */
export const enum Resume {
  Terminate = 0,
  Retry = 1,
  Abort = 2,
}

export function encodeResume(out: Dwords, at: number, sid: number, tag: number, response: Resume): void {
  encodeOpcode(out, at, Opcode.RESUME);
  out[at]! |= response << 12;
  out[at + 1] = sid;
  out[at + 2] = tag;
}

/** CMD_PRI_RESP.Resp. */
export const enum PriResponse {
  Failure = 0,
  Invalid = 1,
  Success = 2,
}

/** `ssid` -1: the requests had no PASID. */
export function encodePriResponse(
  out: Dwords,
  at: number,
  sid: number,
  ssid: number,
  group: number,
  response: PriResponse,
): void {
  encodeOpcode(out, at, Opcode.PRI_RESP);
  if (ssid >= 0) out[at]! |= 0x800 | (ssid << 12);
  out[at + 1] = sid;
  out[at + 2] = (group & 0x1ff) | (response << 12);
}

export function encodeStallTerminate(out: Dwords, at: number, sid: number): void {
  encodeOpcode(out, at, Opcode.STALL_TERM);
  out[at + 1] = sid;
}

/** CMD_SYNC that stores `data` at the address, which is not 0. */
export function encodeSync(out: Dwords, at: number, address: number, data: number): void {
  encodeOpcode(out, at, Opcode.CMD_SYNC);
  out[at]! |= Completion.Interrupt << 12;
  out[at + 1] = data;
  out[at + 2] = address & ~3;
  out[at + 3] = high(address);
}

/** CMD_SYNC that stores nothing: its end is an event, or only the move of the consumer index. */
export function encodeSyncSignal(out: Dwords, at: number, completion: Completion.None | Completion.Event): void {
  encodeOpcode(out, at, Opcode.CMD_SYNC);
  out[at]! |= completion << 12;
}

/** False for a command that is not legal (CERROR_ILL). `ranges`: IDR3.RIL; without it the range fields are ignored. */
export function decodeCommand(words: Dwords, ranges: boolean, out: Command): boolean {
  const [d0, d1, d2, d3] = [words[0]!, words[1]!, words[2]!, words[3]!];
  out.opcode = d0 & 0xff;
  out.sid = d1;
  out.ssid = d0 >>> 12;
  out.substreamValid = (d0 & 0x800) !== 0;
  out.range = d2 & 0x1f;
  out.vmid = d1 & 0xffff;
  out.asid = d1 >>> 16;
  out.leaf = (d2 & 1) !== 0;
  out.addressHi = d3;
  out.addressLo = d2 & ~0xfff;
  out.tag = d2 & 0xffff;
  out.group = d2 & 0x1ff;
  out.response = (d2 >>> 12) & 3;
  out.retry = (d0 & (Resume.Retry << 12)) !== 0;
  out.sizeLg2 = Math.min(12 + (d2 & 0x3f), 64);
  out.global = (d0 & 0x200) !== 0;
  switch (out.opcode) {
    case Opcode.TLBI_NH_VA:
    case Opcode.TLBI_NH_VAA:
    case Opcode.TLBI_EL2_VA:
    case Opcode.TLBI_EL2_VAA:
    case Opcode.TLBI_S2_IPA: {
      const granule = (d2 >>> 10) & 3;
      out.granuleLg2 = ranges && granule !== 0 ? 10 + 2 * granule : 0;
      out.pages = out.granuleLg2 === 0 ? 1 : (((d0 >>> 12) & 0x1f) + 1) * 2 ** ((d0 >>> 20) & 0x1f);
      return true;
    }
    case Opcode.CMD_SYNC:
      out.completion = (d0 >>> 12) & 3;
      out.data = d1;
      out.addressHi = d3 & 0xfffff;
      out.addressLo = d2 & ~3;
      return out.completion <= Completion.Event;
    case Opcode.PREFETCH_CONFIG:
    case Opcode.PREFETCH_ADDR:
    case Opcode.CFGI_STE:
    case Opcode.CFGI_STE_RANGE:
    case Opcode.CFGI_CD:
    case Opcode.CFGI_CD_ALL:
    case Opcode.TLBI_NH_ALL:
    case Opcode.TLBI_NH_ASID:
    case Opcode.TLBI_EL2_ALL:
    case Opcode.TLBI_EL2_ASID:
    case Opcode.TLBI_S12_VMALL:
    case Opcode.TLBI_NSNH_ALL:
    case Opcode.ATC_INV:
    case Opcode.PRI_RESP:
    case Opcode.RESUME:
    case Opcode.STALL_TERM:
      return true;
    default:
      // EL3 commands and CFGI_VMS_PIDM are of interfaces and features that are not there.
      return false;
  }
}

// ---------------------------------------------------------------------------------------------------------------------
// PRI queue entries, 8.1

export const PAGE_REQUEST_LG2 = 4;
export const PAGE_REQUEST_WORDS = 4;

/** 8.1: StreamID 31:0, SubstreamID 51:32, PnU 58, Xn 59, uR 60, uW 61, Last 62, SSV 63, PRG index 72:64, address 127:76. */
export function encodePageRequest(
  out: Dwords,
  sid: number,
  ssid: number,
  bits: number,
  group: number,
  addressHi: number,
  addressLo: number,
): void {
  out[0] = sid;
  out[1] =
    (ssid < 0 ? 0 : (ssid & 0xfffff) | (1 << 31)) |
    ((bits & PageRequestBit.Privileged) !== 0 ? 1 << 26 : 0) |
    ((bits & PageRequestBit.Execute) !== 0 ? 1 << 27 : 0) |
    ((bits & (PageRequestBit.Read | PageRequestBit.Write)) << 28) |
    ((bits & PageRequestBit.Last) !== 0 ? 1 << 30 : 0);
  out[2] = (group & 0x1ff) | (addressLo & ~0xfff);
  out[3] = addressHi;
}

export function decodePageRequest(d: Dwords, out: PageRequestRecord): void {
  const [d0, d1, d2, d3] = [d[0]!, d[1]!, d[2]!, d[3]!];
  out.source = d0;
  out.pasid = d1 < 0 ? d1 & 0xfffff : -1;
  out.bits =
    ((d1 >>> 28) & 3) |
    ((d1 & (1 << 26)) !== 0 ? PageRequestBit.Privileged : 0) |
    ((d1 & (1 << 27)) !== 0 ? PageRequestBit.Execute : 0) |
    ((d1 & (1 << 30)) !== 0 ? PageRequestBit.Last : 0);
  out.group = d2 & 0x1ff;
  out.addressHi = d3;
  out.addressLo = d2 & ~0xfff;
}

// ---------------------------------------------------------------------------------------------------------------------
// Event records, 7.3

export const EVENT_LG2 = 5;
export const EVENT_WORDS = 8;

export const enum EventCode {
  /** Not an event, and no code of the specification: the stream aborts without a record (STE.Config 0b0xx), or GBPA does. */
  Silent = 0x100,
  F_UUT = 0x01,
  C_BAD_STREAMID = 0x02,
  F_STE_FETCH = 0x03,
  C_BAD_STE = 0x04,
  F_BAD_ATS_TREQ = 0x05,
  F_STREAM_DISABLED = 0x06,
  F_TRANSL_FORBIDDEN = 0x07,
  C_BAD_SUBSTREAMID = 0x08,
  F_CD_FETCH = 0x09,
  C_BAD_CD = 0x0a,
  F_WALK_EABT = 0x0b,
  F_TRANSLATION = 0x10,
  F_ADDR_SIZE = 0x11,
  F_ACCESS = 0x12,
  F_PERMISSION = 0x13,
  F_TLB_CONFLICT = 0x20,
  F_CFG_CONFLICT = 0x21,
  E_PAGE_REQUEST = 0x24,
  F_VMS_FETCH = 0x25,
}

/** CLASS: what was being translated when a table walk failed. */
export const enum EventClass {
  CD = 0,
  TT = 1,
  IN = 2,
}

/** An event record before it is encoded. */
export class EventRecord {
  code: EventCode = EventCode.F_TRANSLATION;
  sid = 0;
  /** -1: no SubstreamID. */
  ssid = -1;
  read = true;
  execute = false;
  privileged = false;
  stage2 = false;
  eventClass: EventClass = EventClass.IN;
  inputHi = 0;
  inputLo = 0;
  /** IPA of a stage 2 fault, or the address of a failed fetch. */
  addressHi = 0;
  addressLo = 0;
  /** STALL, STAG: the transaction waits for a CMD_RESUME with the tag. */
  stall = false;
  tag = 0;
}

export function encodeEvent(out: Dwords, r: EventRecord): void {
  out[0] = r.code | (r.ssid >= 0 ? 0x800 | (r.ssid << 12) : 0);
  out[1] = r.sid;
  out[2] = r.stall ? r.tag | (1 << 31) : 0;
  out[3] =
    (r.privileged ? 1 << 1 : 0) |
    (r.execute ? 1 << 2 : 0) |
    (r.read ? 1 << 3 : 0) |
    (r.stage2 ? 1 << 7 : 0) |
    (r.eventClass << 8);
  out[4] = r.inputLo;
  out[5] = r.inputHi;
  out[6] = r.addressLo;
  out[7] = r.addressHi;
}

/** The record of EVENT_WORDS dwords. */
export function decodeEvent(d: Dwords, r: EventRecord): void {
  const [d0, d2, d3] = [d[0]!, d[2]!, d[3]!];
  r.code = d0 & 0xff;
  r.ssid = (d0 & 0x800) !== 0 ? d0 >>> 12 : -1;
  r.sid = d[1]!;
  r.stall = d2 < 0;
  r.tag = d2 & 0xffff;
  r.privileged = (d3 & (1 << 1)) !== 0;
  r.execute = (d3 & (1 << 2)) !== 0;
  r.read = (d3 & (1 << 3)) !== 0;
  r.stage2 = (d3 & (1 << 7)) !== 0;
  r.eventClass = (d3 >>> 8) & 3;
  r.inputLo = d[4]!;
  r.inputHi = d[5]!;
  r.addressLo = d[6]!;
  r.addressHi = d[7]!;
}

/** Names of event codes. */
export const EVENT_NAMES: Readonly<Record<number, string>> = {
  [EventCode.Silent]: 'aborted without an event',
  [EventCode.F_UUT]: 'F_UUT',
  [EventCode.C_BAD_STREAMID]: 'C_BAD_STREAMID',
  [EventCode.F_STE_FETCH]: 'F_STE_FETCH',
  [EventCode.C_BAD_STE]: 'C_BAD_STE',
  [EventCode.F_BAD_ATS_TREQ]: 'F_BAD_ATS_TREQ',
  [EventCode.F_STREAM_DISABLED]: 'F_STREAM_DISABLED',
  [EventCode.F_TRANSL_FORBIDDEN]: 'F_TRANSL_FORBIDDEN',
  [EventCode.C_BAD_SUBSTREAMID]: 'C_BAD_SUBSTREAMID',
  [EventCode.F_CD_FETCH]: 'F_CD_FETCH',
  [EventCode.C_BAD_CD]: 'C_BAD_CD',
  [EventCode.F_WALK_EABT]: 'F_WALK_EABT',
  [EventCode.F_TRANSLATION]: 'F_TRANSLATION',
  [EventCode.F_ADDR_SIZE]: 'F_ADDR_SIZE',
  [EventCode.F_ACCESS]: 'F_ACCESS',
  [EventCode.F_PERMISSION]: 'F_PERMISSION',
  [EventCode.F_TLB_CONFLICT]: 'F_TLB_CONFLICT',
  [EventCode.F_CFG_CONFLICT]: 'F_CFG_CONFLICT',
  [EventCode.E_PAGE_REQUEST]: 'E_PAGE_REQUEST',
  [EventCode.F_VMS_FETCH]: 'F_VMS_FETCH',
};
