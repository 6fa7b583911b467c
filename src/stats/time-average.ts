/**
 * Time-weighted average of a level that changes in steps (walkers busy, queue occupancy).
 * Hot path: end-to-end benchmarks.
 */

const VALUE = 0;
const SINCE = 1;
const AREA = 2;
const START = 3;
const MAX = 4;

export class TimeAverage {
  private readonly state = new Float64Array(5);

  get value(): number {
    return this.state[VALUE]!;
  }

  /** Highest value since the last reset; the value at the reset counts. */
  get max(): number {
    return this.state[MAX]!;
  }

  add(now: number, delta: number): void {
    this.set(now, this.state[VALUE]! + delta);
  }

  set(now: number, value: number): void {
    const state = this.state;
    state[AREA]! += state[VALUE]! * (now - state[SINCE]!);
    state[SINCE] = now;
    state[VALUE] = value;
    if (value > state[MAX]!) state[MAX] = value;
  }

  /** Average from the last reset to `now`; the present value if no time has passed. */
  mean(now: number): number {
    const state = this.state;
    const elapsed = now - state[START]!;
    if (elapsed === 0) return state[VALUE]!;
    return (state[AREA]! + state[VALUE]! * (now - state[SINCE]!)) / elapsed;
  }

  /** Starts a new window; the level stays. */
  reset(now: number): void {
    const state = this.state;
    state[SINCE] = now;
    state[AREA] = 0;
    state[START] = now;
    state[MAX] = state[VALUE]!;
  }
}
