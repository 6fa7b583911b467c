/**
 * Stage 5 of validation: times of page-table code, published against what the model sheets make of the simulated tables' counts.
 * A point agrees within 10 %. Rows tagged PARAM are printed and not scored: values were derived from them.
 */
import { sheetInput } from '../../models/sheet.js';
import { findSheet } from '../../models/catalog.js';
import type { TableCosts } from '../../os/table-costs.js';
import { osSchema } from '../../workload/schema-os.js';
import { callTime, countedWork } from './experiment.js';
import type { CodePoint, CodeSeries } from './published.js';

export const CODE_TOLERANCE = 0.1;

export interface ScoredCodePoint extends CodePoint {
  readonly simulated: number;
  /** (simulated - published) / published. */
  readonly error: number;
  readonly ok: boolean;
}

export interface ScoredCode {
  readonly series: CodeSeries;
  readonly scored: boolean;
  readonly points: readonly ScoredCodePoint[];
}

/** The costs that a run with the default operating system uses. */
export function shippedTableCosts(): TableCosts {
  return osSchema.parse(sheetInput(findSheet('linux-7.2')!)).costs.table;
}

export function validateTableCode(published: readonly CodeSeries[], costs: TableCosts): ScoredCode[] {
  return published.map((series) => {
    const profile = costs[series.format][series.code];
    const points = series.points.map((point): ScoredCodePoint => {
      const simulated = callTime(series.operation, profile, countedWork(series, point));
      const error = (simulated - point.value) / point.value;
      return { ...point, simulated, error, ok: Math.abs(error) <= CODE_TOLERANCE };
    });
    return { series, scored: series.use === 'CAL', points };
  });
}

/** Points of scored series that agree, and all of them. */
export function codeShare(results: readonly ScoredCode[]): { ok: number; total: number } {
  const points = results.filter(({ scored }) => scored).flatMap((result) => result.points);
  return { ok: points.filter(({ ok }) => ok).length, total: points.length };
}
