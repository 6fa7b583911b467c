/**
 * Values that the fit found, by sheet name and dotted path inside the sheet. One data file per source of rows; a new
 * file is one import and one spread here. A sheet keeps its starting value for every path that is not listed.
 */
import type { FittedTable } from './value.js';
import { INVALIDATION_FIT } from './invalidation.js';
import { GUEST_FIT } from './guest.js';
import { PCIE_BENCH_FIT } from './pcie-bench.js';
import { USER_MAP_FIT } from './user-map.js';
import { TABLE_CODE_FIT } from './table-code.js';

export const FITTED: Readonly<Record<string, FittedTable>> = {
  ...PCIE_BENCH_FIT,
  ...TABLE_CODE_FIT,
  ...INVALIDATION_FIT,
  ...GUEST_FIT,
  ...USER_MAP_FIT,
};
