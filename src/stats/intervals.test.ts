import { expect, it } from 'vitest';
import { confidence95, studentT975 } from './intervals.js';

it('has the quantiles of the published tables', () => {
  // NIST/SEMATECH e-Handbook of Statistical Methods, 1.3.6.7.2, column 0.975.
  const published: [number, number][] = [
    [1, 12.706],
    [2, 4.303],
    [4, 2.776],
    [9, 2.262],
    [19, 2.093],
    [29, 2.045],
    [30, 2.042],
    [31, 2.04],
    [40, 2.021],
    [60, 2.0],
    [100, 1.984],
  ];
  for (const [df, t] of published) expect(Math.abs(studentT975(df) - t)).toBeLessThan(0.00051);
  expect(studentT975(1e9)).toBeCloseTo(1.959964, 6);
  for (let df = 1; df < 200; df++) expect(studentT975(df + 1)).toBeLessThan(studentT975(df));
});

it('is the t quantile by integration of the density', () => {
  // Simpson from 0 to t of (1 + x^2 / df)^-((df + 1) / 2), over the same to infinity (substitution x = sqrt(df) tan a).
  const simpson = (f: (x: number) => number, to: number): number => {
    const n = 20_000;
    let sum = f(0) + f(to);
    for (let i = 1; i < n; i++) sum += (i % 2 === 0 ? 2 : 4) * f((i * to) / n);
    return (sum * to) / (3 * n);
  };
  for (const df of [1, 2, 3, 5, 8, 13, 17, 21, 25, 28, 30, 31, 50, 99]) {
    const density = (a: number): number => Math.cos(a) ** (df - 1);
    const ratio = simpson(density, Math.atan(studentT975(df) / Math.sqrt(df))) / simpson(density, Math.PI / 2);
    expect(Math.abs(ratio - 0.95)).toBeLessThan(2e-8);
  }
});

it('gives the interval of a hand-computed example', () => {
  const { mean, low, high, n } = confidence95([10, 12, 14, 16, 18]);
  // Standard deviation sqrt(10), standard error sqrt(2), t = 2.776445.
  expect([mean, n]).toEqual([14, 5]);
  expect(high).toBeCloseTo(14 + 2.7764451052 * Math.SQRT2, 9);
  expect(low).toBeCloseTo(14 - 2.7764451052 * Math.SQRT2, 9);
  expect(confidence95([3, 3, 3])).toEqual({ mean: 3, low: 3, high: 3, n: 3 });
});

it('says so when there is no spread to estimate', () => {
  expect(confidence95([5])).toEqual({ mean: 5, low: Number.NaN, high: Number.NaN, n: 1 });
  expect(() => confidence95([])).toThrow(RangeError);
  expect(() => studentT975(0)).toThrow(RangeError);
});
