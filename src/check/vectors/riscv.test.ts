import { describe, expect, test } from 'vitest';
import { RandomStream } from '../../kernel/random.js';
import { riscvReference } from '../reference/riscv.js';
import { census, outcomeClass } from './census.js';
import { riscvGenerator } from './riscv.js';
import { parseVectors, writeVector } from './text.js';
import type { Answer, Random, Vector, VectorAccess } from './vector.js';

const MODES = Object.keys(riscvGenerator.modes);
const WINDOW_START = 0x1_0000_0000n;
const WINDOW_END = 0x1_8000_0000n;

function randomOf(seed: number): Random {
  return new RandomStream(seed, 'vectors/riscv');
}

function made(mode: string, seeds: number): { vector: Vector; answers: Answer[] }[] {
  return Array.from({ length: seeds }, (_, seed) => {
    const vector = riscvGenerator.generate(randomOf(seed), mode);
    return { vector, answers: riscvReference.answer(vector) };
  });
}

function capabilities(vector: Vector): bigint {
  return BigInt(vector.config.find(([key]) => key === 'capabilities')![1]);
}

function directoryMode(vector: Vector): number {
  return Number(vector.registers[0]!.value & 15n);
}

const SIZES = ['ok', 'ok size=4096', 'ok size=2097152', 'ok size=1073741824'];
const DIRECTORY_FAULTS = [256, 257, 258, 259, 260, 265, 266, 267].map((cause) => `fault ${cause}`);

describe('census', () => {
  test.each([
    ['common', [...SIZES, ...DIRECTORY_FAULTS, ...[5, 7, 13, 15, 21, 23].map((cause) => `fault ${cause}`)]],
    ['svnapot', [...SIZES, 'ok size=65536', 'fault 13', 'fault 21']],
    ['ad-update', [...SIZES, ...[13, 15, 21, 23].map((cause) => `fault ${cause}`)]],
    ['permissions', [...SIZES, ...[12, 13, 15, 20, 21, 23, 260].map((cause) => `fault ${cause}`)]],
    ['ats', [...SIZES, 'fault 13', 'fault 13 silent', 'fault 21 silent', 'fault 260']],
    ['t2gpa', [...SIZES, 'fault 13', 'fault 13 silent', 'fault 21 silent', 'fault 260', 'fault 12 silent']],
    ['msi', ['ok size=4096', 'fault 1', 'fault 262', 'fault 263', 'fault 23']],
    ['attributes', [...SIZES, 'fault 13', 'fault 21']],
    ['large-leaves', [...SIZES, 'ok size=549755813888', 'ok size=281474976710656']],
    ['encodings', [...SIZES, 'fault 259']],
  ])('mode %s', (mode, expected) => {
    const { accesses, translated, classes } = census(
      riscvGenerator,
      riscvReference,
      mode,
      { from: 0, to: 300 },
      randomOf,
    );
    expect([...classes.keys()]).toEqual(expect.arrayContaining(expected));
    expect(translated / accesses).toBeGreaterThan(0.57);
    expect(translated / accesses).toBeLessThan(0.65);
  });

  test('common: faults at every depth, walks of every length, hidden faults of each kind', () => {
    const { depths, reads, classes } = census(riscvGenerator, riscvReference, 'common', { from: 0, to: 400 }, randomOf);
    for (let count = 3; count <= 24; count++) {
      for (const cause of [13, 15, 21, 23]) expect(depths.get(`fault ${cause} after ${count}`)).toBeGreaterThan(0);
    }
    for (let count = 0; count <= 44; count++) expect(reads.get(count) ?? 0).toBeGreaterThan(0);
    for (const level of [1, 2, 3]) expect(depths.get(`fault 258 after ${level}`)).toBeGreaterThan(20);
    for (const cause of [13, 15, 21, 23, 260, 266, 267])
      expect(classes.get(`fault ${cause} silent`)).toBeGreaterThan(0);
    expect([...classes.keys()].some((name) => /fault 25[6-9] silent/.test(name))).toBe(false);
    // Of two Bare stages and ddtp Bare; the others are translated by tables.
    expect(classes.get('ok')! / [...classes.values()].reduce((a, b) => a + b)).toBeLessThan(0.12);
  });

  test('classes', () => {
    expect(outcomeClass({ ok: true, pa: 0n, size: 4096n, accesses: [] })).toBe('ok size=4096');
    expect(outcomeClass({ ok: false, code: 21, silent: true, accesses: [] })).toBe('fault 21 silent');
  });
});

describe.each(MODES)('mode %s', (mode) => {
  const vectors = made(mode, 120);

  test('is a function of its random source, and survives the text format', () => {
    for (const [seed, { vector, answers }] of vectors.slice(0, 20).entries()) {
      const text = writeVector(vector, answers);
      const again = riscvGenerator.generate(randomOf(seed), mode);
      expect(writeVector(again, riscvReference.answer(again))).toBe(text);
      expect(parseVectors(text)).toEqual([
        { vector: { ...vector, words: new Map(vector.words) }, answers, flushes: [], peeks: [] },
      ]);
    }
  });

  test('tables and target pages lie in the window', () => {
    const inside = (address: bigint): boolean => address >= WINDOW_START && address < WINDOW_END;
    for (const { vector, answers } of vectors) {
      expect([...vector.words.keys()].every(inside)).toBe(true);
      expect([...vector.words.values()].every((word) => word !== 0n)).toBe(true);
      expect(vector.tables.every(({ address }) => inside(address))).toBe(true);
      answers.forEach((answer, i) => {
        // With T2GPA the answer to a translation request is a guest address.
        if (answer.ok && vector.accesses[i]!.at !== 'ats') expect(inside(answer.pa)).toBe(true);
        expect(answer.accesses.every(({ address }) => inside(address))).toBe(true);
      });
    }
  });

  test('a device whose default process needs no directory is asked for pages of the window only', () => {
    for (const seed of [511, 725, 866, 2215]) {
      const vector = riscvGenerator.generate(randomOf(seed), mode);
      riscvReference.answer(vector).forEach((answer, i) => {
        if (!answer.ok || vector.accesses[i]!.at === 'ats') return;
        expect(answer.pa >= WINDOW_START && answer.pa < WINDOW_END).toBe(true);
      });
    }
  });

  test('no access meets a table, or leaves its page', () => {
    for (const { vector, answers } of vectors) {
      const tables = new Set([...vector.words.keys()].map((address) => address >> 12n));
      answers.forEach((answer, i) => {
        const { iova, length = 8, at } = vector.accesses[i]!;
        expect((iova & 0xfffn) + BigInt(length)).toBeLessThanOrEqual(4096n);
        if (answer.ok && at !== 'ats') expect(tables.has(answer.pa >> 12n)).toBe(false);
      });
    }
  });

  test('requester ids can be issued by every emulator', () => {
    for (const { vector } of vectors) {
      for (const { rid } of vector.accesses) {
        const [bus, devfn] = [rid >> 8, rid & 255];
        expect(bus === 0 ? devfn >= 0x08 && devfn <= 0xf7 : bus < 256 && devfn <= 7).toBe(true);
      }
    }
  });

  test('16 to 64 accesses where there is a directory', () => {
    for (const { vector } of vectors) {
      const count = vector.accesses.length;
      if (directoryMode(vector) > 1) expect(count).toBeGreaterThanOrEqual(14);
      expect(count).toBeLessThanOrEqual(64);
      expect(vector.accesses.map(({ id }) => id)).toEqual(Array.from({ length: count }, (_, i) => i));
    }
  });
});

describe('common mode', () => {
  const vectors = made('common', 400);
  const every = (holds: (access: VectorAccess) => boolean): boolean =>
    vectors.every(({ vector }) => vector.accesses.every(holds));

  test('has plain reads and writes only, and no atomic updates', () => {
    expect(
      every(({ kind, privileged, at }) => 'rw'.includes(kind) && privileged === undefined && at === undefined),
    ).toBe(true);
    const kinds = vectors.flatMap(({ answers }) => answers.flatMap(({ accesses }) => accesses.map(({ kind }) => kind)));
    expect(new Set(kinds)).toEqual(new Set(['r']));
  });

  test('has every directory mode, both formats, wide and narrow machines', () => {
    expect(new Set(vectors.map(({ vector }) => directoryMode(vector)))).toEqual(new Set([0, 1, 2, 3, 4]));
    const extended = vectors.filter(({ vector }) => (capabilities(vector) & (1n << 22n)) !== 0n).length;
    expect(extended).toBeGreaterThan(120);
    expect(extended).toBeLessThan(280);
    const widths = new Set(vectors.map(({ vector }) => (capabilities(vector) >> 32n) & 63n));
    expect(widths.size).toBeGreaterThan(12);
    expect([...widths].every((width) => width >= 34n && width <= 56n)).toBe(true);
  });

  test('leaves out ids whose width the reference model gets wrong', () => {
    // It keeps 8 of the 9 bits of the second index: bits 14:7 or 13:6 of an id are compared, not 15:7 or 14:6.
    for (const { vector } of vectors) {
      if (directoryMode(vector) !== 2) continue;
      const leafBits = (capabilities(vector) & (1n << 22n)) === 0n ? 7 : 6;
      for (const { rid } of vector.accesses) {
        if (rid >> leafBits !== 0) expect((rid >> leafBits) & 0xff).not.toBe(0);
      }
    }
  });

  test('has process ids, absent ones, and 0', () => {
    const pasids = vectors.flatMap(({ vector }) => vector.accesses.map(({ pasid }) => pasid));
    const share = (holds: (pasid: number | null) => boolean): number => pasids.filter(holds).length / pasids.length;
    expect(share((pasid) => pasid === null)).toBeGreaterThan(0.3);
    expect(share((pasid) => pasid !== null)).toBeGreaterThan(0.2);
    expect(share((pasid) => pasid === 0)).toBeGreaterThan(0.005);
    expect(share((pasid) => pasid !== null && pasid >= 1 << 17)).toBeGreaterThan(0.01);
  });
});

test('ad-update: updates happen, and a later access finds them done', () => {
  let first = 0;
  let later = 0;
  for (const { vector, answers } of made('ad-update', 120)) {
    const seen = new Set<string>();
    answers.forEach((answer, i) => {
      const updates = answer.accesses.filter(({ kind }) => kind === 'a').length;
      first += updates;
      const { rid, pasid, iova, kind } = vector.accesses[i]!;
      const key = `${rid} ${pasid} ${iova >> 12n} ${kind}`;
      if (answer.ok && seen.has(key)) {
        expect(updates).toBe(0);
        later++;
      }
      if (answer.ok) seen.add(key);
    });
  }
  expect(first).toBeGreaterThan(500);
  expect(later).toBeGreaterThan(100);
});

test('an unknown mode is refused', () => {
  expect(() => riscvGenerator.generate(randomOf(0), 'nested')).toThrow('no mode nested');
  expect(() => riscvGenerator.generate(randomOf(0), 'toString')).toThrow('no mode toString');
  expect(MODES[0]).toBe('common');
});
