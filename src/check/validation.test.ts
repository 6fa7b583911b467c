import { beforeAll, describe, expect, test } from 'vitest';
import { formatSummary, formatValidation } from './listing.js';
import { PcieBench } from './pcie-bench.js';
import { type PublishedSeries, publishedPcieBench } from './published.js';
import { validationRecords } from './records.js';
import { scoreSeries } from './score.js';
import { localEvaluator } from './testing/synthetic.js';
import { planValidation, summarise, validate, validationPoints } from './validation.js';

const published = publishedPcieBench();
let bench: PcieBench;
beforeAll(() => {
  bench = new PcieBench();
});

const rows = (series: readonly PublishedSeries[]): string[] => series.map((s) => s.row);

describe('plan', () => {
  test('has every CAL row once: stage 1 without IOMMU, stage 2 with it', () => {
    const first = planValidation(published, [1], () => true);
    const second = planValidation(published, [2], () => true);
    expect(first.measured.every((s) => s.iommu === 'off')).toBe(true);
    expect(second.measured.every((s) => s.iommu !== 'off')).toBe(true);
    expect(first.predicted).toEqual([]);
    const derived = second.derived.filter((s) => s.use === 'CAL');
    const all = [...rows(first.measured), ...rows(second.measured), ...rows(derived)];
    expect(all.sort()).toEqual(rows(published.filter((s) => s.use === 'CAL')).sort());
  });

  test('the workload files run every point of it', () => {
    const plan = planValidation(published, [1, 2], () => true);
    const points = plan.measured.reduce((sum, s) => sum + s.points.length, 0);
    expect(points).toBe(865);
    expect(validationPoints(plan, bench).length).toBeGreaterThan(points);
  });

  test('two hosts are predicted with the IOMMU on, beside published context where there is some', () => {
    const { predicted } = planValidation(published, [2], () => true);
    expect(new Set(predicted.map((s) => s.host))).toEqual(new Set(['hsw-e5-2637v3', 'snb-e5-2630']));
    expect(rows(predicted)).toContain('PCIB-SNB-BWrd64-DWarm-4k');
    expect(predicted.every((s) => s.use !== 'CAL')).toBe(true);
  });

  test('a published point that no file runs is an error', () => {
    const strange = { ...published[0]!, points: [{ window: '5KiB', value: 1 }] };
    expect(() => bench.series(strange)).toThrow('5KiB');
  });
});

describe('a validation', () => {
  const plan = planValidation(published, [1], (row) => row === 'PCIB-HSWB-BWrd512-DWarm-off');
  const few = { ...plan, measured: plan.measured.map((s) => ({ ...s, points: s.points.slice(1, 4) })) };

  test('simulates, scores, and lists what it found', async () => {
    const evaluator = localEvaluator();
    const validation = await validate(few, bench, evaluator);
    expect(evaluator.computed).toBe(3);
    expect(validation.series[0]!.points.map((p) => p.ok)).toEqual([true, true, true]);
    const text = formatValidation(validation);
    expect(text).toMatch(/^PCIB-HSWB-BWrd512-DWarm-off: .*\n {2}window KiB .* 512 *\n {2}published .*55\.11/);
    const summary = summarise(validation);
    expect(summary).toMatchObject({ off: { ok: 3, total: 3 }, accepted: true });
    expect(formatSummary(validation, summary, [1])).toMatch(/3 of 3 \(100\.0 %\)\naccepted/);
  });

  test('misses and knees are named, and too many of them are not accepted', () => {
    const series = published.find((s) => s.row === 'PCIB-BDW-BWrd64-DWarm-4k')!;
    const flat = scoreSeries(
      series,
      series.points.map(() => 33),
    );
    const validation = { series: [flat], predicted: [], derived: [] };
    const summary = summarise(validation);
    expect(summary.accepted).toBe(false);
    const text = formatSummary(validation, summary, [2]);
    expect(text).toContain('miss: PCIB-BDW-BWrd64-DWarm-4k 65536KiB');
    expect(text).toContain('knee: PCIB-BDW-BWrd64-DWarm-4k: published 512KiB, simulated none');
    expect(text).toContain('not accepted');
  });

  test('becomes tidy records with a source on each line', () => {
    const series = published.find((s) => s.row === 'PCIB-BDW-LAT64-Cold-off')!;
    const scored = scoreSeries(
      series,
      series.points.map(() => 488),
    );
    const table = validationRecords({ series: [scored], predicted: [], derived: [] }, String);
    const records = table.slice(1).map((cells) => Object.fromEntries(cells.map((cell, i) => [table[0]![i]!, cell])));
    expect(records).toHaveLength(14);
    expect(records[3]).toMatchObject({ window: '256KiB', published: '500', simulated: '488', verdict: 'miss' });
    expect(records[3]!['reason']).toContain('outlier');
    expect(records.every((r) => r['source']!.includes('pcie-bench/data @ b2abf2f'))).toBe(true);
  });
});
