/** What strategies count that the kernel's own way does not have; one for each job. */
import { Histogram } from '../../../stats/histogram.js';
import { TimeAverage } from '../../../stats/time-average.js';

export class StrategyStatistics {
  /** Buffers unmapped but held back. */
  readonly held: TimeAverage = new TimeAverage();
  /** ps from the return of an unmap until nothing reaches its buffer any more. */
  readonly heldTime: Histogram = new Histogram();
  copiedBytes = 0;
  /** Bytes that stay mapped; never reset, since they stay. */
  poolBytes = 0;

  reset(now: number): void {
    this.held.reset(now);
    this.heldTime.reset();
    this.copiedBytes = 0;
  }
}
