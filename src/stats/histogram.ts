/**
 * Log-linear histogram of non-negative integers below 2^53 (latencies in picoseconds): values below 256 exactly, above that
 * 128 buckets per octave, so that a bucket is at most 1/128 of its values wide. Count, sum, minimum and maximum are exact
 * and histograms merge exactly.
 * Hot path: end-to-end benchmarks.
 */

const SUB_LG2 = 7;
const SUB = 1 << SUB_LG2;
/** Values from 2^31 on are scaled down by so many bits before the int32 arithmetic; no bits that matter are lost. */
const WIDE_SHIFT = 22;
const HALF_RANGE = 2 ** 52;
const LARGEST = Number.MAX_SAFE_INTEGER;

export class Histogram {
  private counts = new Float64Array(2 * SUB);
  // NaN first makes these double fields, which V8 updates in place; a field that begins as 0 would be an int32 and change later.
  private values = Number.NaN;
  private smallest = Number.NaN;
  private largest = Number.NaN;
  /** The sum modulo 2^52 and div 2^52. */
  private sumLow = Number.NaN;
  private sumHigh = Number.NaN;

  constructor() {
    this.reset();
  }

  get count(): number {
    return this.values;
  }

  /** Exact below 2^53, rounded to a double above (it is kept exactly inside). */
  get sum(): number {
    return this.sumHigh * HALF_RANGE + this.sumLow;
  }

  /** Smallest value; 0 while the histogram is empty. */
  get min(): number {
    return this.values === 0 ? 0 : this.smallest;
  }

  get max(): number {
    return this.largest;
  }

  /** Adds one value. Throws RangeError unless it is an integer from 0 to 2^53 - 1. */
  add(value: number): void {
    const narrow = value | 0;
    const index = narrow === value && narrow >= 0 ? narrowBucket(narrow) : wideBucket(value);
    if (index >= this.counts.length) this.grow(index + 1);
    this.counts[index]! += 1;
    this.values += 1;
    if (value < this.smallest) this.smallest = value;
    if (value > this.largest) this.largest = value;
    if (value < HALF_RANGE) this.addSum(value, 0);
    else this.addSum(value - HALF_RANGE, 1);
  }

  /** Mean; NaN while the histogram is empty. */
  mean(): number {
    return this.sum / this.values;
  }

  /**
   * A value v such that at least q * count of the values are at most v: the largest value of the bucket that holds the value
   * of rank ceil(q * count) (rank 1 for q = 0), or the maximum if that is less. Never below the value of that rank and less
   * than 1/128 above it. NaN while the histogram is empty; throws RangeError unless 0 <= q <= 1.
   */
  quantile(q: number): number {
    if (!(q >= 0 && q <= 1)) throw new RangeError(`quantile ${q}`);
    if (this.count === 0) return Number.NaN;
    // The product may be rounded up past an integer; the rank must not be.
    const rank = Math.max(1, Math.ceil(q * this.count * (1 - 2 ** -50)));
    const counts = this.counts;
    let seen = 0;
    let index = -1;
    while (seen < rank) seen += counts[++index]!;
    return Math.min(lowOf(index + 1) - 1, this.max);
  }

  merge(other: Histogram): void {
    if (other.counts.length > this.counts.length) this.grow(other.counts.length);
    for (let i = 0; i < other.counts.length; i++) this.counts[i]! += other.counts[i]!;
    this.values += other.values;
    this.smallest = Math.min(this.smallest, other.smallest);
    this.largest = Math.max(this.largest, other.largest);
    this.addSum(other.sumLow, other.sumHigh);
  }

  reset(): void {
    this.counts.fill(0);
    this.values = 0;
    this.smallest = Number.POSITIVE_INFINITY;
    this.largest = 0;
    this.sumLow = 0;
    this.sumHigh = 0;
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
    const sum = this.sumLow + low;
    if (sum >= HALF_RANGE) {
      this.sumLow = sum - HALF_RANGE;
      this.sumHigh += high + 1;
    } else {
      this.sumLow = sum;
      this.sumHigh += high;
    }
  }

  /** Grows to whole octaves. */
  private grow(length: number): void {
    const counts = new Float64Array(Math.ceil(length / SUB) * SUB);
    counts.set(this.counts);
    this.counts = counts;
  }
}

/** Bucket of a value that is no int32. */
function wideBucket(value: number): number {
  if (!(value >= 0 && value <= LARGEST) || Math.floor(value) !== value) refuse(value);
  return narrowBucket(Math.floor(value / 2 ** WIDE_SHIFT) | 0) + (WIDE_SHIFT << SUB_LG2);
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
