/** Where releases of QEMU part from the specification, case by case, and that they agree on what the common mode is made of. */
import { describe, expect, it } from 'vitest';
import { explainAmdvi } from '../reference/amdvi.js';
import { emulatorsAgree } from './amdvi-emulators.js';
import type { AccessKind, Vector } from './vector.js';

const DEVICE_TABLE = 0x1_0000_0000n;
const ROOT = 0x1_0100_0000n;
const NEXT = 0x1_0200_0000n;
const LAST = 0x1_0300_0000n;
const PAGE = 0x1_4000_0000n;
const RID = 8;
const R = 1n << 61n;
const W = 1n << 62n;
const RW = R | W;

const host = (mode: number, grants = RW): bigint => 3n | (BigInt(mode) << 9n) | ROOT | grants;
const table = (address: bigint, next: number, grants = RW): bigint => 1n | (BigInt(next) << 9n) | address | grants;
const leaf = (address: bigint, grants = RW): bigint => 1n | address | grants;
const coded = (address: bigint, sizeLg2: number): bigint =>
  leaf(address) | (7n << 9n) | (((1n << BigInt(sizeLg2 - 1)) - 1n) & ~0xfffn);

interface Case {
  readonly entry: readonly bigint[];
  readonly words?: readonly (readonly [bigint, bigint])[];
  readonly iova?: bigint;
  readonly kind?: AccessKind;
  readonly rid?: number;
}

function agree({ entry, words = [], iova = 0n, kind = 'r', rid = RID }: Case): boolean {
  const vector: Vector = {
    architecture: 'amdvi',
    config: [],
    words: new Map([...entry.map((word, i) => [DEVICE_TABLE + BigInt(32 * rid + 8 * i), word] as const), ...words]),
    tables: [],
    registers: [
      { offset: 0, bytes: 8, value: DEVICE_TABLE },
      { offset: 0x18, bytes: 8, value: 1n },
    ],
    accesses: [{ id: 0, rid, pasid: null, iova, kind }],
  };
  const { answer } = explainAmdvi(vector)[0]!;
  return emulatorsAgree(vector, vector.accesses[0]!, answer.ok ? answer.pa : undefined);
}

const mode2 = (last: bigint, upper = table(LAST, 1)): Pick<Case, 'words'> => ({
  words: [
    [ROOT, upper],
    [LAST, last],
  ],
});

describe('releases of QEMU agree with the specification', () => {
  it.each<[string, Case]>([
    ['V = 0', { entry: [0n], iova: PAGE }],
    ['V = 0 with fields that do not matter', { entry: [RW | ROOT | (7n << 9n)], iova: PAGE }],
    ['V = 1, TV = 0 without permissions', { entry: [1n] }],
    ['a reserved bit', { entry: [host(2) | 4n], ...mode2(leaf(PAGE)) }],
    ['Mode 7', { entry: [host(7)] }],
    ['Mode 0 with the permission', { entry: [3n | R], iova: PAGE }],
    ['a 4 KiB page', { entry: [host(2)], ...mode2(leaf(PAGE)), iova: 0x123n }],
    ['an absent entry', { entry: [host(2)], ...mode2(0n) }],
    ['an absent entry without permissions', { entry: [host(2)], ...mode2(PAGE | (3n << 9n)) }],
    ['an absent table entry', { entry: [host(2)], words: [[ROOT, table(LAST, 1) & ~1n]] }],
    ['a write to a read-only page', { entry: [host(2)], ...mode2(leaf(PAGE, R)), kind: 'w' }],
    ['a read of a read-only page', { entry: [host(2)], ...mode2(leaf(PAGE, R)) }],
    ['a table without permissions', { entry: [host(2)], ...mode2(leaf(PAGE), table(LAST, 1, 0n)) }],
    ['a device without permissions', { entry: [host(2, 0n)], ...mode2(leaf(PAGE)) }],
    ['the beginning of a 2 MiB page', { entry: [host(2)], words: [[ROOT, leaf(PAGE)]], iova: 0xfffn }],
    ['the beginning of a 1 GiB page', { entry: [host(3)], words: [[ROOT, leaf(PAGE)]], iova: 0x1f_ffffn }],
    ['an address past the width that hits nothing', { entry: [host(1)], iova: 1n << 21n }],
  ])('%s', (_, entry) => {
    expect(agree(entry)).toBe(true);
  });

  it('every size code of every level, at the end of the page', () => {
    for (let level = 1; level <= 5; level++) {
      const natural = 12 + 9 * (level - 1);
      for (let size = natural + 1; size < natural + 9 && size <= 51; size++) {
        const replica = (1n << BigInt(size - natural)) - 1n;
        const words = [[ROOT + 8n * replica, coded(0n, size)] as const];
        const found = agree({ entry: [host(level)], words, iova: (1n << BigInt(size)) - 8n });
        expect(found, `2^${size} at level ${level}`).toBe(true);
      }
    }
  });
});

describe('releases of QEMU part, so the common mode avoids', () => {
  it.each<[string, Case]>([
    ['a device id past the table, before memory that looks like an entry', { entry: [3n | RW], rid: 128 }],
    ['reserved bits in an entry with V = 0', { entry: [4n] }],
    ['HAD', { entry: [host(2) | (3n << 7n)], ...mode2(leaf(PAGE)) }],
    ['V = 1, TV = 0 with permissions', { entry: [1n | RW] }],
    ['Mode 0 without the permission', { entry: [3n | R], kind: 'w' }],
    ['a reserved bit in a leaf', { entry: [host(2)], ...mode2(leaf(PAGE) | (1n << 52n)) }],
    ['a size code of another level', { entry: [host(2)], words: [[ROOT, coded(PAGE, 16)]] }],
    ['a leaf at level 6', { entry: [host(6)], words: [[ROOT, leaf(PAGE)]] }],
    ['a table entry at level 1', { entry: [host(1)], words: [[ROOT, table(PAGE, 1)]] }],
    [
      'a level skipped',
      {
        entry: [host(3)],
        words: [
          [ROOT, table(LAST, 1)],
          [LAST + 8n, leaf(PAGE)],
        ],
        iova: 0x1000n,
      },
    ],
    ['an address past the width that aliases', { entry: [host(1)], words: [[ROOT, leaf(PAGE)]], iova: 1n << 21n }],
    ['an absent entry that looks like a page', { entry: [host(2)], ...mode2(leaf(PAGE) & ~1n) }],
    [
      'a table that denies what its page grants',
      { entry: [host(2)], ...mode2(leaf(PAGE), table(LAST, 1, R)), kind: 'w' },
    ],
    ['a device that denies what the page grants', { entry: [host(2, R)], ...mode2(leaf(PAGE)), kind: 'w' }],
    [
      'entries that together grant nothing, one of which grants it',
      { entry: [host(2, R)], ...mode2(leaf(PAGE, 0n), table(NEXT, 1, W)), kind: 'w' },
    ],
    ['the second 4 KiB of a 2 MiB page', { entry: [host(2)], words: [[ROOT, leaf(PAGE)]], iova: 0x1000n }],
    ['the second 2 MiB of a 1 GiB page', { entry: [host(3)], words: [[ROOT, leaf(PAGE)]], iova: 0x20_0000n }],
    ['atomics', { entry: [0n], iova: PAGE, kind: 'rw' }],
  ])('%s', (_, entry) => {
    expect(agree(entry)).toBe(false);
  });
});
