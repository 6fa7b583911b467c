/**
 * Published measurements that a shipped workload file repeats: tidy CSV, one point a line. Columns: row (identifier of the published
 * series), use (CAL: calibrate and score), stage, workload (file in workloads/validation), point (`PATH=VALUE;...` of the file's
 * sweep, empty: its only point), metric (`component/metric` of the run), label, unit, value, source.
 */
import { readFileSync } from 'node:fs';
import { parse } from 'csv-parse/sync';
import { shippedRows, type Use } from '../published.js';

export interface WorkloadPoint {
  /** Swept values that name the point. */
  readonly point: Readonly<Record<string, string>>;
  readonly metric: `${string}/${string}`;
  readonly label: string;
  readonly unit: string;
  readonly value: number;
}

export interface WorkloadSeries {
  readonly row: string;
  readonly use: Use;
  readonly stage: number;
  readonly workload: string;
  readonly source: string;
  readonly points: readonly WorkloadPoint[];
}

/** All series of the shipped file, in file order. */
export function publishedWorkloads(file: string = shippedRows('workloads.csv')): WorkloadSeries[] {
  const records = parse(readFileSync(file, 'utf8'), { columns: true }) as Record<string, string>[];
  const series = new Map<string, WorkloadSeries & { points: WorkloadPoint[] }>();
  for (const r of records) {
    const row = r['row']!;
    let s = series.get(row);
    if (s === undefined) {
      const { use, workload, source } = r as { use: Use; workload: string; source: string };
      s = { row, use, stage: Number(r['stage']), workload, source, points: [] };
      series.set(row, s);
    }
    const pairs = r['point']!.split(';').filter((pair) => pair !== '');
    s.points.push({
      point: Object.fromEntries(pairs.map((pair) => pair.split('=') as [string, string])),
      metric: r['metric'] as WorkloadPoint['metric'],
      label: r['label']!,
      unit: r['unit']!,
      value: Number(r['value']),
    });
  }
  return [...series.values()];
}
