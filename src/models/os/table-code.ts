/**
 * Costs of page-table code by entry format and generation, shared by the operating-system sheets. Formats with published rows
 * start from round numbers, and `iommusim fit --stage 5` decides; the others are derived from figures that no row is scored on.
 */
import { assumed, measured, type Quantity, spec } from '../quantity.js';
import { type Parameters, withFitted } from '../sheet.js';
import { GENERIC_PT_V3 } from '../sources.js';

/** Name of these parameters among the fitted tables. */
export const TABLE_CODE = 'page-table-code';

interface Terms {
  readonly call: Quantity;
  readonly leaf: Quantity;
  readonly slot: Quantity;
  readonly level: Quantity;
}

const START = 'where the fit starts';
const HIDDEN_LEVEL = 'no published row shows it: calls that end at different levels take about the same time';
const KEEPS_PLACE = 'Linux drivers/iommu/generic_pt/iommu_pt.h: neighbouring entries are written without a new walk';
const X86_64 = `${GENERIC_PT_V3}, AMD v2`;
const LIKE_X86_64 = 'not published; taken from x86_64, which has the same algorithm';

const ns = (value: number, source: string): Quantity => measured(value, 'ns', source);
const noSlots = spec(0, 'ns', 'no leaf of the format has several entries');
const noLevels = assumed(0, 'ns', HIDDEN_LEVEL);
const likeLeaf = (value: number): Quantity => assumed(value, 'ns', 'not published; as a leaf of one entry');

function profile(rootPerLeaf: Quantity, map: Terms, unmap: Terms): Parameters {
  return { rootPerLeaf, map: { ...map }, unmap: { ...unmap } };
}

/** Terms that published rows decide. */
function fitted(slot: Quantity, level: Quantity): Terms {
  return { call: assumed(60, 'ns', START), leaf: assumed(1, 'ns', START), slot, level };
}

const start = assumed(1, 'ns', START);
const keepsPlace = spec(false, '', KEEPS_PLACE);
const fromRoot = (source: string): Quantity => spec(true, '', source);

const x86Generic = {
  map: { call: 54.7, leaf: 1.34, level: 0, from: '56, 405 and 393 ns for 1, 256 and 256 large pages' },
  unmap: { call: 70.3, leaf: 0.67, level: 0, from: '71, 228 and 254 ns for 1, 256 and 256 large pages' },
};
const x86Legacy = {
  map: { call: 57, leaf: 2.03, level: 0.76, from: '62, 1355 and 1160 ns for 1, 256 and 256 large pages' },
  unmap: { call: 68.8, leaf: 0.57, level: 0.66, from: '72, 891 and 721 ns for 1, 256 and 256 large pages' },
};
type X86Terms = (typeof x86Generic)['map'];

function x86Terms({ call, leaf, level, from }: X86Terms): Terms {
  const source = `${X86_64}: ${from}`;
  return {
    call: ns(call, source),
    leaf: ns(leaf, source),
    slot: noSlots,
    level: level === 0 ? noLevels : ns(level, source),
  };
}

function riscvTerms({ call, leaf, level }: X86Terms): Terms {
  const as = (value: number): Quantity => assumed(value, 'ns', LIKE_X86_64);
  return { call: as(call), leaf: as(leaf), slot: likeLeaf(leaf), level: as(level) };
}

/** Before the fit. */
export const TABLE_CODE_START: Parameters = {
  amdv1: {
    generic: profile(keepsPlace, fitted(start, noLevels), fitted(start, noLevels)),
    legacy: profile(
      fromRoot('Linux 6.18 drivers/iommu/amd/io_pgtable.c: alloc_pte and fetch_pte begin at the root for each page'),
      fitted(start, start),
      fitted(start, start),
    ),
  },
  vtdss: {
    generic: profile(keepsPlace, fitted(noSlots, noLevels), fitted(noSlots, noLevels)),
    legacy: profile(
      spec(false, '', 'Linux 6.18 drivers/iommu/intel/iommu.c: __domain_mapping goes on to the next entry of a table'),
      fitted(noSlots, noLevels),
      fitted(noSlots, noLevels),
    ),
  },
  x86_64: {
    generic: profile(keepsPlace, x86Terms(x86Generic.map), x86Terms(x86Generic.unmap)),
    legacy: profile(
      fromRoot('Linux 6.18 drivers/iommu/amd/io_pgtable_v2.c: v2_alloc_pte begins at the root for each page'),
      x86Terms(x86Legacy.map),
      x86Terms(x86Legacy.unmap),
    ),
  },
  armv8: {
    generic: profile(keepsPlace, fitted(likeLeaf(1.3), noLevels), fitted(likeLeaf(1.3), noLevels)),
    legacy: profile(
      spec(false, '', 'Linux drivers/iommu/io-pgtable-arm.c: __arm_lpae_map writes all entries of a table in one go'),
      fitted(likeLeaf(1.3), noLevels),
      fitted(likeLeaf(1.3), noLevels),
    ),
  },
  riscv64: {
    generic: profile(keepsPlace, riscvTerms(x86Generic.map), riscvTerms(x86Generic.unmap)),
    legacy: profile(
      fromRoot('Linux 6.18 drivers/iommu/riscv/iommu.c: riscv_iommu_pte_alloc begins at the root for each page'),
      riscvTerms(x86Legacy.map),
      riscvTerms(x86Legacy.unmap),
    ),
  },
};

export const tableCosts: Parameters = withFitted(TABLE_CODE, TABLE_CODE_START);

/** `os.tableCode` of a kernel: format by format, since Linux moved its drivers one by one. */
export function tableCode(
  amdv1: Quantity,
  vtdss: Quantity,
  x86: Quantity,
  armv8: Quantity,
  riscv: Quantity,
): Parameters {
  return { amdv1, vtdss, x86_64: x86, armv8, riscv64: riscv };
}
