import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  bypasses,
  decodeTve,
  encodeBypassTve,
  encodeKillOne,
  encodePest,
  encodeTranslatingTve,
  FaultCode,
  killPageLg2,
  killPe,
  rteOf,
  Tve,
  withRte,
} from './format.js';

const hex = (hi: number, lo: number): string => ((BigInt(hi >>> 0) << 32n) | BigInt(lo >>> 0)).toString(16);

describe('TVE', () => {
  it.each([
    // Table address in bits 0:47 (>> 12), levels - 1 in 48:50, log2(bytes) - 11 in 51:55, page shift - 11 in 59:63.
    [0x1_2345_6000, 1, 9, 12, '1234560101'],
    [0x1_2345_6000, 2, 13, 16, '1234562505'],
    [0x7_0000_0000, 5, 9, 12, '7000008101'],
    [0x7_0000_0000, 1, 21, 21, '7000000d0a'],
    [0x7_0000_0000, 3, 9, 30, '7000004113'],
  ])('of a table at %x, %d levels of 2^%d TCEs, pages of 2^%d is %s', (root, levels, bits, page, text) => {
    const [hi, lo] = encodeTranslatingTve(root, levels, bits, page);
    expect(hex(hi, lo)).toBe(text);
    const tve = new Tve();
    decodeTve(hi, lo, tve);
    expect(tve).toMatchObject({ kind: 'translate', levels, indexBits: bits, pageLg2: page });
    expect((tve.rootHi >>> 0) * 2 ** 32 + (tve.rootLo >>> 0)).toBe(root);
  });

  it('that lets a range through holds bits 49:24 of both ends', () => {
    // Start in TVE[52:53]||[0:23], end in TVE[54:55]||[24:47], bits 51 and 56 set.
    expect(hex(...encodeBypassTve(0, 2 ** 36))).toBe('10001080');
    expect(hex(...encodeBypassTve(2 ** 48 + 2 ** 24, 2 ** 49))).toBe('10000001680');
  });

  it('range check accepts exactly [start, end)', () => {
    const chunk = fc.integer({ min: 0, max: 2 ** 26 - 1 });
    fc.assert(
      fc.property(chunk, chunk, chunk, fc.integer({ min: 0, max: 2 ** 24 - 1 }), (a, b, c, offset) => {
        const [start, end] = [Math.min(a, b), Math.max(a, b)];
        const tve = new Tve();
        decodeTve(...encodeBypassTve(start * 2 ** 24, end * 2 ** 24), tve);
        const address = c * 2 ** 24 + offset;
        expect(tve.kind).toBe('bypass');
        const inside = bypasses(tve, Math.floor(address / 2 ** 32), (address % 2 ** 32) | 0);
        expect(inside).toBe(c >= start && c < end);
      }),
    );
  });

  it('without table size, or with more than five levels, is invalid', () => {
    const tve = new Tve();
    decodeTve(0x123, 0x45670001, tve);
    expect(tve.kind).toBe('invalid');
    decodeTve(0x123, 0x4567a101, tve);
    expect(tve.kind).toBe('invalid');
  });
});

it('RTT entries are two bytes each, the first in the top of its word', () => {
  let [hi, lo] = withRte(0x100, 0x1ff, 0, 0);
  [hi, lo] = withRte(0x101, 2, hi, lo);
  [hi, lo] = withRte(0x102, 3, hi, lo);
  [hi, lo] = withRte(0x103, 4, hi, lo);
  expect(hex(hi, lo)).toBe('1ff000200030004');
  expect([0x100, 0x101, 0x102, 0x103].map((rid) => rteOf(rid, hi, lo))).toEqual([0x1ff, 2, 3, 4]);
});

it.each([
  [12, '2000001234567155'],
  [16, '3000001234561155'],
  [21, '3000001234402155'],
  [30, '3000001200003155'],
])('a kill of one page of 2^%d names endpoint, address and size: %s', (pageLg2, text) => {
  const address = 0x12_3456_7000;
  const start = address - (address % 2 ** pageLg2);
  const [hi, lo] = encodeKillOne(0x155, Math.floor(start / 2 ** 32), start | 0, pageLg2);
  expect(hex(hi, lo)).toBe(text);
  expect([killPageLg2(hi, lo), killPe(lo)]).toEqual([pageLg2, 0x155]);
});

it('a PEST entry holds cause, transaction type, requester and address', () => {
  const words = new Int32Array(4);
  encodePest(words, FaultCode.TcePage, true, 0x208, 1, 0x2345_6000);
  expect([hex(words[0]!, words[1]!), hex(words[2]!, words[3]!)]).toEqual(['8000200002080000', '8000000123456000']);
  encodePest(words, FaultCode.TceAccess, false, 0x208, 1, 0x2345_6000);
  expect(hex(words[0]!, words[1]!)).toBe('8200100002080000');
});
