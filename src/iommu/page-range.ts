/** Address ranges of invalidations, in 4 KiB pages: the aligned power of two that most commands name, and any other. */

/** 2^n for n from 0 to 127: much faster than the operator. */
export const POWER: Float64Array = Float64Array.from({ length: 128 }, (_, n) => 2 ** n);

/** An address range of 4 KiB << addressMask bytes, naturally aligned. */
export interface PageRange {
  readonly hi: number;
  readonly lo: number;
  readonly addressMask: number;
}

/** 4 KiB pages from `first` on, both doubles. */
export interface Pages {
  readonly first: number;
  readonly count: number;
}

/** The range and region `number` of 2^spanLg2 bytes overlap: compared as numbers of the larger of the two. */
export function meets(range: PageRange, number: number, spanLg2: number): boolean {
  const largerLg2 = Math.max(spanLg2, 12 + range.addressMask);
  const start = ((range.hi >>> 0) * 4294967296 + (range.lo >>> 0)) / POWER[largerLg2]!;
  return Math.floor(number / POWER[largerLg2 - spanLg2]!) === Math.floor(start);
}

/** The leaf of 2^sizeLg2 bytes that contains the 4 KiB page number pageHi:pageLo lies in the range, or contains it. */
export function containsPage(range: PageRange, pageHi: number, pageLo: number, sizeLg2: number): boolean {
  const page = (pageHi >>> 0) * 4294967296 + (pageLo >>> 0);
  return meets(range, Math.floor(page / POWER[sizeLg2 - 12]!), sizeLg2);
}

/** The pages of a range. */
export function pagesOf({ hi, lo, addressMask }: PageRange): Pages {
  const page = (hi >>> 0) * 1048576 + (lo >>> 12);
  if (addressMask === 0) return { first: page, count: 1 };
  const count = POWER[addressMask]!;
  return { first: Math.floor(page / count) * count, count };
}
