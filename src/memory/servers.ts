// Hot path (bench: bench/memory.mjs)
/**
 * A bank of first-in first-out servers (DRAM channels, the LLC port, socket links) booked by formula: a request is told at once how long it waits.
 * Requests are booked at the instant of the call plus a small offset; times are absolute, so a server that idled for an hour is simply free.
 */
/** Window start, busy time booked since then (work carried into the window included), then when each server is free. */
const START = 0;
const BOOKED = 1;
const FREE_AT = 2;

export class ServerBank {
  private readonly state: Float64Array;

  /** `clock[0]` is the current time in ps; it belongs to the caller. */
  constructor(
    private readonly count: number,
    private readonly clock: Float64Array,
  ) {
    this.state = new Float64Array(FREE_AT + count);
  }

  /** Books `servicePs` on one server for a request that reaches it `offsetPs` from now; returns the wait until its service starts, ps. */
  book(server: number, offsetPs: number, servicePs: number): number {
    const state = this.state;
    const arrival = this.clock[0]! + offsetPs;
    const freeAt = state[FREE_AT + server]!;
    const start = freeAt > arrival ? freeAt : arrival;
    state[FREE_AT + server] = start + servicePs;
    state[BOOKED]! += servicePs;
    return start - arrival;
  }

  /** Busy share of all servers between the last reset and `now` (0..1). */
  utilisation(now: number): number {
    const elapsed = now - this.state[START]!;
    return elapsed > 0 ? Math.max(0, this.state[BOOKED]! - this.backlog(now)) / (elapsed * this.count) : 0;
  }

  /** Starts a new window; work that is booked beyond `now` counts towards it. */
  reset(now: number): void {
    this.state[START] = now;
    this.state[BOOKED] = this.backlog(now);
  }

  private backlog(now: number): number {
    let sum = 0;
    for (let server = 0; server < this.count; server++) sum += Math.max(0, this.state[FREE_AT + server]! - now);
    return sum;
  }
}
