/** Transactions of one unit that waited for software to resolve their fault, since the window began. */
import { TimeAverage } from '../stats/time-average.js';

export class StallCounters {
  /** Stalls reported to software; of these looked up again and terminated. */
  stalls = 0;
  retried = 0;
  terminated = 0;
  /** Faults that found every place for a stalled transaction taken. */
  waits = 0;
  /** Faults on a page for which a transaction was held already. */
  merged = 0;
  readonly occupancy: TimeAverage = new TimeAverage();

  reset(now: number): void {
    this.stalls = 0;
    this.retried = 0;
    this.terminated = 0;
    this.waits = 0;
    this.merged = 0;
    this.occupancy.reset(now);
  }
}
