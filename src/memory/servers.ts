// Hot path (bench: bench/memory.mjs)
/**
 * A bank of first-in first-out servers (DRAM channels, the LLC port, socket links) booked by formula: a request is told at once how long it waits.
 * Requests are booked at the instant of the call plus a small offset; times are absolute, so a server that idled for an hour is simply free.
 */
export class ServerBank {
  private readonly freeAt: Float64Array;
  /** [0] window start, [1] busy time booked since then (work carried into the window included). */
  private readonly window = new Float64Array(2);

  /** `clock[0]` is the current time in ps; it belongs to the caller. */
  constructor(
    private readonly count: number,
    private readonly clock: Float64Array,
  ) {
    this.freeAt = new Float64Array(count);
  }

  /** Books `servicePs` on one server for a request that reaches it `offsetPs` from now; returns the wait until its service starts, ps. */
  book(server: number, offsetPs: number, servicePs: number): number {
    const arrival = this.clock[0]! + offsetPs;
    const start = Math.max(this.freeAt[server]!, arrival);
    this.freeAt[server] = start + servicePs;
    this.window[1] = this.window[1]! + servicePs;
    return start - arrival;
  }

  /** Busy share of all servers between the last reset and `now` (0..1). */
  utilisation(now: number): number {
    const elapsed = now - this.window[0]!;
    return elapsed > 0 ? Math.max(0, this.window[1]! - this.backlog(now)) / (elapsed * this.count) : 0;
  }

  /** Starts a new window; work that is booked beyond `now` counts towards it. */
  reset(now: number): void {
    this.window[0] = now;
    this.window[1] = this.backlog(now);
  }

  private backlog(now: number): number {
    let sum = 0;
    for (const free of this.freeAt) sum += Math.max(0, free - now);
    return sum;
  }
}
