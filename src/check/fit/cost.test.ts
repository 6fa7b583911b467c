import { describe, expect, test } from 'vitest';
import { publishedPcieBench } from '../published.js';
import { fitWindows, seriesCost } from './cost.js';

const rowNamed = (row: string) => publishedPcieBench().find((s) => s.row === row)!;

describe('cost of a series', () => {
  const walked = rowNamed('PCIB-BDW-BWrd256-DWarm-4k');
  const values = walked.points.map((p) => p.value);

  test('is zero at the published values and grows with the error', () => {
    const off = rowNamed('PCIB-BDW-LAT64-Cold-off');
    const cost = (scale: number): number =>
      seriesCost(
        off,
        off.points.map((p) => p.value * scale),
      );
    expect(cost(1)).toBe(0);
    const costs = [1.005, 1.01, 1.02, 1.05, 1.2].map(cost);
    expect(costs).toEqual(costs.toSorted((a, b) => a - b));
    expect(costs[0]).toBeGreaterThan(0);
  });

  test('has no flat part: far away it still grows', () => {
    const cost = (scale: number): number =>
      seriesCost(
        walked,
        values.map((value) => value * scale),
      );
    expect(cost(6)).toBeGreaterThan(cost(5));
  });

  test('charges a knee in another step more than the error alone', () => {
    // Published: 46.35 at 512 KiB is just above 95 % of 48.04, so the knee is the next step.
    const early = values.map((value, i) => (walked.points[i]!.window === '512KiB' ? value * 0.975 : value));
    const late = values.map((value, i) => (walked.points[i]!.window === '512KiB' ? value * 1.025 : value));
    expect(seriesCost(walked, early)).toBeGreaterThan(seriesCost(walked, late) + 1);
  });
});

test('the windows of a fit keep the reference, the knee and the last', () => {
  const series = rowNamed('PCIB-HSW-BWwr256-DWarm-4k');
  const windows = fitWindows(series).points.map((p) => p.window);
  for (const wanted of ['256KiB', '8192KiB', '16384KiB', '65536KiB']) expect(windows).toContain(wanted);
  expect(windows.length).toBeLessThan(series.points.length);
  expect(fitWindows(rowNamed('PCIB-HSW-LAT64-Cold-off')).points).toHaveLength(4);
});
