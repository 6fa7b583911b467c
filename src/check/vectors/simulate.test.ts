import { describe, expect, test } from 'vitest';
import { VectorConfigError } from './config.js';
import { replay } from './replay.js';
import { SIMULATOR, Simulation } from './simulate.js';
import { LARGE, PLACES, RID, SMALL, vtdVector, words } from './testing/vtd-vector.js';
import { parseVectors, writeVector } from './text.js';
import type { VectorAccess } from './vector.js';

const { ROOT, CONTEXT, TOP, MIDDLE, BOTTOM, PAGE, LARGE_PAGE } = PLACES;

function answers(accesses: readonly Partial<VectorAccess>[], changes: Parameters<typeof vtdVector>[1] = {}) {
  return SIMULATOR.answer(vtdVector(accesses, changes));
}

const DIRECTORY = [
  { kind: 'r', bytes: 16, address: ROOT },
  { kind: 'r', bytes: 16, address: CONTEXT + 16n * BigInt(RID) },
];

describe('the simulator answers vectors', () => {
  test('with address, page size and every memory access', () => {
    const [small, large] = answers([{ iova: SMALL + 0x123n }, { iova: LARGE + 0x1_2345n, kind: 'w' }]);
    const top = { kind: 'r', bytes: 8, address: TOP + 8n * (SMALL >> 30n) };
    const middle = (iova: bigint) => ({ kind: 'r', bytes: 8, address: MIDDLE + 8n * ((iova >> 21n) & 511n) });
    const bottom = { kind: 'r', bytes: 8, address: BOTTOM + 8n * ((SMALL >> 12n) & 511n) };
    expect(small).toEqual({
      ok: true,
      pa: PAGE + 0x123n,
      size: 4096n,
      accesses: [...DIRECTORY, top, middle(SMALL), bottom],
    });
    const accesses = [...DIRECTORY, top, middle(LARGE)];
    expect(large).toEqual({ ok: true, pa: LARGE_PAGE + 0x1_2345n, size: 0x20_0000n, accesses });
  });

  test('with faults, which leave a record unless the context entry says otherwise', () => {
    const silent = words([[CONTEXT + 16n * BigInt(RID), TOP | 3n]]);
    const fault = { ok: false, code: 5 };
    expect(answers([{ kind: 'w' }])[0]).toMatchObject(fault);
    expect(answers([{ kind: 'w' }])[0]).not.toHaveProperty('silent');
    expect(answers([{ kind: 'w' }], { words: silent })[0]).toMatchObject({ ...fault, silent: true });
    expect(answers([{ rid: 0x1ff }])[0]).toMatchObject({ ok: false, code: 1, accesses: [{ address: ROOT + 16n }] });
  });

  test('an atomic access needs both permissions, an address of 64 bits is one', () => {
    const [atomic, wide, negative] = answers([
      { kind: 'rw' },
      { iova: SMALL | (1n << 63n) },
      { iova: -4096n & ((1n << 64n) - 1n) },
    ]);
    expect(atomic).toMatchObject({ ok: false, code: 5 });
    expect(wide).toMatchObject({ ok: false, code: 4 });
    expect(negative).toMatchObject({ ok: false, code: 4 });
  });

  test('nothing is translated while translation is off, and no size is stated', () => {
    const iova = 0xfedc_ba98_7654_3210n;
    expect(answers([{ iova }], { registers: [] })).toEqual([{ ok: true, pa: iova, accesses: [] }]);
    const pass = words([[CONTEXT + 16n * BigInt(RID), 9n]]);
    expect(answers([{}], { words: pass })).toEqual([{ ok: true, pa: SMALL, accesses: DIRECTORY }]);
  });

  test('every access is cold, unless the vector keeps caches until a flush', () => {
    const reads = (text: string): number[] => {
      return replay(parseVectors(text)[0]!).answers.map((answer) => answer.accesses.length);
    };
    const vector = vtdVector([{}, {}, {}]);
    expect(reads(writeVector(vector, []))).toEqual([5, 5, 5]);
    const kept = vtdVector([{}, {}, {}], {
      config: [
        ['aw', '39'],
        ['cache', '1'],
      ],
    });
    expect(reads(writeVector(kept, [], { flushes: [2] }))).toEqual([5, 0, 5]);
  });

  test('a vector is refused where it says what cannot be simulated', () => {
    const refusal =
      (config: [string, string][]): (() => unknown) =>
      () =>
        new Simulation(vtdVector([], { config }));
    expect(refusal([['width', '39']])).toThrow('cfg width: vtd has only aw, scalable, rules, cache');
    expect(refusal([['aw', '40']])).toThrow('cfg aw 40: vtd has aw 48, 39, 57');
    expect(() => answers([{ at: 'ats', kind: 'rw' }])).toThrow(VectorConfigError);
    expect(() => answers([{ at: 'ats', kind: 'rw' }])).toThrow('translation requests are of kind r, w or x');
  });
});

describe('a replay', () => {
  test('finds what a stated answer contradicts, and lets go what it leaves open', () => {
    const vector = vtdVector([{}, { kind: 'w' }, { iova: LARGE }]);
    const stated = writeVector(vector, SIMULATOR.answer(vector));
    const found = (text: string): string[] =>
      replay(parseVectors(text)[0]!).disagreements.map(({ id, what }) => `${id} ${what}`);
    expect(found(stated)).toEqual([]);
    expect(found(stated.replace('e 0 ok 0x100100000', 'e 0 ok 0x100101000'))).toEqual(['0 physical address']);
    expect(found(stated.replace('size=4096', 'size=8192'))).toEqual(['0 page size']);
    expect(found(stated.replace('e 1 fault 5', 'e 1 fault 6'))).toEqual(['1 fault code']);
    expect(found(stated.replace('e 1 fault 5', 'e 1 fault 5 silent=1'))).toEqual(['1 record']);
    expect(found(stated.replace(/^m 2 r 8 0x10000200.*$/m, 'm 2 r 8 0x100002008'))).toEqual(['2 memory access 3']);
    const bare = stated.replace(/^m .*\n/gm, '');
    expect(found(bare)).toEqual([]);
    expect(found(bare.replace('nmem=5', 'nmem=6'))).toEqual(['0 number of reads']);
    expect(found(bare.replace(/ size=\S+ nmem=\S+/g, ''))).toEqual([]);
  });

  test('states memory afterwards', () => {
    const text = writeVector(vtdVector([{}]), [], { peeks: [{ address: ROOT, words: 2 }] });
    expect(replay(parseVectors(text)[0]!).peeks).toEqual(['peek 0x100000000 0x100001001 0x0']);
  });
});
