import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { runProgram } from './program.js';

let folder = '';
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'iommusim-validate-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

async function run(...argv: string[]): Promise<{ code: number; out: string; err: string }> {
  const out: string[] = [];
  const err: string[] = [];
  const code = await runProgram(argv, { out: (text) => out.push(text), err: (text) => err.push(text) });
  return { code, out: out.join(''), err: err.join('') };
}

describe('validate', () => {
  test('repeats one row, writes CSV, and accepts it', async () => {
    const csv = join(folder, 'table.csv');
    const { code, out } = await run('validate', '--row', 'hswb-BWwr64*off', '--csv', csv, '--threads', '2', '--quiet');
    expect(out).toMatch(/13 of 13 \(100\.0 %\)/);
    expect(out).toContain('accepted: ');
    expect(code).toBe(0);
    expect(readFileSync(csv, 'utf8').split('\r\n')).toHaveLength(15);
    expect(readdirSync(folder)).toEqual(['table.csv']);
  });

  test('repeats page-table code of both generations, writes CSV, and accepts it', async () => {
    const csv = join(folder, 'code.csv');
    const { code, out } = await run('validate', '--stage', '5', '--csv', csv);
    expect(out).toContain('IPT-AMDV1-UNMAP: amdv1, unmap, legacy code, ns a call');
    expect(out).toMatch(/page-table code, points within 10 %: 88 of 88\naccepted: /);
    expect(code).toBe(0);
    expect(readFileSync(csv, 'utf8')).toBe(readFileSync('results/validation/page-table-code.csv', 'utf8'));
  });

  test('repeats guests, user memory and page faults by shipped workloads, writes CSV, and accepts them', async () => {
    for (const [stage, points, file] of [
      ['8', '11 of 11', 'guest.csv'],
      ['9', '12 of 12', 'user-map.csv'],
      ['10', '4 of 4', 'page-fault.csv'],
    ] as const) {
      const csv = join(folder, file);
      const { code, out } = await run('validate', '--stage', stage, '--csv', csv, '--threads', '2');
      expect(out).toContain(`: ${points}\naccepted: `);
      expect(code).toBe(0);
      expect(readFileSync(csv, 'utf8')).toBe(readFileSync(`results/validation/${file}`, 'utf8'));
    }
  }, 180_000);

  test('an unknown stage names those that exist', async () => {
    const { code, err } = await run('validate', '--stage', '3');
    expect(code).toBe(2);
    expect(err).toBe(
      'error E503: there is no stage "3"; stages are 1 (IOMMU off), 2 (IOMMU on), 5 (page-table code), 6 (invalidation), 8 (guests), 9 (user memory), 10 (page faults)\n',
    );
  });

  test('a pattern without rows, a bad number of threads, a file that cannot be written', async () => {
    expect((await run('validate', '--row', 'nothing')).err).toContain(
      'no published row of stage 1, 2, 5, 6, 8, 9, 10 matches',
    );
    expect((await run('validate', '--threads', '0')).code).toBe(2);
    const csv = join(folder, 'missing', 'table.csv');
    const { code, err } = await run('validate', '--row', 'HSWB-BWwr64', '--csv', csv, '--quiet');
    expect(code).toBe(2);
    expect(err).toContain('error E007');
    expect(existsSync(csv)).toBe(false);
  });
});

describe('fit', () => {
  test('refuses a host that was not measured and a seed that is no number', async () => {
    const host = await run('fit', '--host', 'bdw-e5-2630');
    expect(host.code).toBe(2);
    expect(host.err).toContain('did you mean "bdw-e5-2630v4"?');
    expect((await run('fit', '--seed', 'x')).code).toBe(2);
    expect((await run('fit', '--stage', '2')).err).toContain('--stage expects 5');
    expect((await run('fit', '--stage', '5', '--host', 'bdw-e5-2630v4')).code).toBe(2);
    expect((await run('fit', '--stage', '8', '--host', 'bdw-e5-2630v4')).code).toBe(2);
  });

  test('of user memory writes the committed values', async () => {
    const { code, out } = await run('fit', '--stage', '9', '--seed', '1', '--threads', '2');
    expect(code).toBe(0);
    expect(out).toBe(readFileSync('src/models/fitted/user-map.ts', 'utf8'));
  }, 120_000);

  test('of page faults writes the committed values', async () => {
    const { code, out } = await run('fit', '--stage', '10', '--seed', '1', '--threads', '2');
    expect(code).toBe(0);
    expect(out).toBe(readFileSync('src/models/fitted/page-fault.ts', 'utf8'));
  }, 120_000);

  test('of page-table code writes the committed values', async () => {
    const { code, out } = await run('fit', '--stage', '5', '--seed', '1');
    expect(code).toBe(0);
    expect(out).toBe(readFileSync('src/models/fitted/table-code.ts', 'utf8'));
  });
});
