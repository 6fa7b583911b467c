/** Stages of validation that repeat published measurements by shipped workload files: each point within the tolerance of its stage. */
import { UNITS } from '../../models/quantity.js';
import type { Evaluator } from '../evaluator.js';
import type { BenchPoint } from '../pcie-bench.js';
import { type Part, PARTS } from './parts.js';
import type { WorkloadFiles } from './points.js';
import type { WorkloadPoint, WorkloadSeries } from './published.js';

/** Relative tolerance of each stage. */
export const WORKLOAD_TOLERANCE: Readonly<Record<number, number>> = { 8: 0.15, 9: 0.2, 10: 0.1 };

export interface ScoredWorkloadPoint extends WorkloadPoint {
  /** In the published unit. */
  readonly simulated: number;
  /** (simulated - published) / published. */
  readonly error: number;
  readonly ok: boolean;
}

/** Mean time of a part of what a series measures, in its unit. */
export interface ScoredPart extends Part {
  readonly simulated: number;
}

export interface ScoredWorkload {
  readonly series: WorkloadSeries;
  readonly scored: boolean;
  readonly tolerance: number;
  readonly points: readonly ScoredWorkloadPoint[];
  /** Of the first point; none where nobody can tell them apart. */
  readonly parts: readonly ScoredPart[];
}

/** Every point that the series need. */
export function workloadPoints(series: readonly WorkloadSeries[], files: WorkloadFiles): BenchPoint[] {
  return series.flatMap((each) =>
    [...each.points, ...partPoints(each)].flatMap((point) => benchPoints(each.workload, point, files)),
  );
}

/** @throws InputError when a shipped file lacks a point, PointError when one fails. */
export async function validateWorkloads(
  all: readonly WorkloadSeries[],
  files: WorkloadFiles,
  evaluator: Evaluator,
): Promise<ScoredWorkload[]> {
  return Promise.all(
    all.map(async (series) => {
      const tolerance = WORKLOAD_TOLERANCE[series.stage]!;
      const points = series.points.map(async (point): Promise<ScoredWorkloadPoint> => {
        const values = await evaluator.evaluate(benchPoints(series.workload, point, files));
        const simulated = inUnit(mean(values), point.unit);
        const error = (simulated - point.value) / point.value;
        return { ...point, simulated, error, ok: Math.abs(error) <= tolerance };
      });
      const parts = await scoreParts(series, files, evaluator);
      return { series, scored: series.use === 'CAL', tolerance, points: await Promise.all(points), parts };
    }),
  );
}

async function scoreParts(series: WorkloadSeries, files: WorkloadFiles, evaluator: Evaluator): Promise<ScoredPart[]> {
  const parts = PARTS[series.stage] ?? [];
  return Promise.all(
    partPoints(series).map(async (point, i) => {
      const values = await evaluator.evaluate(benchPoints(series.workload, point, files));
      return { ...parts[i]!, simulated: inUnit(mean(values), point.unit) };
    }),
  );
}

/** The first point, read as each of its parts. */
function partPoints({ stage, points: [first] }: WorkloadSeries): WorkloadPoint[] {
  return (PARTS[stage] ?? []).map(({ metric }) => ({ ...first!, metric }));
}

/** Points of scored series that agree, and all of them. */
export function workloadShare(results: readonly ScoredWorkload[]): { ok: number; total: number } {
  const points = results.filter(({ scored }) => scored).flatMap((result) => result.points);
  return { ok: points.filter(({ ok }) => ok).length, total: points.length };
}

function benchPoints(workload: string, point: WorkloadPoint, files: WorkloadFiles): BenchPoint[] {
  return files.specs(workload, point).map((spec) => ({ spec, measure: point.metric }));
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

/** A time in ns as a number of the published unit; other readings have it already. */
export function inUnit(value: number, unit: string): number {
  const { time } = UNITS;
  return Object.hasOwn(time, unit) ? (value * time['ns']!) / time[unit]! : value;
}
