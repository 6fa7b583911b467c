/**
 * Hand-made tables against the plain AMD-Vi walker: encodings after the specification (48882, sections named at each test) and
 * Linux drivers/iommu/generic_pt/fmt/amdv1.h and x86_64.h, refusals after VirtualBox DevIommuAmd.cpp.
 */
import { describe, expect, it } from 'vitest';
import type { AccessKind, Answer, Vector, VectorAccess } from '../vectors/vector.js';
import { amdviReference, explainAmdvi } from './amdvi.js';

const DEVICE_TABLE = 0x1_0000_0000n;
const ROOT = 0x1_0100_0000n;
const RID = 0x0108;
const ENTRY = DEVICE_TABLE + 32n * BigInt(RID);
const READ_WRITE = 3n << 61n;
const V = 1n;
const TV = 2n;

type Words = readonly (readonly [address: bigint, word: bigint])[];

/** Linux amdv1pt_install_table: PR, IR, IW and the level of the next table. */
const table = (address: bigint, next: number): bigint => 1n | (BigInt(next) << 9n) | address | READ_WRITE;
/** Linux amdv1pt_install_leaf_entry with the natural size. */
const leaf = (address: bigint): bigint => 1n | address | READ_WRITE;
/** NextLevel 7: ones from bit 12 to two below the size. */
const coded = (address: bigint, sizeLg2: number): bigint =>
  1n | (7n << 9n) | address | (((1n << BigInt(sizeLg2 - 1)) - 1n) & ~0xfffn) | READ_WRITE;
const host = (mode: number, root = ROOT): bigint => V | TV | (BigInt(mode) << 9n) | root | READ_WRITE;

interface Extra {
  readonly control?: bigint;
  readonly tablePages?: number;
  readonly entry?: readonly bigint[];
}

function vector(words: Words, accesses: readonly VectorAccess[], extra: Extra = {}): Vector {
  const entry = (extra.entry ?? []).map((word, i) => [ENTRY + BigInt(8 * i), word] as const);
  return {
    architecture: 'amdvi',
    config: [],
    words: new Map([...entry, ...words]),
    tables: [],
    registers: [
      { offset: 0x00, bytes: 8, value: DEVICE_TABLE | BigInt((extra.tablePages ?? 512) - 1) },
      { offset: 0x18, bytes: 8, value: extra.control ?? 1n },
    ],
    accesses,
  };
}

function access(iova: bigint, kind: AccessKind = 'r', more: Partial<VectorAccess> = {}): VectorAccess {
  return { id: 0, rid: RID, pasid: null, iova, kind, ...more };
}

function one(words: Words, at: VectorAccess, extra: Extra = {}): Answer {
  return amdviReference.answer(vector(words, [at], extra))[0]!;
}

function reasonOf(words: Words, at: VectorAccess, extra: Extra = {}): string {
  const { answer, reason } = explainAmdvi(vector(words, [at], extra))[0]!;
  expect(answer.ok).toBe(false);
  return reason;
}

/** Mode 3: root entry 1, middle entry 2, leaf entry 3 of IOVA 0x4040_3000. */
const IOVA = (1n << 30n) | (2n << 21n) | (3n << 12n);
const MIDDLE = 0x1_0200_0000n;
const LAST = 0x1_0300_0000n;
const PAGE = 0x1_4567_8000n;
const THREE: Words = [
  [ROOT + 8n, table(MIDDLE, 2)],
  [MIDDLE + 16n, table(LAST, 1)],
  [LAST + 24n, leaf(PAGE)],
];
const MODE_3: Extra = { entry: [host(3)] };

describe('device table (2.2.2)', () => {
  it('reads one entry of 32 bytes and passes V = 0 untranslated, whatever else the entry holds', () => {
    const answer = one([], access(0x1_2345_6789n), { entry: [0x7fff_ffff_ffff_fffen] });
    expect(answer).toEqual({
      ok: true,
      pa: 0x1_2345_6789n,
      accesses: [{ kind: 'r', bytes: 32, address: 0x1_0000_2100n }],
    });
  });

  it('reads nothing when the IOMMU is off', () => {
    expect(one([], access(0x1234n, 'w'), { control: 0n })).toEqual({ ok: true, pa: 0x1234n, accesses: [] });
  });

  it('refuses device ids past the table without looking', () => {
    // Four pages hold 512 entries, 0x0000 to 0x01ff.
    expect(one([], access(0n, 'r', { rid: 0x0200 }), { tablePages: 4 })).toEqual({ ok: false, code: 2, accesses: [] });
    expect(one([], access(0n, 'r', { rid: 0x01ff }), { tablePages: 4 }).ok).toBe(true);
  });

  it('blocks V = 1, TV = 0, and passes Mode 0 with IR and IW', () => {
    expect(one([], access(0n), { entry: [V | READ_WRITE] })).toMatchObject({ ok: false, code: 2 });
    const readOnly: Extra = { entry: [V | TV | (1n << 61n)] };
    expect(one([], access(0x5000n), readOnly)).toMatchObject({ ok: true, pa: 0x5000n });
    expect(one([], access(0x5000n), readOnly)).not.toHaveProperty('size');
    expect(one([], access(0x5000n, 'w'), readOnly)).toMatchObject({ ok: false, code: 2 });
    expect(one([], access(0x5000n, 'rw'), readOnly)).toMatchObject({ ok: false, code: 2 });
  });

  it.each([2, 3, 4, 5, 6, 63])('reports reserved bit %i as ILLEGAL_DEV_TABLE_ENTRY', (at) => {
    const answer = one(THREE, access(IOVA), { entry: [host(3) | (1n << BigInt(at))] });
    expect(answer).toMatchObject({ ok: false, code: 1 });
  });

  it('takes Mode 7 for a page fault', () => {
    expect(reasonOf(THREE, access(IOVA), { entry: [host(7)] })).toBe('device table entry: Mode 7');
  });

  it('leaves no record of page faults with SA', () => {
    const suppressed = { entry: [host(3), 1n << 34n] };
    expect(one([], access(IOVA), suppressed)).toMatchObject({ ok: false, code: 2, silent: true });
    expect(one([], access(IOVA), MODE_3)).not.toHaveProperty('silent');
  });
});

describe('host table (2.2.3)', () => {
  it('reads one entry per level', () => {
    expect(one(THREE, access(IOVA | 0xabcn), MODE_3)).toEqual({
      ok: true,
      pa: PAGE | 0xabcn,
      size: 0x1000n,
      accesses: [
        { kind: 'r', bytes: 32, address: ENTRY },
        { kind: 'r', bytes: 8, address: ROOT + 8n },
        { kind: 'r', bytes: 8, address: MIDDLE + 16n },
        { kind: 'r', bytes: 8, address: LAST + 24n },
      ],
    });
  });

  it.each([1, 2, 3, 4, 5, 6])('takes 1 + %i reads in that Mode, with the last index of each level', (mode) => {
    const words: [bigint, bigint][] = [];
    for (let level = mode; level > 0; level--) {
      const here = ROOT + BigInt(level) * 4096n;
      const index = level === 6 ? 0x7fn : 0x1ffn;
      words.push([here + 8n * index, level === 1 ? leaf(PAGE) : table(here - 4096n, level - 1)]);
    }
    const iova = BigInt.asUintN(Math.min(64, 12 + 9 * mode), -1n);
    const answer = one(words, access(iova), { entry: [host(mode, ROOT + BigInt(mode) * 4096n)] });
    expect(answer).toMatchObject({ ok: true, pa: PAGE | 0xfffn });
    expect(answer.accesses).toHaveLength(1 + mode);
  });

  it.each([
    [1, 2, 0x1000n],
    [2, 3, 0x20_0000n],
    [3, 4, 0x4000_0000n],
    [4, 5, 0x80_0000_0000n],
    [5, 6, 0x1_0000_0000_0000n],
  ])('NextLevel 0 at level %i is a page of natural size', (level, mode, size) => {
    const entry = leaf(level < 4 ? 0x1_4000_0000n : 0n);
    const words: [bigint, bigint][] = [
      [ROOT, table(MIDDLE, level)],
      [MIDDLE, entry],
    ];
    const base = level < 4 ? 0x1_4000_0000n : 0n;
    const offset = size - 0x123n;
    expect(one(words, access(offset), { entry: [host(mode)] })).toMatchObject({ ok: true, pa: base + offset, size });
  });

  it.each([
    // Table 14: the lowest clear address bit ends the code.
    [0x1_4000_0e01n, 13],
    [0x1_4000_1e01n, 14],
    [0x1_4000_3e01n, 15],
    [0x1_4000_7e01n, 16],
    [0x1_4007_fe01n, 20],
  ])('NextLevel 7 with entry %x is a page of 2^%i bytes', (entry, sizeLg2) => {
    expect(coded(0x1_4000_0000n, sizeLg2)).toBe(entry | READ_WRITE);
    const size = 1n << BigInt(sizeLg2);
    const replica = size / 4096n - 1n;
    const words: Words = [[ROOT + 8n * replica, entry | READ_WRITE]];
    const answer = one(words, access(size - 1n), { entry: [host(1)] });
    expect(answer).toMatchObject({ ok: true, pa: 0x1_4000_0000n + size - 1n, size });
  });

  it.each([
    ['smaller than natural', 2, 16],
    ['of natural size', 2, 21],
    ['of the natural size of the level above', 2, 30],
    ['larger than 2^51', 5, 52],
    ['of all ones', 3, 53],
  ])('refuses a size code %s', (_, level, sizeLg2) => {
    const words: Words = [[ROOT, coded(0n, sizeLg2)]];
    expect(reasonOf(words, access(0n), { entry: [host(level)] })).toBe(`page size not of this level, level ${level}`);
  });

  it('has no leaves at level 6', () => {
    for (const entry of [leaf(0n), coded(0n, 51)]) {
      expect(reasonOf([[ROOT, entry]], access(0n), { entry: [host(6)] })).toBe('leaf at level 6, level 6');
    }
  });

  it('skips levels whose address bits are 0, and refuses other addresses', () => {
    const words: Words = [
      [ROOT + 8n, table(LAST, 1)],
      [LAST + 24n, leaf(PAGE)],
    ];
    const entry: Extra = { entry: [host(4)] };
    const iova = (1n << 39n) | (3n << 12n);
    expect(one(words, access(iova), entry)).toMatchObject({ ok: true, pa: PAGE });
    expect(one(words, access(iova), entry).accesses).toHaveLength(3);
    for (const bit of [21n, 29n, 30n, 38n]) {
      expect(reasonOf(words, access(iova | (1n << bit)), entry)).toBe('bits of a skipped level, level 4');
    }
    // The index bits of the level that is read are not skipped ones.
    expect(reasonOf(words, access(iova | (1n << 20n)), entry)).toBe('entry not present, level 1');
  });

  it.each([3, 4, 5, 6])('refuses a NextLevel of %i at level 3', (next) => {
    const words: Words = [[ROOT + 8n, table(MIDDLE, next)]];
    expect(reasonOf(words, access(IOVA), MODE_3)).toBe('next level not below, level 3');
  });

  it('refuses addresses past the width of Mode, however the tables would alias them', () => {
    expect(reasonOf(THREE, access(IOVA | (1n << 39n)), MODE_3)).toBe('address past the width');
    expect(reasonOf(THREE, access(IOVA | (1n << 63n)), MODE_3)).toBe('address past the width');
  });

  it.each([
    ['the device table entry', -1],
    ['level 3', 0],
    ['level 2', 1],
    ['level 1', 2],
  ])('needs IR and IW in %s', (_, which) => {
    const without = (word: bigint, bit: number): bigint => word & ~(1n << BigInt(bit));
    for (const [bit, allowed, denied] of [
      [61, 'w', 'r'],
      [62, 'r', 'w'],
    ] as const) {
      const words = THREE.map(([at, word], i) => [at, i === which ? without(word, bit) : word] as const);
      const entry = [which === -1 ? without(host(3), bit) : host(3)];
      expect(one(words, access(IOVA, allowed), { entry }).ok).toBe(true);
      expect(one(words, access(IOVA, denied), { entry })).toMatchObject({ ok: false, code: 2 });
      expect(one(words, access(IOVA, 'rw'), { entry })).toMatchObject({ ok: false, code: 2 });
    }
  });

  it('refuses absent entries at each level, where it stops reading', () => {
    for (const [i, level] of [3, 2, 1].entries()) {
      const words = THREE.map(([at, word], at2) => [at, at2 === i ? word & ~1n : word] as const);
      expect(reasonOf(words, access(IOVA), MODE_3)).toBe(`entry not present, level ${level}`);
      expect(one(words, access(IOVA), MODE_3).accesses).toHaveLength(2 + i);
    }
  });

  it('refuses reserved bits 56:52 of leaves and 60:52 of tables, and ignores 4:1, 8:7 and 63', () => {
    const set = (which: number, bits: bigint): Words =>
      THREE.map(([at, word], i) => [at, i === which ? word | bits : word] as const);
    for (let bit = 52n; bit <= 56n; bit++) {
      expect(reasonOf(set(2, 1n << bit), access(IOVA), MODE_3)).toBe('reserved bit, level 1');
    }
    for (let bit = 52n; bit <= 60n; bit++) {
      expect(reasonOf(set(1, 1n << bit), access(IOVA), MODE_3)).toBe('reserved bit, level 2');
    }
    const ignored = 0x8000_0000_0000_019en;
    expect(one(set(1, ignored), access(IOVA), MODE_3).ok).toBe(true);
    // U and FC of a leaf do not decide an untranslated request.
    expect(one(set(2, ignored | (3n << 59n)), access(IOVA), MODE_3)).toMatchObject({ ok: true, pa: PAGE });
  });

  it('sets accessed bits on the way with HAD = 1, and the dirty bit of the leaf of a write with HAD = 3', () => {
    const updates = (had: bigint, kind: AccessKind): bigint[] =>
      one(THREE, access(IOVA, kind), { entry: [host(3) | (had << 7n)] })
        .accesses.filter((a) => a.kind === 'a')
        .map((a) => a.address);
    expect(updates(0n, 'w')).toEqual([]);
    expect(updates(1n, 'w')).toEqual([ROOT + 8n, MIDDLE + 16n, LAST + 24n]);
    const again = vector(THREE, [access(IOVA), access(IOVA), access(IOVA, 'w'), access(IOVA, 'w')], {
      entry: [host(3) | (3n << 7n)],
    });
    const kinds = amdviReference.answer(again).map(({ accesses }) => accesses.map(({ kind }) => kind).join(''));
    expect(kinds).toEqual(['rrarara', 'rrrr', 'rrrra', 'rrrr']);
  });
});

/** Guest tables: 4 levels at physical addresses (Mode 0), PASID 5, GVA with indices 1, 2, 3, 4. */
const GCR3 = 0x1_0800_0000n;
const G4 = 0x1_0900_0000n;
const G3 = 0x1_0901_0000n;
const G2 = 0x1_0902_0000n;
const G1 = 0x1_0903_0000n;
const GVA = (1n << 39n) | (2n << 30n) | (3n << 21n) | (4n << 12n);
/** P, RW, US, A, D. */
const GUEST_FLAGS = 0x67n;
const GT_ON = 1n | (1n << 16n);

function guestEntry(gcr3: bigint, glx: number, first = V | TV | READ_WRITE, fiveLevels = false): bigint[] {
  return [
    first | (1n << 55n) | (BigInt(glx) << 56n) | (((gcr3 >> 12n) & 7n) << 58n),
    (((gcr3 >> 15n) & 0xffffn) << 16n) | ((gcr3 >> 31n) << 43n),
    fiveLevels ? 1n << 54n : 0n,
  ];
}

const GUEST: Words = [
  [GCR3 + 8n * 5n, G4 | 1n],
  [G4 + 8n, G3 | GUEST_FLAGS],
  [G3 + 16n, G2 | GUEST_FLAGS],
  [G2 + 24n, G1 | GUEST_FLAGS],
  [G1 + 32n, PAGE | GUEST_FLAGS],
];
const GUEST_ON: Extra = { control: GT_ON, entry: guestEntry(GCR3, 0) };
const five = (kind: AccessKind = 'r', more: Partial<VectorAccess> = {}): VectorAccess =>
  access(GVA, kind, { pasid: 5, ...more });

describe('guest translation (2.2.6)', () => {
  it('takes 1 + G + 4 reads', () => {
    const answer = one(GUEST, five(), GUEST_ON);
    expect(answer).toMatchObject({ ok: true, pa: PAGE, size: 0x1000n });
    expect(answer.accesses.map((a) => a.address)).toEqual([
      ...[ENTRY, GCR3 + 40n, G4 + 8n, G3 + 16n, G2 + 24n, G1 + 32n],
    ]);
  });

  it.each([1, 2])('selects 9 bits of the PASID with each of GLX %i + 1 levels', (glx) => {
    const top = glx === 1 ? 0x1_0700_0000n : 0x1_0600_0000n;
    const words: Words = [
      ...GUEST,
      [0x1_0600_0000n + 8n * 3n, 0x1_0700_0001n],
      [0x1_0700_0000n + 8n * 0x155n, GCR3 | 1n],
    ];
    const pasid = ((glx === 2 ? 3 : 0) << 18) | (0x155 << 9) | 5;
    const extra = { control: GT_ON, entry: guestEntry(top, glx) };
    const answer = one(words, five('r', { pasid }), extra);
    expect(answer).toMatchObject({ ok: true, pa: PAGE });
    expect(answer.accesses).toHaveLength(1 + glx + 1 + 4);
    expect(reasonOf(words, five('r', { pasid: pasid ^ (1 << 9) }), extra)).toBe('GCR3 entry not valid, level 2');
  });

  it('refuses PASIDs past the table, unknown ones, and any where there is no guest translation', () => {
    expect(reasonOf(GUEST, five('r', { pasid: 512 }), GUEST_ON)).toBe('PASID past the GCR3 table');
    expect(reasonOf(GUEST, five('r', { pasid: 6 }), GUEST_ON)).toBe('GCR3 entry not valid, level 1');
    expect(one(THREE, five(), { ...MODE_3, control: GT_ON })).toMatchObject({ ok: false, code: 8 });
  });

  it('translates requests without PASID by PASID 0 with GIOV, otherwise by the host alone', () => {
    const words: Words = [...GUEST, [GCR3, G4 | 1n]];
    const giov = { control: GT_ON, entry: guestEntry(GCR3, 0, V | TV | READ_WRITE | (1n << 54n)) };
    expect(one(words, access(GVA), giov)).toMatchObject({ ok: true, pa: PAGE });
    expect(one(words, access(0x7000n), GUEST_ON)).toMatchObject({ ok: true, pa: 0x7000n });
    const nested = { control: GT_ON, entry: guestEntry(GCR3, 0, host(3)) };
    expect(one([...words, ...THREE], access(IOVA), nested)).toMatchObject({ ok: true, pa: PAGE });
  });

  it.each([
    [2, 0x20_0000n],
    [3, 0x4000_0000n],
  ])('PS at level %i is a page', (level, size) => {
    const entry = 0x1_4000_0000n | GUEST_FLAGS | 0x80n;
    const words = GUEST.map(([at, word]) => [at, at === (level === 2 ? G2 + 24n : G3 + 16n) ? entry : word] as const);
    const offset = GVA & (size - 1n);
    const answer = one(words, five(), GUEST_ON);
    expect(answer).toMatchObject({ ok: true, pa: 0x1_4000_0000n | offset, size });
    const reserved = words.map(([at, word]) => [at, word === entry ? word | 0x2000n : word] as const);
    expect(reasonOf(reserved, five(), GUEST_ON)).toBe(`guest reserved bit, level ${level}`);
    const pat = words.map(([at, word]) => [at, word === entry ? word | 0x1000n : word] as const);
    expect(one(pat, five(), GUEST_ON).ok).toBe(true);
  });

  it('has no pages at level 4', () => {
    const words = GUEST.map(([at, word]) => [at, at === G4 + 8n ? word | 0x80n : word] as const);
    expect(reasonOf(words, five(), GUEST_ON)).toBe('guest reserved bit, level 4');
  });

  it('takes five levels with GuestPagingMode 1', () => {
    const top = 0x1_0a00_0000n;
    const words: Words = [...GUEST.slice(1), [GCR3 + 40n, top | 1n], [top + 8n * 0x100n, G4 | GUEST_FLAGS]];
    const extra = { control: GT_ON, entry: guestEntry(GCR3, 0, V | TV | READ_WRITE, true) };
    const upper = GVA | 0xff00_0000_0000_0000n;
    const answer = one(words, five('r', { iova: upper }), extra);
    expect(answer).toMatchObject({ ok: true, pa: PAGE });
    expect(answer.accesses).toHaveLength(1 + 1 + 5);
    expect(reasonOf(words, five('r', { iova: GVA | (1n << 56n) }), extra)).toBe('guest address not canonical');
    expect(reasonOf(GUEST, five('r', { iova: GVA | (1n << 47n) }), GUEST_ON)).toBe('guest address not canonical');
  });

  it.each([
    ['write denied', 'w', 'r', 2n, 0n, {}],
    ['execute denied', 'x', 'r', 0n, 1n << 63n, {}],
    ['supervisor page', 'r', 'r', 4n, 0n, { privileged: true }],
  ] as const)('%s: at every level', (reason, denied, allowed, clear, set, more) => {
    for (const [i, level] of [4, 3, 2, 1].entries()) {
      const words = GUEST.map(([at, word], at2) => [at, at2 === i + 1 ? (word & ~clear) | set : word] as const);
      expect(reasonOf(words, five(denied), GUEST_ON)).toBe(`guest ${reason}, level ${level}`);
      expect(one(words, five(allowed, more), GUEST_ON).ok).toBe(true);
    }
  });

  it('honours read-only pages for supervisors too', () => {
    const words = GUEST.map(([at, word]) => [at, at === G1 + 32n ? word & ~2n : word] as const);
    expect(reasonOf(words, five('w', { privileged: true }), GUEST_ON)).toBe('guest write denied, level 1');
  });

  it('sets A in each entry and D in the leaf of a write, once', () => {
    const clean = GUEST.map(([at, word], i) => [at, i === 0 ? word : word & ~0x60n] as const);
    const accesses = [five(), five(), five('w'), five('rw')];
    const kinds = amdviReference
      .answer(vector(clean, accesses, GUEST_ON))
      .map((answer) => answer.accesses.map(({ kind }) => kind).join(''));
    expect(kinds).toEqual(['rrrararara', 'rrrrrr', 'rrrrrra', 'rrrrrr']);
  });

  it('takes GLX 3 and unknown guest paging modes for an illegal entry, even without PASID', () => {
    const [first, second] = guestEntry(GCR3, 3) as [bigint, bigint];
    expect(one(GUEST, access(0n), { control: GT_ON, entry: [first, second] })).toMatchObject({ ok: false, code: 1 });
    const entry = [...guestEntry(GCR3, 0).slice(0, 2), 2n << 54n];
    expect(one(GUEST, five(), { control: GT_ON, entry })).toMatchObject({ ok: false, code: 1 });
  });
});

/**
 * Nested: guest-physical page n of the tables is at PLACES[n]; the host maps them in Mode m with one leaf table (entries 0, 1, ...
 * at the lowest indices, upper tables with entry 0), and the guest's page last.
 */
function nested(mode: number, gcr3IsGuestPhysical: boolean, glx: number): { words: Words; extra: Extra } {
  const physical = Array.from({ length: 8 }, (_, i) => 0x1_0c00_0000n + BigInt(i) * 0x1_1000n);
  const words: [bigint, bigint][] = [];
  for (let level = mode; level > 1; level--)
    words.push([ROOT + BigInt(level) * 4096n, table(ROOT + BigInt(level - 1) * 4096n, level - 1)]);
  for (const [i, spa] of [...physical, PAGE].entries()) words.push([ROOT + 4096n + 8n * BigInt(i), leaf(spa)]);
  // Pages 0 to 3: guest tables of levels 4 to 1; 4 to 6: GCR3 levels from the lowest.
  const indices = [1n, 2n, 3n, 4n];
  for (const [i, index] of indices.entries())
    words.push([physical[i]! + 8n * index, (BigInt(i === 3 ? 8 : i + 1) << 12n) | GUEST_FLAGS]);
  const gcr3Of = (level: number): bigint => (gcr3IsGuestPhysical ? BigInt(4 + level) << 12n : physical[4 + level]!);
  words.push([physical[4]! + 40n, 1n]);
  for (let level = 1; level <= glx; level++) words.push([physical[4 + level]!, gcr3Of(level - 1) | 1n]);
  const entry = guestEntry(gcr3Of(glx), glx, host(mode, ROOT + BigInt(mode) * 4096n));
  return { words, extra: { control: GT_ON | (gcr3IsGuestPhysical ? 1n << 58n : 0n), entry } };
}

describe('nested translation', () => {
  const cases = [1, 2, 3, 4, 5, 6].flatMap((mode) => [0, 1, 2].map((glx) => [mode, glx] as const));
  it.each(cases)('Mode %i, GLX %i: 1 + G(m+1) + 4(m+1) + m reads, or 1 + G + 4(m+1) + m', (m, glx) => {
    const levels = glx + 1;
    const guestPhysical = nested(m, true, glx);
    const first = one(guestPhysical.words, five(), guestPhysical.extra);
    expect(first).toMatchObject({ ok: true, pa: PAGE, size: 0x1000n });
    expect(first.accesses).toHaveLength(1 + levels * (m + 1) + 4 * (m + 1) + m);
    const hostPhysical = nested(m, false, glx);
    const second = one(hostPhysical.words, five(), hostPhysical.extra);
    expect(second).toMatchObject({ ok: true, pa: PAGE });
    expect(second.accesses).toHaveLength(1 + levels + 4 * (m + 1) + m);
  });

  it('needs the permissions of both stages, and gives the smaller page', () => {
    const { words, extra } = nested(3, true, 0);
    const at = (address: bigint, change: (word: bigint) => bigint): Words =>
      words.map(([here, word]) => [here, here === address ? change(word) : word] as const);
    const leafOfPage = ROOT + 4096n + 64n;
    const readOnly = at(leafOfPage, (word) => word & ~(1n << 62n));
    expect(one(readOnly, five(), extra).ok).toBe(true);
    expect(reasonOf(readOnly, five('w'), extra)).toBe("write denied (of the guest's page, by the host), level 1");
    const absent = at(leafOfPage - 40n, () => 0n);
    expect(reasonOf(absent, five(), extra)).toBe('entry not present (of a guest table, by the host), level 1');
  });

  it('writes accessed bits of guest tables through the host table', () => {
    const { words, extra } = nested(2, true, 0);
    const leafTable = 0x1_0c00_0000n + 3n * 0x1_1000n;
    const unused = words.map(([at, word]) => [at, at === leafTable + 32n ? word & ~0x60n : word] as const);
    const answer = one(unused, five(), extra);
    expect(answer.accesses.filter(({ kind }) => kind === 'a')).toEqual([
      { kind: 'a', bytes: 8, address: leafTable + 32n },
    ]);
    const readOnly = unused.map(([at, word]) => [at, at === ROOT + 4096n + 24n ? word & ~(1n << 62n) : word] as const);
    expect(reasonOf(readOnly, five(), extra)).toBe('write denied (of a guest table, by the host), level 1');
  });
});

it('refuses what it does not model', () => {
  expect(() => amdviReference.answer({ ...vector([], []), architecture: 'vtd' })).toThrow(/vtd/);
});
