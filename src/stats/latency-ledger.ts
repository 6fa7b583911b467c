/**
 * Splits the latency of every request into named causes that add up exactly. A slot (one request in flight) has one current
 * instant `since`; time up to it has been charged to some cause, time after it has not.
 * Hot path: end-to-end benchmarks.
 */
export class LatencyLedger {
  private readonly startedAt: Float64Array;
  private readonly since: Float64Array;
  /** parts[slot * causes + cause], ps. */
  private readonly parts: Float64Array;
  private readonly totals: Float64Array;
  private readonly width: number;
  private readonly finished: Int32Array;

  /**
   * `slots`: requests in flight at most. `causes`: names, in the order of their indices. `groups`: totals are kept apart for so
   * many groups of requests (devices).
   */
  constructor(
    slots: number,
    readonly causes: readonly string[],
    groups = 1,
  ) {
    if (new Set(causes).size !== causes.length || causes.length === 0) {
      throw new RangeError(`causes must be distinct: ${causes.join(', ')}`);
    }
    this.width = causes.length;
    this.startedAt = new Float64Array(slots).fill(Number.NaN);
    this.since = new Float64Array(slots).fill(Number.NaN);
    this.parts = new Float64Array(slots * this.width);
    this.totals = new Float64Array(this.width * groups);
    this.finished = new Int32Array(groups);
  }

  /** Requests of a group finished since the last reset. */
  count(group = 0): number {
    return this.finished[group]!;
  }

  start(slot: number, now: number): void {
    this.startedAt[slot] = now;
    this.since[slot] = now;
    const end = (slot + 1) * this.width;
    for (let i = slot * this.width; i < end; i++) this.parts[i] = 0;
  }

  /** Charges the time since the last charge to `cause`. Throws if that time was charged ahead beyond `now`. */
  charge(slot: number, cause: number, now: number): void {
    const elapsed = now - this.since[slot]!;
    if (!(elapsed >= 0)) this.refuse(slot, cause, now);
    this.parts[slot * this.width + cause]! += elapsed;
    this.since[slot] = now;
  }

  /** Charges the next `ps` picoseconds to `cause`; they may lie in the future. */
  chargeFor(slot: number, cause: number, ps: number): void {
    if (!(ps >= 0)) this.refuse(slot, cause, ps);
    this.parts[slot * this.width + cause]! += ps;
    this.since[slot]! += ps;
  }

  /**
   * Ends the request and adds its parts to the totals of `group`. Returns its latency, ps. Throws unless the parts add up to exactly that
   * and the last charge ends at `now`.
   */
  finish(slot: number, now: number, group = 0): number {
    const latency = now - this.startedAt[slot]!;
    const parts = this.parts;
    const first = slot * this.width;
    let sum = 0;
    for (let cause = 0; cause < this.width; cause++) sum += parts[first + cause]!;
    if (sum !== latency || this.since[slot] !== now) this.mismatch(slot, now, sum);
    const total = group * this.width;
    for (let cause = 0; cause < this.width; cause++) this.totals[total + cause]! += parts[first + cause]!;
    this.finished[group]!++;
    this.discard(slot);
    return latency;
  }

  /** Forgets a request that does not count. */
  discard(slot: number): void {
    this.startedAt[slot] = Number.NaN;
    this.since[slot] = Number.NaN;
  }

  /** Time of one cause summed over all finished requests of a group, ps; exact below 2^53 (2.5 hours). */
  totalPs(cause: number, group = 0): number {
    return this.totals[group * this.width + cause]!;
  }

  /** Clears the totals; requests in flight stay and count when they finish. */
  reset(): void {
    this.totals.fill(0);
    this.finished.fill(0);
  }

  private refuse(slot: number, cause: number, value: number): never {
    throw new Error(
      `ledger slot ${slot}: cannot charge '${this.causes[cause]}' at or for ${value} ps, charged up to ${this.since[slot]} ps`,
    );
  }

  private mismatch(slot: number, now: number, sum: number): never {
    const first = slot * this.width;
    const parts = this.causes.map((name, cause) => `${name} ${this.parts[first + cause]}`).join(', ');
    throw new Error(
      `ledger slot ${slot}: parts add up to ${sum} ps, latency is ${now - this.startedAt[slot]!} ps, ` +
        `charged up to ${this.since[slot]} of ${now} ps (${parts})`,
    );
  }
}
