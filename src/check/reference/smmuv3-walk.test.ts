/** Walks and permissions of both stages, and nested, on hand-made machines. */
import { describe, expect, test } from 'vitest';
import {
  AF,
  CD,
  CD_GOOD,
  code,
  CONFIG,
  DATA_IPA,
  EPD1,
  FIT1,
  FIT2,
  IOVA,
  IPA,
  nested,
  one,
  PAGE,
  path,
  put,
  READ_ONLY,
  S1_4K48,
  S2_4K44,
  S2_GOOD,
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

describe('stage 1 walk', () => {
  test('a page as Linux maps it for DMA: nG, inner shareable, AF, AttrIndx 1, XN, PXN', () => {
    const leaf = PAGE | (1n << 11n) | (3n << 8n) | AF | USER | (1n << 2n) | (3n << 53n) | 3n;
    expect(one(stage1(leaf), { iova: IOVA, kind: 'w' })).toMatchObject({ ok: true, pa: PAGE + 0xab8n, size: 0x1000n });
  });

  test.each([
    ['invalid', 3, 0n, 0x10],
    ['valid bit clear, all else set', 3, (1n << 64n) - 2n, 0x10],
    ['type of a block at level 3', 3, PAGE | FIT1 | 1n, 0x10],
    ['absent at level 2', 2, 0n, 0x10],
    ['absent at level 1', 1, 0n, 0x10],
    ['absent at level 0', 0, 0n, 0x10],
    ['block at level 2', 2, 0x1_4560_0000n | FIT1 | 1n, 'ok'],
    ['block at level 1', 1, 0x1_4000_0000n | FIT1 | 1n, 'ok'],
    ['block at level 0', 0, FIT1 | 1n, 0x10],
    ['page beyond the address size', 3, (1n << 44n) | FIT1 | 3n, 0x11],
    ['table beyond the address size', 2, (1n << 44n) | 3n, 0x11],
    ['too large comes before the access flag', 3, (1n << 47n) | 3n, 0x11],
    ['AF clear', 3, PAGE | USER | 3n, 0x12],
    ['AF clear comes before permission', 3, PAGE | 3n, 0x12],
    ['privileged only', 3, PAGE | AF | 3n, 0x13],
  ] as const)('%s', (_name, level, leaf, expected) => {
    expect(code(one(stage1(leaf, 0n, level), { iova: IOVA }))).toBe(expected);
  });

  test('AFFD takes the access flag as set', () => {
    expect(code(one(stage1(PAGE | USER | 3n, 1n << 35n), { iova: IOVA }))).toBe('ok');
  });

  test('addresses within a block of 2 MiB', () => {
    const answer = one(stage1(0x1_4560_0000n | FIT1 | 1n, 0n, 2), { iova: IOVA });
    expect(answer).toMatchObject({ pa: 0x1_4560_0000n + (IOVA & 0x1f_ffffn), size: 0x20_0000n });
  });

  test.each([
    // granule, TG0, T0SZ, start level, block level, block size
    [14, 2n, 16, 0, 2, 1n << 25n],
    [14, 2n, 17, 1, 3, 1n << 14n],
    [16, 1n, 16, 1, 2, 1n << 29n],
    [16, 1n, 22, 2, 3, 1n << 16n],
    [16, 1n, 36, 3, 3, 1n << 16n],
    [12, 0n, 25, 1, 1, 1n << 30n],
    [12, 0n, 34, 2, 3, 1n << 12n],
  ] as const)('granule 2^%d, T0SZ %#', (granule, tg, t0sz, start, level, size) => {
    const words: Words = new Map();
    const input = IOVA & ((1n << BigInt(64 - t0sz)) - 1n);
    put(words, STE, V1 | CONFIG.s1 | CD);
    put(words, CD, CD_GOOD | BigInt(t0sz) | (tg << 6n) | EPD1, TABLES1);
    path(
      words,
      TABLES1,
      { granule, bits: 64 - t0sz, start },
      input,
      level,
      0x1_4000_0000n | FIT1 | (level === 3 ? 3n : 1n),
    );
    const answer = one(words, { iova: input });
    expect(answer).toMatchObject({ ok: true, pa: 0x1_4000_0000n + (input & (size - 1n)), size });
    expect(answer.accesses.length).toBe(2 + level - start + 1);
  });

  test.each([14, 16])('blocks at level 1 of granule 2^%d are reserved with 44-bit addresses', (granule) => {
    const words: Words = new Map();
    const shape = { granule, bits: 48, start: granule === 14 ? 0 : 1 };
    put(words, STE, V1 | CONFIG.s1 | CD);
    put(words, CD, CD_GOOD | 16n | (granule === 14 ? 2n << 6n : 1n << 6n) | EPD1, TABLES1);
    path(words, TABLES1, shape, IOVA, 1, FIT1 | 1n);
    expect(code(one(words, { iova: IOVA }))).toBe(0x10);
  });

  test('TTB1 answers addresses of all ones above its size, TTB0 those of zeros', () => {
    const words = stage1();
    words.set(CD, CD_GOOD | 16n | (25n << 16n) | (2n << 22n));
    words.set(CD + 16n, TABLES2);
    path(words, TABLES2, { granule: 12, bits: 39, start: 1 }, 0x12_3456_7000n, 3, (PAGE + 0x1000n) | FIT1 | 3n);
    const base = (1n << 64n) - (1n << 39n);
    expect(one(words, { iova: base + 0x12_3456_7008n })).toMatchObject({ ok: true, pa: PAGE + 0x1008n });
    expect(code(one(words, { iova: IOVA }))).toBe('ok');
    for (const iova of [base - 8n, 1n << 48n, 1n << 63n, base ^ (1n << 63n), IOVA | (1n << 56n)]) {
      expect(one(words, { iova })).toMatchObject({ code: 0x10, accesses: { length: 2 } });
    }
  });

  test('the top byte is ignored where TBI says so, each half by its own bit', () => {
    const tagged = IOVA | (0xa5n << 56n);
    expect(code(one(stage1(), { iova: tagged }))).toBe(0x10);
    expect(code(one(stage1(undefined, 1n << 38n), { iova: tagged }))).toBe('ok');
    expect(code(one(stage1(undefined, 1n << 39n), { iova: tagged }))).toBe(0x10);
    expect(code(one(stage1(undefined, 1n << 38n), { iova: tagged | (1n << 55n) }))).toBe(0x10);
    expect(code(one(stage1(undefined, 1n << 38n), { iova: tagged | (1n << 48n) }))).toBe(0x10);
  });
});

describe('stage 1 permissions', () => {
  const PRIVILEGED = [false, true] as const;
  /** Outcome letters of one leaf for unprivileged and privileged r, w, x. */
  function rights(leaf: bigint, control = 0n, table = 0n, pointer = 0n): string {
    const words = stage1(PAGE | AF | leaf | 3n, control);
    const [, second] = path(new Map(), TABLES1, S1_4K48, IOVA, 3, 0n);
    if (second !== undefined) words.set(second, (words.get(second) ?? 0n) | table);
    words.set(CD + 8n, TABLES1 | pointer);
    const kinds: AccessKind[] = ['r', 'w', 'x'];
    return PRIVILEGED.map((privileged) =>
      kinds.map((kind) => (code(one(words, { iova: IOVA, kind, privileged })) === 'ok' ? kind : '-')).join(''),
    ).join(' ');
  }
  const UXN = 1n << 54n;
  const PXN = 1n << 53n;
  const HAD = 2n;

  test.each([
    // DDI 0487 D8.4: unprivileged, then privileged.
    [0n, '--x rwx'],
    [USER, 'rwx rw-'],
    [READ_ONLY, '--x r-x'],
    [USER | READ_ONLY, 'r-x r-x'],
    [UXN, '--- rwx'],
    [PXN, '--x rw-'],
    [USER | READ_ONLY | UXN, 'r-- r-x'],
    [USER | READ_ONLY | PXN, 'r-x r--'],
  ])('AP and XN %#', (leaf, expected) => {
    expect(rights(leaf)).toBe(expected);
  });

  test('WXN: what one may write, one may not execute', () => {
    expect(rights(0n, 1n << 36n)).toBe('--x rw-');
    expect(rights(USER, 1n << 36n)).toBe('rw- rw-');
    expect(rights(USER | READ_ONLY, 1n << 36n)).toBe('r-x r-x');
  });

  test('PAN: no privileged data access where unprivileged access is allowed', () => {
    expect(rights(USER, 1n << 40n)).toBe('rwx ---');
    expect(rights(USER | READ_ONLY, 1n << 40n)).toBe('r-x --x');
    expect(rights(0n, 1n << 40n)).toBe('--x rwx');
  });

  test.each([
    ['APTable[1]: no writes', 62n, USER, 'r-x r-x'],
    ['APTable[0]: nothing unprivileged', 61n, USER, '--x rwx'],
    ['UXNTable', 60n, USER | READ_ONLY, 'r-- r-x'],
    ['PXNTable', 59n, USER | READ_ONLY, 'r-x r--'],
  ] as const)('%s, unless HAD0', (_name, position, leaf, expected) => {
    expect(rights(leaf, 0n, 1n << position)).toBe(expected);
    expect(rights(leaf, 0n, 1n << position, HAD)).toBe(rights(leaf));
  });

  test('an atomic access needs both', () => {
    expect(code(one(stage1(), { iova: IOVA, kind: 'rw' }))).toBe('ok');
    expect(code(one(stage1(PAGE | FIT1 | READ_ONLY | 3n), { iova: IOVA, kind: 'rw' }))).toBe(0x13);
  });
});

describe('stage 2 walk', () => {
  test.each([
    ['page', 3, PAGE | FIT2 | 3n, 'ok'],
    ['absent', 3, 0n, 0x10],
    ['absent table', 1, 0n, 0x10],
    ['block of 1 GiB', 1, 0x1_4000_0000n | FIT2 | 1n, 'ok'],
    ['block at level 0', 0, FIT2 | 1n, 0x10],
    ['beyond the address size', 3, (1n << 44n) | FIT2 | 3n, 0x11],
    ['AF clear', 3, PAGE | (3n << 6n) | 3n, 0x12],
    ['write only', 3, PAGE | AF | (2n << 6n) | 3n, 0x13],
    ['no access', 3, PAGE | AF | 3n, 0x13],
  ] as const)('%s', (_name, level, leaf, expected) => {
    const answer = one(stage2(leaf, 0n, level), { iova: IPA });
    expect(code(answer)).toBe(expected);
    if (!answer.ok) expect(answer.address2).toBe(0x345_6789_0000n);
  });

  test('S2R = 0 is silent', () => {
    const words = stage2(0n);
    words.set(STE + 16n, (words.get(STE + 16n) ?? 0n) & ~(1n << 58n));
    expect(one(words, { iova: IPA })).toMatchObject({ code: 0x10, silent: true });
  });

  test('an input beyond S2T0SZ is a stage 2 fault, beyond the address size a stage 1 fault', () => {
    const words: Words = new Map();
    put(words, STE, V1 | CONFIG.s2, 0n, S2_GOOD | (24n << 32n) | (1n << 38n), TABLES2);
    expect(one(words, { iova: 1n << 40n })).toEqual({
      ok: false,
      code: 0x10,
      address2: 1n << 40n,
      accesses: [expect.anything()],
    });
    expect(one(words, { iova: 1n << 44n })).toEqual({ ok: false, code: 0x11, accesses: [expect.anything()] });
  });

  test('S2AP by kind', () => {
    const rights = (access: bigint): string =>
      (['r', 'w', 'rw'] as const)
        .map((kind) => code(one(stage2(PAGE | AF | (access << 6n) | 3n), { iova: IPA, kind })) === 'ok')
        .join(' ');
    expect([0n, 1n, 2n, 3n].map(rights)).toEqual([
      'false false false',
      'true false false',
      'false true false',
      'true true true',
    ]);
  });

  test('XN[1:0] by privilege, execution without read permission included', () => {
    const rights = (never: bigint): string =>
      [false, true]
        .map(
          (privileged) =>
            code(one(stage2(PAGE | AF | (never << 53n) | 3n), { iova: IPA, kind: 'x', privileged })) === 'ok',
        )
        .join(' ');
    expect([0n, 1n, 2n, 3n].map(rights)).toEqual(['true true', 'true false', 'false false', 'false true']);
  });
});

describe('nested', () => {
  test('page of the smaller stage, permission of both', () => {
    const words = nested(S1_4K48, S2_4K44, 2n);
    expect(one(words, { iova: IOVA, kind: 'w' })).toMatchObject({ ok: true, pa: PAGE + 0xab8n, size: 0x1000n });
    expect(one(nested(S1_4K48, S2_4K44, 2n, { s2: AF | (1n << 6n) }), { iova: IOVA, kind: 'w' })).toMatchObject({
      code: 0x13,
      address2: DATA_IPA,
    });
    expect(one(nested(S1_4K48, S2_4K44, 2n, { s1: FIT1 | READ_ONLY }), { iova: IOVA, kind: 'w' })).not.toHaveProperty(
      'address2',
    );
  });

  test('stage 1 tables need read permission of stage 2: the fault holds the IPA of the descriptor', () => {
    const answer = one(nested(S1_4K48, S2_4K44, 2n, { tables: AF | (2n << 6n) }), { iova: IOVA });
    expect(answer).toMatchObject({ code: 0x13, address2: TABLES1, accesses: { length: 1 + 5 + 4 } });
  });

  test('the CD is fetched through stage 2', () => {
    const words = nested(S1_4K48, S2_4K44, 2n);
    const entry = path(new Map(words), TABLES2, S2_4K44, CD, 3, 0n).at(-1);
    if (entry !== undefined) words.set(entry, CD | (3n << 6n) | 3n);
    expect(one(words, { iova: IOVA })).toMatchObject({ code: 0x12, address2: CD, accesses: { length: 5 } });
  });

  test('a TTB that stage 2 refuses matters to its own half only', () => {
    const words = nested(S1_4K48, S2_4K44, 2n);
    words.set(CD, ((words.get(CD) ?? 0n) & ~EPD1) | (16n << 16n) | (2n << 22n));
    words.set(CD + 16n, 0x1_7000_0000n);
    expect(code(one(words, { iova: IOVA }))).toBe('ok');
    expect(one(words, { iova: (1n << 64n) - 0x1_0000n })).toMatchObject({ code: 0x10, address2: 0x1_7000_0000n });
  });
});
