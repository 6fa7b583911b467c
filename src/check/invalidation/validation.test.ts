import { describe, expect, it } from 'vitest';
import type { PointSpec } from '../../workload/spec.js';
import { InvalidationBench, measuredValue, simulate } from './experiment.js';
import { formatInvalidation, formatInvalidationSummary } from './listing.js';
import { type InvalidationPoint, publishedInvalidation } from './published.js';
import { reasonOf } from './reasons.js';
import { invalidationShare, scoreInvalidation, slopesOf } from './validation.js';

const published = publishedInvalidation();

function point(row: string, name: string): InvalidationPoint {
  return published.find((p) => p.row === row && p.point === name)!;
}

describe('published invalidation costs', () => {
  it('each have a run of the shipped workloads', () => {
    const bench = new InvalidationBench();
    expect(published.length).toBe(66);
    for (const each of published) expect(() => bench.spec(each)).not.toThrow();
  });

  it('agree within 15 %, or within the resolution of the source', () => {
    const wide = point('SMMU-WAYS-UNMAP', '16');
    expect(scoreInvalidation(wide, 8891 * 1.149).ok).toBe(true);
    expect(scoreInvalidation(wide, 8891 * 1.151).ok).toBe(false);
    const coarse = point('SMMU-DMB-t1-map-after', '4KiB after');
    expect(scoreInvalidation(coarse, 200).ok).toBe(true);
    expect(scoreInvalidation(coarse, 201).ok).toBe(false);
  });

  it('may be lower bounds', () => {
    const saved = point('IOPF-BATCH', '1');
    expect(saved).toMatchObject({ bound: true, value: 800 });
    expect(scoreInvalidation(saved, 801).ok).toBe(true);
    expect(scoreInvalidation(saved, 800).ok).toBe(false);
  });

  it('leave the misprint unscored, with its reason', () => {
    const misprint = scoreInvalidation(point('SMMU-DMB-t1-unmap-before', '512KiB before'), 28_000);
    expect(misprint.scored).toBe(false);
    expect(misprint.reason).toContain('misprint');
    expect(published.filter(({ use }) => use === 'CTX').map(({ row }) => row)).toEqual([
      'SMMU-DMB-t1-unmap-before',
      'SMMU-RATE',
      'SMMU-RATE',
      'SMMU-RATE',
    ]);
  });
});

describe('reasons', () => {
  it('are printed for what is missed, and only then', () => {
    const first = point('SMMU-DMB-t1-unmap-before', '4KiB before');
    expect(scoreInvalidation(first, 1300).reason).toBe('');
    const missed = scoreInvalidation(first, 1000);
    expect(missed.reason).toContain('no other code of an unmap');
    const summary = formatInvalidationSummary({ points: [missed], slopes: [] });
    expect(summary).toContain(`-23.1 %; ${missed.reason}`);
    expect(formatInvalidation({ points: [missed], slopes: [] })).not.toContain(missed.reason);
  });

  it('belong to published points', () => {
    expect(published.filter((p) => p.use === 'CAL' && reasonOf(p, false) !== '')).toHaveLength(7);
    expect(published.filter((p) => p.use === 'CAL' && reasonOf(p, true) !== '')).toEqual([]);
  });
});

describe('sizes', () => {
  it('are what the tool prints: whole 100 ns of each call, and of their mean', () => {
    const bench = new InvalidationBench();
    const row = point('SMMU-DMB-t1-unmap-after', '4KiB after');
    const spec: PointSpec = {
      ...bench.spec(row),
      warmup: { time: null, operations: 10 },
      stop: { time: null, operations: 50, steady: null },
    };
    const result = simulate(spec);
    const printed = measuredValue(spec, result, row);
    const mean = measuredValue(spec, result, { ...row, experiment: 'threads' });
    expect(printed % 100).toBe(0);
    expect(printed).toBeLessThanOrEqual(mean);
    expect(printed).toBeGreaterThan(mean - 200);
  });
});

describe('the slope over threads', () => {
  const rows = published.filter(({ row }) => row === 'SMMU-WAYS-UNMAP');

  it('is that of a power law', () => {
    const powers = rows.map((p) => ({ ...p, value: 1000 * Number(p.point) ** 0.5 }));
    const [slope] = slopesOf(powers.map((p) => scoreInvalidation(p, 700 * Number(p.point) ** 0.65)));
    expect(slope!.published).toBeCloseTo(0.5, 9);
    expect(slope!.simulated).toBeCloseTo(0.65, 9);
    expect(slope!.ok).toBe(false);
  });

  it('needs more than one number of threads', () => {
    expect(slopesOf([scoreInvalidation(rows[0]!, 1900)])).toEqual([]);
  });
});

describe('the listing', () => {
  it('prints every point, hits and misses alike', () => {
    const points = published.map((p) => scoreInvalidation(p, p.value * (p.point === '32' ? 1.3 : 1.01)));
    const validation = { points, slopes: slopesOf(points) };
    const text = formatInvalidation(validation);
    for (const row of new Set(published.map(({ row: each }) => each))) expect(text).toContain(row);
    const summary = formatInvalidationSummary(validation);
    expect(summary).toContain('miss: SMMU-WAYS-SYNC 32: 30.0 %');
    expect(summary).toContain('not accepted');
    expect(invalidationShare(validation).ok).toBeLessThan(invalidationShare(validation).total);
  });
});
