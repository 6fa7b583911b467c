/**
 * Where the points of a run are computed: a short run in the calling thread, which is there already, any other on the pool.
 * The results are the same bytes in both places.
 */
import { estimatePoints } from '../workload/estimate.js';
import type { PointSpec } from '../workload/spec.js';
import type { Outcome, PointRunner } from './batch.js';
import { computeInline, oneStep } from './inline.js';
import type { PointOptions } from './result.js';
import { setRunFlags } from './run-flags.js';

export interface RunComputeOptions extends PointOptions {
  readonly threads: number;
  readonly signal?: AbortSignal | undefined;
  readonly runner?: PointRunner | undefined;
  readonly worker?: URL | undefined;
}

/** About what starting the pool would cost; and how long the calling thread goes on when the estimate was wrong. */
const SHORT_SECONDS = 0.2;
const BUDGET_MILLISECONDS = 500;

/**
 * Like `computePoints`. Loads the simulation code, or the pool, only when it is needed.
 * @throws Error when the workers cannot start.
 */
export async function computeRun(
  specs: readonly PointSpec[],
  options: RunComputeOptions,
  finished: (index: number, outcome: Outcome) => Promise<void>,
): Promise<boolean> {
  const done = await computeHere(specs, options, finished);
  if (done === specs.length) return true;
  if (options.signal?.aborted === true) return false;
  const { computePoints } = await import('./pool.js');
  return computePoints(specs.slice(done), options, (index, outcome) => finished(done + index, outcome));
}

/** @returns how many specs have an outcome. */
async function computeHere(
  specs: readonly PointSpec[],
  options: RunComputeOptions,
  finished: (index: number, outcome: Outcome) => Promise<void>,
): Promise<number> {
  if (options.runner !== undefined) return computeInline(specs, options, oneStep(options.runner), finished);
  if (options.worker !== undefined) return 0;
  const { seconds } = estimatePoints(specs);
  if (seconds > SHORT_SECONDS) return 0;
  setRunFlags(seconds);
  const { pointSteps } = await import('./point.js');
  return computeInline(specs, { ...options, budgetMilliseconds: BUDGET_MILLISECONDS }, pointSteps, finished);
}
