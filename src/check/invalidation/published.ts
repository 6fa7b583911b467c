/**
 * Published costs of invalidations as the project ships them: tidy CSV, one point a line. Columns: row (identifier of the published
 * figure), use (CAL: calibrate and score; PARAM: an input of the model; CTX: context), machine, experiment and point (which run of the shipped
 * workloads repeats it), metric, unit, value (`>n`: a lower bound), resolution (of the source, in the unit; 0: not coarse), source.
 */
import { readFileSync } from 'node:fs';
import { parse } from 'csv-parse/sync';
import { shippedRows, type Use } from '../published.js';

export const EXPERIMENTS = ['threads', 'sizes', 'vtd', 'idle', 'rates'] as const;
export type Experiment = (typeof EXPERIMENTS)[number];

export type InvalidationMetric =
  | 'map'
  | 'unmap'
  | 'invalidation'
  | 'submission'
  | 'completion'
  /** Pairs of map and unmap of each thread. */
  | 'rate'
  /** A second submission besides its own descriptor: what batching saves. */
  | 'second submission';

export interface InvalidationPoint {
  readonly row: string;
  readonly use: Use;
  readonly machine: string;
  readonly experiment: Experiment;
  readonly point: string;
  readonly metric: InvalidationMetric;
  readonly unit: 'ns' | 'cycles' | '1/s';
  readonly value: number;
  /** The value is a lower bound. */
  readonly bound: boolean;
  readonly resolution: number;
  readonly source: string;
}

/** All points of the shipped file, in file order. */
export function publishedInvalidation(file: string = shippedRows('invalidation.csv')): InvalidationPoint[] {
  const records = parse(readFileSync(file, 'utf8'), { columns: true }) as Record<string, string>[];
  return records.map((r) => {
    const value = r['value']!;
    return {
      row: r['row']!,
      use: r['use'] as Use,
      machine: r['machine']!,
      experiment: r['experiment'] as Experiment,
      point: r['point']!,
      metric: r['metric'] as InvalidationMetric,
      unit: r['unit'] as 'ns' | 'cycles',
      value: Number(value.replace('>', '')),
      bound: value.startsWith('>'),
      resolution: Number(r['resolution']),
      source: r['source']!,
    };
  });
}
