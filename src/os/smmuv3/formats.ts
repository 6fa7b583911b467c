/** Page tables as the SMMUv3 driver uses them: no contiguous hint, no hardware updates, addresses of at most 48 bits. */
import { compileFormat, type Format } from '../../pagetable/format.js';
import { armv8 } from '../../pagetable/formats/armv8.js';
import type { PageTableOptions } from '../../pagetable/table.js';
import type { UnitSpec } from '../spec.js';

const WIDEST = 48;
const GRANULES: Readonly<Record<number, 12 | 14 | 16>> = { 4096: 12, 16384: 14, 65536: 16 };

/** Throws RangeError for pages that no granule has. */
export function granuleLg2(spec: UnitSpec): 12 | 14 | 16 {
  const lg2 = GRANULES[spec.granule];
  if (lg2 === undefined) throw new RangeError(`no Arm granule has pages of ${spec.granule} bytes`);
  return lg2;
}

export function outputLg2(spec: UnitSpec): number {
  return Math.min(spec.hostAddressWidth, WIDEST);
}

/**
 * Input addresses of tables of `levels` levels. Those of stage 2 are guest-physical, no wider than physical ones, and the start table
 * may be up to 16 tables side by side.
 */
export function inputLg2(spec: UnitSpec, stage: 1 | 2, levels: number): number {
  const granule = granuleLg2(spec);
  const walked = granule + levels * (granule - 3);
  return stage === 1 ? Math.min(walked, WIDEST) : Math.min(walked + 4, outputLg2(spec));
}

export function tableFormat(spec: UnitSpec, stage: 1 | 2): Format {
  const hostAddressWidth = outputLg2(spec);
  return compileFormat(
    armv8({ stage, granuleLg2: granuleLg2(spec), hostAddressWidth, updates: 'none', contiguous: false }),
  );
}

/** Width and leaf sizes: pages, and blocks up to the largest page of the unit. */
export function tableOptions(spec: UnitSpec, stage: 1 | 2, levels: number): PageTableOptions {
  const granule = granuleLg2(spec);
  const sizes = granule === 12 ? [12, 21, 30] : [granule, 2 * granule - 3];
  const pageSizes = sizes.filter((lg2) => 2 ** lg2 <= Math.max(spec.largestPage, spec.granule));
  return { inputLg2: inputLg2(spec, stage, levels), pageSizes };
}
