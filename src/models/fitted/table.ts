/**
 * Values that the fit found, by sheet name and dotted path inside the sheet. One data file per source of rows; a new
 * file is one import and one name here. A sheet keeps its starting value for every path that is not listed.
 */
import type { FittedTable } from './value.js';
import { INVALIDATION_FIT } from './invalidation.js';
import { GUEST_FIT } from './guest.js';
import { PAGE_FAULT_FIT } from './page-fault.js';
import { PCIE_BENCH_FIT } from './pcie-bench.js';
import { USER_MAP_FIT } from './user-map.js';
import { TABLE_CODE_FIT } from './table-code.js';

const SOURCES = [PCIE_BENCH_FIT, TABLE_CODE_FIT, INVALIDATION_FIT, GUEST_FIT, USER_MAP_FIT, PAGE_FAULT_FIT];

/** Several sources may decide values of one sheet. */
function together(sources: readonly Readonly<Record<string, FittedTable>>[]): Record<string, FittedTable> {
  const all: Record<string, FittedTable> = {};
  for (const source of sources) {
    for (const [sheet, table] of Object.entries(source)) all[sheet] = { ...all[sheet], ...table };
  }
  return all;
}

export const FITTED: Readonly<Record<string, FittedTable>> = together(SOURCES);
