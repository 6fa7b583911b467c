/**
 * Linux's way through the DMA API (drivers/iommu/dma-iommu.c: iommu_dma_map_phys, iommu_dma_unmap_phys; kernel/dma/mapping.c for
 * passthrough), with the order of the kernel: strict mode invalidates and waits before table pages and IOVA are given back, lazy
 * mode queues both. Not modelled: cache maintenance for devices that do not snoop.
 */
import type { Access } from '../../protocol/access.js';
import type { Domain } from '../domain.js';
import type { DmaSpace } from '../domain-state.js';
import { Step } from '../step.js';
import { type Call, type Thread, Wait } from '../thread.js';
import type { Mapper } from './mapper.js';
import type { DmaPath } from './path.js';

export class LinuxPath implements DmaPath {
  readonly statistics = null;

  constructor(private readonly mapper: Mapper) {}

  *map(thread: Thread, domain: Domain, pa: number, bytes: number, access: Access): Call<number> {
    const { space } = domain;
    if (space === null) return pa;
    const { page } = space;
    const offset = pa % page;
    const pages = Math.ceil((offset + bytes) / page);
    let pfn = space.iova.allocateLocal(thread, pages);
    if (pfn === 0) pfn = yield* space.iova.allocate(thread, pages);
    if (pfn === 0) return 0;
    yield* this.mapper.install(thread, domain, space, pfn * page, pa - offset, pages * page, access);
    return pfn * page + offset;
  }

  *unmap(thread: Thread, domain: Domain, address: number, bytes: number): Call<void> {
    const { space } = domain;
    if (space === null) return;
    const { page } = space;
    const { mapper } = this;
    const offset = address % page;
    const iova = address - offset;
    const pages = Math.ceil((offset + bytes) / page);
    const freed = thread.freedTables;
    thread.charge(Step.Table, space.code.unmap.call);
    yield Wait.Run;
    mapper.clear(thread, domain, space, iova, pages * page, freed);
    const { driver } = domain;
    if (driver.forgetRange !== undefined) yield* driver.forgetRange(thread, domain, iova, pages * page);
    if (space.queue === null) yield* this.unmapStrictly(thread, domain, space, iova, pages, freed);
    else {
      const pfn = iova / page;
      if (!space.queue.addFast(thread, pfn, pages, freed)) yield* space.queue.add(thread, pfn, pages, freed);
      if (thread.debt !== 0) yield Wait.Run;
      mapper.observer?.unmapped(domain.id, iova, pages * page, false, mapper.scheduler.now());
    }
  }

  private *unmapStrictly(
    thread: Thread,
    domain: Domain,
    space: DmaSpace,
    iova: number,
    pages: number,
    freed: number[],
  ): Call<void> {
    const { mapper } = this;
    const bytes = pages * space.page;
    yield* mapper.flush(thread, domain, iova, bytes, freed.length > 0);
    mapper.giveBack(thread, space, freed);
    // Reported before the range can be allocated again, which may be before this call has returned.
    mapper.observer?.unmapped(domain.id, iova, bytes, true, mapper.scheduler.now());
    const pfn = iova / space.page;
    if (space.iova.freesLocally(thread, pages)) space.iova.freeLocal(thread, pfn, pages);
    else yield* space.iova.free(thread, pfn, pages);
  }
}
