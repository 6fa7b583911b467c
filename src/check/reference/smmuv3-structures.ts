/**
 * The configuration structures of an Arm SMMUv3 as plain records: level 1 stream descriptor, STE, level 1 CD, CD, with the validity
 * rules that end in C_BAD_STE and C_BAD_CD. Arm IHI 0070G chapter 5 (5.1 to 5.4) and the functions SteIllegal and CdIllegal in it;
 * start levels and block levels from Arm DDI 0487 D8.2. Non-secure streams of SMMUv3.1 to 3.3, VMSAv8-64 tables, StreamWorld NS-EL1.
 * Not modelled: stalling faults (STALL_MODEL 1), EL2 and EL3 worlds, 128-bit tables, DS, HAFT, permission indirection, MPAM.
 */
export type GranuleLg2 = 12 | 14 | 16;

/** What the ID registers say: stages (IDR0), address sizes and 52-bit VAs (IDR5), SSIDSIZE (IDR1), HTTU (IDR0). */
export interface Unit {
  readonly stage1: boolean;
  readonly stage2: boolean;
  /** Output address size in bits; the intermediate address size is the same (no AArch32). */
  readonly oas: number;
  /** Bits of a SubstreamID; 0: none. Two-level CD tables are supported when there are any. */
  readonly ssidBits: number;
  /** 0 none, 1 access flag, 2 access flag and dirty state. */
  readonly httu: number;
  readonly va52: boolean;
}

/** Input range and start of a table walk. */
export interface Geometry {
  readonly granuleLg2: GranuleLg2;
  readonly inputBits: number;
  readonly startLevel: number;
}

export interface TableRoot extends Geometry {
  /** Aligned to the size of the start level. */
  readonly base: bigint;
}

export interface Stage2 extends TableRoot {
  readonly outputBits: number;
  readonly ignoreAccessFlag: boolean;
  readonly updateAccessFlag: boolean;
  readonly updateDirty: boolean;
  readonly record: boolean;
}

export interface StreamEntry {
  readonly translate1: boolean;
  readonly translate2: boolean;
  readonly abort: boolean;
  readonly contextPointer: bigint;
  /** log2 of the number of CDs; 0: substreams off. */
  readonly contextsLg2: number;
  /** log2 of the CDs in a leaf table; null: linear. */
  readonly leafContextsLg2: number | null;
  /** STE.S1DSS: 0 terminate, 1 bypass stage 1, 2 use CD 0. */
  readonly defaultSubstream: number;
  readonly stage2: Stage2 | null;
  /** EATS 0b01 of a stream that translates: full ATS. Split-stage ATS and device permission tables are not modelled. */
  readonly ats: boolean;
}

export interface Region extends TableRoot {
  readonly ignoreTopByte: boolean;
  readonly ignoreHierarchy: boolean;
}

export interface Context {
  /** By VA bit 55; null: table walks disabled (EPD). */
  readonly regions: readonly [Region | null, Region | null];
  readonly outputBits: number;
  readonly ignoreAccessFlag: boolean;
  readonly updateAccessFlag: boolean;
  readonly updateDirty: boolean;
  readonly writeExecuteNever: boolean;
  readonly privilegedAccessNever: boolean;
  readonly record: boolean;
}

export function field(word: bigint, high: number, low: number): number {
  return Number((word >> BigInt(low)) & ((1n << BigInt(high - low + 1)) - 1n));
}

/** Bits high:low of a word in their place, as an address. */
export function addressBits(word: bigint, high: number, low: number): bigint {
  return word & ((1n << BigInt(high + 1)) - (1n << BigInt(low)));
}

export function flag(word: bigint, bit: number): boolean {
  return ((word >> BigInt(bit)) & 1n) === 1n;
}

export function alignDown(address: bigint, lg2: number): bigint {
  return (address >> BigInt(lg2)) << BigInt(lg2);
}

/** Bits of input address that a level and all below it resolve, less the index of the level itself. */
export function levelShift(granuleLg2: number, level: number): number {
  return granuleLg2 + (3 - level) * (granuleLg2 - 3);
}

/**
 * Reads the `cfg` lines of a vector. `stage` 1|2|nested; beyond the emulators `oas` (bits), `ssid` (bits), `httu` 0|1|2, `vax` 48|52.
 * @throws Error on an unknown key or value
 */
export function unitOf(config: readonly (readonly [key: string, value: string])[]): Unit {
  const values = new Map<string, string>([
    ['stage', '1'],
    ['oas', '44'],
    ['ssid', '0'],
    ['httu', '0'],
    ['vax', '48'],
  ]);
  for (const [key, value] of config) {
    if (!values.has(key)) throw new Error(`smmuv3: unknown cfg key ${key}`);
    values.set(key, value);
  }
  const choice = (key: string, allowed: readonly string[]): string => {
    const value = values.get(key) ?? '';
    if (!allowed.includes(value)) throw new Error(`smmuv3: cfg ${key} ${value} is not one of ${allowed.join(', ')}`);
    return value;
  };
  const stage = choice('stage', ['1', '2', 'nested']);
  return {
    stage1: stage !== '2',
    stage2: stage !== '1',
    oas: Number(choice('oas', ['32', '36', '40', '42', '44', '48', '52'])),
    ssidBits: Number(
      choice(
        'ssid',
        Array.from({ length: 21 }, (_, bits) => String(bits)),
      ),
    ),
    httu: Number(choice('httu', ['0', '1', '2'])),
    va52: choice('vax', ['48', '52']) === '52',
  };
}

/** Encodings of CD.IPS and STE.S2PS; 7 is reserved and behaves as 6 (SMMUv3.1 to 3.3). */
const ADDRESS_SIZES = [32, 36, 40, 42, 44, 48, 52, 52] as const;

/** CD.TG0 and STE.S2TG; CD.TG1 numbers the granules differently. */
const GRANULES0: readonly (GranuleLg2 | null)[] = [12, 16, 14, null];
const GRANULES1: readonly (GranuleLg2 | null)[] = [null, 14, 12, 16];

/** The largest TxSZ without small translation tables (IDR3.STT = 0). */
const TXSZ_MAX = 39;

/** log2 of the bytes of the start level; 52-bit output addresses need at least 64 bytes. */
function rootLg2(geometry: Geometry, outputBits: number): number {
  const entriesLg2 = geometry.inputBits - levelShift(geometry.granuleLg2, geometry.startLevel);
  return Math.max(entriesLg2 + 3, outputBits === 52 ? 6 : 0);
}

/** Start level that the granule and VA size imply for stage 1 (DDI 0487 D8.2). */
export function stage1StartLevel(granuleLg2: number, inputBits: number): number {
  return 4 - Math.ceil((inputBits - granuleLg2) / (granuleLg2 - 3));
}

/** Start level by STE.S2SL0, or null where the value is reserved or needs a larger output address size. */
function stage2StartLevel(granuleLg2: GranuleLg2, sl0: number, oas: number): number | null {
  if (sl0 === 3) return null;
  if (granuleLg2 === 12) return sl0 === 2 && oas < 44 ? null : 2 - sl0;
  if (sl0 === 2 && oas < (granuleLg2 === 14 ? 42 : 44)) return null;
  return 3 - sl0;
}

/** Null: STE.{S2TG, S2T0SZ, S2SL0, S2PS, S2TTB, ...} make the STE ILLEGAL. */
function decodeStage2(words: readonly bigint[], unit: Unit): Stage2 | null {
  const control = words[2] ?? 0n;
  const granuleLg2 = GRANULES0[field(control, 47, 46)] ?? null;
  if (granuleLg2 === null) return null;
  const t0sz = field(control, 37, 32);
  if (t0sz > TXSZ_MAX || t0sz < Math.max(granuleLg2 === 16 ? 12 : 16, 64 - unit.oas)) return null;
  const startLevel = stage2StartLevel(granuleLg2, field(control, 39, 38), unit.oas);
  if (startLevel === null) return null;
  const inputBits = 64 - t0sz;
  // At least two entries at the start level, at most 16 concatenated tables.
  const startBits = inputBits - levelShift(granuleLg2, startLevel);
  if (startBits < 1 || startBits > granuleLg2 - 3 + 4) return null;
  const outputBits = Math.min(ADDRESS_SIZES[field(control, 50, 48)] ?? 52, unit.oas);
  const pointer = addressBits(words[3] ?? 0n, 51, 4);
  if (pointer >> BigInt(granuleLg2 === 16 ? outputBits : Math.min(outputBits, 48)) !== 0n) return null;
  // S2AA64, S2ENDI, S2S: AArch64 tables, little endian, no stalls.
  if (!flag(control, 51) || flag(control, 52) || flag(control, 57)) return null;
  const updateAccessFlag = flag(control, 56);
  const updateDirty = flag(control, 55);
  if ((updateAccessFlag && unit.httu === 0) || (updateDirty && unit.httu < 2)) return null;
  const geometry = { granuleLg2, inputBits, startLevel };
  return {
    ...geometry,
    base: alignDown(pointer, rootLg2(geometry, outputBits)),
    outputBits,
    ignoreAccessFlag: flag(control, 53),
    updateAccessFlag,
    updateDirty: updateDirty && updateAccessFlag,
    record: flag(control, 58),
  };
}

/** Null: the STE is invalid or ILLEGAL (C_BAD_STE). @param words the 8 words of the STE */
export function decodeStreamEntry(words: readonly bigint[], unit: Unit): StreamEntry | null {
  const first = words[0] ?? 0n;
  const second = words[1] ?? 0n;
  if (!flag(first, 0)) return null;
  const config = field(first, 3, 1);
  const abort = config < 4;
  const translate1 = !abort && (config & 1) !== 0;
  const translate2 = !abort && (config & 2) !== 0;
  if ((translate1 && !unit.stage1) || (translate2 && !unit.stage2)) return null;
  const format = field(first, 5, 4);
  const contextsLg2 = unit.ssidBits === 0 ? 0 : field(first, 63, 59);
  const twoLevel = contextsLg2 > 0 && (format === 1 || format === 2);
  const leafContextsLg2 = twoLevel ? (format === 1 ? 6 : 10) : null;
  let contextPointer = addressBits(first, 55, 6);
  if (translate1) {
    // S1STALLD needs the stall model.
    if (flag(second, 27) || contextsLg2 > unit.ssidBits || contextPointer >> BigInt(unit.oas) !== 0n) return null;
    const tableLg2 = leafContextsLg2 === null ? contextsLg2 + 6 : Math.max(6, contextsLg2 - leafContextsLg2 + 3);
    contextPointer = alignDown(contextPointer, tableLg2);
  }
  const stage2 = translate2 ? decodeStage2(words, unit) : null;
  if (translate2 && stage2 === null) return null;
  const defaultSubstream = field(second, 1, 0);
  return {
    translate1,
    translate2,
    abort,
    contextPointer,
    contextsLg2,
    leafContextsLg2,
    defaultSubstream: defaultSubstream === 3 ? 0 : defaultSubstream,
    stage2,
    ats: (translate1 || translate2) && field(second, 29, 28) === 1,
  };
}

/** Undefined: TxSZ, TGx or TTBx is ILLEGAL. Null: walks through this half are disabled, and its fields do not matter. */
function decodeRegion(
  words: readonly bigint[],
  half: 0 | 1,
  outputBits: number,
  unit: Unit,
): Region | null | undefined {
  const control = words[0] ?? 0n;
  const pointer = words[1 + half] ?? 0n;
  const low = 16 * half;
  if (flag(control, low + 14)) return null;
  const granuleLg2 = (half === 0 ? GRANULES0 : GRANULES1)[field(control, low + 7, low + 6)] ?? null;
  if (granuleLg2 === null) return undefined;
  const size = field(control, low + 5, low);
  if (size > TXSZ_MAX || size < (granuleLg2 === 16 && unit.va52 ? 12 : 16)) return undefined;
  const base = addressBits(pointer, 51, 4);
  if (base >> BigInt(granuleLg2 === 16 ? outputBits : Math.min(outputBits, 48)) !== 0n) return undefined;
  const inputBits = 64 - size;
  const geometry = { granuleLg2, inputBits, startLevel: stage1StartLevel(granuleLg2, inputBits) };
  return {
    ...geometry,
    base: alignDown(base, rootLg2(geometry, outputBits)),
    ignoreTopByte: flag(control, 38 + half),
    ignoreHierarchy: flag(pointer, 1),
  };
}

/** Null: the CD is invalid or ILLEGAL (C_BAD_CD). @param words the 8 words of the CD */
export function decodeContext(words: readonly bigint[], unit: Unit): Context | null {
  const control = words[0] ?? 0n;
  // V, AA64, A (TERM_MODEL 1) set; S (STALL_MODEL 1) clear.
  if (!flag(control, 31) || !flag(control, 41) || !flag(control, 46) || flag(control, 44)) return null;
  const updateAccessFlag = flag(control, 43);
  const updateDirty = flag(control, 42);
  if ((updateAccessFlag && unit.httu === 0) || (updateDirty && unit.httu < 2)) return null;
  const outputBits = Math.min(ADDRESS_SIZES[field(control, 34, 32)] ?? 52, unit.oas);
  const lower = decodeRegion(words, 0, outputBits, unit);
  const upper = decodeRegion(words, 1, outputBits, unit);
  if (lower === undefined || upper === undefined) return null;
  // ENDI is ignored when both halves are disabled.
  if (flag(control, 15) && (lower !== null || upper !== null)) return null;
  return {
    regions: [lower, upper],
    outputBits,
    ignoreAccessFlag: flag(control, 35),
    updateAccessFlag,
    updateDirty: updateDirty && updateAccessFlag,
    writeExecuteNever: flag(control, 36),
    privilegedAccessNever: flag(control, 40),
    record: flag(control, 45),
  };
}
