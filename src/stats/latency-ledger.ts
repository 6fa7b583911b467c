/**
 * Splits the latency of every request into named causes that add up exactly. A slot (one request in flight) has one current
 * instant `since`; time up to it has been charged to some cause, time after it has not.
 * Hot path: end-to-end benchmarks.
 */
/** A row per slot: the instant up to which it is charged, its start, then the parts by cause. All ps. */
const SINCE = 0;
const START = 1;
const PARTS = 2;

export class LatencyLedger {
  private readonly rows: Float64Array;
  /** Row of slot i begins at i << strideLg2. */
  private readonly strideLg2: number;
  private readonly totals: Float64Array;
  /** Number of causes, rounded up to an even number. */
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
    this.width = (causes.length + 1) & ~1;
    this.strideLg2 = 32 - Math.clz32(PARTS + this.width - 1);
    this.rows = new Float64Array(slots << this.strideLg2);
    this.totals = new Float64Array(this.width * groups);
    this.finished = new Int32Array(groups);
    for (let slot = 0; slot < slots; slot++) this.discard(slot);
  }

  /** Requests of a group finished since the last reset. */
  count(group = 0): number {
    return this.finished[group]!;
  }

  start(slot: number, now: number): void {
    const row = slot << this.strideLg2;
    this.rows[row + SINCE] = now;
    this.rows[row + START] = now;
  }

  /** `start` at `startPs`, then `charge` to `cause` up to `now`. */
  begin(slot: number, startPs: number, cause: number, now: number): void {
    const rows = this.rows;
    const row = slot << this.strideLg2;
    const elapsed = now - startPs;
    if (!(elapsed >= 0)) this.refuse(slot, cause, now);
    rows[row] = now;
    rows[row + START] = startPs;
    rows[row + PARTS + cause] = elapsed;
  }

  /** Charges the time since the last charge to `cause`. Throws if that time was charged ahead beyond `now`. */
  charge(slot: number, cause: number, now: number): void {
    const rows = this.rows;
    const row = slot << this.strideLg2;
    const elapsed = now - rows[row]!;
    if (!(elapsed >= 0)) this.refuse(slot, cause, now);
    rows[row] = now;
    rows[row + PARTS + cause]! += elapsed;
  }

  /** Charges the next `ps` picoseconds to `cause`; they may lie in the future. */
  chargeFor(slot: number, cause: number, ps: number): void {
    if (!(ps >= 0)) this.refuse(slot, cause, ps);
    const rows = this.rows;
    const row = slot << this.strideLg2;
    rows[row]! += ps;
    rows[row + PARTS + cause]! += ps;
  }

  /** `chargeFor` to `cause`, then to `then`. */
  chargeForBoth(slot: number, cause: number, ps: number, then: number, thenPs: number): void {
    if (!(ps >= 0)) this.refuse(slot, cause, ps);
    if (!(thenPs >= 0)) this.refuse(slot, then, thenPs);
    const rows = this.rows;
    const row = slot << this.strideLg2;
    rows[row]! += ps + thenPs;
    rows[row + PARTS + cause]! += ps;
    rows[row + PARTS + then]! += thenPs;
  }

  /** Moves `ps` picoseconds already charged from one cause to another, or as much as there is. */
  move(slot: number, from: number, to: number, ps: number): void {
    const rows = this.rows;
    const parts = (slot << this.strideLg2) + PARTS;
    const amount = Math.min(ps, rows[parts + from]!);
    rows[parts + from]! -= amount;
    rows[parts + to]! += amount;
  }

  /** `charge` to `cause`, then `chargeFor` the next `ps` picoseconds to `then`. */
  chargeBoth(slot: number, cause: number, now: number, then: number, ps: number): void {
    const rows = this.rows;
    const row = slot << this.strideLg2;
    const elapsed = now - rows[row]!;
    if (!(elapsed >= 0)) this.refuse(slot, cause, now);
    if (!(ps >= 0)) this.refuse(slot, then, ps);
    rows[row] = now + ps;
    rows[row + PARTS + cause]! += elapsed;
    rows[row + PARTS + then]! += ps;
  }

  /**
   * Ends the request and adds its parts to the totals of `group`. Returns its latency, ps. Throws unless the parts add up to exactly that
   * and the last charge ends at `now`.
   */
  finish(slot: number, now: number, group = 0): number {
    const rows = this.rows;
    const row = slot << this.strideLg2;
    const latency = now - rows[row + START]!;
    if (rows[row] !== now || this.settle(row + PARTS, group * this.width) !== latency) this.mismatch(slot, now);
    rows[row] = Number.NaN;
    this.finished[group]!++;
    return latency;
  }

  /**
   * Moves the parts of a request to the totals; returns their sum. Both begin at even indices, so that two can be moved at a time. Half of
   * the parts are zero, but which is nothing that a host CPU could guess: all are moved.
   */
  private settle(part: number, total: number): number {
    const { rows, totals, width } = this;
    let sum = 0;
    for (let i = 0; i < width; i = (i + 2) | 0) {
      const from = (part + i) | 0;
      const to = (total + i) | 0;
      const even = rows[from]!;
      const odd = rows[from | 1]!;
      rows[from] = 0;
      rows[from | 1] = 0;
      totals[to]! += even;
      totals[to | 1]! += odd;
      sum += even + odd;
    }
    return sum;
  }

  /** Forgets a request that does not count. */
  discard(slot: number): void {
    const row = slot << this.strideLg2;
    this.rows.fill(0, row + PARTS, row + PARTS + this.width);
    this.rows[row + SINCE] = Number.NaN;
    this.rows[row + START] = Number.NaN;
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
    const since = this.rows[(slot << this.strideLg2) + SINCE];
    throw new Error(
      `ledger slot ${slot}: cannot charge '${this.causes[cause]}' at or for ${value} ps, charged up to ${since} ps`,
    );
  }

  private mismatch(slot: number, now: number): never {
    const row = slot << this.strideLg2;
    const [since, start] = [this.rows[row + SINCE]!, this.rows[row + START]!];
    const amounts = this.rows.subarray(row + PARTS, row + PARTS + this.width);
    const sum = amounts.reduce((a, b) => a + b, 0);
    const parts = this.causes.map((name, cause) => `${name} ${amounts[cause]}`).join(', ');
    throw new Error(
      `ledger slot ${slot}: parts add up to ${sum} ps, latency is ${now - start} ps, ` +
        `charged up to ${since} of ${now} ps (${parts})`,
    );
  }
}
