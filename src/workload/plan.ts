/** What a workload file expands to: the points of a run, complete and in order. Plain data. */
import type { PointSpec } from './spec.js';

export interface PlannedPoint {
  /** Content hash of the resolved spec, seed included: 16 hex digits. */
  readonly id: string;
  /** The same without the seed: points of one design differ in their seed only. */
  readonly design: string;
  readonly seed: number;
  /** Swept values as the file writes them, by path, in sweep order. */
  readonly swept: Readonly<Record<string, string>>;
  readonly spec: PointSpec;
}

export interface RunPlan {
  readonly name: string;
  readonly question: string;
  /** File as the user named it. */
  readonly file: string;
  /** Designs in sweep order, seeds innermost. */
  readonly points: readonly PlannedPoint[];
  /** The workload with every preset and setting written out; running it gives the same point ids. Written when asked for. */
  readonly resolved: string;
}
