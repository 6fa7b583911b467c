/**
 * Stage 6 of validation: costs of invalidations on bare metal, published against simulated. A point agrees within 15 %, or within the
 * resolution of its source. Series over threads also have a slope: of the logarithm of the time over that of the threads, by least squares, which
 * agrees within 0.1. Rows tagged PARAM and CTX are printed and not scored.
 */
import type { PointSpec } from '../../workload/spec.js';
import { type InvalidationBench, measuredValue, simulate } from './experiment.js';
import type { InvalidationPoint } from './published.js';
import { reasonOf } from './reasons.js';

export const INVALIDATION_TOLERANCE = 0.15;
export const SLOPE_TOLERANCE = 0.1;

export interface ScoredInvalidation extends InvalidationPoint {
  readonly simulated: number;
  /** (simulated - published) / published. */
  readonly error: number;
  readonly scored: boolean;
  readonly ok: boolean;
  /** Why the point is not scored, or missed; empty: neither, or not known. */
  readonly reason: string;
}

export interface Slope {
  readonly row: string;
  readonly published: number;
  readonly simulated: number;
  readonly ok: boolean;
}

export interface InvalidationValidation {
  readonly points: readonly ScoredInvalidation[];
  readonly slopes: readonly Slope[];
}

/** Share of its tolerance that an error uses: up to 1 is accepted. */
export function usedTolerance({ value, resolution, bound }: InvalidationPoint, simulated: number): number {
  if (bound) return simulated > value ? 0 : 2;
  return Math.abs(simulated - value) / Math.max(INVALIDATION_TOLERANCE * value, resolution);
}

export function scoreInvalidation(point: InvalidationPoint, simulated: number): ScoredInvalidation {
  const error = (simulated - point.value) / point.value;
  // Differences of the last printed digit are no errors.
  const ok = usedTolerance(point, simulated) <= 1 + 1e-9;
  return { ...point, simulated, error, scored: point.use === 'CAL', ok, reason: reasonOf(point, ok) };
}

/** Runs every point, each run once however many figures it has. */
export function validateInvalidation(
  published: readonly InvalidationPoint[],
  bench: InvalidationBench,
  onRun: () => void = () => {},
): InvalidationValidation {
  const results = new Map<PointSpec, ReturnType<typeof simulate>>();
  const points = published.map((point) => {
    const spec = bench.spec(point);
    let result = results.get(spec);
    if (result === undefined) {
      result = simulate(spec);
      results.set(spec, result);
      onRun();
    }
    return scoreInvalidation(point, measuredValue(spec, result, point));
  });
  return { points, slopes: slopesOf(points) };
}

/** One for each scored row with several numbers of threads. */
export function slopesOf(points: readonly ScoredInvalidation[]): Slope[] {
  const threaded = points.filter(({ experiment, scored }) => experiment === 'threads' && scored);
  return [...new Set(threaded.map(({ row }) => row))].flatMap((row) => {
    const mine = threaded.filter((point) => point.row === row);
    if (mine.length < 2) return [];
    const slope = (value: (point: ScoredInvalidation) => number): number =>
      logSlope(mine.map((point) => [Number(point.point), value(point)]));
    const published = slope((point) => point.value);
    const simulated = slope((point) => point.simulated);
    return { row, published, simulated, ok: Math.abs(simulated - published) <= SLOPE_TOLERANCE };
  });
}

function logSlope(points: readonly (readonly [x: number, y: number])[]): number {
  const xs = points.map(([x]) => Math.log(x));
  const ys = points.map(([, y]) => Math.log(y));
  const mean = (values: readonly number[]): number => values.reduce((sum, v) => sum + v, 0) / values.length;
  const [mx, my] = [mean(xs), mean(ys)];
  const over = xs.reduce((sum, x, i) => sum + (x - mx) * (ys[i]! - my), 0);
  return over / xs.reduce((sum, x) => sum + (x - mx) ** 2, 0);
}

/** Points and slopes that agree, and all that are scored. */
export function invalidationShare({ points, slopes }: InvalidationValidation): { ok: number; total: number } {
  const scored = [...points.filter((point) => point.scored), ...slopes];
  return { ok: scored.filter(({ ok }) => ok).length, total: scored.length };
}
