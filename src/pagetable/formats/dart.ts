/**
 * Apple DART page tables as Linux drivers/iommu/io-pgtable-dart.c writes them: one page size, no blocks, permissions in the leaf and
 * negative (all zero allows everything), addresses in place (DART1, 36 bits) or shifted by 4 (DART2, 42 bits). A root is one TTBR's
 * table; which TTBR serves an address is the unit's business. Not modelled: sub-page protection (Linux allows the whole page).
 */
import { type FormatDescription, UNRESTRICTED } from '../description.js';

export interface DartOptions {
  readonly type: 'DART1' | 'DART2';
  /** PARAMS1: 4 KiB or 16 KiB pages. */
  readonly granuleLg2: 12 | 14;
  /** Bits of the addresses that one TTBR translates. */
  readonly inputLimitLg2: number;
  /** log2 of the TTBRs whose tables lie side by side and are used as one (what a driver maps); 0 for one TTBR. */
  readonly ttbrsLg2?: number;
}

/** Linux sets bit 1 (sub-page protection off in DART1, no cache in DART2) and the whole page as sub-page range. */
export function dart(options: DartOptions): FormatDescription {
  const { type, granuleLg2, inputLimitLg2, ttbrsLg2 = 0 } = options;
  const old = type === 'DART1';
  const common = { reserved: [], presetIfWritable: {}, setWhenUsed: {}, dirty: {} } as const;
  return {
    name: `Apple ${type}, ${2 ** (granuleLg2 - 10)} KiB pages`,
    source: 'Linux drivers/iommu/io-pgtable-dart.c',
    granuleLg2,
    indexBits: granuleLg2 - 3,
    rootExtraBits: ttbrsLg2,
    heights: [2, 3],
    inputLimitLg2: inputLimitLg2 + ttbrsLg2,
    signExtended: false,
    hostAddressWidth: old ? 36 : 42,
    fields: {
      ...{ VALID: [0, 0], SP_DIS: [1, 1], SUBPAGE_START: [63, 52], SUBPAGE_END: [51, 40] },
      NO_READ: old ? [8, 8] : [3, 3],
      NO_WRITE: old ? [7, 7] : [2, 2],
      PADDR: old ? [35, 12] : [37, 10],
    },
    address: { field: 'PADDR', lowestBit: old ? 12 : 14 },
    earlyPermissions: 0,
    rules: [
      { ...common, kind: 'absent', levels: [1, 3], when: { VALID: 0 }, grants: UNRESTRICTED, preset: {} },
      {
        ...common,
        kind: 'leaf',
        levels: [1, 1],
        when: {},
        grants: { ...UNRESTRICTED, read: { NO_READ: 0 }, write: { NO_WRITE: 0 } },
        preset: { VALID: 1, SP_DIS: 1, SUBPAGE_END: 0xfff },
      },
      { ...common, kind: 'table', levels: [2, 3], when: {}, grants: UNRESTRICTED, preset: { VALID: 1 } },
    ],
  };
}
