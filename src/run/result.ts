/**
 * What one simulated point leaves behind: plain data that survives a structured clone and a JSON round trip. Holds simulation
 * results only; nothing in it depends on the host, the wall clock or the number of threads.
 */
import type { MetricValue } from '../stats/registry.js';

/** One latency distribution over the measured window. All values in ps. */
export interface HistogramResult {
  readonly component: string;
  readonly metric: string;
  /** Non-empty buckets as low, high, count triples in ascending order of `low`. */
  readonly buckets: Float64Array;
  readonly count: number;
  readonly sum: number;
  readonly min: number;
  readonly max: number;
  readonly p50: number;
  readonly p90: number;
  readonly p99: number;
  readonly p999: number;
}

/** Length of both windows, and the condition that ended the measured one. */
export interface WindowResult {
  readonly warmupPs: number;
  readonly measuredPs: number;
  readonly warmupOperations: number;
  readonly measuredOperations: number;
  readonly stoppedBy: string;
}

/** What the audit saw. A violation is one sentence; counts are metrics of the pseudo-component `audit`. */
export interface AuditResult {
  readonly violations: readonly string[];
  readonly counts: Readonly<Record<string, number>>;
}

export interface PointResult {
  /** Measured window, in order of registration; NaN = no value (0 of 0). */
  readonly metrics: readonly MetricValue[];
  /** The same metrics over the warm-up window. */
  readonly warmup: readonly MetricValue[];
  readonly histograms: readonly HistogramResult[];
  /** Lines a job wants the user to see, such as the output of dma_map_benchmark. */
  readonly text: readonly string[];
  readonly windows: WindowResult;
  /** Events dispatched over the whole point. */
  readonly events: number;
  /** null when the audit was off. */
  readonly audit: AuditResult | null;
}

/** How a point is executed; both switches are part of what a stored result must match. */
export interface PointOptions {
  /** Schedule both halves of elided stages as events of their own (the oracle mode). */
  readonly everyEvent: boolean;
  readonly audit: boolean;
}
