/**
 * Hand-made machines: words as Arm IHI 0070G and DDI 0487 lay them out, as Linux writes them (drivers/iommu/arm/arm-smmu-v3 and
 * drivers/iommu/io-pgtable-arm.c), and what the specification says becomes of an access.
 */
import { describe, expect, test } from 'vitest';
import type { AccessKind, Answer, Vector, VectorAccess } from '../vectors/vector.js';
import { SMMUV3_REFERENCE } from './smmuv3.js';

const RID = 0x208;
/** Linear stream table of 2^16 STEs; the STE of RID. */
const STREAMS = 0x1_0000_0000n;
const STE = STREAMS + BigInt(RID * 64);
const CD = 0x1_0100_0000n;
const TABLES1 = 0x1_0200_0000n;
const TABLES2 = 0x1_0300_0000n;
const PAGE = 0x1_4567_0000n;

const V1 = 1n;
const CONFIG = { abort: 0n, bypass: 4n << 1n, s1: 5n << 1n, s2: 6n << 1n, nested: 7n << 1n } as const;
/** CD.V, AA64, A, R, IPS 44 bits. */
const CD_GOOD = (1n << 31n) | (1n << 41n) | (1n << 46n) | (1n << 45n) | (4n << 32n);
const EPD0 = 1n << 14n;
const EPD1 = 1n << 30n;
/** S2AA64, S2R, S2PS 44 bits. */
const S2_GOOD = (1n << 51n) | (1n << 58n) | (4n << 48n);

const AF = 1n << 10n;
/** AP[1]: unprivileged access. Stage 1 page and block fit for any use. */
const USER = 1n << 6n;
const READ_ONLY = 1n << 7n;
const FIT1 = AF | USER;
/** S2AP read and write. */
const FIT2 = AF | (3n << 6n);
const DBM = 1n << 51n;

type Words = Map<bigint, bigint>;

function put(words: Words, address: bigint, ...list: bigint[]): void {
  for (const [index, word] of list.entries()) words.set(address + BigInt(8 * index), word);
}

interface Shape {
  readonly granule: number;
  readonly bits: number;
  readonly start: number;
}

const S1_4K48: Shape = { granule: 12, bits: 48, start: 0 };
const S2_4K44: Shape = { granule: 12, bits: 44, start: 0 };

const SLOT = 0x1_0000n;

/** Builds a path of tables, each in the next free 64 KiB from `root`, and the leaf; gives the addresses of its entries. */
function path(words: Words, root: bigint, shape: Shape, input: bigint, level: number, leaf: bigint): bigint[] {
  const entries: bigint[] = [];
  let table = root;
  for (let at = shape.start; at <= level; at++) {
    const shift = BigInt(shape.granule + (3 - at) * (shape.granule - 3));
    const bits = at === shape.start ? BigInt(shape.bits) - shift : BigInt(shape.granule - 3);
    const entry = table + ((input >> shift) & ((1n << bits) - 1n)) * 8n;
    entries.push(entry);
    if (at === level) {
      words.set(entry, leaf);
      break;
    }
    const known = words.get(entry);
    if (known === undefined) {
      words.set(entry, 0n);
      const taken = new Set([...words.keys()].map((address) => address / SLOT));
      table = root + SLOT;
      while (taken.has(table / SLOT)) table += SLOT;
      words.set(entry, table | 3n);
    } else table = known & 0xffff_ffff_f000n;
  }
  return entries;
}

interface Setup {
  readonly config?: readonly (readonly [string, string])[];
  readonly strtab?: bigint;
  readonly cfg?: bigint;
  readonly cr0?: bigint;
}

function vectorOf(words: Words, accesses: readonly Partial<VectorAccess>[], setup: Setup = {}): Vector {
  return {
    architecture: 'smmuv3',
    config: setup.config ?? [['stage', 'nested']],
    words,
    tables: [],
    registers: [
      { offset: 0x80, bytes: 8, value: setup.strtab ?? STREAMS },
      { offset: 0x88, bytes: 4, value: setup.cfg ?? 16n },
      { offset: 0x20, bytes: 4, value: setup.cr0 ?? 1n },
    ],
    accesses: accesses.map((access, id) => ({ id, rid: RID, pasid: null, iova: 0n, kind: 'r', ...access })),
  };
}

function answers(words: Words, accesses: readonly Partial<VectorAccess>[], setup?: Setup): Answer[] {
  return SMMUV3_REFERENCE.answer(vectorOf(words, accesses, setup));
}

function one(words: Words, access: Partial<VectorAccess> = {}, setup?: Setup): Answer {
  const [answer] = answers(words, [access], setup);
  if (answer === undefined) throw new Error('no answer');
  return answer;
}

function code(answer: Answer): number | 'ok' {
  return answer.ok ? 'ok' : answer.code;
}

/** Reads and updates in order: `r64@100002000`. */
function log(answer: Answer): string[] {
  return answer.accesses.map(({ kind, bytes, address }) => `${kind}${bytes}@${address.toString(16)}`);
}

const IOVA = 0x1234_5678_9ab8n;

/** Stage 1 alone: 4 KiB, 48 bits, TTB0, one page. */
function stage1(leaf = PAGE | FIT1 | 3n, control = 0n, level = 3): Words {
  const words: Words = new Map();
  put(words, STE, V1 | CONFIG.s1 | CD);
  put(words, CD, CD_GOOD | 16n | EPD1 | control, TABLES1);
  path(words, TABLES1, S1_4K48, IOVA, level, leaf);
  return words;
}

/** Stage 2 alone: 4 KiB, 44 bits from level 0. */
function stage2(leaf = PAGE | FIT2 | 3n, control = 0n, level = 3): Words {
  const words: Words = new Map();
  put(words, STE, V1 | CONFIG.s2, 0n, S2_GOOD | (20n << 32n) | (2n << 38n) | control, TABLES2);
  path(words, TABLES2, S2_4K44, 0x345_6789_0000n, level, leaf);
  return words;
}
const IPA = 0x345_6789_0ab8n;

/** Maps pages of stage 2 one to one. */
function identity(words: Words, shape: Shape, attributes: bigint, ...pages: bigint[]): void {
  for (const page of pages) path(words, TABLES2, shape, page, 3, page | attributes | 3n);
}

/** Nested: stage 1 tables at TABLES1, one to one in stage 2, the page of data at IPA 0x2_2222_2000. */
const DATA_IPA = 0x2_2222_2000n;
function nested(
  shape1: Shape,
  shape2: Shape,
  sl0: bigint,
  change: { s1?: bigint; s2?: bigint; cd?: bigint; tables?: bigint; s2control?: bigint } = {},
): Words {
  const words: Words = new Map();
  put(
    words,
    STE,
    V1 | CONFIG.nested | CD,
    0n,
    S2_GOOD | (BigInt(64 - shape2.bits) << 32n) | (sl0 << 38n) | (change.s2control ?? 0n),
    TABLES2,
  );
  put(words, CD, CD_GOOD | BigInt(64 - shape1.bits) | EPD1 | (change.cd ?? 0n), TABLES1);
  path(words, TABLES1, shape1, IOVA & ((1n << BigInt(shape1.bits)) - 1n), 3, DATA_IPA | (change.s1 ?? FIT1) | 3n);
  identity(words, shape2, FIT2, CD);
  identity(
    words,
    shape2,
    change.tables ?? FIT2,
    TABLES1,
    TABLES1 + 0x1_0000n,
    TABLES1 + 0x2_0000n,
    TABLES1 + 0x3_0000n,
  );
  path(words, TABLES2, shape2, DATA_IPA, 3, PAGE | (change.s2 ?? FIT2) | 3n);
  return words;
}

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

describe('substreams', () => {
  const NUMBER = 70;
  const config = [
    ['stage', 'nested'],
    ['ssid', '12'],
  ] as const;

  /** Linear table of 2^7 CDs; CD 70 and CD 0 translate. */
  function linear(defaultSubstream: bigint, contextsLg2 = 7n): Words {
    const words = stage1();
    words.set(STE, V1 | CONFIG.s1 | CD | (contextsLg2 << 59n));
    words.set(STE + 8n, defaultSubstream);
    put(words, CD + BigInt(NUMBER * 64), words.get(CD) ?? 0n, TABLES1);
    return words;
  }

  test.each([
    // S1DSS, PASID, outcome
    [0n, NUMBER, 'ok'],
    [0n, null, 0x06],
    [0n, 0, 'ok'],
    [0n, 71, 0x0a],
    [0n, 128, 0x08],
    [1n, NUMBER, 'ok'],
    [1n, null, 'bypass'],
    [1n, 0, 'ok'],
    [2n, NUMBER, 'ok'],
    [2n, null, 'ok'],
    [2n, 0, 0x06],
    [3n, null, 0x06],
    [3n, 0, 'ok'],
  ] as const)('S1DSS %d, PASID %s: %s', (defaultSubstream, pasid, expected) => {
    const answer = one(linear(defaultSubstream), { iova: IOVA, pasid }, { config });
    const outcome = answer.ok && answer.pa === IOVA ? 'bypass' : code(answer);
    // The default bypass is checked against the output address size.
    expect(outcome === 0x11 && IOVA >> 44n !== 0n ? 'bypass' : outcome).toBe(expected);
  });

  test.each([
    ['S1CDMax beyond SSIDSIZE', 13n, NUMBER, 4],
    ['S1CDMax 0', 0n, NUMBER, 8],
  ] as const)('%s', (_name, contextsLg2, pasid, expected) => {
    expect(code(one(linear(2n, contextsLg2), { iova: IOVA, pasid }, { config }))).toBe(expected);
  });

  test('a PASID where stage 1 is off, or where the unit has none', () => {
    expect(code(one(new Map([[STE, V1 | CONFIG.bypass]]), { pasid: 1 }, { config }))).toBe(8);
    expect(code(one(stage2(), { iova: IPA, pasid: 0 }, { config }))).toBe(8);
    expect(code(one(linear(0n), { iova: IOVA, pasid: NUMBER }))).toBe(8);
  });

  test.each([
    [1n, 6],
    [2n, 10],
  ])('S1Fmt %d: leaves of 2^%d CDs', (format, leafLg2) => {
    const number = 1300;
    const outer = 0x1_0c00_0000n;
    const leaf = 0x1_0d00_0000n;
    const words = stage1();
    words.set(STE, V1 | CONFIG.s1 | outer | (format << 4n) | (12n << 59n));
    words.set(outer + BigInt((number >> leafLg2) * 8), leaf | 1n);
    put(words, leaf + BigInt((number & (2 ** leafLg2 - 1)) * 64), words.get(CD) ?? 0n, TABLES1);
    const access = { iova: IOVA, pasid: number };
    expect(one(words, access, { config }).accesses.map(({ bytes }) => bytes)).toEqual([64, 8, 64, 8, 8, 8, 8]);
    expect(code(one(words, access, { config }))).toBe('ok');
    expect(code(one(words, { ...access, pasid: 2 ** leafLg2 * 3 }, { config }))).toBe(8);
    words.set(outer + BigInt((number >> leafLg2) * 8), leaf | (1n << 44n) | 1n);
    expect(code(one(words, access, { config }))).toBe(8);
  });
});

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
