/** Choice of page size, as Linux's pt_compute_best_pgsize and iommu_pgsize make it (drivers/iommu/generic_pt, drivers/iommu/iommu.c). */
import type { Format } from './format.js';

/** Upper 32 bits of an address as an int32; the lower ones are `address | 0`. */
export function high(address: number): number {
  return (address / 4294967296) | 0;
}

/** 2^n for n from 0 to 63: much faster than the operator. */
export const POWER: Float64Array = Float64Array.from({ length: 64 }, (_, n) => 2 ** n);

/** log2 of the largest power of two that divides a 64-bit number; 64 for zero. */
function alignment(hi: number, lo: number): number {
  if (lo !== 0) return 31 - Math.clz32(lo & -lo);
  return hi !== 0 ? 63 - Math.clz32(hi & -hi) : 64;
}

/** The leaf sizes that a table may use, as a bit set. */
export class PageSizes {
  private readonly lo: number;
  private readonly hi: number;

  /** Those of the format up to the table's height; only `allowed` ones (log2), if given. */
  constructor(format: Format, height: number, allowed?: readonly number[]) {
    const { leafSizes, levelOfSize } = format.templates;
    const usable = leafSizes.filter((size) => levelOfSize[size]! <= height && allowed?.includes(size) !== false);
    const bits = (from: number): number =>
      usable.filter((size) => size >> 5 === from).reduce((set, size) => set | (1 << size), 0);
    this.lo = bits(0);
    this.hi = bits(1);
  }

  /** log2 of the largest size, at most `largestLg2`, that divides both addresses and is not longer than `bytes`; 0 if none is. */
  best(iova: number, pa: number, bytes: number, largestLg2: number): number {
    const aligned = alignment(high(iova) | high(pa), iova | pa);
    const bytesHi = high(bytes);
    const fits = bytesHi !== 0 ? 63 - Math.clz32(bytesHi) : 31 - Math.clz32(bytes);
    const limit = Math.min(aligned, fits, largestLg2);
    const hi = limit >= 32 ? this.hi & (limit >= 63 ? -1 : (2 << (limit - 32)) - 1) : 0;
    if (hi !== 0) return 63 - Math.clz32(hi);
    const lo = limit >= 31 ? this.lo : this.lo & ((2 << limit) - 1);
    return lo !== 0 ? 31 - Math.clz32(lo) : 0;
  }
}
