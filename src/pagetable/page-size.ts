/** Choice of page size, as Linux's pt_compute_best_pgsize and iommu_pgsize make it (drivers/iommu/generic_pt, drivers/iommu/iommu.c). */
import type { Format } from './format.js';

/** Upper 32 bits of an address as an int32; the lower ones are `address | 0`. */
export function high(address: number): number {
  return (address / 4294967296) | 0;
}

/** Largest leaf of the format, at most 2^largestLg2 bytes and at most as high as the table, that fits here; 0 if none does. */
export function bestPageSize(
  format: Format,
  height: number,
  iova: number,
  pa: number,
  bytes: number,
  largestLg2: number,
): number {
  const low = iova | pa;
  for (const size of format.leafSizes) {
    const level = format.levelOfSize[size]!;
    if (size > largestLg2 || format.span[level]! > bytes || level > height) continue;
    const aligned =
      size < 32
        ? (low & ((1 << size) - 1)) === 0
        : low === 0 && ((high(iova) | high(pa)) & ((1 << (size - 32)) - 1)) === 0;
    if (aligned) return size;
  }
  return 0;
}
