import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { csvText } from '../report/csv.js';
import { parseCsv } from '../report/testing/parse.js';
import { readSvg, textsOf } from '../report/testing/svg.js';
import { runProgram } from './program.js';

let root = '';
let folder = '';

const PATHS = ['os.superpages', 'workload.reads.window', 'workload.reads.size', 'machine.depth'];

/** One nic or two, two leaf sizes, three windows, two sizes; `depth` follows the window. */
function summary(): string[][] {
  const rows: string[][] = [['point', 'metric', 'unit', 'mean', 'low', 'high', 'n', ...PATHS]];
  for (const superpages of ['false', 'true']) {
    for (const [i, window] of ['256KiB', '1MiB', '64MiB'].entries()) {
      for (const [j, size] of ['64B', '128B'].entries()) {
        const swept = [superpages, window, size, String(i)];
        const y = 10 * (j + 1) - i;
        rows.push(['d', 'nic.dma.read.bandwidth', 'Gb/s', String(y), String(y - 1), String(y + 1), '3', ...swept]);
        rows.push(['d', 'nic.link.utilisation', 'ratio', '0.5', '0.5', '0.5', '3', ...swept]);
        rows.push(['d', 'disk.link.utilisation', 'ratio', '0', '0', '0', '3', ...swept]);
        rows.push(['d', 'nic.dma.write.bandwidth', 'Gb/s', '', '', '', '0', ...swept]);
      }
    }
  }
  return rows;
}

beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), 'iommusim-figure-'));
  folder = join(root, 'run');
  mkdirSync(folder);
  writeFileSync(join(folder, 'summary.csv'), csvText(summary()));
  const metrics = [
    ['name', 'unit', 'sentence', 'formula'],
    ['dma.read.bandwidth', 'Gb/s', 'Payload read.', 'x'],
  ];
  writeFileSync(join(folder, 'metrics.csv'), csvText(metrics));
  writeFileSync(join(folder, 'manifest.json'), '{"name": "reach"}');
});

afterAll(() => rmSync(root, { recursive: true }));

async function figure(...argv: string[]): Promise<{ code: number; out: string; err: string }> {
  const out: string[] = [];
  const err: string[] = [];
  const output = { out: (text: string) => out.push(text), err: (text: string) => err.push(text) };
  const code = await runProgram(['figure', ...argv], output);
  return { code, out: out.join(''), err: err.join('') };
}

/** Draws into a file of its own and gives its texts and its numbers. */
async function drawn(...argv: string[]): Promise<{ texts: string[]; rows: Record<string, string>[] }> {
  const file = join(root, 'out.svg');
  const { code, err } = await figure(folder, '--out', file, ...argv);
  expect(err).toBe('');
  expect(code).toBe(0);
  const [header, ...records] = parseCsv(readFileSync(join(root, 'out.csv'), 'utf8'));
  const rows = records.map((record) => Object.fromEntries(header!.map((name, i) => [name, record[i]!])));
  return { texts: textsOf(readSvg(readFileSync(file, 'utf8'))), rows };
}

describe('figure', () => {
  test('takes the path with most values along x and the others as series, without those that follow x', async () => {
    const { texts, rows } = await drawn('--metric', 'dma.read.bandwidth');
    expect(texts).toContain('reach: nic.dma.read.bandwidth');
    expect(texts).toContain('Payload read.');
    expect(texts).toContain('os.superpages, reads.size:');
    expect(texts).toContain('reads.window');
    expect(texts).toContain('64 MiB');
    expect(texts).toContain('Mean and 95 % interval over 3 seeds.');
    expect(new Set(rows.map((row) => row['series']))).toEqual(
      new Set(['false, 64B', 'false, 128B', 'true, 64B', 'true, 128B']),
    );
    expect(rows).toHaveLength(12);
    expect(rows[2]).toMatchObject({
      x: '67108864',
      x_name: 'workload.reads.window',
      y: '8',
      low: '7',
      high: '9',
      n: '3',
    });
  });

  test('takes paths by their last keys, and only designs of --where', async () => {
    const argv = ['--metric', 'nic.dma.read.bandwidth', '--x', 'size', '--by', 'window', '--where', 'superpages=true'];
    const { rows } = await drawn(...argv, '--where', 'window=256KiB,1MiB');
    expect(rows.map((row) => [row['series'], row['x'], row['y']])).toEqual([
      ['256KiB', '64', '10'],
      ['256KiB', '128', '20'],
      ['1MiB', '64', '9'],
      ['1MiB', '128', '19'],
    ]);
  });

  test('tells components apart that have the same metric', async () => {
    const argv = ['--metric', 'link.utilisation', '--where', 'size=64B', '--where', 'superpages=true'];
    const { texts, rows } = await drawn(...argv);
    expect(texts).toContain('component:');
    expect(new Set(rows.map((row) => row['series']))).toEqual(new Set(['nic', 'disk']));
    expect((await drawn(...argv, '--where', 'component=nic')).texts).not.toContain('component:');
  });

  test('writes three files beside the tables of the run and leaves no other', async () => {
    const copy = join(root, 'copy');
    cpSync(folder, copy, { recursive: true });
    const { code, out } = await figure(copy, '--metric', 'dma.read.bandwidth', '--title', 'Mine');
    expect(code).toBe(0);
    expect(out).toContain(join(copy, 'figure-nic.dma.read.bandwidth.svg'));
    const names = readdirSync(copy).filter((name) => !['summary.csv', 'metrics.csv', 'manifest.json'].includes(name));
    const stem = 'figure-nic.dma.read.bandwidth';
    expect(names.sort()).toEqual([`${stem}.csv`, `${stem}.svg`, `${stem}.vl.json`]);
    expect(JSON.parse(readFileSync(join(copy, `${stem}.vl.json`), 'utf8')).title.text).toBe('Mine');
    const before = readFileSync(join(copy, `${stem}.svg`), 'utf8');
    await figure(copy, '--metric', 'dma.read.bandwidth', '--title', 'Mine');
    expect(readFileSync(join(copy, `${stem}.svg`), 'utf8')).toBe(before);
  });

  test('chooses a logarithmic x axis for values that span a factor of 32, unless told otherwise', async () => {
    const scale = () => JSON.parse(readFileSync(join(root, 'out.vl.json'), 'utf8')).encoding.x.scale;
    await drawn('--metric', 'dma.read.bandwidth');
    expect(scale()).toMatchObject({ type: 'log' });
    await drawn('--metric', 'dma.read.bandwidth', '--log', 'none');
    expect(scale()).not.toHaveProperty('type');
    await drawn('--metric', 'dma.read.bandwidth', '--log', 'x,y');
    expect(scale()).toMatchObject({ type: 'log' });
  });
});

describe('errors end with status 2 and one line', () => {
  test.each([
    [
      ['--metric', 'dma.read.bandwith'],
      'FOLDER: error E504: there is no metric "dma.read.bandwith" in summary.csv; did you mean "dma.read.bandwidth"?',
    ],
    [['--metric', 'dma.write.bandwidth'], 'FOLDER: error E602: no design has a value of dma.write.bandwidth'],
    [
      ['--metric', 'dma.read.bandwidth', '--x', 'windw'],
      `--x: error E402: no swept path "windw" (swept here: ${PATHS.join(', ')}); did you mean "workload.reads.window"?`,
    ],
    [
      ['--metric', 'dma.read.bandwidth', '--by', 'superpages'],
      'FOLDER: error E603: 2 designs fall on one point of the figure; they differ in workload.reads.size: use --by or --where',
    ],
    [['--metric', 'dma.read.bandwidth', '--where', 'window'], '--where window: error E401: expected PATH=VALUE'],
    [
      ['--metric', 'dma.read.bandwidth', '--where', 'window=2MiB'],
      '--where window=2MiB: error E104: workload.reads.window has no value "2MiB" (256KiB, 1MiB, 64MiB); did you mean "1MiB"?',
    ],
    [
      ['--metric', 'dma.read.bandwidth', '--where', 'window=1MiB', '--where', 'size=64B', '--where', 'superpages=true'],
      'FOLDER: error E602: nothing is swept, so there is no x axis: name one with --x',
    ],
    [
      ['--metric', 'link.utilisation', '--log', 'y'],
      '--log: error E605: link.utilisation has the value 0, which a logarithmic y axis cannot show',
    ],
    [
      ['--metric', 'dma.read.bandwidth', '--x', 'superpages', '--log', 'x'],
      '--log: error E605: os.superpages has values that are not numbers, which a logarithmic x axis cannot show',
    ],
    [['--metric', 'dma.read.bandwidth', '--log', 'z'], 'error E503: --log expects x, y, "x,y" or none, got "z"'],
    [
      ['--metric', 'dma.read.bandwidth', '--out', 'a.png'],
      'error E503: --out expects a name that ends in .svg, got "a.png"',
    ],
    [
      ['--metric', 'dma.read.bandwidth', '--out', 'FOLDER/summary.svg'],
      'error E503: --out FOLDER/summary.svg would replace summary.csv of the run',
    ],
    [[], "error E503: required option '--metric <name>' not specified"],
  ])('%j', async (argv, message) => {
    const real = (text: string): string => text.replaceAll('FOLDER', folder);
    const before = readdirSync(folder);
    const { code, out, err } = await figure(folder, ...argv.map(real));
    expect(err).toBe(`${real(message)}\n`);
    expect(out).toBe('');
    expect(code).toBe(2);
    expect(readdirSync(folder)).toEqual(before);
  });

  test('a folder that is none of a finished run', async () => {
    const none = join(root, 'none');
    const absent = `${none}: error E601: there is no summary.csv: this is not the results folder of a finished run\n`;
    expect((await figure(none, '--metric', 'x')).err).toBe(absent);
    const other = join(root, 'other');
    mkdirSync(other);
    writeFileSync(join(other, 'summary.csv'), 'a,b\r\n"');
    const foreign = `${other}: error E601: summary.csv is not one that iommusim run writes\n`;
    expect((await figure(other, '--metric', 'x')).err).toBe(foreign);
    writeFileSync(join(other, 'summary.csv'), 'a,b\r\n');
    expect((await figure(other, '--metric', 'x')).err).toBe(foreign);
  });

  test('too many series', async () => {
    const wide = join(root, 'wide');
    cpSync(folder, wide, { recursive: true });
    const header = ['point', 'metric', 'unit', 'mean', 'low', 'high', 'n', 'a.x', 'a.kind'];
    const rows = [1, 2].flatMap((x) =>
      Array.from({ length: 13 }, (_, kind) => ['d', 'nic.y', 'ns', '1', '1', '1', '1', String(x), `k${kind}`]),
    );
    writeFileSync(join(wide, 'summary.csv'), csvText([header, ...rows]));
    const { code, err } = await figure(wide, '--metric', 'y', '--x', 'x');
    const message = '13 series are more than the 12 that can be told apart: choose with --where among a.kind (13)';
    expect(err).toBe(`error E604: ${message}\n`);
    expect(code).toBe(2);
  });

  test('a place that cannot be written', async () => {
    const { code, err } = await figure(folder, '--metric', 'dma.read.bandwidth', '--out', join(root, 'no', 'a.svg'));
    expect(err).toMatch(/^error E606: cannot write .*a\.svg: no such folder/);
    expect(code).toBe(2);
  });
});
