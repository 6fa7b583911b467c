import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { RandomStream } from '../../kernel/random.js';
import { VTD_REFERENCE } from '../reference/vtd.js';
import type { Vector } from './vector.js';
import { VTD_GENERATOR } from './vtd.js';
import { type Census, vtdCensus } from './vtd-census.js';

const MODES = Object.keys(VTD_GENERATOR.modes);
const STRICT = MODES.filter((mode) => mode !== 'common');

function generate(seed: number, mode: string): Vector {
  return VTD_GENERATOR.generate(new RandomStream(seed, 'test'), mode);
}

const taken = new Map<string, Census>();

/** The census of one seed range of a mode, taken once. */
function census(mode: string): Census {
  const known = taken.get(mode) ?? vtdCensus(mode, 1, 700);
  taken.set(mode, known);
  return known;
}

function inWindow(address: bigint, bytes = 8n): boolean {
  return address >= 0x1_0000_0000n && address + bytes <= 0x1_8000_0000n;
}

test('common is the first mode; an unknown one is an error that names all', () => {
  expect(MODES[0]).toBe('common');
  expect(() => generate(1, 'nest')).toThrow(/nest: common, nested, five-level/);
});

test('a seed makes one vector', () => {
  for (const mode of MODES) expect(generate(7, mode)).toEqual(generate(7, mode));
  expect(generate(7, 'common')).not.toEqual(generate(8, 'common'));
});

describe.each(MODES)('%s', (mode) => {
  test('vectors keep to what every reader of the format can take', () => {
    fc.assert(
      fc.property(fc.nat(1_000_000), (seed) => {
        const vector = generate(seed, mode);
        const listed = new Set(
          vector.tables.flatMap((t) => Array.from({ length: t.bytes / 4096 }, (_, i) => t.address + BigInt(4096 * i))),
        );
        const faults: string[] = [];
        const check = (right: boolean, what: string): void => {
          if (!right) faults.push(what);
        };
        for (const [address, word] of vector.words) {
          check(inWindow(address) && address % 8n === 0n && listed.has(address & ~0xfffn), `word at ${address}`);
          check(word > 0n && word < (1n << 64n) - 1n, `word ${word}`);
        }
        const registers = vector.registers.map(({ offset, bytes }) => [offset, bytes]);
        expect(registers).toEqual([
          [0x20, 8],
          [0x18, 4],
          [0x18, 4],
        ]);
        check(vector.accesses.length >= 16 && vector.accesses.length <= 64, `${vector.accesses.length} accesses`);
        vector.accesses.forEach(({ id, rid, pasid, iova }, i) => {
          check(id === i, `id ${id}`);
          check(rid < 0x100 ? rid >= 8 && rid < 0xf8 : rid < 0x10000 && (rid & 0xff) < 8, `requester ${rid}`);
          check(pasid === null || (pasid >= 0 && pasid < 1 << 20), `PASID ${pasid}`);
          check(iova >= 0n && iova >> 64n === 0n && iova >> 20n !== 0xfeen, `input ${iova}`);
        });
        VTD_REFERENCE.answer(vector).forEach((answer, i) => {
          for (const { address, bytes } of answer.accesses) {
            check(inWindow(address, BigInt(bytes)), `access to ${address}`);
          }
          if (!answer.ok) return;
          check(inWindow(answer.pa) && !listed.has(answer.pa & ~0xfffn), `output ${answer.pa}`);
          check(((answer.pa ^ vector.accesses[i]!.iova) & 0xfffn) === 0n, `offset of ${answer.pa}`);
        });
        expect(faults).toEqual([]);
      }),
      { numRuns: 40 },
    );
  });

  test('interrupt addresses are mapped by small pages: what lies around them is outside the window', () => {
    const outputs = generate(3055, mode);
    VTD_REFERENCE.answer(outputs).forEach((answer) => {
      if (answer.ok) expect(inWindow(answer.pa)).toBe(true);
    });
  });

  test('about 60 % of the accesses are granted', () => {
    const { accesses, granted } = census(mode);
    expect(granted / accesses).toBeGreaterThan(0.54);
    expect(granted / accesses).toBeLessThan(0.66);
  });
});

test('common vectors only have what emulators take', () => {
  for (let seed = 0; seed < 300; seed++) {
    const vector = generate(seed, 'common');
    const config = new Map(vector.config);
    expect([...config.keys()]).toEqual(['aw', 'scalable']);
    expect(['39', '48']).toContain(config.get('aw'));
    const legacy = (vector.registers[0]!.value & 0xc00n) === 0n;
    if (!legacy) expect([config.get('scalable'), vector.registers[0]!.value & 0xc00n]).toEqual(['1', 0x400n]);
    for (const access of vector.accesses) {
      expect(['r', 'w']).toContain(access.kind);
      expect(access).not.toHaveProperty('privileged');
      if (access.pasid !== null) expect(!legacy && access.pasid > 0 && access.pasid < 256).toBe(true);
    }
  }
});

/** Fault reasons and page sizes of a census, without the number of reads. */
function outcomes(mode: string): Set<string> {
  return new Set([...census(mode).classes.keys()].map((name) => name.replace(/ after .*/, '')));
}

function faults(table: string, codes: readonly number[], silent: readonly number[] = codes): string[] {
  const name = (code: number) => `${table} fault 0x${code.toString(16)}`;
  return [...codes.map(name), ...silent.map((code) => `${name(code)} silent`)];
}

const SIZES = ['page 0x1000', 'page 0x200000', 'page 0x40000000'];

describe('census', () => {
  test('common: every reason of both table modes, recorded and, where FPD counts, not', () => {
    const seen = outcomes('common');
    const qualified = [0x02, 0x03, 0x04, 0x05, 0x06, 0x0b, 0x0c];
    const legacy = [...faults('legacy', [0x01, 0x0a, ...qualified], qualified)];
    const second = [0x02, 0x04, 0x05, 0x06, 0x0b, 0x0c, 0x51, 0x59, 0x5b, 0x71, 0x72, 0x80, 0x81, 0x85];
    const scalable = faults('scalable', [0x01, 0x0a, ...second], second);
    const pages = ['legacy', 'scalable'].flatMap((table) =>
      [...SIZES, 'pass-through'].map((size) => `${table} ${size}`),
    );
    expect([...legacy, ...scalable, ...pages].filter((name) => !seen.has(name))).toEqual([]);
  });

  test('common: flaws and pages at every level', () => {
    const { classes } = census('common');
    const missing: string[] = [];
    for (const reads of [3, 4, 5, 6])
      for (const code of ['5', '6', 'c']) missing.push(`legacy fault 0x${code} after ${reads} reads`);
    for (const reads of [5, 6, 7, 8]) {
      for (const code of ['5', '6', 'c', '71', '72', '81', '85'])
        missing.push(`scalable fault 0x${code} after ${reads} reads`);
    }
    // Leaves of 3-level and of 4-level tables.
    for (const [size, reads] of [
      ['1000', 5],
      ['200000', 4],
      ['40000000', 3],
    ] as const) {
      missing.push(`legacy page 0x${size} after ${reads} reads`, `legacy page 0x${size} after ${reads + 1} reads`);
      missing.push(
        `scalable page 0x${size} after ${reads + 2} reads`,
        `scalable page 0x${size} after ${reads + 3} reads`,
      );
    }
    expect(missing.filter((name) => !classes.has(name))).toEqual([]);
  });

  test('nested: up to 28 reads, and the conditions that only nesting has', () => {
    const { classes } = census('nested');
    expect(classes.has('scalable page 0x1000 after 28 reads')).toBe(true);
    const seen = outcomes('nested');
    const wanted = [
      ...faults('scalable', [0x71, 0x72, 0x74, 0x75, 0x76, 0x77, 0x79, 0x7a, 0x80, 0x81, 0x85, 0x86, 0x87]),
      ...SIZES.map((size) => `scalable ${size}`),
    ];
    expect(wanted.filter((name) => !seen.has(name))).toEqual([]);
  });

  test('five-level: tables of five levels in both stages and both table modes', () => {
    const { classes } = census('five-level');
    for (const name of ['legacy page 0x1000 after 7 reads', 'scalable page 0x1000 after 9 reads'])
      expect(classes.has(name)).toBe(true);
    // Five over five levels: four directory reads, five entries and a page behind five reads each.
    const most = Math.max(...[...classes.keys()].map((name) => Number(/after (\d+)/.exec(name)![1])));
    expect(most).toBeGreaterThan(32);
    expect(most).toBeLessThanOrEqual(4 + 5 * 6 + 5);
    const seen = outcomes('five-level');
    const wanted = [...faults('scalable', [0x80, 0x83, 0x84]), ...faults('legacy', [0x04, 0x0c])];
    expect(wanted.filter((name) => !seen.has(name))).toEqual([]);
  });

  test('permissions: supervisor, execute, atomic requests and flags', () => {
    const seen = outcomes('permissions');
    const wanted = faults('scalable', [0x5c, 0x5d, 0x79, 0x7c, 0x81, 0x85, 0x86, 0x90]);
    expect(wanted.filter((name) => !seen.has(name))).toEqual([]);
  });

  test('directory: every reason of directory structures and of the root pointer', () => {
    const seen = outcomes('directory');
    const qualified = [0x41, 0x42, 0x43, 0x45, 0x46, 0x48, 0x51, 0x52, 0x59, 0x5a, 0x5b];
    const wanted = [
      ...faults('scalable', [0x39, 0x3a, ...qualified], qualified),
      'reserved fault 0x30',
      'abort fault 0x30',
      'legacy fault 0x31',
    ];
    expect(wanted.filter((name) => !seen.has(name))).toEqual([]);
  });

  test('second-stage reasons of legacy mode do not occur in scalable mode under the rules of the specification', () => {
    for (const mode of STRICT) {
      for (const name of outcomes(mode)) expect(name).not.toMatch(/^scalable fault 0x[0-9a-f]( |$)/);
    }
  });
});
