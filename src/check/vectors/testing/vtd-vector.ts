/** A small VT-d vector for tests: legacy mode, one device, a three-level second stage with a page of 4 KiB and one of 2 MiB. */
import type { Vector, VectorAccess } from '../vector.js';

const ROOT = 0x1_0000_0000n;
const CONTEXT = 0x1_0000_1000n;
const TOP = 0x1_0000_2000n;
const MIDDLE = 0x1_0000_3000n;
const BOTTOM = 0x1_0000_4000n;
const PAGE = 0x1_0010_0000n;
const LARGE_PAGE = 0x1_0020_0000n;

/** Requester 00:01.0. */
export const RID = 0x08;
/** First byte of a page of 4 KiB that may be read, and of one of 2 MiB that may be read and written. */
export const SMALL = 0x3654_3000n;
export const LARGE = SMALL + 0x20_0000n - (SMALL & 0x1f_ffffn);

export const PLACES = { ROOT, CONTEXT, TOP, MIDDLE, BOTTOM, PAGE, LARGE_PAGE } as const;

const index = (address: bigint, level: number): bigint => (address >> BigInt(3 + 9 * level)) & 511n;

/** The words of that machine, with changes by address. */
export function words(changes: readonly (readonly [bigint, bigint])[] = []): Map<bigint, bigint> {
  return new Map([
    [ROOT, CONTEXT | 1n],
    [CONTEXT + 16n * BigInt(RID), TOP | 1n],
    [CONTEXT + 16n * BigInt(RID) + 8n, (5n << 8n) | 1n],
    [TOP + 8n * index(SMALL, 3), MIDDLE | 3n],
    [MIDDLE + 8n * index(SMALL, 2), BOTTOM | 3n],
    [MIDDLE + 8n * index(LARGE, 2), LARGE_PAGE | 0x83n],
    [BOTTOM + 8n * index(SMALL, 1), PAGE | 1n],
    ...changes,
  ]);
}

/** A vector of that machine; accesses are numbered from 0. */
export function vtdVector(
  accesses: readonly Partial<VectorAccess>[],
  changes: Partial<Omit<Vector, 'accesses'>> = {},
): Vector {
  return {
    architecture: 'vtd',
    config: [['aw', '39']],
    words: words(),
    tables: [],
    registers: [
      { offset: 0x20, bytes: 8, value: ROOT },
      { offset: 0x18, bytes: 4, value: 0x4000_0000n },
      { offset: 0x18, bytes: 4, value: 0x8000_0000n },
    ],
    accesses: accesses.map((access, id) => ({ id, rid: RID, pasid: null, iova: SMALL, kind: 'r', ...access })),
    ...changes,
  };
}
