import { describe, expect, test } from 'vitest';
import type { PublishedSeries } from './published.js';
import { kneeIndex, scoreSeries, tolerances } from './score.js';

const WINDOWS = ['16KiB', '256KiB', '512KiB', '1024KiB', '2048KiB', '4096KiB', '8192KiB'];

function series(change: Partial<PublishedSeries>, values: readonly number[]): PublishedSeries {
  return {
    row: 'PCIB-TEST',
    use: 'CAL',
    host: 'bdw-e5-2630v4',
    test: 'BWrd64',
    hostCache: 'device-warm',
    iommu: '4KiB',
    unit: 'Gb/s',
    points: values.map((value, i) => ({ window: WINDOWS[i]!, value })),
    ...change,
  };
}

describe('knee', () => {
  test('is the first step below 95 % of the 256 KiB bandwidth, not at it', () => {
    expect(kneeIndex(false, WINDOWS, [40, 100, 95, 94.9, 50, 50, 50])).toBe(3);
  });

  test('is the first step above 105 % of the 256 KiB latency, not at it', () => {
    expect(kneeIndex(true, WINDOWS, [900, 400, 420, 420.1, 500, 600, 700])).toBe(3);
  });

  test('smaller windows do not count, and a curve may have none', () => {
    expect(kneeIndex(false, WINDOWS, [1, 100, 99, 98, 97, 96, 95.1])).toBe(-1);
  });

  test('a curve without the 256 KiB step has none', () => {
    expect(kneeIndex(false, ['16KiB', '512KiB'], [100, 1])).toBe(-1);
  });
});

describe('tolerance', () => {
  test('IOMMU off: 3 % of bandwidth, 10 ns of latency', () => {
    expect(tolerances(series({ iommu: 'off' }, [100, 100]))).toEqual([0.03, 0.03]);
    expect(tolerances(series({ iommu: 'off', unit: 'ns' }, [400, 500]))).toEqual([0.025, 0.02]);
  });

  test('IOMMU on: 10 %, 15 % at the knee and the two steps after it', () => {
    const allowed = tolerances(series({}, [100, 100, 99, 80, 70, 60, 50]));
    expect(allowed).toEqual([0.1, 0.1, 0.1, 0.15, 0.15, 0.15, 0.1]);
  });
});

describe('score', () => {
  const published = series({}, [100, 100, 99, 80, 70, 60, 50]);

  test('a point at its limit agrees, one beyond it does not', () => {
    const scored = scoreSeries(published, [110, 100, 99, 80, 70, 51, 55.1]);
    expect(scored.points.map((p) => p.ok)).toEqual([true, true, true, true, true, true, false]);
    expect(scored.points[6]!.error).toBeCloseTo(0.102);
  });

  test('the knee must lie in the same step', () => {
    expect(scoreSeries(published, [100, 100, 99, 80, 70, 60, 50]).kneeOk).toBe(true);
    const early = scoreSeries(published, [100, 100, 94, 80, 70, 60, 50]);
    expect(early).toMatchObject({ kneeOk: false, publishedKnee: '1024KiB', simulatedKnee: '512KiB' });
  });

  test('without IOMMU there is no knee to hit', () => {
    const off = series({ iommu: 'off' }, [100, 100, 99, 80, 70, 60, 50]);
    expect(scoreSeries(off, [100, 100, 99, 99, 70, 60, 50]).kneeOk).toBe(true);
  });

  test('rows that are not CAL are not scored; points without published value are not misses with a number', () => {
    const context = scoreSeries(series({ use: 'CTX' }, [Number.NaN, 100]), [1, 100]);
    expect(context.scored).toBe(false);
    expect(context.points[0]!.error).toBeNaN();
  });

  test('a known outlier in the data carries its reason, a point that agrees does not', () => {
    const cold = { row: 'PCIB-BDW-LAT64-Cold-off', unit: 'ns', iommu: 'off' } as const;
    const missed = scoreSeries(series(cold, [488, 500]), [488, 488]);
    expect(missed.points[1]).toMatchObject({ ok: false, reason: expect.stringContaining('outlier') });
    expect(scoreSeries(series(cold, [488, 488]), [488, 488]).points[1]!.reason).toBe('');
  });
});
