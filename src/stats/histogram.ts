/**
 * Log-linear histogram of non-negative integers below 2^53 (latencies in picoseconds): values below 256 exactly, above that
 * 128 buckets per octave, so that a bucket is at most 1/128 of its values wide. Count, sum, minimum and maximum are exact
 * and histograms merge exactly.
 * Hot path: end-to-end benchmarks.
 */

const SUB_LG2 = 7;
const SUB = 1 << SUB_LG2;
/** Values from 2^31 on are scaled down so far before the int32 arithmetic; no bits that matter are lost. */
const WIDE_SHIFT = 22;
const HALF_RANGE = 2 ** 52;
const LARGEST = Number.MAX_SAFE_INTEGER;

/** Exact numbers of a histogram: its extremes, and its sum modulo 2^52 and div 2^52. */
const enum Exact {
  Smallest,
  Largest,
  SumLow,
  SumHigh,
  Count,
}

export class Histogram {
  private counts = new Float64Array(2 * SUB);
  private readonly exact = new Float64Array(Exact.Count);

  constructor() {
    this.reset();
  }

  /** Number of values; takes time in proportion to the buckets. */
  get count(): number {
    let values = 0;
    for (let i = 0; i < this.counts.length; i++) values += this.counts[i]!;
    return values;
  }

  /** Exact below 2^53, rounded to a double above (it is kept exactly inside). */
  get sum(): number {
    return this.exact[Exact.SumHigh]! * HALF_RANGE + this.exact[Exact.SumLow]!;
  }

  /** Smallest value; 0 while the histogram is empty. */
  get min(): number {
    const smallest = this.exact[Exact.Smallest]!;
    return smallest === Number.POSITIVE_INFINITY ? 0 : smallest;
  }

  get max(): number {
    return this.exact[Exact.Largest]!;
  }

  /** Adds one value. Throws RangeError unless it is an integer from 0 to 2^53 - 1. */
  add(value: number): void {
    const narrow = value | 0;
    if (narrow === value && narrow >= 0) this.put(value, narrowBucket(narrow));
    else this.addWide(value);
  }

  private addWide(value: number): void {
    if (!(value >= 0 && value <= LARGEST) || Math.floor(value) !== value) refuse(value);
    this.put(value, narrowBucket(Math.floor(value / 2 ** WIDE_SHIFT) | 0) + (WIDE_SHIFT << SUB_LG2));
  }

  private put(value: number, bucket: number): void {
    if (bucket >= this.counts.length) this.grow(bucket + 1);
    this.counts[bucket]! += 1;
    const exact = this.exact;
    if (value < exact[Exact.Smallest]!) exact[Exact.Smallest] = value;
    if (value > exact[Exact.Largest]!) exact[Exact.Largest] = value;
    const sum = exact[Exact.SumLow]! + value;
    if (sum < HALF_RANGE) exact[Exact.SumLow] = sum;
    else this.carry(value);
  }

  /** Adds to the sum what takes it past 2^52. */
  private carry(value: number): void {
    if (value < HALF_RANGE) this.addSum(value, 0);
    else this.addSum(value - HALF_RANGE, 1);
  }

  /** Mean; NaN while the histogram is empty. */
  mean(): number {
    return this.sum / this.count;
  }

  /**
   * A value v such that at least q * count of the values are at most v: the largest value of the bucket that holds the value
   * of rank ceil(q * count) (rank 1 for q = 0), or the maximum if that is less. Never below the value of that rank and less
   * than 1/128 above it. NaN while the histogram is empty; throws RangeError unless 0 <= q <= 1.
   */
  quantile(q: number): number {
    if (!(q >= 0 && q <= 1)) throw new RangeError(`quantile ${q}`);
    const { count } = this;
    if (count === 0) return Number.NaN;
    // The product may be rounded up past an integer; the rank must not be.
    const rank = Math.max(1, Math.ceil(q * count * (1 - 2 ** -50)));
    const counts = this.counts;
    let seen = 0;
    let index = -1;
    while (seen < rank) seen += counts[++index]!;
    return Math.min(lowOf(index + 1) - 1, this.max);
  }

  merge(other: Histogram): void {
    if (other.counts.length > this.counts.length) this.grow(other.counts.length);
    for (let i = 0; i < other.counts.length; i++) this.counts[i]! += other.counts[i]!;
    const [exact, more] = [this.exact, other.exact];
    exact[Exact.Smallest] = Math.min(exact[Exact.Smallest]!, more[Exact.Smallest]!);
    exact[Exact.Largest] = Math.max(exact[Exact.Largest]!, more[Exact.Largest]!);
    this.addSum(more[Exact.SumLow]!, more[Exact.SumHigh]!);
  }

  reset(): void {
    this.counts.fill(0);
    this.exact.fill(0);
    this.exact[Exact.Smallest] = Number.POSITIVE_INFINITY;
  }

  /** Calls `fn` for each bucket that is not empty, in ascending order, with its inclusive bounds. */
  forEachBucket(fn: (low: number, high: number, count: number) => void): void {
    for (let i = 0; i < this.counts.length; i++) {
      const count = this.counts[i]!;
      if (count > 0) fn(lowOf(i), lowOf(i + 1) - 1, count);
    }
  }

  /** Both parts below 2^52 stay exact: their sum is below 2^53. */
  private addSum(low: number, high: number): void {
    const exact = this.exact;
    const sum = exact[Exact.SumLow]! + low;
    const carry = sum >= HALF_RANGE ? 1 : 0;
    exact[Exact.SumLow] = sum - carry * HALF_RANGE;
    exact[Exact.SumHigh]! += high + carry;
  }

  /** Grows to whole octaves. */
  private grow(length: number): void {
    const counts = new Float64Array(Math.ceil(length / SUB) * SUB);
    counts.set(this.counts);
    this.counts = counts;
  }
}

function narrowBucket(value: number): number {
  if (value < 2 * SUB) return value;
  const shift = 31 - SUB_LG2 - Math.clz32(value);
  return (shift << SUB_LG2) + (value >>> shift);
}

/** Smallest value of a bucket. */
function lowOf(index: number): number {
  if (index < 2 * SUB) return index;
  const shift = (index >> SUB_LG2) - 1;
  return (index - (shift << SUB_LG2)) * 2 ** shift;
}

/** Apart from `add`: V8 turns the number into text before it looks at the condition. */
function refuse(value: number): never {
  throw new RangeError(`not an integer below 2^53: ${value}`);
}
