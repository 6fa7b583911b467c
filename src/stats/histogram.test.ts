import fc from 'fast-check';
import { build } from 'hdr-histogram-js';
import { describe, expect, it } from 'vitest';
import { Histogram } from './histogram.js';

const LARGEST = Number.MAX_SAFE_INTEGER;
/** Integers of all magnitudes, and the edges of octaves. */
const value = fc.oneof(
  fc.nat(600),
  fc.nat(2 ** 31 - 1),
  fc.integer({ min: 0, max: LARGEST }),
  fc.tuple(fc.integer({ min: 1, max: 52 }), fc.integer({ min: -2, max: 2 })).map(([e, d]) => Math.max(0, 2 ** e + d)),
  fc.constantFrom(0, 2 ** 31 - 1, 2 ** 31, 2 ** 52, LARGEST),
);

function fill(values: readonly number[]): Histogram {
  const histogram = new Histogram();
  for (const v of values) histogram.add(v);
  return histogram;
}

function image(histogram: Histogram): unknown {
  const buckets: number[][] = [];
  histogram.forEachBucket((low, high, count) => buckets.push([low, high, count]));
  const { sum, count, min, max } = histogram;
  return { buckets, sum, count, min, max };
}

describe('histogram', () => {
  it('has exact count, extremes and sum, and buckets that hold their values within 1 %', () => {
    fc.assert(
      fc.property(fc.array(value, { minLength: 1, maxLength: 100 }), (values) => {
        const histogram = fill(values);
        expect(histogram.count).toBe(values.length);
        expect(histogram.min).toBe(Math.min(...values));
        expect(histogram.max).toBe(Math.max(...values));
        expect(histogram.sum).toBe(Number(values.reduce((sum, v) => sum + BigInt(v), 0n)));
        expect(histogram.mean()).toBe(histogram.sum / values.length);
        let last = -1;
        let total = 0;
        histogram.forEachBucket((low, high, count) => {
          expect(low).toBeGreaterThan(last);
          expect(high - low).toBeLessThanOrEqual(low / 128);
          expect(count).toBe(values.filter((v) => v >= low && v <= high).length);
          last = high;
          total += count;
        });
        expect(total).toBe(values.length);
      }),
    );
  });

  it('returns quantiles at or less than 1/128 above the value of that rank', () => {
    fc.assert(
      fc.property(
        fc.array(value, { minLength: 1, maxLength: 200 }),
        fc.integer({ min: 0, max: 1000 }),
        (values, permille) => {
          const sorted = [...values].sort((a, b) => a - b);
          const rank = Math.max(1, Math.ceil((permille * values.length) / 1000));
          const exact = sorted[rank - 1]!;
          const quantile = fill(values).quantile(permille / 1000);
          expect(quantile).toBeGreaterThanOrEqual(exact);
          expect(quantile - exact).toBeLessThanOrEqual(exact / 128);
          expect(quantile).toBeLessThanOrEqual(sorted.at(-1)!);
        },
      ),
    );
  });

  it('does not round a rank up: the median of ten values is the fifth', () => {
    const histogram = fill([1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
    expect([0, 0.1, 0.3, 0.5, 0.7, 0.9, 1].map((q) => histogram.quantile(q))).toEqual([1, 1, 3, 5, 7, 9, 10]);
    const hundred = fill(Array.from({ length: 100 }, (_, i) => i));
    expect([0.07, 0.14, 0.28, 0.55, 0.56, 0.57].map((q) => hundred.quantile(q))).toEqual([6, 13, 27, 54, 55, 56]);
  });

  it('agrees with hdr-histogram-js within the resolution of both', () => {
    const histogram = new Histogram();
    const hdr = build({ lowestDiscernibleValue: 1, highestTrackableValue: 2 ** 40, numberOfSignificantValueDigits: 3 });
    let x = 1;
    for (let i = 0; i < 50_000; i++) {
      x = (Math.imul(x, 1664525) + 1013904223) | 0;
      const v = 100 + ((x >>> 0) % 2 ** ((i % 30) + 1));
      histogram.add(v);
      hdr.recordValue(v);
    }
    for (const q of [0.1, 0.5, 0.9, 0.99, 0.999, 0.9999, 1]) {
      const other = hdr.getValueAtPercentile(100 * q);
      expect(Math.abs(histogram.quantile(q) - other) / other).toBeLessThan(1 / 128 + 1 / 1000);
    }
    expect(histogram.count).toBe(hdr.totalCount);
    expect(Math.abs(histogram.mean() / hdr.mean - 1)).toBeLessThan(1 / 1000);
  });

  it('merges to exactly what one histogram of all values is', () => {
    fc.assert(
      fc.property(fc.array(value, { maxLength: 60 }), fc.array(value, { maxLength: 60 }), (a, b) => {
        const merged = fill(a);
        merged.merge(fill(b));
        expect(image(merged)).toEqual(image(fill([...a, ...b])));
      }),
    );
  });

  it('keeps sums beyond 2^53 exact inside', () => {
    const histogram = new Histogram();
    for (let i = 0; i < 1000; i++) histogram.add(LARGEST);
    histogram.add(1000);
    expect(histogram.sum).toBe(1000 * 2 ** 53);
  });

  it('is as new after reset', () => {
    const histogram = fill([1, 2 ** 40]);
    histogram.reset();
    expect(image(histogram)).toEqual(image(new Histogram()));
    expect([histogram.count, histogram.sum, histogram.min, histogram.max]).toEqual([0, 0, 0, 0]);
    expect([histogram.mean(), histogram.quantile(0.5)]).toEqual([Number.NaN, Number.NaN]);
  });

  it('refuses what it cannot count', () => {
    const histogram = new Histogram();
    for (const bad of [-1, 0.5, 2 ** 53, Number.NaN, Number.POSITIVE_INFINITY]) {
      expect(() => histogram.add(bad)).toThrow(RangeError);
    }
    expect(() => histogram.quantile(1.01)).toThrow(RangeError);
    expect(histogram.count).toBe(0);
  });
});
