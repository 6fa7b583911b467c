/** Steps of the DMA API that several strategies put together in their own order (drivers/iommu/dma-iommu.c, iommu.c). */
import type { Domain } from '../../domain.js';
import type { DmaSpace } from '../../domain-state.js';
import { Step } from '../../step.js';
import { type Call, type Thread, Wait } from '../../thread.js';
import type { Mapper } from '../mapper.js';

/** Bytes of the whole pages that hold [address, address + bytes). */
export function pageBytes({ page }: DmaSpace, address: number, bytes: number): number {
  return Math.ceil(((address % page) + bytes) / page) * page;
}

/** iommu_dma_alloc_iova: the first byte of whole pages of I/O addresses, 0 when none are left. */
export function* allocateIova(thread: Thread, space: DmaSpace, bytes: number): Call<number> {
  const pages = bytes / space.page;
  let pfn = space.iova.allocateLocal(thread, pages);
  if (pfn === 0) pfn = yield* space.iova.allocate(thread, pages);
  return pfn * space.page;
}

/** free_iova_fast. */
export function* freeIova(thread: Thread, space: DmaSpace, iova: number, bytes: number): Call<void> {
  const pfn = iova / space.page;
  const pages = bytes / space.page;
  if (space.iova.freesLocally(thread, pages)) space.iova.freeLocal(thread, pfn, pages);
  else yield* space.iova.free(thread, pfn, pages);
}

/** iommu_unmap_fast: clears the entries, and tells units that want to hear of every unmap. Unlinked table pages go to `freed`. */
export function* removeRange(
  mapper: Mapper,
  thread: Thread,
  domain: Domain,
  space: DmaSpace,
  iova: number,
  bytes: number,
  freed: number[],
): Call<void> {
  thread.charge(Step.Table, space.code.unmap.call);
  yield Wait.Run;
  mapper.clear(thread, domain, space, iova, bytes, freed);
  const { driver } = domain;
  if (driver.forgetRange !== undefined) yield* driver.forgetRange(thread, domain, iova, bytes);
}
