/**
 * Hand-made cases for the plain VT-d walker: counts and addresses of cold reads, every fault condition of table 30 that untranslated
 * requests can meet (Intel VT-d specification rev. 5.10), and the fault reasons QEMU 10 has for the same tables.
 */
import { describe, expect, test } from 'vitest';
import type { Answer, Vector, VectorAccess } from '../vectors/vector.js';
import { VTD_REFERENCE } from './vtd.js';

const ROOT = 0x1_7000_0000n;
const CONTEXTS = 0x1_7000_1000n;
const DIRECTORY = 0x1_7000_2000n;
const PASIDS = 0x1_7000_3000n;
/** Tables of the second stage and of the first, top down; up to five levels each. */
const SS = [0x1_7001_0000n, 0x1_7001_1000n, 0x1_7001_2000n, 0x1_7001_3000n, 0x1_7001_4000n] as const;
const FS = [0x1_7002_0000n, 0x1_7002_1000n, 0x1_7002_2000n, 0x1_7002_3000n, 0x1_7002_4000n] as const;
const PAGE = 0x1_2345_6000n;
const RID = 0x0108;

type Words = Record<string, bigint>;
interface Setup {
  aw?: number;
  scalable?: boolean;
  strict?: boolean;
  mode?: bigint;
  words?: Words;
  gcmd?: readonly bigint[];
}

const at = (address: bigint, index = 0): string => String(address + 8n * BigInt(index));

/** Words of the tables that lead `input` to `page`; `entry(level)` gives the low and high bits around the pointer. */
function tables(
  roots: readonly bigint[],
  levels: number,
  input: bigint,
  page: bigint,
  flags: bigint,
  leafLevel = 1,
): Words {
  const words: Words = {};
  for (let level = levels; level >= leafLevel; level--) {
    const index = Number((input >> BigInt(3 + 9 * level)) & 511n);
    const size = level > 1 && level === leafLevel ? 0x80n : 0n;
    words[at(roots[levels - level]!, index)] = (level === leafLevel ? page : roots[levels - level + 1]!) | flags | size;
  }
  return words;
}

const IOVA = 0x12_3456_7000n;
const IOVA48 = 0x7654_3210_f000n;

/** Legacy mode, bus 1 devfn 8, 48 bits. */
const LEGACY: Words = {
  [at(ROOT, 2)]: CONTEXTS | 1n,
  [at(CONTEXTS, 16)]: SS[0] | 1n,
  [at(CONTEXTS, 17)]: (7n << 8n) | 2n,
  ...tables(SS, 4, IOVA48, PAGE, 3n),
};

/** Scalable mode, PASID 0 for requests without; `pasid` entries are added by number. */
function scalable(entries: Record<number, readonly bigint[]>, context1 = 0n): Words {
  const words: Words = {
    [at(ROOT, 2)]: CONTEXTS | 1n,
    [at(CONTEXTS, 32)]: DIRECTORY | 9n,
    [at(CONTEXTS, 33)]: context1,
    [at(DIRECTORY)]: PASIDS | 1n,
  };
  for (const [pasid, qwords] of Object.entries(entries)) {
    qwords.forEach((word, i) => {
      words[at(PASIDS, 8 * Number(pasid) + i)] = word;
    });
  }
  return words;
}

const COHERENT = 1n << 23n;
const FIRST = [(1n << 6n) | (2n << 2n) | 1n, COHERENT, FS[0]] as const;
const SECOND = [SS[0] | (2n << 6n) | (2n << 2n) | 1n, COHERENT] as const;
const PASS = [(4n << 6n) | 1n, COHERENT] as const;
const NESTED = [SS[0] | (3n << 6n) | (2n << 2n) | 1n, COHERENT, FS[0]] as const;

function vector(setup: Setup, accesses: readonly Partial<VectorAccess>[]): Vector {
  const { aw = 48, scalable: supported = false, strict = false, mode = supported ? 1n : 0n } = setup;
  const config: [string, string][] = [
    ['aw', String(aw)],
    ['scalable', supported ? '1' : '0'],
  ];
  if (strict) config.push(['rules', 'specification']);
  const gcmd = setup.gcmd ?? [0x4000_0000n, 0x8000_0000n];
  return {
    architecture: 'vtd',
    config,
    words: new Map(Object.entries(setup.words ?? {}).map(([address, word]) => [BigInt(address), word])),
    tables: [],
    registers: [
      { offset: 0x20, bytes: 8, value: ROOT | (mode << 10n) },
      ...gcmd.map((value) => ({ offset: 0x18, bytes: 4, value }) as const),
    ],
    accesses: accesses.map((access, id) => ({ id, rid: RID, pasid: null, iova: IOVA48, kind: 'r', ...access })),
  };
}

function one(setup: Setup, access: Partial<VectorAccess> = {}): Answer {
  return VTD_REFERENCE.answer(vector(setup, [access]))[0]!;
}

/** Fault reason; negative when it leaves no record; 0 when the request is granted. */
function reason(setup: Setup, access: Partial<VectorAccess> = {}): number {
  const answer = one(setup, access);
  return answer.ok ? 0 : answer.silent ? -answer.code : answer.code;
}

function reads(answer: Answer): bigint[] {
  return answer.accesses.filter(({ kind }) => kind === 'r').map(({ address }) => address);
}

/** The setup's words with some ORed into, or replaced. */
function withBits(words: Words, bits: Words): Words {
  const result = { ...words };
  for (const [address, word] of Object.entries(bits)) result[address] = (result[address] ?? 0n) | word;
  return result;
}

describe('legacy mode', () => {
  test('a cold translation reads root entry, context entry and four paging entries', () => {
    const answer = one({ words: LEGACY }, { iova: IOVA48 + 0x123n });
    expect(answer).toMatchObject({ ok: true, pa: PAGE + 0x123n, size: 0x1000n });
    const index = (level: number) => 8n * ((IOVA48 >> BigInt(3 + 9 * level)) & 511n);
    expect(answer.accesses).toEqual([
      { kind: 'r', bytes: 16, address: ROOT + 16n },
      { kind: 'r', bytes: 16, address: CONTEXTS + 128n },
      { kind: 'r', bytes: 8, address: SS[0] + index(4) },
      { kind: 'r', bytes: 8, address: SS[1] + index(3) },
      { kind: 'r', bytes: 8, address: SS[2] + index(2) },
      { kind: 'r', bytes: 8, address: SS[3] + index(1) },
    ]);
  });

  test('large pages keep more of the input', () => {
    const words = { ...LEGACY, ...tables(SS, 4, IOVA48, 0x1_2340_0000n, 3n, 2) };
    expect(one({ words }, { iova: IOVA48 + 8n })).toMatchObject({ pa: 0x1_2340_0000n | 0x10_f008n, size: 0x20_0000n });
    const huge = { ...LEGACY, ...tables(SS, 4, IOVA48, 0x1_0000_0000n, 3n, 3) };
    expect(one({ words: huge })).toMatchObject({ pa: 0x1_0000_0000n | 0x3210_f000n, size: 0x4000_0000n });
  });

  test('three levels with 39 bits, also on a unit of 48', () => {
    const words = { ...LEGACY, [at(CONTEXTS, 17)]: 1n, ...tables(SS, 3, IOVA, PAGE, 3n) };
    for (const aw of [39, 48]) {
      expect(one({ aw, words }, { iova: IOVA })).toMatchObject({ ok: true, pa: PAGE });
      expect(reason({ aw, words }, { iova: 1n << 39n })).toBe(0x04);
    }
  });

  test('pass-through reads no table and has no page size', () => {
    const words = { ...LEGACY, [at(CONTEXTS, 16)]: 0xff_ffff_f000n | 9n };
    const answer = one({ words }, { iova: PAGE + 4n });
    expect(answer).toMatchObject({ ok: true, pa: PAGE + 4n });
    expect(answer.ok && answer.size).toBe(undefined);
    expect(reads(answer)).toHaveLength(2);
    expect(reason({ strict: true, words }, { iova: 1n << 48n })).toBe(0x04);
  });

  const leaf = at(SS[3], 0x10f);
  test.each<[string, number, Words, Partial<VectorAccess>]>([
    ['root entry absent', 0x01, { [at(ROOT, 2)]: CONTEXTS }, {}],
    ['root entry, low word', 0x0a, { [at(ROOT, 2)]: CONTEXTS | 3n }, {}],
    ['root entry, high word', 0x0a, { [at(ROOT, 3)]: 1n << 40n }, {}],
    ['root entry, above the host address width', 0x0a, { [at(ROOT, 2)]: CONTEXTS | 1n | (1n << 48n) }, {}],
    ['context entry absent', 0x02, { [at(CONTEXTS, 16)]: SS[0] }, {}],
    ['context entry absent, FPD', -0x02, { [at(CONTEXTS, 16)]: SS[0] | 2n }, {}],
    ['context entry, bit 4', 0x0b, { [at(CONTEXTS, 16)]: SS[0] | 0x11n }, {}],
    ['context entry, bit 71', 0x0b, { [at(CONTEXTS, 17)]: 0x82n }, {}],
    ['context entry, bit 88, FPD', -0x0b, { [at(CONTEXTS, 16)]: SS[0] | 3n, [at(CONTEXTS, 17)]: (1n << 24n) | 2n }, {}],
    ['reserved before invalid', 0x0b, { [at(CONTEXTS, 16)]: SS[0] | 0x1dn }, {}],
    ['TT = 3', 0x03, { [at(CONTEXTS, 16)]: SS[0] | 0xdn }, {}],
    ['AW = 0', 0x03, { [at(CONTEXTS, 17)]: 0n }, {}],
    ['AW = 3 on a unit of 48 bits', 0x03, { [at(CONTEXTS, 17)]: 3n }, {}],
    ['ignored bits 70:67', 0, { [at(CONTEXTS, 17)]: 0x7an }, {}],
    ['beyond 48 bits', 0x04, {}, { iova: 1n << 48n }],
    ['sign-extended is beyond', 0x04, {}, { iova: 0xffff_f654_3210_f000n }],
    ['write without W', 0x05, { [leaf]: PAGE | 1n }, { kind: 'w' }],
    ['read without R', 0x06, { [leaf]: PAGE | 2n }, {}],
    ['write-only page', 0, { [leaf]: PAGE | 2n }, { kind: 'w' }],
    ['absent, write', 0x05, { [leaf]: PAGE }, { kind: 'w' }],
    ['absent, read', 0x06, { [leaf]: 0n }, {}],
    ['no W in a table entry', 0x05, { [at(SS[0], 0xec)]: SS[1] | 1n }, { kind: 'w' }],
    ['rights before reserved bits', 0x06, { [leaf]: PAGE | 2n | (1n << 50n) }, {}],
    ['above the host address width', 0x0c, { [leaf]: PAGE | 3n | (1n << 51n) }, {}],
    ['bit 62', 0x0c, { [leaf]: PAGE | 3n | (1n << 62n) }, {}],
    ['snoop bit', 0x0c, { [leaf]: PAGE | 3n | (1n << 11n) }, {}],
    ['page size at level 4', 0x0c, { [at(SS[0], 0xec)]: SS[1] | 0x83n }, {}],
    ['low bits of a 2 MiB page', 0x0c, { [at(SS[2], 0x190)]: SS[3] | 0x83n }, {}],
    ['ignored bits', 0, { [leaf]: PAGE | 3n | 0xbff0_0000_0000_0000n | 0x7fcn }, {}],
  ])('%s', (_name, expected, words, access) => {
    expect(reason({ words: { ...LEGACY, ...words } }, access)).toBe(expected);
  });

  test('a scalable unit that runs legacy tables does not mind the snoop bit', () => {
    const words = withBits(LEGACY, { [leaf]: 1n << 11n });
    expect(reason({ scalable: true, mode: 0n, words })).toBe(0);
  });

  test('requests with PASID are blocked before anything is read', () => {
    const answer = one({ words: LEGACY }, { pasid: 1 });
    expect(answer).toEqual({ ok: false, code: 0x31, accesses: [] });
  });
});

describe('scalable mode: first stage', () => {
  const words = { ...scalable({ 0: FIRST, 5: FIRST }), ...tables(FS, 4, IOVA48, PAGE, 7n) };
  const setup = { scalable: true, words };

  test('eight reads, every entry updated when it is used, the leaf made dirty by a write', () => {
    const answer = one(setup, { kind: 'w', pasid: 5 });
    expect(answer).toMatchObject({ ok: true, pa: PAGE, size: 0x1000n });
    const index = (level: number) => 8n * ((IOVA48 >> BigInt(3 + 9 * level)) & 511n);
    expect(answer.accesses).toEqual([
      { kind: 'r', bytes: 16, address: ROOT + 16n },
      { kind: 'r', bytes: 32, address: CONTEXTS + 256n },
      { kind: 'r', bytes: 8, address: DIRECTORY },
      { kind: 'r', bytes: 64, address: PASIDS + 5n * 64n },
      ...[4, 3, 2, 1].flatMap((level) => [
        { kind: 'r', bytes: 8, address: FS[4 - level]! + index(level) },
        { kind: 'a', bytes: 8, address: FS[4 - level]! + index(level) },
      ]),
    ]);
  });

  test('flags stay set for the accesses that follow', () => {
    const answers = VTD_REFERENCE.answer(vector(setup, [{}, {}, { kind: 'w' }, { kind: 'w' }]));
    const updates = answers.map(({ accesses }) => accesses.filter(({ kind }) => kind === 'a').length);
    expect(updates).toEqual([4, 0, 1, 0]);
  });

  const leaf = at(FS[3], 0x10f);
  test.each<[string, number, Words, Partial<VectorAccess>]>([
    ['not present', 0x71, { [leaf]: PAGE }, {}],
    ['not present comes first', 0x71, { [leaf]: PAGE | (1n << 50n) }, {}],
    ['supervisor page', 0x81, { [leaf]: PAGE | 3n }, {}],
    ['supervisor table entry', 0x81, { [at(FS[0], 0xec)]: FS[1] | 3n }, {}],
    ['read-only page', 0x85, { [leaf]: PAGE | 5n }, { kind: 'w' }],
    ['read-only table entry', 0x85, { [at(FS[0], 0xec)]: FS[1] | 5n }, { kind: 'w' }],
    ['read of a read-only page', 0, { [leaf]: PAGE | 5n }, {}],
    ['above the host address width', 0x72, { [leaf]: PAGE | 7n | (1n << 48n) }, {}],
    ['rights before reserved bits', 0x85, { [leaf]: PAGE | 5n | (1n << 48n) }, { kind: 'w' }],
    ['page size at level 4', 0x72, { [at(FS[0], 0xec)]: FS[1] | 0x87n }, {}],
    ['low bits of a 2 MiB page', 0x72, { [at(FS[2], 0x190)]: FS[3] | 0x87n | (1n << 13n) }, {}],
    ['bit 12 of a 2 MiB page is PAT', 0, { [at(FS[2], 0x190)]: 0x1_2340_0000n | 0x1087n }, {}],
    ['bits 63:52 are ignored, 63 too', 0, { [leaf]: PAGE | 7n | (0xfffn << 52n) }, {}],
    ['not canonical', 0x80, {}, { iova: 1n << 47n }],
    ['not canonical, high', 0x80, {}, { iova: 0xffff_7fff_ffff_f000n }],
    ['canonical, high', 0x71, {}, { iova: 0xffff_8000_0000_0000n }],
  ])('%s', (_name, expected, more, access) => {
    expect(reason({ ...setup, words: { ...words, ...more } }, access)).toBe(expected);
    expect(reason({ ...setup, strict: true, words: { ...words, ...more } }, access)).toBe(expected);
  });
});

describe('scalable mode: reasons of the specification and of QEMU', () => {
  const words = { ...scalable({ 0: SECOND, 5: PASS }), ...tables(SS, 4, IOVA48, PAGE, 3n) };
  const leaf = at(SS[3], 0x10f);
  test.each<[string, number, number, Words, Partial<VectorAccess>]>([
    ['granted', 0, 0, {}, { kind: 'w' }],
    ['root entry absent', 0x39, 0x01, { [at(ROOT, 2)]: 0n }, {}],
    ['root entry reserved', 0x3a, 0x0a, { [at(ROOT, 2)]: CONTEXTS | 3n }, {}],
    ['root entry reserved in the other half', 0x3a, 0x0a, { [at(ROOT, 3)]: CONTEXTS | 3n }, {}],
    ['context entry absent', 0x41, 0x02, { [at(CONTEXTS, 32)]: DIRECTORY }, {}],
    ['context entry absent, FPD', -0x41, -0x02, { [at(CONTEXTS, 32)]: DIRECTORY | 2n }, {}],
    ['context entry, bit 7', 0x42, 0x0b, { [at(CONTEXTS, 32)]: DIRECTORY | 0x89n }, {}],
    ['context entry, bit 85', 0x42, 0x0b, { [at(CONTEXTS, 33)]: 1n << 21n }, {}],
    ['context entry, last word', 0x42, 0x0b, { [at(CONTEXTS, 35)]: 1n }, {}],
    ['directory entry absent', 0x51, 0x51, { [at(DIRECTORY)]: PASIDS }, {}],
    ['PASID entry absent', 0x59, 0x59, { [at(PASIDS)]: SECOND[0] & ~1n }, {}],
    ['PGTT = 0', 0x5b, 0x5b, { [at(PASIDS)]: SECOND[0] & ~0x1c0n }, {}],
    ['AW = 4', 0x5b, 0x5b, { [at(PASIDS)]: (SECOND[0] & ~0x1cn) | 0x10n }, {}],
    ['beyond the width', 0x84, 0x04, {}, { iova: 1n << 48n }],
    ['absent, read', 0x79, 0x06, { [leaf]: 0n }, {}],
    ['absent, write', 0x79, 0x05, { [leaf]: 0n }, { kind: 'w' }],
    ['W missing', 0x85, 0x05, { [leaf]: PAGE | 1n }, { kind: 'w' }],
    ['R missing', 0x86, 0x06, { [leaf]: PAGE | 2n }, {}],
    ['R here and W there', 0x79, 0x06, { [at(SS[0], 0xec)]: SS[1] | 1n, [leaf]: PAGE | 2n }, {}],
    ['reserved', 0x7a, 0x0c, { [leaf]: PAGE | 3n | (1n << 49n) }, {}],
    ['snoop bit of a leaf', 0, 0, { [leaf]: PAGE | 3n | (1n << 11n) }, {}],
    ['snoop bit of a table entry', 0x7a, 0x0c, { [at(SS[0], 0xec)]: SS[1] | 3n | (1n << 11n) }, {}],
    ['nested without the capability', 0x79, 0x5b, { [at(PASIDS)]: NESTED[0] }, {}],
    ['pass-through', 0, 0, {}, { pasid: 5, iova: PAGE }],
  ])('%s', (_name, strict, qemu, more, access) => {
    const setup = { scalable: true, words: { ...words, ...more } };
    expect(reason({ ...setup, strict: true }, access)).toBe(strict);
    expect(reason(setup, access)).toBe(qemu);
  });
});

describe('nested translation', () => {
  /** Guest address of a host page: identity in the low 4 GiB above 0x40_0000_0000. */
  const guest = (host: bigint): bigint => host + 0x40_0000_0000n;
  const mapped = [...FS.slice(0, 4), PAGE].map((host) => tables(SS, 4, guest(host), host, 3n));
  // One second-stage path for all: the same upper tables, one page table per 2 MiB.
  const second: Words = Object.assign({}, ...mapped);
  const lastTable = 0x1_7001_5000n;
  second[at(SS[2], Number((guest(PAGE) >> 21n) & 511n))] = lastTable | 3n;
  // The first-stage tables lie under another 1 GiB entry than the page.
  second[at(SS[1], Number((guest(FS[0]) >> 30n) & 511n))] = 0x1_7001_6000n | 3n;
  second[at(0x1_7001_6000n, Number((guest(FS[0]) >> 21n) & 511n))] = SS[3] | 3n;
  for (const host of FS.slice(0, 4)) second[at(SS[3], Number((guest(host) >> 12n) & 511n))] = host | 3n;
  delete second[at(SS[3], Number((guest(PAGE) >> 12n) & 511n))];
  second[at(lastTable, Number((guest(PAGE) >> 12n) & 511n))] = PAGE | 3n;

  const first = tables(FS.map(guest), 4, IOVA48, guest(PAGE), 7n);
  const words: Words = { ...scalable({ 0: [NESTED[0], NESTED[1], guest(FS[0])] }), ...second };
  for (const [address, word] of Object.entries(first)) words[String(BigInt(address) - 0x40_0000_0000n)] = word;
  const setup = { scalable: true, strict: true, words };
  const firstLeaf = at(FS[3], 0x10f);
  const leafOf = (host: bigint) => at(host === PAGE ? lastTable : SS[3], Number((guest(host) >> 12n) & 511n));

  test('four over four levels: 28 reads cold, the leaf updated after its page is known', () => {
    const answer = one(setup, { kind: 'w' });
    expect(answer).toMatchObject({ ok: true, pa: PAGE, size: 0x1000n });
    expect(reads(answer)).toHaveLength(28);
    const updates = answer.accesses.flatMap(({ kind }, i) => (kind === 'a' ? [i] : []));
    expect(updates).toEqual([4 + 5, 10 + 5, 16 + 5, 31]);
    expect(answer.accesses.at(-1)!.address).toBe(BigInt(firstLeaf));
  });

  test.each<[string, number, Words, Partial<VectorAccess>]>([
    ['granted', 0, {}, {}],
    ['root not mapped', 0x79, { [leafOf(FS[0])]: 0n }, {}],
    ['root not readable', 0x75, { [leafOf(FS[0])]: FS[0] | 2n }, {}],
    ['table not readable', 0x76, { [leafOf(FS[2])]: FS[2] | 2n }, {}],
    ['table not writable, flags to set', 0x77, { [leafOf(FS[2])]: FS[2] | 1n }, {}],
    ['mapping of a table reserved', 0x7a, { [leafOf(FS[2])]: FS[2] | 3n | (1n << 49n) }, {}],
    ['page not mapped', 0x79, { [leafOf(PAGE)]: 0n }, {}],
    ['page not writable', 0x85, { [leafOf(PAGE)]: PAGE | 1n }, { kind: 'w' }],
    ['page not readable', 0x86, { [leafOf(PAGE)]: PAGE | 2n }, {}],
    ['page not writable in the first stage', 0x85, { [firstLeaf]: guest(PAGE) | 5n }, { kind: 'w' }],
    ['output in the interrupt range', 0x87, { [leafOf(PAGE)]: 0xfee0_1003n }, {}],
    ['not canonical', 0x80, {}, { iova: 1n << 47n }],
  ])('%s', (_name, expected, more, access) => {
    expect(reason({ ...setup, words: { ...words, ...more } }, access)).toBe(expected);
  });

  test('a table that cannot be written is fine when nothing has to be set in it', () => {
    const more = { [leafOf(FS[2])]: FS[2] | 1n, [at(FS[2], 0x190)]: guest(FS[3]) | 0x27n };
    expect(reason({ ...setup, words: { ...words, ...more } })).toBe(0);
  });

  test('with three second-stage levels guest addresses end at 39 bits', () => {
    const narrow = { ...words, [at(PASIDS)]: (NESTED[0] & ~0x1cn) | 4n };
    const root = { ...narrow, [at(PASIDS, 2)]: 1n << 39n };
    expect(reason({ ...setup, words: root })).toBe(0x5b);
    const entry = { ...words, [at(FS[2], 0x190)]: (guest(FS[3]) | 7n) + (1n << 39n) };
    const three = { ...entry, [at(PASIDS)]: SS[1] | (3n << 6n) | 5n };
    expect(reason({ ...setup, words: three })).toBe(0x74);
  });

  test('second-stage flags: set in every entry, the mapping of an updated table made dirty first', () => {
    const flags = { ...words, [at(PASIDS)]: NESTED[0] | 0x200n };
    const answer = one({ ...setup, words: flags }, { kind: 'w' });
    const steps = answer.accesses.slice(4, 4 + 11).map(({ kind }) => kind);
    // Four second-stage entries read and marked, the first-stage entry read, its mapping made dirty, the entry marked.
    expect(steps.join('')).toBe(['ra', 'ra', 'ra', 'ra', 'r', 'a', 'a'].join(''));
  });
});

describe('five levels', () => {
  const setup = { aw: 57, scalable: true, strict: true };
  const input = 0x0ab_7654_3210_f000n;

  test('first stage with FSPM = 1', () => {
    const entry = [FIRST[0], FIRST[1], FS[0] | 4n];
    const words = { ...scalable({ 0: entry }), ...tables(FS, 5, input, PAGE, 7n) };
    const answer = one({ ...setup, words }, { iova: input });
    expect(answer).toMatchObject({ ok: true, pa: PAGE });
    expect(reads(answer)).toHaveLength(9);
    expect(reason({ ...setup, words }, { iova: 1n << 56n })).toBe(0x80);
    expect(reason({ ...setup, words }, { iova: 0xff00_0000_0000_0000n })).toBe(0x71);
    expect(reason({ ...setup, aw: 48, words }, { iova: input })).toBe(0x5b);
  });

  test('second stage with AW = 3, scalable and legacy', () => {
    const entry = [SS[0] | (2n << 6n) | (3n << 2n) | 1n, COHERENT];
    const words = { ...scalable({ 0: entry }), ...tables(SS, 5, input, PAGE, 3n) };
    expect(one({ ...setup, words }, { iova: input })).toMatchObject({ ok: true, pa: PAGE });
    expect(reason({ ...setup, words }, { iova: 1n << 57n })).toBe(0x84);
    const size = withBits(words, { [at(SS[0], Number((input >> 48n) & 511n))]: 0x80n });
    expect(reason({ ...setup, words: size }, { iova: input })).toBe(0x7a);
    const legacy = { ...LEGACY, [at(CONTEXTS, 17)]: 3n, ...tables(SS, 5, input, PAGE, 3n) };
    expect(one({ ...setup, mode: 0n, words: legacy }, { iova: input })).toMatchObject({ ok: true, pa: PAGE });
  });
});

describe('permissions', () => {
  const SRE = 1n;
  const WPE = 0x10n;
  const EAFE = 0x80n;
  const leaf = at(FS[3], 0x10f);
  const words = (bits: bigint, more: Words = {}): Words => ({
    ...scalable({ 0: [FIRST[0], FIRST[1], FIRST[2] | bits], 5: [FIRST[0], FIRST[1], FIRST[2] | bits] }),
    ...tables(FS, 4, IOVA48, PAGE, 7n),
    ...more,
  });
  const setup = (bits: bigint, more: Words = {}) => ({ scalable: true, strict: true, words: words(bits, more) });

  test('privileged requests need SRE, and then see supervisor pages', () => {
    const supervisor = { [leaf]: PAGE | 3n };
    const request = { pasid: 5, privileged: true };
    expect(reason(setup(0n, supervisor), request)).toBe(0x5d);
    expect(reason(setup(SRE, supervisor), request)).toBe(0);
    expect(reason(setup(SRE, supervisor), { pasid: 5 })).toBe(0x81);
    expect(reason(setup(SRE, supervisor), { privileged: true })).toBe(0x81);
  });

  test('WPE says whether the supervisor may write read-only pages', () => {
    const readOnly = { [leaf]: PAGE | 5n };
    const write = { pasid: 5, privileged: true, kind: 'w' } as const;
    expect(reason(setup(SRE, readOnly), write)).toBe(0);
    expect(reason(setup(SRE | WPE, readOnly), write)).toBe(0x85);
    expect(reason(setup(SRE, readOnly), { pasid: 5, kind: 'w' })).toBe(0x85);
  });

  test('RID_PRIV makes requests without PASID privileged', () => {
    const context = { [at(CONTEXTS, 33)]: 1n << 20n, [leaf]: PAGE | 3n };
    expect(reason(setup(SRE, context))).toBe(0);
    expect(reason(setup(0n, context))).toBe(0x5d);
    expect(reason({ ...setup(SRE, context), strict: false })).toBe(0x81);
  });

  test('execute requests are refused; without PASID they are reads', () => {
    expect(reason(setup(SRE), { pasid: 5, kind: 'x' })).toBe(0x5c);
    expect(reason(setup(SRE), { kind: 'x' })).toBe(0);
  });

  test('atomics need both rights', () => {
    expect(reason(setup(0n, { [leaf]: PAGE | 5n }), { kind: 'rw' })).toBe(0x85);
    const second = { ...scalable({ 0: SECOND }), ...tables(SS, 4, IOVA48, PAGE, 3n) };
    const only = (bits: bigint) => ({
      scalable: true,
      strict: true,
      words: { ...second, [at(SS[3], 0x10f)]: PAGE | bits },
    });
    expect([3n, 2n, 1n, 0n].map((bits) => reason(only(bits), { kind: 'rw' }))).toEqual([0, 0x86, 0x85, 0x79]);
  });

  test('EAFE: the extended-accessed flag is set too', () => {
    const preset = { [leaf]: PAGE | 0x67n };
    const updates = (bits: bigint) => one(setup(bits, preset)).accesses.filter(({ kind }) => kind === 'a').length;
    expect([updates(0n), updates(EAFE)]).toEqual([3, 4]);
  });

  test('a walker that does not snoop cannot set flags', () => {
    const noncoherent = { [at(PASIDS, 1)]: 0n };
    expect(reason(setup(0n, noncoherent))).toBe(0x90);
    const preset = tables(FS, 4, IOVA48, PAGE, 0x67n);
    expect(reason(setup(0n, { ...noncoherent, ...preset }), { kind: 'w' })).toBe(0);
    const second = [SECOND[0] | 0x200n, 0n];
    const tree = { ...scalable({ 0: second }), ...tables(SS, 4, IOVA48, PAGE, 3n) };
    expect(reason({ scalable: true, strict: true, words: tree })).toBe(0x7c);
    expect(reason({ scalable: true, strict: true, words: { ...tree, [at(PASIDS)]: SECOND[0] } })).toBe(0);
  });
});

describe('directory structures', () => {
  const words = { ...scalable({ 0: SECOND, 5: SECOND }), ...tables(SS, 4, IOVA48, PAGE, 3n) };
  test.each<[string, number, Words, Partial<VectorAccess>]>([
    ['PRE without DTE', 0x43, { [at(CONTEXTS, 32)]: DIRECTORY | 0x19n }, {}],
    ['PRE with DTE', 0, { [at(CONTEXTS, 32)]: DIRECTORY | 0x1dn }, {}],
    ['RID_PASID beyond the directory', 0x43, { [at(CONTEXTS, 33)]: 0x2000n }, {}],
    ['RID_PASID 5', 0, { [at(CONTEXTS, 33)]: 5n, [at(PASIDS)]: 0n }, {}],
    ['PASIDE clear', 0x45, { [at(CONTEXTS, 32)]: DIRECTORY | 1n }, { pasid: 5 }],
    ['PASIDE clear, without PASID', 0, { [at(CONTEXTS, 32)]: DIRECTORY | 1n }, {}],
    ['PASID beyond the directory', 0x46, {}, { pasid: 0x2000 }],
    ['last PASID of the directory', 0x51, {}, { pasid: 0x1fff }],
    ['PDTS = 1', 0x51, { [at(CONTEXTS, 32)]: DIRECTORY | 0x209n }, { pasid: 0x2000 }],
    ['PASID that is RID_PASID', 0x48, {}, { pasid: 0 }],
    ['directory entry absent, FPD', -0x51, { [at(DIRECTORY)]: 2n }, {}],
    ['directory entry, bit 2', 0x52, { [at(DIRECTORY)]: PASIDS | 5n }, {}],
    ['directory entry, FPD', -0x59, { [at(DIRECTORY)]: PASIDS | 3n, [at(PASIDS)]: 0n }, {}],
    ['PASID entry zero', 0x59, { [at(PASIDS)]: 0n }, {}],
    ['PASID entry absent, FPD', -0x59, { [at(PASIDS)]: 2n }, {}],
    ['PASID entry, bit 10', 0x5a, { [at(PASIDS)]: SECOND[0] | 0x400n }, {}],
    ['PASID entry, bit 80', 0x5a, { [at(PASIDS, 1)]: COHERENT | 0x1_0000n }, {}],
    ['PASID entry, bit 129', 0x5a, { [at(PASIDS, 2)]: 2n }, {}],
    ['PASID entry, bits 134:133 are ignored', 0, { [at(PASIDS, 2)]: 0x60n }, {}],
    ['PASID entry, last word', 0x5a, { [at(PASIDS, 7)]: 1n << 63n }, {}],
    ['reserved before invalid', 0x5a, { [at(PASIDS)]: (SECOND[0] & ~0x1c0n) | 0x400n }, {}],
    ['fault of the walk, FPD in the PASID entry', -0x79, { [at(PASIDS)]: SECOND[0] | 2n, [at(SS[3], 0x10f)]: 0n }, {}],
    ['pass-through beyond the host address width', 0x83, { [at(PASIDS)]: PASS[0] }, { iova: 1n << 48n }],
  ])('%s', (_name, expected, more, access) => {
    expect(reason({ scalable: true, strict: true, words: { ...words, ...more } }, access)).toBe(expected);
  });

  test('the upper half of a bus has a context table of its own', () => {
    const upper = 0x1_7000_4000n;
    const more = { [at(ROOT, 3)]: upper | 1n, [at(upper, 4 * 3)]: DIRECTORY | 9n };
    const answer = one({ scalable: true, words: { ...words, ...more } }, { rid: 0x0183 });
    expect(answer).toMatchObject({ ok: true, pa: PAGE });
    expect(reads(answer).slice(0, 2)).toEqual([ROOT + 16n, upper + 3n * 32n]);
  });
});

describe('registers', () => {
  test('reserved table modes, and scalable mode without the capability', () => {
    for (const mode of [2n, 3n]) expect(reason({ scalable: true, strict: true, mode, words: LEGACY })).toBe(0x30);
    expect(reason({ strict: true, mode: 1n, words: LEGACY })).toBe(0x30);
  });

  test('without Translation Enable addresses pass; without Set Root Table Pointer the root is not the new one', () => {
    expect(one({ words: LEGACY, gcmd: [0x4000_0000n] })).toEqual({ ok: true, pa: IOVA48, accesses: [] });
    expect(reads(one({ words: LEGACY, gcmd: [0x8000_0000n] }))).toEqual([16n]);
  });

  test('what vectors do not have is refused', () => {
    expect(() => one({ aw: 40 })).toThrow('cfg aw 40');
    expect(() => one({ aw: 57 })).toThrow('needs cfg rules specification');
    const odd = vector({}, [{}]);
    expect(() => VTD_REFERENCE.answer({ ...odd, config: [['rules', 'loose']] })).toThrow('cfg rules loose');
    const register = { offset: 0x28, bytes: 8, value: 0n } as const;
    expect(() => VTD_REFERENCE.answer({ ...odd, registers: [register] })).toThrow('register 0x28');
  });
});
