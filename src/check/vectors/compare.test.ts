import { describe, expect, test } from 'vitest';
import { compareOver, difference } from './compare.js';
import { GENERATORS, simulatedModes, vectorsOf } from './generators.js';
import { REFERENCES } from './references.js';
import { SIMULATOR } from './simulate.js';
import { parseVectors } from './text.js';
import type { Answer, Responder } from './vector.js';

/** Modes in which the simulator is held to the plain reference. */
const HELD = Object.values(GENERATORS).map((generator) => [generator.architecture, simulatedModes(generator)] as const);
const ACCESSES = 2000;

describe.each(HELD)('%s: simulator and reference agree', (architecture, modes) => {
  test.each(modes)('%s', (mode) => {
    const sides = [
      { name: 'simulator', responder: SIMULATOR },
      { name: 'reference', responder: REFERENCES[architecture] },
    ] as const;
    const { disagreement, accesses } = compareOver(GENERATORS[architecture], mode, 1, ACCESSES, sides);
    expect(disagreement).toBeNull();
    expect(accesses).toBe(ACCESSES);
  });
});

/** Entries of a 64 KiB region that differ may be cached as either. */
const SETTLED_BY_CHANCE = ['riscv svnapot'];

describe.each(HELD)('%s: caches that keep what they hold change no answer', (architecture, modes) => {
  const warm: Responder = {
    answer: (vector) => SIMULATOR.answer({ ...vector, config: [...vector.config, ['cache', '1']] }),
  };
  // What translation requests are told may be less: ats.test.ts.
  const clear = modes.filter((mode) => mode !== 'ats' && !SETTLED_BY_CHANCE.includes(`${architecture} ${mode}`));
  test.each(clear)('%s', (mode) => {
    const sides = [
      { name: 'with caches', responder: warm },
      { name: 'without', responder: SIMULATOR },
    ] as const;
    // Sizes may be smaller: the IOTLB holds the part of a page that it can.
    const strictness = { memoryAccesses: false, size: false };
    expect(compareOver(GENERATORS[architecture], mode, 21, 800, sides, strictness).disagreement).toBeNull();
  });
});

const OK: Answer = { ok: true, pa: 0x1000n, size: 4096n, accesses: [{ kind: 'r', bytes: 8, address: 0x2000n }] };
const REFUSED: Answer = { ok: false, code: 5, accesses: [] };

describe('a difference', () => {
  test.each<[string | null, Answer, Answer]>([
    [null, OK, { ...OK }],
    ['outcome', OK, REFUSED],
    ['physical address', OK, { ...OK, pa: 0x1001n }],
    ['page size', OK, { ...OK, size: 8192n }],
    ['number of memory accesses', OK, { ...OK, accesses: [] }],
    ['memory access 1', OK, { ...OK, accesses: [{ kind: 'a', bytes: 8, address: 0x2000n }] }],
    ['memory access 1', OK, { ...OK, accesses: [{ kind: 'r', bytes: 4, address: 0x2000n }] }],
    ['memory access 1', OK, { ...OK, accesses: [{ kind: 'r', bytes: 8, address: 0x2008n }] }],
    [null, REFUSED, { ...REFUSED }],
    ['fault code', REFUSED, { ...REFUSED, code: 6 }],
    ['record', REFUSED, { ...REFUSED, silent: true }],
    ['second address', REFUSED, { ...REFUSED, address2: 0n }],
  ])('%s', (what, left, right) => {
    expect(difference(left, right)).toBe(what);
    expect(difference(right, left)).toBe(what);
  });
});

test('a comparison stops at the first disagreement and shows it with a vector that can be replayed', () => {
  const reference = REFERENCES.vtd;
  let answered = 0;
  const wrong: Responder = {
    answer: (vector) =>
      reference.answer(vector).map((answer) => (++answered === 100 ? { ...answer, ok: false, code: 255 } : answer)),
  };
  const sides = [
    { name: 'right', responder: reference },
    { name: 'wrong', responder: wrong },
  ] as const;
  const { accesses, disagreement } = compareOver(GENERATORS.vtd, 'common', 1, 1000, sides);
  expect(accesses).toBe(99);
  expect(disagreement).toMatch(/^access 99 of a vtd vector: (outcome|fault code) differs\nright:\n {2}e 99 .*\n/);
  expect(disagreement).toContain('wrong:\n  e 99 fault 255\n');
  const text = disagreement!.slice(disagreement!.indexOf('ovec 1 vtd'));
  const { vector } = parseVectors(text)[0]!;
  expect(vector.accesses.at(-1)!.id).toBe(99);
  const again = reference.answer(vector).at(-1)!;
  expect(disagreement).toContain(again.ok ? `e 99 ok 0x${again.pa.toString(16)}` : `e 99 fault ${again.code}`);
});

describe.each(Object.values(GENERATORS))('vectors of $architecture', (generator) => {
  test('have as many accesses as asked for, numbered through, the same for a seed', () => {
    const [mode] = Object.keys(generator.modes) as [string];
    expect(mode).toBe('common');
    const once = [...vectorsOf(generator, mode, 7, 150)];
    const ids = once.flatMap(({ accesses }) => accesses.map(({ id }) => id));
    expect(ids).toEqual(Array.from({ length: 150 }, (_, id) => id));
    expect([...vectorsOf(generator, mode, 7, 150)]).toEqual(once);
    // The beginning does not depend on how many there are.
    expect([...vectorsOf(generator, mode, 7, 1000)][0]).toEqual(once[0]);
    expect([...vectorsOf(generator, mode, 8, 150)]).not.toEqual(once);
  });
});
