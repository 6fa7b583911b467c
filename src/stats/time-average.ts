/**
 * Time-weighted average of a level that changes in steps (walkers busy, queue occupancy).
 * Hot path: end-to-end benchmarks.
 */

export class TimeAverage {
  private level = 0;
  private most = 0;
  // NaN first makes these double fields, which V8 updates in place; a field that begins as 0 would be an int32 and change later.
  private since = Number.NaN;
  private area = Number.NaN;
  private start = Number.NaN;

  constructor() {
    this.since = 0;
    this.area = 0;
    this.start = 0;
  }

  get value(): number {
    return this.level;
  }

  /** Highest value since the last reset; the value at the reset counts. */
  get max(): number {
    return this.most;
  }

  add(now: number, delta: number): void {
    this.set(now, this.level + delta);
  }

  set(now: number, value: number): void {
    this.area += this.level * (now - this.since);
    this.since = now;
    this.level = value;
    if (value > this.most) this.most = value;
  }

  /** Average from the last reset to `now`; the present value if no time has passed. */
  mean(now: number): number {
    const elapsed = now - this.start;
    if (elapsed === 0) return this.level;
    return (this.area + this.level * (now - this.since)) / elapsed;
  }

  /** Starts a new window; the level stays. */
  reset(now: number): void {
    this.since = now;
    this.area = 0;
    this.start = now;
    this.most = this.level;
  }
}
