/**
 * A first-in first-out server (link direction, pipeline, DRAM channel) that is booked by formula when work arrives, not by
 * an event each. Its state is absolute picoseconds in doubles, so that idling for any time is harmless.
 * Hot path: end-to-end benchmarks.
 */

export class FifoServer {
  // NaN first makes these double fields, which V8 updates in place; a field that begins as 0 would be an int32 and change later.
  private freeAt = Number.NaN;
  private booked = Number.NaN;

  constructor() {
    this.freeAt = 0;
    this.booked = 0;
  }

  /** Books `servicePs` of work that arrives at `now`; returns the delay from `now` until its service starts. */
  book(now: number, servicePs: number): number {
    const { freeAt } = this;
    this.booked += servicePs;
    if (freeAt <= now) {
      this.freeAt = now + servicePs;
      return 0;
    }
    this.freeAt = freeAt + servicePs;
    return freeAt - now;
  }

  /** Delay from `now` until the server is free, without booking anything. */
  backlogPs(now: number): number {
    return Math.max(0, this.freeAt - now);
  }

  /**
   * Time the server was busy from the last `reset` to `now`, exact if no work was booked for an arrival later than `now`
   * (then the gap before such work is not known to be idle yet and is subtracted; never below zero).
   */
  busyPs(now: number): number {
    return Math.max(0, this.booked - this.backlogPs(now));
  }

  /** Starts a new window: work already booked counts where it is done. */
  reset(now: number): void {
    this.booked = this.backlogPs(now);
  }
}
