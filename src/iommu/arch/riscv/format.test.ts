import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  Command,
  Control,
  Cause,
  DecodedCommand,
  decodeCommand,
  deviceEntryOffset,
  deviceIdBits,
  Dword,
  encodeDeviceContext,
  encodeDirectoryEntry,
  encodeFaultRecord,
  encodeInvalidation,
  encodeProcessContext,
  encodeQueueBaseLo,
  encodeStoringFence,
  guestId,
  levelsOfMode,
  modeOfLevels,
  pageNumberHi,
  pointerHi,
  pointerLo,
  processEntryOffset,
  processTag,
  queueEntriesLg2,
  rootHi,
  rootLo,
  rootMode,
  TransactionType,
} from './format.js';

const ALL = { nonLeaf: true, ranges: true, wiredFences: true };
const page = fc.nat(2 ** 40 - 1).map((n) => n * 4096);
const address = (hi: number, lo: number): number => (hi >>> 0) * 2 ** 32 + (lo >>> 0);
const qword = (words: Int32Array, n: number): bigint =>
  (BigInt(words[2 * n + 1]! >>> 0) << 32n) | BigInt(words[2 * n]! >>> 0);
const bits = (word: bigint, high: number, low: number): number =>
  Number((word >> BigInt(low)) & ((1n << BigInt(high - low + 1)) - 1n));

describe('device ids', () => {
  it.each([
    [false, [7, 16, 24]],
    [true, [6, 15, 24]],
  ])('extended contexts %s: bits by levels', (extended, widths) => {
    expect([1, 2, 3].map((levels) => deviceIdBits(extended, levels))).toEqual(widths);
  });

  it('select an entry at each level', () => {
    expect([3, 2, 1].map((level) => deviceEntryOffset(false, level, 0xabcdef))).toEqual([
      0xab * 8,
      0x19b * 8,
      0x6f * 32,
    ]);
    expect([3, 2, 1].map((level) => deviceEntryOffset(true, level, 0xabcdef))).toEqual([
      0x157 * 8,
      0x137 * 8,
      0x2f * 64,
    ]);
  });

  it('process ids too', () => {
    expect([3, 2, 1].map((level) => processEntryOffset(level, 0xabcde))).toEqual([5 * 8, 0xbc * 8, 0xde * 16]);
  });
});

describe('pointers', () => {
  it('of directory entries and queue bases lie in bits 53:10', () => {
    fc.assert(
      fc.property(page, (table) => {
        const words = new Int32Array(2);
        encodeDirectoryEntry(words, table);
        expect(bits(qword(words, 0), 53, 10)).toBe(table / 4096);
        expect(bits(qword(words, 0), 9, 0)).toBe(1);
        expect(address(pointerHi(words[1]!, words[0]!), pointerLo(words[0]!))).toBe(table);
        const lo = encodeQueueBaseLo(table, 13);
        expect(address(pointerHi(pageNumberHi(table), lo), pointerLo(lo))).toBe(table);
        expect(queueEntriesLg2(lo)).toBe(13);
      }),
    );
  });
});

describe('contexts', () => {
  it('hold what they are given, where the specification says', () => {
    const words = new Int32Array(16);
    fc.assert(
      fc.property(page, page, fc.nat(0xffff), fc.nat(0xfffff), (secondRoot, firstRoot, gscid, pscid) => {
        const control = Control.FirstUpdates;
        encodeDeviceContext(
          words,
          {
            control,
            secondRoot,
            secondLevels: 5,
            gscid,
            firstRoot,
            firstLevels: 3,
            pscid,
            msiTable: 4096,
            msiMask: 7,
            msiPattern: 2 ** 40,
          },
          true,
        );
        expect(qword(words, 0)).toBe(0x101n);
        expect([bits(qword(words, 1), 43, 0), bits(qword(words, 1), 59, 44), bits(qword(words, 1), 63, 60)]).toEqual([
          ...[secondRoot / 4096, gscid, 10],
        ]);
        expect(qword(words, 2)).toBe(BigInt(pscid) << 12n);
        expect([bits(qword(words, 3), 43, 0), bits(qword(words, 3), 63, 60)]).toEqual([firstRoot / 4096, 8]);
        expect([qword(words, 4), qword(words, 5), qword(words, 6), qword(words, 7)]).toEqual([
          (1n << 60n) | 1n,
          7n,
          1n << 40n,
          0n,
        ]);
        const [lo, hi] = [words[Dword.Second]!, words[Dword.Second + 1]!];
        expect([address(rootHi(hi, lo), rootLo(lo)), guestId(hi), levelsOfMode(rootMode(hi))]).toEqual([
          secondRoot,
          gscid,
          5,
        ]);
        encodeProcessContext(words, { control: 4, pscid, root: firstRoot, levels: 4 });
        expect(qword(words, 0)).toBe((BigInt(pscid) << 12n) | 5n);
        expect(processTag(words[0]!)).toBe(pscid);
        expect([bits(qword(words, 1), 43, 0), bits(qword(words, 1), 63, 60)]).toEqual([firstRoot / 4096, 9]);
      }),
    );
  });

  it('modes and levels', () => {
    for (const levels of [0, 3, 4, 5]) expect(levelsOfMode(modeOfLevels(levels))).toBe(levels);
    expect([1, 7, 11, 15].map(levelsOfMode)).toEqual([-1, -1, -1, -1]);
  });
});

describe('commands', () => {
  const words = new Int32Array(4);
  const decoded = new DecodedCommand();

  it('an invalidation comes back as it was written', () => {
    const maybe = (most: number): fc.Arbitrary<number> => fc.oneof(fc.constant(-1), fc.nat(most));
    const where = fc.oneof(fc.constant(-1), page);
    fc.assert(
      fc.property(
        maybe(0xfffff),
        maybe(0xffff),
        where,
        fc.nat(40),
        fc.boolean(),
        (pscid, gscid, at, pagesLg2, nonLeaf) => {
          encodeInvalidation(words, 0, Command.InvalidateFirst, { pscid, gscid, address: at, pagesLg2, nonLeaf });
          expect(decodeCommand(words, ALL, decoded)).toBe(true);
          expect([decoded.byPscid, decoded.byGscid, decoded.byAddress]).toEqual([pscid >= 0, gscid >= 0, at >= 0]);
          expect(decoded.nonLeaf).toBe(nonLeaf);
          if (pscid >= 0) expect(decoded.pscid).toBe(pscid);
          if (gscid >= 0) expect(decoded.gscid).toBe(gscid);
          if (at < 0) return;
          expect(decoded.pagesLg2).toBe(pagesLg2);
          const size = 4096 * 2 ** pagesLg2;
          expect(address(decoded.addressHi, decoded.addressLo)).toBe(Math.floor(at / size) * size);
        },
      ),
    );
  });

  it.each([
    // Bits 61:10 of the second doubleword: the first zero tells the size.
    [0x7n, 4],
    [0x10n, 1],
    [0x11n, 2],
    [(1n << 40n) - 1n, 41],
    [(1n << 52n) - 1n, 52],
  ])('range %s', (field, pagesLg2) => {
    const word = (field << 10n) | (1n << 9n);
    words.set([Command.InvalidateFirst | (1 << 10), 0, Number(word & 0xffffffffn) | 0, Number(word >> 32n) | 0]);
    expect(decodeCommand(words, ALL, decoded)).toBe(true);
    expect(decoded.pagesLg2).toBe(pagesLg2);
    const size = 1n << BigInt(pagesLg2);
    expect(BigInt(address(decoded.addressHi, decoded.addressLo))).toBe((field / size) * size * 4096n);
  });

  it('a fence stores a dword at any aligned address', () => {
    fc.assert(
      fc.property(fc.nat(2 ** 44), fc.integer(), (n, data) => {
        encodeStoringFence(words, 0, true, 4 * n, data);
        expect(decodeCommand(words, ALL, decoded)).toBe(true);
        expect(decoded).toMatchObject({ stores: true, drains: true, data });
        expect(address(decoded.addressHi, decoded.addressLo)).toBe(4 * n);
      }),
    );
  });
});

it('a fault record', () => {
  const words = new Int32Array(8);
  const rest = { addressHi: 1, addressLo: 2, secondHi: 3, secondLo: 4 };
  encodeFaultRecord(words, {
    ...rest,
    cause: Cause.WriteGuestPage,
    type: TransactionType.Write,
    deviceId: 0xabcdef,
    processId: 0x54321,
    privileged: true,
  });
  const head = qword(words, 0);
  expect([bits(head, 11, 0), bits(head, 31, 12), bits(head, 33, 32), bits(head, 39, 34), bits(head, 63, 40)]).toEqual([
    ...[23, 0x54321, 3, 3, 0xabcdef],
  ]);
  expect([1, 2, 3].map((n) => qword(words, n))).toEqual([0n, 0x1_0000_0002n, 0x3_0000_0004n]);
});
