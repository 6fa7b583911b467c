/**
 * The one range that a page-selective invalidation of VT-d or AMD-Vi can name: a naturally aligned power of two of pages that covers
 * everything asked for (calculate_psi_aligned_address in drivers/iommu/intel/cache.c, build_inv_address in drivers/iommu/amd/iommu.c).
 * Two pages on both sides of a high boundary cover it whole.
 */

const PAGE = 4096;

/** Address mask: log2 of the pages of the smallest aligned block that contains [iova, iova + bytes), whole pages below 2^53. */
export function addressMask(iova: number, bytes: number): number {
  let first = iova / PAGE;
  let last = first + bytes / PAGE - 1;
  let mask = 0;
  while (first !== last) {
    first = Math.floor(first / 2);
    last = Math.floor(last / 2);
    mask++;
  }
  return mask;
}

/** Start of that block. */
export function blockStart(iova: number, mask: number): number {
  if (mask === 0) return iova;
  const size = PAGE * 2 ** mask;
  return Math.floor(iova / size) * size;
}

/** 2^mask pages from `start`, naturally aligned. */
export interface Block {
  readonly start: number;
  readonly mask: number;
}

/** The smallest that contains [iova, iova + bytes). */
export function coveringBlock(iova: number, bytes: number): Block {
  const mask = addressMask(iova, bytes);
  return { start: blockStart(iova, mask), mask };
}
