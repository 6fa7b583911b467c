/**
 * A batch of points executed one after the other, in a worker or in the calling thread. A point that throws becomes a failed
 * outcome and the rest of the batch still runs.
 */
import type { PointSpec } from '../workload/spec.js';
import { encodeResult } from './encoding.js';
import type { PointOptions, PointResult } from './result.js';

export type PointRunner = (spec: PointSpec, options: PointOptions) => PointResult;

export interface Batch {
  readonly specs: readonly PointSpec[];
  readonly options: PointOptions;
}

/** `text` is the encoded result (a string is the cheapest thing to send between threads), or null with the reason in `error`. */
export interface Outcome {
  readonly text: string | null;
  readonly error: string;
  /** Wall time, only used to choose the size of later batches. */
  readonly milliseconds: number;
}

export function runBatch(batch: Batch, runner: PointRunner): Outcome[] {
  return batch.specs.map((spec) => {
    const start = performance.now();
    try {
      const text = encodeResult(runner(spec, batch.options));
      return { text, error: '', milliseconds: performance.now() - start };
    } catch (error) {
      return { text: null, error: reason(error), milliseconds: performance.now() - start };
    }
  });
}

/** Message of anything thrown. */
export function reason(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
