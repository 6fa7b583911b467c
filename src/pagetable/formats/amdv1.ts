/**
 * AMD-Vi host (version 1) page tables (AMD IOMMU specification 48882, section 2.2.3, "I/O Page Tables for Host Translations", tables
 * 14 and 15). NextLevel says what an entry is: 0 a leaf of the level's own size, 7 a leaf whose size is coded in the address field
 * and which is repeated in every entry it covers, 1 to 6 the level of the next table, which may skip levels if the input address
 * bits of those are zero. Linux drivers/iommu/generic_pt/fmt/amdv1.h writes them. Bits 56:52 are reserved, 60:57 too in entries that
 * point to tables; 58:57 of leaves once were. Not modelled: U and FC (60:59 of leaves), encryption.
 */
import { type EntryRule, type FormatDescription, UNRESTRICTED } from '../description.js';
import { Permission } from '../row.js';

export interface AmdHostOptions {
  readonly hostAddressWidth: number;
  /** DTE.HAD: hardware sets nothing (0), A in every entry it uses (1), also D in the leaf of a write (3). */
  readonly hostAccessDirty: 0 | 1 | 3;
}

const TOP = 6;
const SIZE_IN_ADDRESS = 7;
/** Linux avoids 512 GiB pages because of a hardware bug. */
const AVOIDED = [39];
/** Largest page that a size code can express and that has an address in 52 bits. */
const LARGEST_LG2 = 51;

/** Linux sets IR and IW in every table entry and restricts at the leaf only. Any permissions, also none, can be mapped. */
export function amdHost(options: AmdHostOptions): FormatDescription {
  const { hostAddressWidth, hostAccessDirty } = options;
  const common = {
    reserved: [[56, 52]],
    grants: { ...UNRESTRICTED, read: { IR: 1 }, write: { IW: 1 } },
    preset: { PR: 1 },
    presetIfWritable: {},
    setWhenUsed: hostAccessDirty === 0 ? {} : { A: 1 },
    dirty: {},
  } as const;
  const leaf = { ...common, kind: 'leaf', dirty: hostAccessDirty === 3 ? { D: 1 } : {} } as const;
  const rules: EntryRule[] = [{ ...common, kind: 'absent', levels: [1, TOP], when: { PR: 0 } }];
  for (let level = 1; level < TOP; level++) {
    const natural = 12 + 9 * (level - 1);
    const sizeCode = { form: 'ones', least: natural + 1, most: Math.min(natural + 8, LARGEST_LG2) } as const;
    rules.push({ ...leaf, levels: [level, level], when: { NextLevel: 0 } });
    rules.push({ ...leaf, levels: [level, level], when: { NextLevel: SIZE_IN_ADDRESS }, sizeCode });
  }
  for (const NextLevel of [0, SIZE_IN_ADDRESS]) {
    rules.push({ ...common, kind: 'refused', levels: [TOP, TOP], when: { NextLevel } });
  }
  for (let next = 1; next < TOP; next++) {
    const preset = { PR: 1, IR: 1, IW: 1 };
    rules.push({
      ...common,
      kind: 'table',
      levels: [next + 1, TOP],
      when: { NextLevel: next },
      nextLevel: next,
      reserved: [[60, 52]],
      preset,
    });
  }
  rules.push({ ...common, kind: 'refused', levels: [1, TOP], when: {}, fault: 'level' });
  return {
    name: 'AMD-Vi host table',
    source: 'AMD IOMMU specification, section 2.2.3',
    granuleLg2: 12,
    indexBits: 9,
    rootExtraBits: 0,
    heights: [1, 2, 3, 4, 5, 6],
    inputLimitLg2: 64,
    signExtended: false,
    hostAddressWidth,
    fields: {
      ...{ PR: [0, 0], A: [5, 5], D: [6, 6], NextLevel: [11, 9] },
      ...{ ADDRESS: [51, 12], U: [59, 59], FC: [60, 60], IR: [61, 61], IW: [62, 62] },
    },
    address: { field: 'ADDRESS', lowestBit: 12 },
    earlyPermissions: Permission.Read | Permission.Write,
    avoidedSizes: AVOIDED,
    rules,
  };
}
