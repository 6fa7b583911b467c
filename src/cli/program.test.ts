import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { SAMPLE } from '../workload/testing/sample.js';
import { runProgram } from './program.js';
import { STRATEGY_KINDS } from '../os/spec.js';

let folder = '';
let sample = '';

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'iommusim-cli-'));
  sample = join(folder, 'sample.yaml');
  writeFileSync(sample, SAMPLE);
});

afterAll(() => rmSync(folder, { recursive: true }));

async function run(...argv: string[]): Promise<{ code: number; out: string; err: string }> {
  const out: string[] = [];
  const err: string[] = [];
  const code = await runProgram(argv, { out: (text) => out.push(text), err: (text) => err.push(text) });
  return { code, out: out.join(''), err: err.join('') };
}

describe('commands', () => {
  test('check prints the points and an estimate', async () => {
    const { code, out, err } = await run('check', sample, '--set', 'os.dma.mode=strict', '--seeds', '3');
    expect(err).toBe('');
    expect(code).toBe(0);
    expect(out).toMatch(/^sample: Does it resolve\?\n/);
    expect(out.match(/^[0-9a-f]{16} {2}[0-9a-f]{16} {2}\d/gm)).toHaveLength(3);
    expect(out).toMatch(/\n3 points, 3000 operations, \d+ events, less than a second of one core\n$/);
  });

  test('models lists the sheets, models show prints value, unit, confidence and source', async () => {
    const list = await run('models');
    expect(list.code).toBe(0);
    expect(list.out).toMatch(/^machine {2}skx-8160 +Xeon Platinum 8160/m);
    expect((await run('models', 'list')).out).toBe(list.out);
    const show = await run('models', 'show', 'linux-7.2');
    expect(show.code).toBe(0);
    expect(show.out).toMatch(/^costs\.tablePage +150 +ns +assumed +order/m);
    expect(show.out).toMatch(/^costs\.table\.vtdss\.generic\.map\.call +53\.8 +ns +fitted +fit to IPT-VTDSS-MAP/m);
  });

  test('schema prints a JSON Schema', async () => {
    const { code, out } = await run('schema');
    expect(code).toBe(0);
    expect(JSON.parse(out)).toMatchObject({ title: 'iommusim workload', type: 'object' });
  });

  test('explain lists metrics, and explains one by name or column', async () => {
    const list = await run('explain');
    expect(list.code).toBe(0);
    expect(list.out).toContain('measured_time');
    const one = await run('explain', 'run.measured_time');
    expect(one.out).toMatch(/^measured_time \(ns\): Simulated time of the measured window/);
  });

  test('explain says what strategies do and protect, all or one, and knows their names when they are misspelt', async () => {
    const all = await run('explain', 'strategies');
    for (const kind of STRATEGY_KINDS) expect(all.out).toContain(`\n${kind} `);
    const pool = await run('explain', 'pool');
    expect(pool.out).toContain('coarse: buffers stay reachable for good');
    expect(pool.out).not.toContain('shadow');
    expect((await run('explain', 'contigous')).err).toContain('did you mean "contiguous"?');
  });

  test('help is not an error; no command at all is', async () => {
    const help = await run('--help');
    expect(help.code).toBe(0);
    expect(help.out).toContain('Usage: iommusim');
    expect((await run('--version')).out).toMatch(/^\d+\.\d+\.\d+\n$/);
    expect((await run()).code).toBe(2);
    expect((await run('help', 'run')).out).toContain('--threads');
  });
});

describe('errors end with status 2 and one line each', () => {
  test.each([
    [['rnu'], 'error E501: unknown command \'rnu\'; did you mean "run"?\n'],
    [['check', 'SAMPLE', '--sett', 'a=1'], 'error E502: unknown option \'--sett\'; did you mean "--set"?\n'],
    [['check'], "error E503: missing required argument 'file'\n"],
    [['check', 'SAMPLE', 'more'], "error E503: too many arguments for 'check'. Expected 1 argument but got 2.\n"],
    [['run', 'SAMPLE', '--threads', 'two'], 'error E503: --threads expects a whole number from 1 to 1024, got "two"\n'],
    [
      ['explain', 'measured_tiem'],
      'error E504: there is no metric "measured_tiem"; iommusim explain lists them; did you mean "measured_time"?\n',
    ],
    [
      ['models', 'show', 'skx-8161'],
      'error E505: there is no model "skx-8161"; iommusim models lists them; did you mean "skx-8160"?\n',
    ],
    [
      ['check', 'FOLDER/sampel.yaml'],
      'FOLDER/sampel.yaml: error E001: no such file; did you mean "FOLDER/sample.yaml"?\n',
    ],
    [['check', 'FOLDER/none/x.yaml'], 'FOLDER/none/x.yaml: error E001: no such file\n'],
    [['check', 'FOLDER'], 'FOLDER: error E001: it is a folder, not a workload file\n'],
    [
      ['check', 'SAMPLE', '--set', 'os.tick=4'],
      '--set os.tick=4: error E201: os.tick: expected a time such as 150ns or 1.5us, got 4 without a unit\n',
    ],
    [
      ['check', 'SAMPLE', '--seeds', '0'],
      '--seeds 0: error E204: seeds: expected a whole number from 1 to 10000 or a list of seeds, got 0\n',
    ],
  ])('%j', async (argv, message) => {
    const real = (text: string): string => text.replaceAll('SAMPLE', sample).replaceAll('FOLDER', folder);
    const { code, out, err } = await run(...argv.map(real));
    expect(err).toBe(real(message));
    expect(out).toBe('');
    expect(code).toBe(2);
  });

  test('a results folder that cannot be used', async () => {
    const { code, err } = await run('run', sample, '--quiet', '--out', join(sample, 'inside'));
    expect(err).toMatch(/^error E007: .*a part of the path is a file, not a folder\n$/);
    expect(code).toBe(2);
    const other = join(folder, 'other');
    mkdirSync(other);
    writeFileSync(join(other, 'notes.txt'), 'mine');
    expect((await run('run', sample, '--quiet', '--out', other)).err).toMatch(/^error E007: /);
  });
});
