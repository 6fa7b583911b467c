/** What the invalidations of all units cost, and how many there were. */
import { Histogram } from '../stats/histogram.js';

export class InvalidationStatistics {
  flushes = 0;
  pages = 0;
  domains = 0;
  descriptors = 0;
  slotWaits = 0;
  /** ps, locks included. */
  readonly latency: Histogram = new Histogram();
  /** ps, from doorbell to the poll that sees the status. */
  readonly completion: Histogram = new Histogram();

  /** ps, one submission to a queue (qi_submit_sync): from asking for its lock until it has been given back after the wait. */
  readonly submission: Histogram = new Histogram();

  reset(): void {
    this.flushes = 0;
    this.pages = 0;
    this.domains = 0;
    this.descriptors = 0;
    this.slotWaits = 0;
    this.latency.reset();
    this.completion.reset();
    this.submission.reset();
  }
}
