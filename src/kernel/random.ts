/**
 * A named stream of random numbers: xoroshiro128+ of pure-rand, its state a hash of (seed, stream name), so that adding a
 * component does not shift the numbers of another and neighbouring seeds have nothing in common.
 * Nothing here depends on the engine: integers, and doubles under + - * / only.
 * Hot path: end-to-end benchmarks.
 */

import { xoroshiro128plusFromState } from 'pure-rand/generator/xoroshiro128plus';
import type { RandomGenerator } from 'pure-rand/types/RandomGenerator';

const TWO_32 = 4294967296;
/** Largest n for which (32 random bits) * n is exact in a double. */
const MULTIPLY_LIMIT = 1 << 21;

export class RandomStream {
  private readonly generator: RandomGenerator;

  /** `seed`: any safe integer. `name`: the path of the component that draws. */
  constructor(seed: number, name: string) {
    if (!Number.isSafeInteger(seed)) throw new RangeError(`seed must be an integer: ${seed}`);
    this.generator = xoroshiro128plusFromState(hashState(seed, name));
  }

  /** 32 random bits as an int32. */
  next(): number {
    return this.generator.next();
  }

  /** Uniform integer in 0..n-1, without bias; n from 1 to 2^53. */
  below(n: number): number {
    if (n <= MULTIPLY_LIMIT) {
      // Lemire: the high word of a 32 x 32 bit product; the few low words that would favour some results are redrawn.
      let product = (this.generator.next() >>> 0) * n;
      let result = (product / TWO_32) | 0;
      if (product - result * TWO_32 < n) {
        const threshold = TWO_32 % n;
        while (product - result * TWO_32 < threshold) {
          product = (this.generator.next() >>> 0) * n;
          result = (product / TWO_32) | 0;
        }
      }
      return result;
    }
    if (n > TWO_32) return this.belowWide(n);
    const shift = Math.clz32(n - 1);
    let result = this.generator.next() >>> shift;
    while (result >= n) result = this.generator.next() >>> shift;
    return result;
  }

  /** `below` for what one draw does not reach. */
  private belowWide(n: number): number {
    const groups = Math.ceil(n / TWO_32);
    let result = n;
    while (result >= n) result = this.below(groups) * TWO_32 + (this.next() >>> 0);
    return result;
  }

  /** Exponentially distributed integer with the given mean (both picoseconds); 0 is possible. */
  exponential(meanPs: number): number {
    let bits = this.generator.next();
    let tail = 0;
    while (bits === 0) {
      // Beyond 2^-32 the distribution repeats itself (no memory).
      tail += 32 * LN2;
      bits = this.generator.next();
    }
    return Math.floor(meanPs * (tail + minusLogOf(bits)) + 0.5);
  }

  /** Fisher-Yates, in place. */
  shuffle(values: Int32Array): void {
    for (let i = values.length - 1; i > 0; i--) {
      const j = this.below(i + 1);
      const value = values[i]!;
      values[i] = values[j]!;
      values[j] = value;
    }
  }
}

/**
 * Four state words from seed and name: the 53-bit seed and the UTF-16 units of the name are absorbed one after the other into
 * two 32-bit lanes with different odd multipliers, each step followed by a full avalanche (the finaliser of MurmurHash3), and
 * the words are squeezed out by further steps.
 */
function hashState(seed: number, name: string): number[] {
  let a = 0x243f6a88;
  let b = 0x85a308d3 | 0;
  const absorb = (word: number): void => {
    a = avalanche(Math.imul(a ^ word, 0x9e3779b1) + b);
    b = avalanche(Math.imul(b + word, 0x85ebca77) ^ a);
  };
  absorb(seed | 0);
  absorb(Math.floor(seed / TWO_32) | 0);
  absorb(name.length);
  for (let i = 0; i < name.length; i++) absorb(name.charCodeAt(i));
  const state: number[] = [];
  for (let i = 1; i <= 4; i++) {
    absorb(i);
    state.push(i % 2 === 0 ? a : b);
  }
  // All zero is the one state the generator cannot leave.
  if (!state.some((word) => word !== 0)) state[0] = 1;
  return state;
}

function avalanche(word: number): number {
  let x = word ^ (word >>> 16);
  x = Math.imul(x, 0x85ebca6b);
  x ^= x >>> 13;
  x = Math.imul(x, 0xc2b2ae35);
  return x ^ (x >>> 16);
}

/** ln((1 + y) / (1 - y)) / 2 by its series; |y| <= 1/3. */
function atanh(y: number): number {
  let power = y;
  let sum = 0;
  for (let k = 1; k < 60; k += 2) {
    sum += power / k;
    power *= y * y;
  }
  return sum;
}

const LN2: number = 2 * atanh(1 / 3);
const CELLS = 256;
/** Per cell of the mantissa range [1/2, 1): reciprocal and minus the logarithm of its centre. */
const RECIPROCAL: Float64Array = new Float64Array(CELLS);
const MINUS_LOG: Float64Array = new Float64Array(CELLS);
for (let i = 0; i < CELLS; i++) {
  const centre = 0.5 + (i + 0.5) / (2 * CELLS);
  RECIPROCAL[i] = 1 / centre;
  MINUS_LOG[i] = -2 * atanh((centre - 1) / (centre + 1));
}

/** -ln(u) for u = (bits as uint32) / 2^32, bits not zero; error below 1e-13. */
function minusLogOf(bits: number): number {
  const zeros = Math.clz32(bits);
  const normal = (bits << zeros) >>> 0;
  const cell = (normal >>> 23) & (CELLS - 1);
  const d = (normal / TWO_32) * RECIPROCAL[cell]! - 1;
  return zeros * LN2 + MINUS_LOG[cell]! - d * (1 - d * (1 / 2 - d * (1 / 3 - d * (1 / 4 - d * (1 / 5)))));
}
