/**
 * A first-in first-out server (link direction, pipeline, DRAM channel) that is booked by formula when work arrives, not by
 * an event each. Its state is absolute picoseconds in a Float64Array, so that idling for any time is harmless.
 * Hot path: end-to-end benchmarks.
 */

const FREE_AT = 0;
const BOOKED = 1;

export class FifoServer {
  private readonly state = new Float64Array(2);

  /** Books `servicePs` of work that arrives at `now`; returns the delay from `now` until its service starts. */
  book(now: number, servicePs: number): number {
    const state = this.state;
    const freeAt = state[FREE_AT]!;
    state[BOOKED]! += servicePs;
    if (freeAt <= now) {
      state[FREE_AT] = now + servicePs;
      return 0;
    }
    state[FREE_AT] = freeAt + servicePs;
    return freeAt - now;
  }

  /** Delay from `now` until the server is free, without booking anything. */
  backlogPs(now: number): number {
    return Math.max(0, this.state[FREE_AT]! - now);
  }

  /**
   * Time the server was busy from the last `reset` to `now`, exact if no work was booked for an arrival later than `now`
   * (then the gap before such work is not known to be idle yet and is subtracted; never below zero).
   */
  busyPs(now: number): number {
    return Math.max(0, this.state[BOOKED]! - this.backlogPs(now));
  }

  /** Starts a new window: work already booked counts where it is done. */
  reset(now: number): void {
    this.state[BOOKED] = this.backlogPs(now);
  }
}
