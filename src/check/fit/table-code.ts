/**
 * The fit of page-table code: for each format, generation and operation with rows tagged CAL one pattern search over the terms that
 * the rows show, from the sheets' starting values. Terms per entry are searched only where pages take several entries, terms per level
 * only where the code starts at the root for every leaf; the others stay as the sheet has them.
 */
import { RandomStream } from '../../kernel/random.js';
import { TABLE_CODE, TABLE_CODE_START } from '../../models/os/table-code.js';
import type { TableProfile, TableTerms } from '../../os/table-costs.js';
import type { TableWork } from '../../pagetable/work.js';
import { tableCostsSchema } from '../../workload/schema-os.js';
import { parametersInput } from '../../models/sheet.js';
import { callTime, countedWork } from '../table-code/experiment.js';
import type { CodeSeries } from '../table-code/published.js';
import { CODE_TOLERANCE } from '../table-code/validation.js';
import { type Value, Values } from './parameters.js';
import { type Dimension, dimension, patternSearch } from './search.js';

/** Terms in ns: resolution, first step and upper bound of the search. */
const SEARCH: Readonly<Record<keyof TableTerms, { quantum: number; step: number; max: number }>> = {
  call: { quantum: 0.1, step: 16, max: 500 },
  leaf: { quantum: 0.01, step: 4, max: 100 },
  slot: { quantum: 0.01, step: 1, max: 20 },
  level: { quantum: 0.01, step: 1, max: 20 },
};
/** An error beyond this share of the tolerance is charged steeply: a set of terms that meets every point is worth more than the least sum. */
const CLOSE = 0.9;
const STEEP = 40;

/** @returns the values found, ns. `log` gets a line for each search. */
export async function fitTableCode(
  published: readonly CodeSeries[],
  seed: number,
  log: (line: string) => void,
): Promise<Values> {
  const start = tableCostsSchema.parse(parametersInput(TABLE_CODE_START));
  const found: Value[] = [];
  for (const series of published.filter(({ use }) => use === 'CAL')) {
    found.push(...(await fitSeries(series, start[series.format][series.code], seed, log)));
  }
  return new Values(found);
}

async function fitSeries(
  series: CodeSeries,
  start: TableProfile,
  seed: number,
  log: (line: string) => void,
): Promise<Value[]> {
  const { format, code, operation, row } = series;
  const works = series.points.map((point) => countedWork(series, point));
  const terms = searchedTerms(start, works);
  const dimensions = terms.map((term): Dimension => {
    const { quantum, step, max } = SEARCH[term];
    return dimension(term, quantum, { start: start[operation][term] / 1000, step, min: 0, max });
  });
  const cost = (values: readonly number[]): number => {
    const changed = Object.fromEntries(terms.map((term, i) => [term, values[i]! * 1000]));
    const profile = { ...start, [operation]: { ...start[operation], ...changed } };
    return works.reduce((sum, work, i) => {
      const { value } = series.points[i]!;
      const error = Math.abs(callTime(operation, profile, work) - value) / value / CODE_TOLERANCE;
      return sum + error * error + STEEP * Math.max(0, error - CLOSE);
    }, 0);
  };
  const random = new RandomStream(seed, `fit/${row} ${code}`);
  const result = await patternSearch(dimensions, random, (all) => Promise.resolve(all.map(cost)));
  const text = terms.map((term, i) => `${term} ${result.values[i]}`).join(', ');
  log(`${row} ${code}: cost ${result.startCost.toFixed(2)} -> ${result.cost.toFixed(2)}: ${text} ns`);
  return terms.map((term, i) => ({
    sheet: TABLE_CODE,
    path: `${format}.${code}.${operation}.${term}`,
    value: result.values[i]!,
    unit: 'ns',
    rows: `fit to ${row} (generic_pt series, ${code} code)`,
  }));
}

function searchedTerms({ rootPerLeaf }: TableProfile, works: readonly TableWork[]): (keyof TableTerms)[] {
  const terms: (keyof TableTerms)[] = ['call', 'leaf'];
  if (works.some((work) => work.contiguous > 0)) terms.push('slot');
  if (rootPerLeaf) terms.push('level');
  return terms;
}
