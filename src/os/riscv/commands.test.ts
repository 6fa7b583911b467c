import { describe, expect, it } from 'vitest';
import { UNIT } from '../testing/machine.js';
import { EVERYTHING, planRange } from './commands.js';

const PAGE = 4096;
const MIB2 = 2 ** 21;
const plain = { ...UNIT, invalidation: { sizeLg2: 13, maxAddressMask: 0, queues: 1 } };
const extended = { ...UNIT, invalidation: { sizeLg2: 13, maxAddressMask: 52, queues: 1 } };

describe('invalidation of a range', () => {
  // riscv_iommu_tlbi_calc: one aligned power of two.
  it.each([
    [0x7000, 0x2000, 0, 4],
    [0x1ff000, 0x2000, 0, 10],
    [2 ** 32 - PAGE, 2 * PAGE, 0, 21],
    [0x5000, PAGE, 0x5000, 0],
  ])('with the range extension: 0x%i, %i bytes', (iova, bytes, start, pagesLg2) => {
    expect(planRange(extended, iova, bytes, false)).toEqual({ start, count: 1, step: 0, pagesLg2, nonLeaf: false });
    expect(planRange(extended, iova, bytes, true).nonLeaf).toBe(true);
  });

  it('without it: a command for each page, or large page', () => {
    expect(planRange(plain, 0x7000, 3 * PAGE, false)).toMatchObject({ start: 0x7000, count: 3, step: PAGE });
    // No table was freed, so what spanned the range were leaves of its size.
    expect(planRange(plain, MIB2, 3 * MIB2, false)).toMatchObject({ start: MIB2, count: 3, step: MIB2 });
    expect(planRange(plain, 2 ** 30, 2 ** 30, false)).toMatchObject({ count: 1, step: 2 ** 30 });
    expect(planRange(plain, MIB2 + PAGE, MIB2, false)).toMatchObject({ count: 512, step: PAGE });
  });

  it('everything of the address space when that is too many, or tables were freed', () => {
    expect(planRange(plain, PAGE, 513 * PAGE, false)).toBe(EVERYTHING);
    expect(planRange(plain, PAGE, PAGE, true)).toBe(EVERYTHING);
    const small = { ...UNIT, invalidation: { sizeLg2: 13, maxAddressMask: 9, queues: 1 } };
    expect(planRange(small, 0, 2 * MIB2, false)).toBe(EVERYTHING);
    expect(planRange(small, 0, MIB2, false)).toMatchObject({ pagesLg2: 9 });
  });
});
