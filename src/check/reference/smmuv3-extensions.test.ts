/** Contiguous hint, hardware updates and 52-bit addresses on hand-made machines. */
import { describe, expect, test } from 'vitest';
import {
  AF,
  answers,
  CD,
  CD_GOOD,
  code,
  CONFIG,
  DBM,
  EPD1,
  FIT1,
  IOVA,
  IPA,
  log,
  nested,
  one,
  PAGE,
  path,
  put,
  READ_ONLY,
  S1_4K48,
  S2_4K44,
  S2_GOOD,
  type Setup,
  stage1,
  stage2,
  STE,
  TABLES1,
  TABLES2,
  USER,
  V1,
  type Words,
} from '../testing/smmuv3-machine.js';
import type { AccessKind } from '../vectors/vector.js';

describe('contiguous hint', () => {
  const HINT = 1n << 52n;
  test.each([
    [12, 0n, 3, 16],
    [12, 0n, 2, 25],
    [14, 2n, 3, 21],
    [14, 2n, 2, 30],
    [16, 1n, 3, 21],
    [16, 1n, 2, 34],
  ] as const)('granule 2^%d, TG0 %d, level %d: 2^%d bytes', (granule, tg, level, sizeLg2) => {
    const words: Words = new Map();
    const bits = 48;
    const start = granule === 16 ? 1 : 0;
    put(words, STE, V1 | CONFIG.s1 | CD);
    put(words, CD, CD_GOOD | 16n | (tg << 6n) | EPD1, TABLES1);
    path(words, TABLES1, { granule, bits, start }, IOVA, level, 0x1_4000_0000n | FIT1 | HINT | (level === 3 ? 3n : 1n));
    expect(one(words, { iova: IOVA })).toMatchObject({ ok: true, size: 1n << BigInt(sizeLg2) });
  });
});

describe('hardware updates', () => {
  const HA = 1n << 43n;
  const HD = 1n << 42n;
  const S2HA = 1n << 56n;
  const S2HD = 1n << 55n;
  const config = [
    ['stage', 'nested'],
    ['httu', '2'],
  ] as const;
  const leafAt = path(new Map(), TABLES1, S1_4K48, IOVA, 3, 0n).at(-1) ?? 0n;
  const update = `a8@${leafAt.toString(16)}`;

  /** Updates of the accesses of one machine in order. */
  function updates(
    words: Words,
    kinds: readonly AccessKind[],
    iova = IOVA,
    cfg = config as Setup['config'],
  ): (string | number)[][] {
    const accesses = kinds.map((kind) => ({ iova, kind }));
    return answers(words, accesses, cfg === undefined ? {} : { config: cfg }).map((answer) => [
      code(answer),
      ...log(answer).filter((line) => line.startsWith('a')),
    ]);
  }

  test('HA sets the access flag once', () => {
    expect(updates(stage1(PAGE | USER | 3n, HA), ['r', 'r', 'w'])).toEqual([['ok', update], ['ok'], ['ok']]);
  });

  test('HA makes AFFD moot', () => {
    expect(updates(stage1(PAGE | USER | 3n, HA | (1n << 35n)), ['r'])).toEqual([['ok', update]]);
  });

  test('no update for an access that is refused', () => {
    expect(updates(stage1(PAGE | USER | READ_ONLY | 3n, HA), ['w', 'r'])).toEqual([[0x13], ['ok', update]]);
  });

  test('HD: the first write makes a clean page dirty, a read does not', () => {
    const clean = PAGE | FIT1 | READ_ONLY | DBM | 3n;
    expect(updates(stage1(clean, HA | HD), ['r', 'w', 'w'])).toEqual([['ok'], ['ok', update], ['ok']]);
    expect(updates(stage1(clean, HA), ['w'])).toEqual([[0x13]]);
    // HD alone is reserved and behaves as neither.
    expect(updates(stage1(clean, HD), ['w'])).toEqual([[0x13]]);
  });

  test('access flag and dirty state in one update', () => {
    expect(updates(stage1(PAGE | USER | READ_ONLY | DBM | 3n, HA | HD), ['rw', 'w'])).toEqual([['ok', update], ['ok']]);
  });

  test('APTable[1] is stronger than DBM', () => {
    const words = stage1(PAGE | FIT1 | READ_ONLY | DBM | 3n, HA | HD);
    const [first] = path(new Map(), TABLES1, S1_4K48, IOVA, 3, 0n);
    if (first !== undefined) words.set(first, (words.get(first) ?? 0n) | (1n << 62n));
    expect(updates(words, ['w'])).toEqual([[0x13]]);
  });

  test('HD needs dirty state in IDR0.HTTU', () => {
    const words = stage1(undefined, HA | HD);
    expect(
      updates(words, ['r'], IOVA, [
        ['stage', '1'],
        ['httu', '1'],
      ]),
    ).toEqual([[0x0a]]);
    expect(
      updates(stage1(undefined, HA), ['r'], IOVA, [
        ['stage', '1'],
        ['httu', '1'],
      ]),
    ).toEqual([['ok']]);
  });

  test('stage 2: access flag, and S2AP[1] under DBM', () => {
    const entry = path(new Map(), TABLES2, S2_4K44, IPA, 3, 0n).at(-1) ?? 0n;
    const mark = `a8@${entry.toString(16)}`;
    expect(updates(stage2(PAGE | (1n << 6n) | DBM | 3n, S2HA | S2HD), ['r', 'w', 'w'], IPA)).toEqual([
      ['ok', mark],
      ['ok', mark],
      ['ok'],
    ]);
    expect(updates(stage2(PAGE | AF | (1n << 6n) | DBM | 3n, S2HA), ['w'], IPA)).toEqual([[0x13]]);
  });

  test('nested: an update of stage 1 is a write to its table', () => {
    const entry = (at: bigint): bigint => {
      const words = nested(S1_4K48, S2_4K44, 2n);
      return path(words, TABLES2, S2_4K44, at, 3, 0n).at(-1) ?? 0n;
    };
    const holder = entry(leafAt);
    const clean = { s1: USER, cd: HA, tables: AF | (1n << 6n) | DBM, s2control: S2HA | S2HD };
    const [first, second] = updates(nested(S1_4K48, S2_4K44, 2n, clean), ['r', 'r']);
    expect(first).toEqual(['ok', `a8@${holder.toString(16)}`, update]);
    expect(second).toEqual(['ok']);
    // Without dirty state of stage 2 the table is not writable: a stage 2 fault on the table, and no update.
    const refused = one(nested(S1_4K48, S2_4K44, 2n, { ...clean, s2control: S2HA }), { iova: IOVA }, { config });
    expect(refused).toMatchObject({ code: 0x13, address2: (leafAt >> 12n) << 12n });
  });
});

describe('52-bit addresses', () => {
  const config = [
    ['stage', 'nested'],
    ['oas', '52'],
    ['vax', '52'],
  ] as const;
  const IPS52 = 6n << 32n;

  test('descriptors of a 64 KiB granule hold bits 51:48 in 15:12; T0SZ down to 12', () => {
    const words: Words = new Map();
    const input = 0xa_5678_1234_5678n;
    put(words, STE, V1 | CONFIG.s1 | CD);
    put(words, CD, CD_GOOD | IPS52 | 12n | (1n << 6n) | EPD1, TABLES1);
    path(words, TABLES1, { granule: 16, bits: 52, start: 1 }, input, 3, 0x1_4567_0000n | (0x9n << 12n) | FIT1 | 3n);
    expect(one(words, { iova: input }, { config })).toMatchObject({ ok: true, pa: 0x9_0001_4567_5678n });
    expect(
      code(
        one(
          words,
          { iova: input },
          {
            config: [
              ['stage', 'nested'],
              ['oas', '52'],
            ],
          },
        ),
      ),
    ).toBe(0x0a);
    // IPS of 48 bits: the same descriptor is out of range.
    words.set(CD, (words.get(CD) ?? 0n) ^ (3n << 32n));
    expect(code(one(words, { iova: input }, { config }))).toBe(0x11);
  });

  test('without 52-bit addresses bits 15:12 do not count', () => {
    const words: Words = new Map();
    put(words, STE, V1 | CONFIG.s1 | CD);
    put(words, CD, CD_GOOD | 16n | (1n << 6n) | EPD1, TABLES1);
    path(words, TABLES1, { granule: 16, bits: 48, start: 1 }, IOVA, 3, 0x1_4567_0000n | (0x9n << 12n) | FIT1 | 3n);
    expect(one(words, { iova: IOVA })).toMatchObject({ ok: true, pa: 0x1_4567_0000n + (IOVA & 0xffffn) });
  });

  test('blocks of 4 TiB at level 1, and starting tables aligned to 64 bytes', () => {
    const words: Words = new Map();
    put(words, STE, V1 | CONFIG.s1 | CD);
    put(words, CD, CD_GOOD | IPS52 | 20n | (1n << 6n) | EPD1, TABLES1 | 0x30n);
    // 44 bits: four entries at level 1.
    words.set(TABLES1 + 8n, FIT1 | 1n);
    expect(one(words, { iova: (1n << 42n) + 0x1_4000_0008n }, { config })).toMatchObject({
      ok: true,
      pa: 0x1_4000_0008n,
      size: 1n << 42n,
    });
  });

  test('stage 2 inputs of 52 bits need a 64 KiB granule', () => {
    const control = (tg: bigint, t0sz: bigint, sl0: bigint): Words => {
      const words: Words = new Map();
      put(words, STE, V1 | CONFIG.s2, 0n, S2_GOOD | (t0sz << 32n) | (sl0 << 38n) | (tg << 46n), TABLES2);
      return words;
    };
    expect(code(one(control(1n, 12n, 2n), {}, { config }))).toBe(0x10);
    expect(code(one(control(1n, 11n, 2n), {}, { config }))).toBe(4);
    expect(code(one(control(0n, 16n, 2n), {}, { config }))).toBe(0x10);
    expect(code(one(control(0n, 15n, 2n), {}, { config }))).toBe(4);
  });
});
