/**
 * Published times of page-table code as the project ships them: tidy CSV, one point a line. Columns: row (identifier of the published
 * table), use (CAL: calibrate and score; PARAM: values are derived from it, printed unscored), format, code (generation), operation,
 * pages (in one call), page (size of each; on AMD-Vi those between the natural ones take several entries), unit, value, source.
 */
import { readFileSync } from 'node:fs';
import { parse } from 'csv-parse/sync';
import type { TableCode, TableFormat } from '../../os/table-costs.js';
import { parseQuantity } from '../../workload/units.js';
import { shippedRows, type Use } from '../published.js';

export interface CodePoint {
  readonly pages: number;
  /** As the file writes it (`2MiB`), and its log2. */
  readonly page: string;
  readonly pageLg2: number;
  /** ns, mean of a call. */
  readonly value: number;
}

export interface CodeSeries {
  readonly row: string;
  readonly use: Use;
  readonly format: TableFormat;
  readonly code: TableCode;
  readonly operation: 'map' | 'unmap';
  readonly unit: string;
  readonly source: string;
  readonly points: readonly CodePoint[];
}

/** All series of the shipped file, in file order. */
export function publishedTableCode(file: string = shippedRows('page-table-code.csv')): CodeSeries[] {
  const records = parse(readFileSync(file, 'utf8'), { columns: true }) as Record<string, string>[];
  const series = new Map<string, CodeSeries & { points: CodePoint[] }>();
  for (const r of records) {
    const key = `${r['row']} ${r['code']}`;
    let s = series.get(key);
    if (s === undefined) {
      s = {
        row: r['row']!,
        use: r['use'] as Use,
        format: r['format'] as TableFormat,
        code: r['code'] as TableCode,
        operation: r['operation'] as CodeSeries['operation'],
        unit: r['unit']!,
        source: r['source']!,
        points: [],
      };
      series.set(key, s);
    }
    const page = r['page']!;
    const pageLg2 = Math.log2(parseQuantity(page, 'size') as number);
    s.points.push({ pages: Number(r['pages']), page, pageLg2, value: Number(r['value']) });
  }
  return [...series.values()];
}

/** `256 x 2MiB` as a label: the pages of one call. */
export function pagesLabel({ pages, page }: CodePoint): string {
  return pages === 1 ? page : `${pages}x${page}`;
}
