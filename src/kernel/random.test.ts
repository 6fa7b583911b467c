import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { RandomStream } from './random.js';

const draw = (stream: RandomStream, n: number): number[] => Array.from({ length: n }, () => stream.next());
const unit = (bits: number): number => (bits >>> 0) / 2 ** 32 - 0.5;

/** Correlation of two sequences of uniform numbers; standard deviation 1 / sqrt(n) if independent. */
function correlation(a: readonly number[], b: readonly number[]): number {
  let sum = 0;
  a.forEach((value, i) => {
    sum += unit(value) * unit(b[i]!);
  });
  return (12 * sum) / a.length;
}

describe('random stream', () => {
  it('is a function of seed and name', () => {
    expect(draw(new RandomStream(42, 'nic0'), 5)).toEqual([461512227, 661031370, 2106723828, 1186998972, 1250958853]);
    expect(draw(new RandomStream(5, 'a'), 100)).toEqual(draw(new RandomStream(5, 'a'), 100));
    expect(() => new RandomStream(0.5, 'a')).toThrow(RangeError);
  });

  it('gives neighbouring seeds and names uncorrelated sequences that differ from the first number on', () => {
    const n = 20_000;
    const streams: number[][] = [];
    for (const seed of [0, 1, 2, 3, -1, 2 ** 32, 2 ** 32 + 1]) streams.push(draw(new RandomStream(seed, 'dev0'), n));
    for (const name of ['', 'dev1', 'dev00', 'ved0', 'dev0\0']) streams.push(draw(new RandomStream(0, name), n));
    const limit = 4.5 / Math.sqrt(n);
    for (let i = 0; i < streams.length; i++) {
      for (let j = 0; j < i; j++) {
        expect(Math.abs(correlation(streams[i]!, streams[j]!))).toBeLessThan(limit);
        // And shifted by one against each other.
        expect(Math.abs(correlation(streams[i]!.slice(1), streams[j]!.slice(0, -1)))).toBeLessThan(limit);
      }
    }
    const first = Array.from({ length: 20_000 }, (_, seed) => new RandomStream(seed, 'dev0').next());
    expect(new Set(first).size).toBeGreaterThan(19_990);
    expect(Math.abs(correlation(first.slice(1), first.slice(0, -1)))).toBeLessThan(limit);
    expect(Math.abs(first.reduce((sum, bits) => sum + unit(bits), 0) / first.length)).toBeLessThan(0.01);
  });

  it('draws below n in range and without bias', () => {
    fc.assert(
      fc.property(
        fc.integer(),
        fc.oneof(
          fc.integer({ min: 1, max: 2 ** 31 }),
          fc.maxSafeNat().map((n) => n + 1),
        ),
        (seed, n) => {
          const stream = new RandomStream(seed, 'below');
          for (let i = 0; i < 20; i++) {
            const value = stream.below(n);
            expect(Number.isInteger(value) && value >= 0 && value < n).toBe(true);
          }
        },
      ),
    );
    // Chi square per degree of freedom. 3 * 2^30 would be visibly uneven with a plain modulo of 32 bits.
    const cases = [
      { n: 2, cells: 2 },
      { n: 7, cells: 7 },
      { n: 1000, cells: 1000 },
      { n: 2 ** 21, cells: 64 },
      { n: 2 ** 21 + 1, cells: 64 },
      { n: 3 * 2 ** 29, cells: 96 },
      { n: 2 ** 32 + 1, cells: 64 },
      { n: 3 * 2 ** 40, cells: 96 },
      { n: 2 ** 53, cells: 64 },
    ];
    for (const { n, cells } of cases) {
      const stream = new RandomStream(1, 'chi');
      const counts = new Float64Array(cells);
      const draws = 200 * cells;
      for (let i = 0; i < draws; i++) counts[Math.floor((stream.below(n) * cells) / n)]! += 1;
      let chi = 0;
      for (const count of counts) chi += (count - 200) ** 2 / 200;
      expect(Math.abs(chi - (cells - 1)) / Math.sqrt(2 * cells)).toBeLessThan(4);
    }
  });

  it('redraws exactly the words that would favour small results', () => {
    // n does not divide 2^32: every result must stand for the same number of 32-bit words.
    const n = 3;
    const stream = new RandomStream(9, 'redraw');
    const words = [0, 1, 2 ** 31, -1];
    let used = 0;
    Object.assign(stream, { generator: { next: () => words[used++] } });
    expect(stream.below(n)).toBe(0);
    // 2^32 mod 3 = 1: only the word whose product has low part 0, word 0, is redrawn.
    expect(used).toBe(2);
    expect(stream.below(n)).toBe(1);
    expect(stream.below(n)).toBe(2);
  });

  it('draws exponential integers with the right mean, spread and tail', () => {
    const stream = new RandomStream(3, 'exponential');
    const n = 400_000;
    const mean = 1_000_000;
    const values = Float64Array.from({ length: n }, () => stream.exponential(mean)).sort();
    expect(values.every((value) => Number.isInteger(value) && value >= 0)).toBe(true);
    const average = values.reduce((sum, value) => sum + value, 0) / n;
    expect(Math.abs(average / mean - 1)).toBeLessThan(4 / Math.sqrt(n));
    // Kolmogorov-Smirnov against 1 - exp(-x).
    let distance = 0;
    values.forEach((value, i) => {
      distance = Math.max(distance, Math.abs(1 - Math.exp(-value / mean) - i / n));
    });
    expect(distance * Math.sqrt(n)).toBeLessThan(1.95);
  });

  it('computes the logarithm to 1e-12 over the whole range, and goes on beyond 2^-32', () => {
    const stream = new RandomStream(0, 'log');
    const source = new RandomStream(0, 'bits');
    let queue: number[] = [];
    Object.assign(stream, { generator: { next: () => queue.shift() } });
    const scale = 1e14;
    for (let i = 0; i < 20_000; i++) {
      const bits = (source.next() >>> source.below(32)) | 1;
      queue = [bits];
      expect(Math.abs(stream.exponential(scale) / scale + Math.log((bits >>> 0) / 2 ** 32))).toBeLessThan(1e-12);
    }
    queue = [0, 0, -(2 ** 31)];
    expect(stream.exponential(1e12) / 1e12).toBeCloseTo(65 * Math.LN2, 10);
  });

  it('shuffles: every order of three comes up equally often', () => {
    const stream = new RandomStream(4, 'shuffle');
    const counts = new Map<string, number>();
    for (let i = 0; i < 12_000; i++) {
      const values = Int32Array.of(0, 1, 2);
      stream.shuffle(values);
      const key = values.join('');
      counts.set(key, (counts.get(key) ?? 0) + 1);
    }
    expect(counts.size).toBe(6);
    for (const count of counts.values()) expect(Math.abs(count - 2000)).toBeLessThan(180);
  });
});
