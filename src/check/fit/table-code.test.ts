import { describe, expect, test } from 'vitest';
import { TABLE_CODE_FIT } from '../../models/fitted/table-code.js';
import type { TableProfile } from '../../os/table-costs.js';
import { callTime, countedWork } from '../table-code/experiment.js';
import { type CodeSeries, publishedTableCode } from '../table-code/published.js';
import { fittedTables } from './parameters.js';
import { fitTableCode } from './table-code.js';

const published = publishedTableCode();
const silent = (): void => undefined;

/** The series with times that `profile` gives. */
function synthetic(row: string, code: string, profile: TableProfile): CodeSeries {
  const series = published.find((s) => s.row === row && s.code === code)!;
  const points = series.points.map((point) => {
    return { ...point, value: callTime(series.operation, profile, countedWork(series, point)) };
  });
  return { ...series, points };
}

describe('the fit of page-table code', () => {
  test('finds known terms again', async () => {
    const terms = { call: 40_000, leaf: 6000, slot: 2000, level: 1500 };
    const profile = { rootPerLeaf: true, map: terms, unmap: terms };
    const values = await fitTableCode([synthetic('IPT-AMDV1-MAP', 'legacy', profile)], 1, silent);
    const at = (term: string): number => values.get('page-table-code', `amdv1.legacy.map.${term}`)!;
    for (const [term, ps] of Object.entries(terms)) {
      expect(Math.abs(at(term) / (ps / 1000) - 1), term).toBeLessThan(0.03);
    }
  });

  test('looks for the terms that rows show, on rows tagged CAL only', async () => {
    const values = await fitTableCode(published, 1, silent);
    const paths = [...values].map(({ path }) => path);
    expect(paths.filter((path) => path.startsWith('amdv1.legacy.unmap'))).toHaveLength(4);
    expect(paths.filter((path) => path.startsWith('amdv1.generic.unmap'))).toHaveLength(3);
    expect(paths.filter((path) => path.startsWith('armv8'))).toHaveLength(8);
    expect(paths.filter((path) => path.startsWith('x86_64'))).toEqual([]);
    expect(fittedTables(values)).toEqual(TABLE_CODE_FIT);
  });

  test('finds nearly the same with another seed', async () => {
    const lines: string[] = [];
    const first = await fitTableCode(published, 1, silent);
    const second = await fitTableCode(published, 7, (line) => lines.push(line));
    expect(lines).toHaveLength(12);
    for (const { sheet, path, value } of first) {
      expect(Math.abs(second.get(sheet, path)! - value), path).toBeLessThan(0.3);
    }
  });
});
