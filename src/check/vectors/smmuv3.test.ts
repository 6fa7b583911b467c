import { describe, expect, test } from 'vitest';
import { RandomStream } from '../../kernel/random.js';
import { SMMUV3_REFERENCE } from '../reference/smmuv3.js';
import { SMMUV3_GENERATOR } from './smmuv3.js';
import { smmuv3Census } from './smmuv3-census.js';
import type { Vector } from './vector.js';

const MODES = Object.keys(SMMUV3_GENERATOR.modes);
const WINDOW = [0x1_0000_0000n, 0x1_8000_0000n] as const;

function generate(mode: string, seed: number): Vector {
  return SMMUV3_GENERATOR.generate(new RandomStream(seed, `vectors/smmuv3/${mode}`), mode);
}

/** Census classes without the work behind them. */
function outcomes(mode: string, count: number): Set<string> {
  return new Set([...smmuv3Census(mode, 0, count).classes.keys()].map((name) => name.replace(/ after .*/, '')));
}

describe('every mode', () => {
  test('common comes first', () => {
    expect(MODES[0]).toBe('common');
  });

  test('an unknown mode is refused', () => {
    expect(() => generate('uncommon', 0)).toThrow('unknown mode');
  });

  test.each(MODES)('%s: the same seed gives the same vector', (mode) => {
    expect(generate(mode, 3)).toEqual(generate(mode, 3));
    expect(generate(mode, 3)).not.toEqual(generate(mode, 4));
  });

  test.each(MODES)('%s: vectors stay within what a harness can place', (mode) => {
    for (let seed = 0; seed < 40; seed++) {
      const vector = generate(mode, seed);
      expect(vector.registers.map(({ offset }) => offset)).toEqual([0x80, 0x88, 0x20]);
      expect(vector.accesses.length).toBeGreaterThanOrEqual(16);
      expect(vector.accesses.length).toBeLessThanOrEqual(64);
      expect(vector.accesses.map(({ id }) => id)).toEqual(vector.accesses.map((_, index) => index));
      for (const [address, word] of vector.words) {
        const inTable = vector.tables.some(
          (table) => address >= table.address && address < table.address + BigInt(table.bytes),
        );
        expect(inTable && address % 8n === 0n && word > 0n && word < 1n << 64n).toBe(true);
      }
      for (const { address, bytes } of vector.tables) {
        expect(address >= WINDOW[0] && address + BigInt(bytes) <= 0x1_4000_0000n).toBe(true);
      }
      for (const { rid, iova } of vector.accesses) {
        const device = (rid >> 3) & 0x1f;
        expect(rid < 0x100 ? device >= 1 && device <= 0x1e : rid < 0x1_0000 && device === 0).toBe(true);
        expect(iova >= 0n && iova < 1n << 64n && iova % 8n === 0n).toBe(true);
      }
      for (const answer of SMMUV3_REFERENCE.answer(vector)) {
        // Targets lie apart from tables, so that no write lands in one.
        if (answer.ok) expect(answer.pa >= 0x1_4000_0000n && answer.pa < WINDOW[1]).toBe(true);
      }
    }
  });

  test.each([
    ['common', 0.55, 0.7],
    ['substreams', 0.45, 0.65],
    ['contiguous', 0.5, 0.7],
    ['httu', 0.45, 0.65],
    ['permissions', 0.4, 0.6],
    ['wide', 0.5, 0.7],
    ['strict', 0.35, 0.55],
  ])('%s: a known share of accesses succeeds', (mode, least, most) => {
    const { accesses, granted } = smmuv3Census(mode, 0, 80);
    expect(granted / accesses).toBeGreaterThan(least);
    expect(granted / accesses).toBeLessThan(most);
  });
});

/** C_BAD_STREAMID, C_BAD_STE, C_BAD_CD, abort, and the four faults of both stages. */
const USUAL = [
  'untranslated',
  'event 0x0 silent',
  'event 0x2',
  'event 0x4',
  'event 0xa',
  ...['0x10', '0x11', '0x12', '0x13'].flatMap((code) => [
    `event ${code}`,
    `event ${code} silent`,
    `event ${code} stage 2`,
    `event ${code} stage 2 silent`,
  ]),
];

describe('reach', () => {
  const reached = outcomes('common', 250);

  test('common: every event, at both stages, recorded and silent', () => {
    expect(USUAL.filter((name) => !reached.has(name))).toEqual([]);
  });

  test('common: pages and blocks of all granules, up to 1 GiB', () => {
    const sizes = [12, 14, 16, 21, 25, 29, 30].map((lg2) => `page 0x${(2 ** lg2).toString(16)}`);
    expect(sizes.filter((name) => !reached.has(name))).toEqual([]);
  });

  test('common: absent entries at every level of both stages', () => {
    const { classes } = smmuv3Census('common', 0, 250);
    const reads = [2, 3, 4, 5, 6].map((count) => `event 0x10 after ${count} reads`);
    const nested = [3, 6, 9, 12, 15, 19].map((count) => `event 0x10 stage 2 after ${count} reads`);
    expect([...reads, ...nested].filter((name) => !classes.has(name))).toEqual([]);
  });

  test('substreams: the events of CD tables', () => {
    const found = outcomes('substreams', 60);
    expect(['event 0x6', 'event 0x8', 'event 0xa', 'page 0x1000'].filter((name) => !found.has(name))).toEqual([]);
  });

  test('contiguous: groups at every level that fits', () => {
    const found = outcomes('contiguous', 100);
    const sizes = [16, 21, 25, 30].map((lg2) => `page 0x${(2 ** lg2).toString(16)}`);
    expect(sizes.filter((name) => !found.has(name))).toEqual([]);
  });

  test('httu: updates of one and of several entries', () => {
    const { classes } = smmuv3Census('httu', 0, 100);
    const updates = [...classes.keys()]
      .flatMap((name) => /^page .* (\d+) updates$/.exec(name)?.slice(1) ?? [])
      .map(Number);
    expect(new Set(updates)).toContain(1);
    expect(new Set(updates)).toContain(2);
    expect(Math.max(...updates)).toBeGreaterThan(2);
    expect([...classes.keys()].some((name) => name.startsWith('event 0x13 stage 2'))).toBe(true);
  });

  test('wide: inputs and intermediate addresses beyond 48 bits translate', () => {
    let inputs = 0;
    let intermediates = 0;
    for (let seed = 0; seed < 60; seed++) {
      const vector = generate('wide', seed);
      for (const [index, answer] of SMMUV3_REFERENCE.answer(vector).entries()) {
        const input = BigInt.asUintN(56, vector.accesses[index]?.iova ?? 0n);
        if (answer.ok && input >> 48n !== 0n && input >> 48n !== 0xffn) inputs++;
        if (!answer.ok && (answer.address2 ?? 0n) >> 48n !== 0n) intermediates++;
      }
    }
    expect(inputs).toBeGreaterThan(20);
    expect(intermediates).toBeGreaterThan(5);
  });
});
