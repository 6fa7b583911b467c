/**
 * Registers of Apple's DART (Linux drivers/iommu/apple-dart.c) and of the root port that gives PCIe requesters their stream (RID2SID, Linux
 * drivers/pci/controller/pcie-apple.c). T8020 (M1) and T6000 (M1 Pro, other table entries) share one layout, T8110 has its own.
 * Registers of 32 bits: the lower word of a write. Not modelled: locked DARTs, stream remapping, USB4 DARTs of 64 streams.
 */

export const enum Variant {
  T8020,
  T6000,
  T8110,
}

/** What a variant has: as `apple_dart_hw` of the driver. */
export interface Layout {
  readonly variant: Variant;
  readonly entries: 'DART1' | 'DART2';
  readonly streams: number;
  readonly ttbrs: number;
  /** Input address bits: all streams of T8020 and T6000 have 32; PARAMS3 of T8110, 42 on T602x. */
  readonly inputLg2: number;
  /** Byte offset of TCR of stream 0, and of TTBR 0 of stream 0. */
  readonly tcr: number;
  readonly ttbr: number;
  readonly tcrTranslate: number;
  readonly tcrBypass: number;
  readonly ttbrValid: number;
  /** Address of a table: register bits from `ttbrField` up hold it from bit `ttbrShift` up. */
  readonly ttbrField: number;
  readonly ttbrShift: number;
  readonly error: number;
  readonly errorStreamShift: number;
  readonly errorAddressLo: number;
  readonly errorAddressHi: number;
}

const OLD = {
  streams: 16,
  ttbrs: 4,
  inputLg2: 32,
  tcr: 0x100,
  ttbr: 0x200,
  tcrTranslate: 1 << 7,
  tcrBypass: (1 << 8) | (1 << 12),
  ttbrValid: 1 << 31,
  ttbrField: 0,
  ttbrShift: 12,
  error: 0x40,
  errorStreamShift: 24,
  errorAddressLo: 0x50,
  errorAddressHi: 0x54,
} as const;

const LAYOUTS: readonly Layout[] = [
  { ...OLD, variant: Variant.T8020, entries: 'DART1' },
  { ...OLD, variant: Variant.T6000, entries: 'DART2' },
  {
    variant: Variant.T8110,
    entries: 'DART2',
    streams: 256,
    ttbrs: 1,
    inputLg2: 42,
    tcr: 0x1000,
    ttbr: 0x1400,
    tcrTranslate: 1 | (1 << 3),
    tcrBypass: (1 << 1) | (1 << 2),
    ttbrValid: 1,
    ttbrField: 2,
    ttbrShift: 14,
    error: 0x100,
    errorStreamShift: 20,
    errorAddressLo: 0x170,
    errorAddressHi: 0x174,
  },
];

/** Tables of three levels (TCR.FOUR_LEVEL, which counts the TTBR) are T8110's; of the others, addresses of 36 bits are T8020's. */
export function layoutOf(levels: number, hostAddressWidth: number): Layout {
  const variant = levels > 2 ? Variant.T8110 : hostAddressWidth > 36 ? Variant.T6000 : Variant.T8020;
  return LAYOUTS[variant]!;
}

/** Input bits that one TTBR translates, and log2 of the TTBRs that the whole input space takes. */
export function ttbrBits(layout: Layout, levels: number, granuleLg2: number): number {
  return Math.min(layout.inputLg2, granuleLg2 + levels * (granuleLg2 - 3));
}

export function ttbrsLg2(layout: Layout, levels: number, granuleLg2: number): number {
  const wanted = layout.inputLg2 - ttbrBits(layout, levels, granuleLg2);
  return layout.ttbrs === 1 ? 0 : wanted;
}

/** T8020 and T6000. */
export const enum StreamCommand {
  Offset = 0x20,
  Select = 0x34,
  Busy = 1 << 2,
  Invalidate = 1 << 20,
}

/** T8110. */
export const enum TlbCommand {
  Offset = 0x80,
  Busy = 1 << 31,
  FlushAll = 0,
  FlushStream = 1 << 8,
  OperationMask = 7 << 8,
  StreamMask = 0xff,
}

export const ERROR_FLAG = 1 << 31;

/** Causes, by the register's bits. */
export const enum Cause {
  NoTtbr,
  /** No entry in the third table from below, in the second, in the lowest. */
  NoPgd,
  NoPmd,
  NoPte,
  Write,
  Read,
}

/** Bits of ERROR by Cause; T8020 has no PGD. */
const CODES: Readonly<Record<Variant, readonly number[]>> = {
  [Variant.T8020]: [1, 2, 2, 4, 8, 16],
  [Variant.T6000]: [1, 2, 2, 4, 8, 16],
  [Variant.T8110]: [1, 2, 4, 8, 16, 32],
};

export function errorCode(layout: Layout, cause: Cause): number {
  return CODES[layout.variant][cause]!;
}

/** Registers of the root port, placed above the DART's own; entry i at RidToStream + 4 * i. */
export const enum Port {
  RidToStream = 0x1_0828,
  Entries = 64,
  Valid = 1 << 31,
  StreamShift = 16,
}

export function tcrOffset(layout: Layout, stream: number): number {
  return layout.tcr + 4 * stream;
}

export function ttbrOffset(layout: Layout, stream: number, index: number): number {
  return layout.ttbr + 4 * (layout.ttbrs * stream + index);
}

/** TTBR for a table, aligned as ttbrShift says. */
export function encodeTtbr(layout: Layout, table: number): number {
  return layout.ttbrValid | ((table / 2 ** layout.ttbrShift) << layout.ttbrField);
}

/** Byte address of a TTBR's table. */
export function ttbrTable(layout: Layout, ttbr: number): number {
  const field = (ttbr & ~layout.ttbrValid) >>> layout.ttbrField;
  return field * 2 ** layout.ttbrShift;
}
