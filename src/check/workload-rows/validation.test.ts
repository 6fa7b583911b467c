import { describe, expect, test } from 'vitest';
import { fitWorkloads } from '../fit/workload.js';
import { localEvaluator } from '../testing/synthetic.js';
import { formatWorkloads, formatWorkloadSummary } from './listing.js';
import { WorkloadFiles } from './points.js';
import { publishedWorkloads } from './published.js';
import { inUnit, validateWorkloads, workloadPoints, workloadShare } from './validation.js';

const published = publishedWorkloads();
const files = new WorkloadFiles();
const series = (row: string): (typeof published)[number] => published.find((s) => s.row === row)!;

describe('published rows of shipped workloads', () => {
  test('are stages 8, 9 and 10, with public sources, and each names points of its file', () => {
    expect(published.map(({ row, stage, points }) => [row, stage, points.length])).toEqual([
      ['NEST-qi-1', 8, 1],
      ['SMMU-CMDQV-t1', 8, 10],
      ['TTUMD-MAP', 9, 12],
      ['IOPF-SVA-PERFAULT', 10, 4],
    ]);
    for (const { source, use } of published) {
      expect(source).toMatch(/xlab-uiuc|N\. Chen|tenstorrent|S\. Lu/);
      expect(use).toBe('CAL');
    }
    // Three seeds of the one point of NEST-qi-1; a page fault and its nine parts.
    expect(workloadPoints(published, files)).toHaveLength(3 + 10 + 12 + 4 + 9);
  });

  test('a point that the file does not have is an error that names it', () => {
    const point = { point: { 'workload.loop.granule': '7' } };
    expect(() => files.specs('guest-smmuv3.yaml', point)).toThrow('no point workload.loop.granule=7');
  });

  test('readings of times come in ns', () => {
    expect(inUnit(1500, 'us')).toBe(1.5);
    expect(inUnit(1500, 'ns')).toBe(1500);
    expect(inUnit(3, 'reads')).toBe(3);
  });
});

describe('validation', () => {
  test('prints every point, and names a miss', async () => {
    const whole = series('SMMU-CMDQV-t1');
    const short = { ...whole, points: [whole.points[0]!, { ...whole.points[5]!, value: 20 }] };
    const results = await validateWorkloads([short], files, localEvaluator());
    expect(workloadShare(results)).toEqual({ ok: 1, total: 2 });
    const text = formatWorkloads(results);
    expect(text).toMatch(/trapped 4KiB {9,}35\.7 +3\d\.\d+ +-?\d\.\d\n/);
    expect(text).toMatch(/vcmdq 4KiB {10,}20 +\d\.\d+ +-7\d\.\d\*\n/);
    expect(formatWorkloadSummary(results)).toMatch(
      /^stage 8, points within 15 %: 1 of 2\n {2}miss: SMMU-CMDQV-t1 vcmdq 4KiB: -7\d\.\d %\nnot accepted/,
    );
  }, 60_000);
});

describe('parts', () => {
  test('of a page fault add up to the whole, and say which of their parameters are estimates', async () => {
    const whole = series('IOPF-SVA-PERFAULT');
    const short = { ...whole, points: whole.points.slice(0, 1) };
    const [result] = await validateWorkloads([short], files, localEvaluator());
    const { points, parts } = result!;
    const sum = parts.reduce((total, { simulated }) => total + simulated, 0);
    expect(sum).toBeCloseTo(points[0]!.simulated, 9);
    expect(parts.find(({ name }) => name === 'handler')!.simulated).toBe(2);
    const text = formatWorkloads([result!]);
    expect(text).toMatch(/ {4}interrupt +1\.200 {2}faults\.hardInterrupt 1\.2 us assumed\n/);
    expect(text).toMatch(/ {4}wake +3\.200 {2}wakeLatency 2\.2 us fitted, contextSwitch 1 us assumed\n/);
  }, 60_000);
});

describe('fit', () => {
  test('of the exit of a nested VT-d guest finds the shipped value, in every run', async () => {
    const options = { published: [series('NEST-qi-1')], stage: 8, files, seed: 1, log: () => {} };
    const found = [...(await fitWorkloads({ ...options, evaluator: localEvaluator() }))];
    expect(found).toMatchObject([{ sheet: 'guest-x86', path: 'exit', value: 5.11, unit: 'us' }]);
  }, 60_000);
});
