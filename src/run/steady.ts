/**
 * Steady-state stop: the run is cut into batches of equal numbers of operations; it may stop when the mean latencies of the last
 * `batches` batches lie within `tolerance` of their mean (method of batch means, used as a stopping rule).
 */
import type { StopSpec } from '../workload/spec.js';

type SteadySpec = NonNullable<StopSpec['steady']>;

export class SteadyState {
  readonly batchOperations: number;
  private readonly recent: number[] = [];
  private count = 0;
  private sum = 0;

  /** `start`: latency summed over the operations before the first batch. */
  constructor(
    private readonly spec: SteadySpec,
    start: { readonly count: number; readonly sum: number },
  ) {
    this.batchOperations = spec.batchOperations;
    this.count = start.count;
    this.sum = start.sum;
  }

  /** A batch has ended; `total` is the latency summed over all operations so far. True when the last batches agree. */
  batchDone(total: { readonly count: number; readonly sum: number }): boolean {
    const operations = total.count - this.count;
    const mean = operations === 0 ? 0 : (total.sum - this.sum) / operations;
    this.count = total.count;
    this.sum = total.sum;
    this.recent.push(mean);
    if (this.recent.length > this.spec.batches) this.recent.shift();
    if (this.recent.length < this.spec.batches) return false;
    const centre = this.recent.reduce((a, b) => a + b, 0) / this.recent.length;
    const spread = Math.max(...this.recent) - Math.min(...this.recent);
    return spread * 1e6 <= centre * this.spec.tolerance;
  }
}
