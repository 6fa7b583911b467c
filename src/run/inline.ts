/**
 * Executes points one after the other in the calling thread: no worker has to start first, which for a short run would cost more
 * than its points. A point is computed in slices, so that Ctrl-C and progress are looked after in the middle of one.
 */
import type { PointSpec } from '../workload/spec.js';
import { type Outcome, type PointRunner, reason } from './batch.js';
import { encodeResult } from './encoding.js';
import type { PointOptions, PointResult } from './result.js';

/** A point in steps of a few thousand events; what it returns is what the runner of the same point returns. */
export type PointSteps = (spec: PointSpec, options: PointOptions) => Iterator<void, PointResult>;

export interface InlineOptions extends PointOptions {
  /** Stops the computation; the point in hand is dropped. */
  readonly signal?: AbortSignal | undefined;
  /** No point is begun after this many wall milliseconds; the first is always begun. */
  readonly budgetMilliseconds?: number;
}

const SLICE_MILLISECONDS = 25;

/** Lets the event loop handle signals, timers and finished file operations. */
function breathe(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve);
  });
}

/** A runner as one step. */
export function oneStep(runner: PointRunner): PointSteps {
  return (spec, options) => ({ next: () => ({ done: true, value: runner(spec, options) }) });
}

/**
 * Computes specs in order and hands each outcome to `finished`, whose errors end the computation.
 * @returns how many specs have an outcome: fewer than all when the signal stopped it or the budget was used up.
 */
export async function computeInline(
  specs: readonly PointSpec[],
  options: InlineOptions,
  steps: PointSteps,
  finished: (index: number, outcome: Outcome) => Promise<void>,
): Promise<number> {
  const { budgetMilliseconds = Number.POSITIVE_INFINITY } = options;
  const begin = performance.now();
  for (const [index, spec] of specs.entries()) {
    if (index > 0 && performance.now() - begin > budgetMilliseconds) return index;
    const outcome = await computePoint(spec, options, steps);
    if (outcome === null) return index;
    await finished(index, outcome);
  }
  return specs.length;
}

/** Null when the signal stopped it. */
async function computePoint(spec: PointSpec, options: InlineOptions, steps: PointSteps): Promise<Outcome | null> {
  const { everyEvent, audit, signal } = options;
  const stopped = (): boolean => signal?.aborted === true;
  const start = performance.now();
  try {
    await breathe();
    if (stopped()) return null;
    const point = steps(spec, { everyEvent, audit });
    let slice = performance.now();
    for (;;) {
      const step = point.next();
      if (step.done === true) {
        return { text: encodeResult(step.value), error: '', milliseconds: performance.now() - start };
      }
      if (performance.now() - slice < SLICE_MILLISECONDS) continue;
      await breathe();
      if (stopped()) return null;
      slice = performance.now();
    }
  } catch (error) {
    return { text: null, error: reason(error), milliseconds: performance.now() - start };
  }
}
