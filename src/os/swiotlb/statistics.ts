/** What the bounce pool counts. */
import { TimeAverage } from '../../stats/time-average.js';

export class SwiotlbStatistics {
  bounced = 0;
  /** Bytes copied in and back. */
  copied = 0;
  /** Maps for which no area had room. */
  full = 0;
  /** Searches of an area of another CPU. */
  otherAreas = 0;
  /** Slots looked at and taken by maps. */
  visits = 0;
  /** Slots in use (io_tlb_used). */
  readonly used: TimeAverage = new TimeAverage();

  reset(now: number): void {
    this.bounced = 0;
    this.copied = 0;
    this.full = 0;
    this.otherAreas = 0;
    this.visits = 0;
    this.used.reset(now);
  }
}
