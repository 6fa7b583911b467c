/** Cold accesses, stream tables, STEs and CDs of hand-made machines. */
import { describe, expect, test } from 'vitest';
import {
  CD,
  code,
  CONFIG,
  EPD0,
  EPD1,
  FIT2,
  identity,
  IOVA,
  IPA,
  log,
  nested,
  one,
  PAGE,
  path,
  put,
  RID,
  S1_4K48,
  S2_4K44,
  S2_GOOD,
  type Setup,
  stage1,
  stage2,
  STE,
  STREAMS,
  TABLES1,
  TABLES2,
  V1,
  type Words,
} from '../testing/smmuv3-machine.js';

describe('cold memory accesses', () => {
  test('stage 1, linear tables, four levels: 6', () => {
    const words = stage1();
    const entries = path(new Map(), TABLES1, S1_4K48, IOVA, 3, 0n);
    const answer = one(words, { iova: IOVA });
    expect(answer).toMatchObject({ ok: true, pa: PAGE + 0xab8n, size: 0x1000n });
    expect(log(answer)).toEqual(
      [STE, CD].map((at) => `r64@${at.toString(16)}`).concat(entries.map((at) => `r8@${at.toString(16)}`)),
    );
  });

  /** Moves the STE behind a level 1 descriptor of a table split at 8 bits, as Linux does (SPAN 9, one block per bus). */
  function twoLevelStreams(words: Words): Setup {
    const array = 0x1_0a00_0000n;
    for (let index = 0n; index < 64n; index += 8n) {
      const word = words.get(STE + index);
      words.delete(STE + index);
      if (word !== undefined) words.set(array + BigInt((RID & 0xff) * 64) + index, word);
    }
    words.set(0x1_0b00_0000n + BigInt((RID >> 8) * 8), array | 9n);
    return { strtab: 0x1_0b00_0000n, cfg: (1n << 16n) | (8n << 6n) | 16n };
  }

  /** Gives the stream a two-level CD table, S1CDMax 10, leaves of 64 KiB, the default substream in CD 0. */
  function twoLevelContexts(words: Words, translate: (address: bigint) => void): void {
    const outer = 0x1_0c00_0000n;
    const ste = [...words.keys()].find(
      (at) => words.get(at) === (V1 | CONFIG.nested | CD) || words.get(at) === (V1 | CONFIG.s1 | CD),
    );
    if (ste === undefined) throw new Error('no STE');
    const config = (words.get(ste) ?? 0n) & 0xfn;
    words.set(ste, config | outer | (2n << 4n) | (10n << 59n));
    words.set(ste + 8n, 2n);
    words.set(outer, CD | 1n);
    translate(outer);
  }

  test('stage 1, two-level tables: 8', () => {
    const words = stage1();
    twoLevelContexts(words, () => undefined);
    const setup = {
      ...twoLevelStreams(words),
      config: [
        ['stage', '1'],
        ['ssid', '10'],
      ] as const,
    };
    const answer = one(words, { iova: IOVA }, setup);
    expect(answer.ok).toBe(true);
    expect(answer.accesses.map(({ bytes }) => bytes)).toEqual([8, 64, 8, 64, 8, 8, 8, 8]);
  });

  test('stage 2 of 40 bits from level 1, two tables side by side, behind a two-level stream table: 5', () => {
    const words: Words = new Map();
    const shape = { granule: 12, bits: 40, start: 1 };
    put(words, STE, V1 | CONFIG.s2, 0n, S2_GOOD | (24n << 32n) | (1n << 38n), TABLES2);
    // Bit 39 set: the second of the concatenated tables.
    const [first] = path(words, TABLES2, shape, 0x80_4020_1000n, 3, PAGE | FIT2 | 3n);
    expect(first).toBe(TABLES2 + 0x1000n + 8n);
    const answer = one(words, { iova: 0x80_4020_1008n }, { ...twoLevelStreams(words) });
    expect(answer).toMatchObject({ ok: true, pa: PAGE + 8n });
    expect(answer.accesses.map(({ bytes }) => bytes)).toEqual([8, 64, 8, 8, 8]);
  });

  test.each([
    ['4 by 4', S1_4K48, S2_4K44, 2n, 36],
    ['4 by 3', S1_4K48, { granule: 12, bits: 39, start: 1 }, 1n, 29],
  ] as const)('nested %s, two-level tables: %#', (_name, shape1, shape2, sl0, reads) => {
    const words = nested(shape1, shape2, sl0);
    twoLevelContexts(words, (address) => identity(words, shape2, FIT2, address));
    const setup = {
      ...twoLevelStreams(words),
      config: [
        ['stage', 'nested'],
        ['ssid', '10'],
      ] as const,
    };
    const answer = one(words, { iova: IOVA }, setup);
    expect(answer).toMatchObject({ ok: true, pa: PAGE + 0xab8n });
    expect(answer.accesses.length).toBe(reads);
  });

  test('nested 4 by 4, linear tables: 1 + (4 + 1) + 4 (4 + 1) + 4', () => {
    const answer = one(nested(S1_4K48, S2_4K44, 2n), { iova: IOVA });
    expect(answer).toMatchObject({ ok: true, pa: PAGE + 0xab8n });
    expect(answer.accesses.length).toBe(30);
  });

  test('nothing is read for a StreamID beyond the table', () => {
    expect(one(new Map(), { rid: 0x100 }, { cfg: 8n })).toEqual({ ok: false, code: 2, accesses: [] });
  });
});

describe('stream table', () => {
  const bypass = V1 | CONFIG.bypass;

  test('SMMUEN = 0 passes everything, and reads nothing', () => {
    expect(one(new Map(), { iova: PAGE }, { cr0: 0n })).toEqual({ ok: true, pa: PAGE, accesses: [] });
  });

  test('bypass and abort', () => {
    expect(one(new Map([[STE, bypass]]), { iova: PAGE })).toMatchObject({ ok: true, pa: PAGE });
    for (const config of [0n, 1n, 2n, 3n]) {
      expect(one(new Map([[STE, V1 | (config << 1n)]]))).toMatchObject({ ok: false, code: 0, silent: true });
    }
  });

  test('bypass beyond the output address size', () => {
    expect(code(one(new Map([[STE, bypass]]), { iova: 1n << 44n }))).toBe(0x11);
    expect(code(one(new Map([[STE, bypass]]), { iova: (1n << 44n) - 8n }))).toBe('ok');
  });

  // StreamID 0x208 is index 8 of group 2 at split 8.
  test.each([
    [0n, 2],
    [1n, 2],
    [4n, 2],
    [5n, 'ok'],
    [9n, 'ok'],
    [10n, 2],
    [11n, 2],
    [12n, 2],
    [31n, 2],
  ])('split 8, span %d', (span, expected) => {
    const words: Words = new Map([
      [STREAMS + 16n, 0x1_0a00_0000n | span],
      [0x1_0a00_0000n + 8n * 64n, bypass],
    ]);
    expect(code(one(words, {}, { cfg: (1n << 16n) | (8n << 6n) | 16n }))).toBe(expected);
  });

  test('tables are aligned to their size, whatever the registers and descriptors say', () => {
    const words: Words = new Map([[0x1_0020_0000n + 8n * 64n, bypass]]);
    expect(code(one(words, { rid: 8 }, { strtab: 0x1_0020_0040n | (1n << 62n), cfg: 8n }))).toBe('ok');
    const split: Words = new Map([
      [STREAMS + 16n, 0x1_0a00_0040n | 9n],
      [0x1_0a00_0000n + 8n * 64n, bypass],
    ]);
    expect(code(one(split, {}, { strtab: STREAMS + 0x40n, cfg: (1n << 16n) | (8n << 6n) | 16n }))).toBe('ok');
  });

  test('an STE for a stage that is not there is ILLEGAL', () => {
    expect(code(one(stage1(), { iova: IOVA }, { config: [['stage', '2']] }))).toBe(4);
    expect(code(one(stage2(), { iova: IPA }, { config: [['stage', '1']] }))).toBe(4);
    expect(code(one(stage1(), { iova: IOVA }, { config: [['stage', '1']] }))).toBe('ok');
  });

  test('fields of a stage that is off do not count', () => {
    const words = stage1();
    put(words, STE + 8n, 0n, (3n << 46n) | (63n << 32n), (1n << 60n) - 16n);
    expect(code(one(words, { iova: IOVA }))).toBe('ok');
    const second = stage2();
    put(second, STE, (second.get(STE) ?? 0n) | (31n << 59n) | (1n << 55n), 1n << 27n);
    expect(code(one(second, { iova: IPA }))).toBe('ok');
  });

  test.each([
    ['S1STALLD', 1, 1n << 27n, 4],
    ['S1ContextPtr beyond OAS', 0, 1n << 44n, 4],
    ['S1CDMax without substreams is ignored', 0, 5n << 59n, 'ok'],
    ['S1Fmt without substreams is ignored', 0, 3n << 4n, 'ok'],
    ['S1DSS without substreams is ignored', 1, 1n, 'ok'],
  ] as const)('stage 1 field: %s', (_name, index, set, expected) => {
    const words = stage1();
    const at = STE + BigInt(8 * index);
    words.set(at, (words.get(at) ?? 0n) | set);
    expect(code(one(words, { iova: IOVA }))).toBe(expected);
  });

  test('an unknown cfg key is refused', () => {
    expect(() => one(new Map(), {}, { config: [['stages', '1']] })).toThrow('unknown cfg key stages');
    expect(() => one(new Map(), {}, { config: [['stage', '3']] })).toThrow('not one of');
  });
});

describe('stage 2 configuration', () => {
  /** Legal start levels and T0SZ: start level, least and greatest input bits with OAS 44 (DDI 0487 D8.2, 16 tables at most). */
  const LEGAL: readonly [tg: bigint, sl0: bigint, least: number, most: number][] = [
    [0n, 0n, 25, 34],
    [0n, 1n, 31, 43],
    [0n, 2n, 40, 44],
    [2n, 0n, 25, 29],
    [2n, 1n, 26, 40],
    [2n, 2n, 37, 44],
    [1n, 0n, 25, 33],
    [1n, 1n, 30, 44],
    [1n, 2n, 43, 44],
  ];

  test.each(LEGAL)('S2TG %d, S2SL0 %d: %d to %d input bits', (tg, sl0, least, most) => {
    for (let t0sz = 0; t0sz < 64; t0sz++) {
      const words: Words = new Map();
      put(words, STE, V1 | CONFIG.s2, 0n, S2_GOOD | (BigInt(t0sz) << 32n) | (sl0 << 38n) | (tg << 46n), TABLES2);
      const bits = 64 - t0sz;
      expect([t0sz, code(one(words))]).toEqual([t0sz, bits >= least && bits <= most ? 0x10 : 4]);
    }
  });

  test.each([
    ['S2TG reserved', 3n << 46n, 4],
    ['S2SL0 3', 3n << 38n, 4],
    ['S2ENDI', 1n << 52n, 4],
    ['S2S', 1n << 57n, 4],
    ['S2HA without HTTU', 1n << 56n, 4],
    ['S2HD without HTTU', 1n << 55n, 4],
    ['S2PTW', 1n << 54n, 'ok'],
    ['S2PS 52 bits is capped', 7n << 48n, 'ok'],
  ] as const)('%s', (_name, set, expected) => {
    expect(code(one(stage2(undefined, set), { iova: IPA }))).toBe(expected);
  });

  test('S2TTB beyond the effective S2PS, and without AArch64 tables', () => {
    for (const clear of [7n << 48n, 1n << 51n]) {
      const words = stage2();
      words.set(STE + 16n, (words.get(STE + 16n) ?? 0n) & ~clear);
      expect(code(one(words, { iova: IPA }))).toBe(4);
    }
  });

  test('S2TTB is aligned to its table by the unit', () => {
    const words = stage2();
    // 44 bits from level 0: 32 entries, 256 bytes.
    words.set(STE + 24n, TABLES2 | 0xf0n);
    expect(code(one(words, { iova: IPA }))).toBe('ok');
    words.set(STE + 24n, TABLES2 | 0x100n);
    expect(code(one(words, { iova: IPA }))).toBe(0x10);
  });
});

describe('context descriptor', () => {
  test.each([
    ['V', 1n << 31n, 0n, 0x0a],
    ['AA64', 1n << 41n, 0n, 0x0a],
    ['A', 1n << 46n, 0n, 0x0a],
    ['S', 0n, 1n << 44n, 0x0a],
    ['HA without HTTU', 0n, 1n << 43n, 0x0a],
    ['HD without HTTU', 0n, 1n << 42n, 0x0a],
    ['ENDI', 0n, 1n << 15n, 0x0a],
    ['T0SZ 15', 0x3fn, 15n, 0x0a],
    ['T0SZ 40', 0x3fn, 40n, 0x0a],
    ['T0SZ 39, and the address beyond it', 0x3fn, 39n, 0x10],
    ['TG0 reserved', 0n, 3n << 6n, 0x0a],
    ['IPS 32 bits, TTB0 beyond', 7n << 32n, 0n, 0x0a],
    ['IPS reserved behaves as 52 bits, capped', 7n << 32n, 7n << 32n, 'ok'],
    ['T1SZ does not count under EPD1', 0n, 63n << 16n, 'ok'],
    ['T1SZ 0 without EPD1', EPD1, 0n, 0x0a],
    ['TG1 reserved without EPD1', EPD1, 16n << 16n, 0x0a],
    ['TTB1 sound without EPD1', EPD1, (16n << 16n) | (2n << 22n), 'ok'],
    ['EPD0', 0n, EPD0, 0x10],
    ['ENDI under EPD0 and EPD1', 0n, EPD0 | (1n << 15n), 0x10],
  ] as const)('%s', (_name, clear, set, expected) => {
    const words = stage1();
    words.set(CD, ((words.get(CD) ?? 0n) & ~clear) | set);
    expect(code(one(words, { iova: IOVA }))).toBe(expected);
  });

  test('TTB0 beyond IPS', () => {
    const words = stage1();
    words.set(CD + 8n, TABLES1 | (1n << 44n));
    expect(code(one(words, { iova: IOVA }))).toBe(0x0a);
  });

  test('R = 0 keeps faults of stage 1 silent, not C_BAD_CD', () => {
    const words = stage1(0n);
    words.set(CD, (words.get(CD) ?? 0n) & ~(1n << 45n));
    expect(one(words, { iova: IOVA })).toMatchObject({ code: 0x10, silent: true });
    words.set(CD, (words.get(CD) ?? 0n) & ~(1n << 46n));
    expect(one(words, { iova: IOVA })).not.toHaveProperty('silent');
  });
});
