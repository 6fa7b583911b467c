import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { addressMask, blockStart } from './flush-range.js';

const PAGE = 4096;

describe('range of a page-selective invalidation', () => {
  it.each([
    [0x1000, 1, 0, 0x1000],
    [0x2000, 2, 1, 0x2000],
    [0x1000, 2, 2, 0],
    // Two pages on both sides of 1 GiB: 2 GiB.
    [0x3ffff000, 2, 19, 0],
    [0x200000, 512, 9, 0x200000],
    [0x1ff000, 512, 10, 0],
  ])('0x%s, %i pages: mask %i from %i', (iova, pages, mask, start) => {
    expect(addressMask(iova, pages * PAGE)).toBe(mask);
    expect(blockStart(iova, mask)).toBe(start);
  });

  it('is the smallest naturally aligned power of two that covers everything', () => {
    fc.assert(
      fc.property(fc.nat(2 ** 30), fc.integer({ min: 1, max: 5000 }), (pfn, pages) => {
        const iova = (2 ** 34 + pfn) * PAGE;
        const mask = addressMask(iova, pages * PAGE);
        const covers = (m: number): boolean => blockStart(iova, m) + PAGE * 2 ** m >= iova + pages * PAGE;
        expect(covers(mask)).toBe(true);
        if (mask > 0) expect(covers(mask - 1)).toBe(false);
      }),
    );
  });
});
