import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { executeRun } from '../run/execute.js';
import { fakePlan, fakeResult } from '../run/testing/fake.js';
import { confidence95 } from '../stats/intervals.js';
import type { MetricDef } from '../stats/registry.js';
import { RunFiles } from './files.js';
import { deterministicFiles } from './golden.js';
import { parseCsv } from './testing/parse.js';

const define = (name: string, unit: string): MetricDef => ({
  name,
  unit,
  sentence: `About ${name}, "as" is.`,
  formula: 'x / y',
});
const DEFINITIONS = [
  define('operations_per_second', 'op/s'),
  define('iotlb_hit_rate', 'ratio'),
  define('busy', 'ratio'),
  define('latency', 'ns'),
  define('exposures', '1'),
];
const plan = fakePlan(3, 3);

function report(audit = false): Record<string, string> {
  const files = new RunFiles(plan, DEFINITIONS);
  for (const point of plan.points) files.add(point, fakeResult(point.spec, { everyEvent: false, audit }));
  return Object.fromEntries(files.files().map((file) => [file.name, file.chunks.join('')]));
}

/** Records of a file as objects by header. */
function records(text: string): Record<string, string>[] {
  const [header, ...rows] = parseCsv(text);
  return rows.map((row) => Object.fromEntries(header!.map((name, i) => [name, row[i]!])));
}

const files = report();

describe('points.csv', () => {
  const rows = records(files['points.csv']!);

  it('has one row for each point in plan order, with swept values and seed', () => {
    expect(rows.map((row) => row['point'])).toEqual(plan.points.map((point) => point.id));
    expect(rows[4]).toMatchObject({
      design: plan.points[4]!.design,
      seed: '2',
      'os.dma.mode': 'lazy',
      'devices.nic.size': '128B',
      'run.stopped_by': 'operations',
    });
  });

  it('has one column for each metric; what a point lacks or cannot say is empty', () => {
    expect(Object.keys(rows[0]!).slice(0, 6)).toEqual([
      'point',
      'design',
      'seed',
      'os.dma.mode',
      'devices.nic.size',
      'run.stopped_by',
    ]);
    expect(rows[0]).toMatchObject({
      'nic.operations_per_second': '333.666666667',
      'vtd.iotlb_hit_rate': '',
      'cpu0.busy': '',
    });
    expect(rows[3]).toMatchObject({ 'vtd.iotlb_hit_rate': '0.5', 'cpu0.busy': '0.25' });
  });

  it('has both windows and the quantiles of every distribution in ns', () => {
    expect(rows[0]).toMatchObject({
      'run.warmup_time': '1000.5',
      'run.measured_time': '9000000',
      'run.measured_operations': '1001',
      'nic.latency.mean': '2333.33333333',
      'nic.latency.p50': '1.5',
      'nic.latency.p99.9': '5000.5',
      'nic.latency.max': '5000.501',
    });
  });
});

it('warmup.csv has the metrics of the warm-up window', () => {
  const rows = records(files['warmup.csv']!);
  expect(rows).toHaveLength(9);
  expect(Object.keys(rows[0]!)).toEqual(['point', 'design', 'seed', 'nic.operations_per_second']);
  expect(rows[1]!['nic.operations_per_second']).toBe('143.142857143');
});

describe('summary.csv', () => {
  const text = files['summary.csv']!;
  const rows = records(text);
  const find = (design: number, metric: string) =>
    rows.find((row) => row['point'] === plan.points[design * 3]!.design && row['metric'] === metric);

  it('starts with the fixed columns, then the swept paths', () => {
    expect(text.split('\r\n')[0]).toBe('point,metric,unit,mean,low,high,n,os.dma.mode,devices.nic.size');
  });

  it('has mean and 95 % interval over the seeds', () => {
    const row = find(1, 'nic.operations_per_second')!;
    const expected = confidence95([2001 / 3, 2002 / 3, 2003 / 3]);
    expect(row).toMatchObject({ unit: 'op/s', mean: '667.333333333', n: '3', 'os.dma.mode': 'lazy' });
    expect(Number(row['low'])).toBeCloseTo(expected.low, 8);
    expect(Number(row['high'])).toBeCloseTo(expected.high, 8);
    expect(Number(row['low'])).toBeLessThan(667);
  });

  it('says when no seed has a value, and skips what a design does not have', () => {
    expect(find(0, 'vtd.iotlb_hit_rate')).toMatchObject({ mean: '', low: '', high: '', n: '0' });
    expect(find(0, 'cpu0.busy')).toBeUndefined();
    expect(find(1, 'cpu0.busy')).toMatchObject({ mean: '0.25', n: '3' });
  });
});

describe('latency.csv', () => {
  const rows = records(files['latency.csv']!);

  it('adds the bucket counts of all seeds exactly', () => {
    expect(Object.keys(rows[0]!)).toEqual(['design', 'component', 'metric', 'low_ns', 'high_ns', 'count']);
    const first = rows.filter((row) => row['design'] === plan.points[0]!.design);
    expect(first.map((row) => [row['low_ns'], row['high_ns'], row['count']])).toEqual([
      ['0', '0.999', '6'],
      ['5000.564', '5000.627', '1'],
      ['5000.628', '5000.691', '1'],
      ['5000.692', '5000.755', '1'],
    ]);
  });
});

describe('metrics.csv', () => {
  const rows = records(files['metrics.csv']!);

  it('starts with the schema version and explains every column of points.csv', () => {
    expect(rows[0]).toMatchObject({ name: 'csv_schema', unit: 'version', formula: '1' });
    const names = new Set(rows.map((row) => row['name']));
    const columns = parseCsv(files['points.csv']!)[0]!.slice(6);
    for (const column of columns) expect(names).toContain(column.slice(column.indexOf('.') + 1));
  });

  it('gives unit, sentence and formula as defined', () => {
    expect(rows.find((row) => row['name'] === 'busy')).toEqual({ ...define('busy', 'ratio') });
    expect(rows.find((row) => row['name'] === 'latency.p90')).toMatchObject({ unit: 'ns' });
  });
});

it('output.txt has what the jobs printed, point by point; there is none when they are silent', () => {
  const lines = files['output.txt']!.split('\n');
  expect(lines).toHaveLength(3 * 3 + 1);
  expect(lines[0]).toBe(`# point ${plan.points[3]!.id} os.dma.mode=lazy devices.nic.size=128B seed 1`);
  expect(lines[1]).toBe('dma mapping benchmark(strict): threads:1');
  const silent = new RunFiles(fakePlan(1, 1), DEFINITIONS);
  silent.add(plan.points[0]!, fakeResult(plan.points[0]!.spec, { everyEvent: false, audit: false }));
  expect(silent.files().map((file) => file.name)).not.toContain('output.txt');
});

it('the audit adds columns of its own and changes no other', () => {
  const [plain, audited] = [records(files['points.csv']!), records(report(true)['points.csv']!)];
  expect(audited[0]).toMatchObject({ 'audit.exposures': '4', 'run.violations': '0' });
  expect(audited[6]).toMatchObject({ 'run.violations': '1' });
  for (const row of audited) {
    delete row['audit.exposures'];
    delete row['run.violations'];
  }
  expect(audited).toEqual(plain);
});

it('a metric without a definition is an error', () => {
  const files = new RunFiles(plan, DEFINITIONS.slice(1));
  expect(() =>
    files.add(plan.points[0]!, fakeResult(plan.points[0]!.spec, { everyEvent: false, audit: false })),
  ).toThrow('metric "operations_per_second" has no definition');
});

it('designs that resolve to the same content stay apart by their swept values', () => {
  const [a, b] = [plan.points[0]!, plan.points[1]!];
  const twins = [a, { ...a, swept: b.swept, id: a.id }].map((p, i) => ({ ...p, swept: { alias: String(i) } }));
  const files = new RunFiles({ ...plan, points: twins }, DEFINITIONS);
  for (const point of twins) files.add(point, fakeResult(point.spec, { everyEvent: false, audit: false }));
  expect(files.summary().map((design) => [design.swept['alias'], design.values[0]!.n])).toEqual([
    ['0', 1],
    ['1', 1],
  ]);
});

describe('a whole run', () => {
  let root: string;
  beforeEach(() => {
    root = mkdtempSync(join(tmpdir(), 'iommusim-report-'));
  });
  afterEach(() => rmSync(root, { recursive: true, force: true }));

  const run = async (name: string, worker: URL | null, threads: number): Promise<Record<string, string>> => {
    const out = join(root, name);
    const common = {
      out,
      threads,
      quiet: true,
      everyEvent: false,
      audit: false,
      report: new RunFiles(plan, DEFINITIONS),
    };
    await executeRun(plan, worker === null ? { ...common, runner: fakeResult } : { ...common, worker });
    return deterministicFiles(out);
  };

  it('leaves the same bytes for any number of threads and any order of completion', async () => {
    const worker = new URL('../run/testing/fake-worker.mjs', import.meta.url);
    const one = await run('one', worker, 1);
    expect(Object.keys(one)).toEqual([
      'latency.csv',
      'metrics.csv',
      'points.csv',
      'spec.resolved.yaml',
      'summary.csv',
      'warmup.csv',
    ]);
    expect(await run('two', worker, 2)).toEqual(one);
    expect(await run('four', worker, 4)).toEqual(one);
  });

  it('is hashed without the manifest and the point files, and the hash sees every byte', async () => {
    const before = await run('out', null, 1);
    expect(Object.keys(before)).toContain('output.txt');
    expect(before['manifest.json']).toBeUndefined();
    writeFileSync(join(root, 'out', 'points.csv'), `${report()['points.csv']} `);
    const after = deterministicFiles(join(root, 'out'));
    expect(after['points.csv']).not.toBe(before['points.csv']);
    expect({ ...after, 'points.csv': '' }).toEqual({ ...before, 'points.csv': '' });
  });
});
