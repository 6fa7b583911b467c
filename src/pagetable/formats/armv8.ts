/**
 * Arm VMSAv8-64 descriptors, stage 1 and stage 2, as the SMMUv3 walks them (Arm Architecture Reference Manual, chapter D8, "The
 * AArch64 Virtual Memory System Architecture": D8.3 descriptor formats, D8.4 permissions, D8.5 hardware updates, D8.7.1 contiguous
 * bit; SMMUv3 specification 3.4 and 5.4). Level 1 here is the manual's lookup level 3. Linux drivers/iommu/io-pgtable-arm.c writes them.
 * Not modelled: memory attributes, NS and NSTable, FEAT_LPA2 (52-bit addresses of the 4 KiB and 16 KiB granules), AF of table
 * descriptors (HAFT), UWXN.
 */
import {
  type BitRange,
  type EntryRule,
  type FieldValues,
  type FormatDescription,
  type Grants,
  UNRESTRICTED,
} from '../description.js';

export interface Armv8Options {
  readonly stage: 1 | 2;
  /** CD.TG0 or STE.S2TG: 4 KiB, 16 KiB or 64 KiB. */
  readonly granuleLg2: 12 | 14 | 16;
  /** Smaller of CD.IPS or STE.S2PS and IDR5.OAS: addresses in descriptors that are wider are an address size fault. */
  readonly hostAddressWidth: number;
  /** IDR5.VAX for stage 1, the output width of stage 1 for stage 2: 48, or 52 with the 64 KiB granule. */
  readonly inputLimitLg2?: 48 | 52;
  /** 64 KiB granule with IDR5.OAS = 52 bits: descriptor bits 15:12 are address bits 51:48. */
  readonly wideAddresses?: boolean;
  /** AF = 0 faults; AF is ignored (AFFD); hardware sets AF (HA); it also makes writable what has DBM, at the first write (HD). */
  readonly updates: 'none' | 'ignore' | 'access' | 'dirty';
  /** The contiguous hint is used, by software and hardware. */
  readonly contiguous: boolean;
  /** CD.HAD0: APTable, UXNTable and PXNTable are ignored. */
  readonly ignoreTableAttributes?: boolean;
}

/** Neighbouring entries of a contiguous page, log2: by granule, of lookup levels 3, 2, 1 (D8.7.1). */
const CONTIGUOUS: Readonly<Record<number, readonly number[]>> = { 12: [4, 4, 4], 14: [7, 5], 16: [5, 5] };
const NOTHING = { preset: {}, presetIfWritable: {}, setWhenUsed: {}, dirty: {}, reserved: [] } as const;

const COMMON_FIELDS = {
  Valid: [0, 0],
  Table: [1, 1],
  SH: [9, 8],
  AF: [10, 10],
  DBM: [51, 51],
  Contiguous: [52, 52],
} as const;
const STAGE1_FIELDS = {
  AttrIndx: [4, 2],
  AP1: [6, 6],
  AP2: [7, 7],
  nG: [11, 11],
  PXN: [53, 53],
  UXN: [54, 54],
  PXNTable: [59, 59],
  UXNTable: [60, 60],
  APTable0: [61, 61],
  APTable1: [62, 62],
} as const;
const STAGE2_FIELDS = { MemAttr: [5, 2], S2AP0: [6, 6], S2AP1: [7, 7], XN0: [53, 53], XN1: [54, 54] } as const;

/** AP[2] = 1 is read-only, AP[1] = 1 lets unprivileged requests in. What some permissions take from others is up to `Walk.exclusions`. */
function stage1(dirty: boolean): Grants {
  return {
    read: 'always',
    write: dirty ? [{ AP2: 0 }, { AP2: 1, DBM: 1 }] : { AP2: 0 },
    execute: { UXN: 0 },
    user: { AP1: 1 },
    supervisor: 'always',
    supervisorExecute: { PXN: 0 },
  };
}

function stage2(dirty: boolean): Grants {
  return {
    read: { S2AP0: 1 },
    write: dirty ? [{ S2AP1: 1 }, { S2AP1: 0, DBM: 1 }] : { S2AP1: 1 },
    execute: { XN1: 0 },
    user: 'always',
    supervisor: 'always',
    supervisorExecute: [
      { XN1: 0, XN0: 0 },
      { XN1: 1, XN0: 1 },
    ],
  };
}

const TABLE_GRANTS: Grants = {
  ...UNRESTRICTED,
  write: { APTable1: 0 },
  user: { APTable0: 0 },
  execute: { UXNTable: 0 },
  supervisorExecute: { PXNTable: 0 },
};

/** Linux presets AF, non-global stage 1 entries, DBM in writable pages of dirty tracking, and both XN bits where not executable. */
export function armv8(options: Armv8Options): FormatDescription {
  const { stage, granuleLg2, hostAddressWidth, updates, contiguous } = options;
  const { inputLimitLg2 = 48, wideAddresses = false, ignoreTableAttributes = false } = options;
  if (granuleLg2 !== 16 && (wideAddresses || inputLimitLg2 !== 48)) {
    throw new RangeError('52-bit addresses need the 64 KiB granule');
  }
  const first = stage === 1;
  const dirty = updates === 'dirty';
  const top = granuleLg2 === 16 ? 3 : 4;
  const fields: Readonly<Record<string, BitRange>> = {
    ...COMMON_FIELDS,
    ...(first ? STAGE1_FIELDS : STAGE2_FIELDS),
    Address: [47, granuleLg2],
    AddressTop: [15, 12],
  };
  const attributes: FieldValues = first ? { AttrIndx: 1, nG: 1 } : { MemAttr: 15 };
  const leaf = (level: number, when: FieldValues): EntryRule => ({
    ...NOTHING,
    kind: 'leaf',
    levels: [level, level],
    when: { ...when, Table: level === 1 ? 1 : 0 },
    grants: first ? stage1(dirty) : stage2(dirty),
    preset: { Valid: 1, AF: 1, SH: 3, ...attributes },
    presetIfWritable: dirty ? { DBM: 1 } : {},
    setWhenUsed: updates === 'ignore' ? {} : { AF: 1 },
    dirty: dirty ? (first ? { AP2: 0 } : { S2AP1: 1 }) : {},
  });
  const leaves = (level: number): EntryRule[] => {
    const contiguousLg2 = CONTIGUOUS[granuleLg2]![level - 1];
    if (!contiguous || contiguousLg2 === undefined) return [leaf(level, {})];
    return [{ ...leaf(level, { Contiguous: 1 }), contiguousLg2 }, leaf(level, { Contiguous: 0 })];
  };
  // Blocks: 2 MiB and 1 GiB; 32 MiB; 512 MiB, and 4 TiB with 52-bit addresses.
  const highestLeaf = granuleLg2 === 12 || wideAddresses ? 3 : 2;
  const invalid = { ...NOTHING, kind: 'refused', fault: 'not-present', when: {}, grants: UNRESTRICTED } as const;
  return {
    name: `VMSAv8-64 stage ${stage}, ${2 ** (granuleLg2 - 10)} KiB granule`,
    source: 'Arm Architecture Reference Manual, section D8.3',
    granuleLg2,
    indexBits: granuleLg2 - 3,
    rootExtraBits: first ? 0 : 4,
    heights: Array.from({ length: top }, (_, i) => i + 1),
    inputLimitLg2,
    signExtended: false,
    upperHalf: first,
    updatesAtOnce: first,
    hostAddressWidth,
    beyondWidth: 'output-size',
    fields,
    address: { field: 'Address', lowestBit: granuleLg2 },
    ...(wideAddresses ? { addressTop: { field: 'AddressTop', lowestBit: 48 } } : {}),
    earlyPermissions: 0,
    ...(first ? { global: { field: 'nG', value: 0 } } : {}),
    updates: updates === 'none' ? 'fault' : 'hardware',
    rules: [
      { ...NOTHING, kind: 'absent', levels: [1, top], when: { Valid: 0 }, grants: UNRESTRICTED },
      ...Array.from({ length: highestLeaf }, (_, i) => leaves(i + 1)).flat(),
      { ...invalid, levels: [1, 1] },
      { ...invalid, levels: [2, top], when: { Table: 0 } },
      {
        ...NOTHING,
        kind: 'table',
        levels: [2, top],
        when: {},
        grants: first && !ignoreTableAttributes ? TABLE_GRANTS : UNRESTRICTED,
        preset: { Valid: 1, Table: 1 },
      },
    ],
  };
}
