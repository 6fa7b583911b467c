import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { GENERATORS } from '../check/vectors/generators.js';
import { SIMULATOR } from '../check/vectors/simulate.js';
import { parseVectors, writeVector } from '../check/vectors/text.js';
import { PLACES, vtdVector } from '../check/vectors/testing/vtd-vector.js';
import { runProgram } from './program.js';

let folder = '';
const path = (name: string): string => join(folder, name);

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'iommusim-vectors-'));
});

afterAll(() => rmSync(folder, { recursive: true }));

async function run(...argv: string[]): Promise<{ code: number; out: string; err: string; pauses: number }> {
  const out: string[] = [];
  const err: string[] = [];
  let pauses = 0;
  const drained = async (): Promise<void> => void pauses++;
  const code = await runProgram(argv, { out: (text) => out.push(text), err: (text) => err.push(text), drained });
  return { code, out: out.join(''), err: err.join(''), pauses };
}

function file(name: string, text: string): string {
  writeFileSync(path(name), text);
  return path(name);
}

describe('iommusim vectors', () => {
  test('writes as many accesses as asked for, a vector at a time, and its own file replays', async () => {
    const { code, out, pauses } = await run('vectors', '--arch', 'vtd', '--count', '300', '--seed', '5');
    expect(code).toBe(0);
    const parsed = parseVectors(out);
    expect(pauses).toBe(parsed.length);
    expect(parsed.flatMap(({ answers }) => answers)).toHaveLength(300);
    expect(parsed[0]!.answers).toEqual(SIMULATOR.answer(parsed[0]!.vector));
    const replayed = await run('vectors', '--check', file('own.ovec', out));
    expect(replayed.out).toBe(`${parsed.length} vectors, 300 accesses; 0 of 300 answers disagree\n`);
    expect(replayed.code).toBe(0);
    expect((await run('vectors', '--arch', 'vtd', '--count', '300', '--seed', '5')).out).toBe(out);
    const bare = await run('vectors', '--arch', 'vtd', '--count', '300', '--seed', '5', '--no-memory');
    expect(bare.out).toBe(out.replace(/^m .*\n/gm, ''));
  });

  test('takes every mode of VT-d, and of the others what the reference answers', async () => {
    for (const { architecture, modes } of Object.values(GENERATORS)) {
      for (const mode of Object.keys(modes)) {
        const { code, out, err } = await run(
          'vectors',
          '--arch',
          architecture,
          '--mode',
          mode,
          '--count',
          '20',
          '--reference',
        );
        expect(err).toBe('');
        expect(code).toBe(0);
        expect(parseVectors(out)[0]!.vector.architecture).toBe(architecture);
      }
    }
  });

  test('a file that disagrees is shown and ends with status 1', async () => {
    const vector = vtdVector([{}, { kind: 'w' }]);
    const text = writeVector(vector, SIMULATOR.answer(vector)).replace('e 1 fault 5', 'e 1 fault 7');
    const { code, out } = await run('vectors', '--check', file('wrong.ovec', text));
    expect(code).toBe(1);
    expect(out).toMatch(
      /^access 1 of a vtd vector: fault code differs\nfile:\n {2}e 1 fault 7\n(.*\n)*simulator:\n {2}e 1 fault 5\n/,
    );
    expect(out).toMatch(/1 vectors, 2 accesses; 1 of 2 answers disagree\n$/);
  });

  test('peeks are answered, a file without answers is not wrong', async () => {
    const { ROOT, CONTEXT } = PLACES;
    const text = writeVector(vtdVector([{}]), [], { peeks: [{ address: ROOT, words: 1 }] });
    const { code, out } = await run('vectors', '--check', file('peek.ovec', text));
    expect(out).toBe(
      `peek 0x${ROOT.toString(16)} 0x${(CONTEXT | 1n).toString(16)}\n1 vectors, 1 accesses; the file states no answers\n`,
    );
    expect(code).toBe(0);
  });

  test('line numbers are those of the file, in every vector of it', async () => {
    const text = writeVector(vtdVector([{}]), []);
    const broken = `${text}# a comment\n${text}${text.replace('x 0', 'y 0')}`;
    const line = broken.split('\n').findIndex((each) => each.startsWith('y 0')) + 1;
    const name = file('broken.ovec', broken);
    expect((await run('vectors', '--check', name)).err).toBe(`${name}:${line}:1: error E701: unknown directive "y"\n`);
  });

  test.each([
    [['vectors'], 'error E503: --arch expects one of vtd, amdvi, smmuv3, riscv\n'],
    [
      ['vectors', '--arch', 'vtt'],
      'error E503: --arch expects one of vtd, amdvi, smmuv3, riscv, got "vtt"; did you mean "vtd"?\n',
    ],
    [
      ['vectors', '--arch', 'vtd', '--mode', 'nestd'],
      'error E503: --mode of vtd expects one of common, nested, five-level, permissions, directory, ats, got "nestd"; did you mean "nested"?\n',
    ],
    [
      ['vectors', '--arch', 'vtd', '--count', '1e3'],
      'error E503: --count expects a whole number from 1 to 2147483647, got "1e3"\n',
    ],
    [['vectors', '--arch', 'vtd', '--seed', '-1'], 'error E503: --seed expects a whole number from 0 on, got "-1"\n'],
    [['vectors', '--check', 'NONE'], 'NONE: error E001: no such file\n'],
    [
      ['vectors', '--check', 'NONE', '--mode', 'common'],
      'error E503: --check replays a file as it is: --mode has no meaning beside it\n',
    ],
    [
      ['vectors', '--check', 'NONE', '--no-memory'],
      'error E503: --check replays a file as it is: --no-memory has no meaning beside it\n',
    ],
    [['vectors', '--check', 'EMPTY'], 'EMPTY: error E701: the file holds no vector\n'],
    [['vectors', '--check', 'TEXT'], 'TEXT:1:1: error E701: a vector starts with "ovec 1 <architecture>"\n'],
    [['vectors', '--check', 'CONFIG'], 'CONFIG: error E702: cfg aw 40: vtd has aw 48, 39, 57\n'],
  ])('%j ends with status 2', async (argv, message) => {
    const names: Record<string, string> = {
      NONE: path('none.ovec'),
      EMPTY: file('empty.ovec', ''),
      TEXT: file('text.ovec', 'dear reader\n'),
      CONFIG: file('config.ovec', writeVector(vtdVector([{}], { config: [['aw', '40']] }), [])),
    };
    const real = (text: string): string => text.replace(/[A-Z]{4,}/, (name) => names[name] ?? name);
    const { code, out, err } = await run(...argv.map(real));
    expect(err).toBe(real(message));
    expect(out).toBe('');
    expect(code).toBe(2);
  });
});
