/**
 * What a system call does that makes memory of a process reachable for a device (VFIO_IOMMU_MAP_DMA, IOMMU_IOAS_MAP, drivers with a
 * call of their own; drivers/vfio/vfio_iommu_type1.c, drivers/iommu/iommufd/pages.c): pins pages a batch at a time, gathers frames that follow
 * each other into runs, maps each run. The unmap clears the whole range, waits for one invalidation, unpins. Not modelled: limits on locked
 * memory, address ranges chosen by the user, several domains on one range, batches of unmapped runs.
 */
import type { Access } from '../../protocol/access.js';
import type { DmaApi } from '../dma/api.js';
import type { Domain } from '../domain.js';
import { Step, Turn } from '../step.js';
import { type Call, type Thread, Wait } from '../thread.js';
import type { UserMapCosts } from './spec.js';

/** Page of machines without translation. */
const PAGE = 4096;

/** Frames that follow each other. */
export interface Run {
  readonly pa: number;
  readonly bytes: number;
}

export class UserMemory {
  constructor(
    private readonly dma: DmaApi,
    private readonly costs: UserMapCosts,
  ) {}

  /** Maps the runs, which are whole pages, one after the other; returns the I/O address of the first, 0 if no address space is left. */
  *map(thread: Thread, domain: Domain, runs: readonly Run[], access: Access): Call<number> {
    const { dma, costs } = this;
    const outer = dma.begin(thread, dma.maps);
    thread.charge(Step.Syscall, costs.call);
    const page = pageOf(domain);
    const pages = bytesOf(runs) / page;
    const iova = yield* this.allocate(thread, domain, pages);
    if (iova === 0) dma.failures++;
    else {
      let mapped = 0;
      let pinned = 0;
      for (const { pa, bytes } of runs) {
        for (let done = 0; done < bytes; ) {
          if (pinned === mapped) {
            const batch = Math.min(costs.pinBatch, pages - pinned);
            thread.charge(Step.Pin, costs.pinCall + batch * costs.pinPage);
            pinned += batch;
          }
          const part = Math.min(bytes - done, (pinned - mapped) * page);
          yield* this.mapRun(thread, domain, iova + mapped * page, pa + done, part, access);
          done += part;
          mapped += part / page;
        }
      }
      dma.pages += pages;
    }
    if (thread.debt !== 0) yield Wait.Run;
    dma.end(thread, dma.maps, outer, Turn.Map);
    return iova;
  }

  /** Takes back a whole mapping. */
  *unmap(thread: Thread, domain: Domain, iova: number, runs: readonly Run[]): Call<void> {
    const { dma, costs } = this;
    const { mapper } = dma;
    const { space } = domain;
    const outer = dma.begin(thread, dma.unmaps);
    thread.charge(Step.Syscall, costs.call);
    const bytes = bytesOf(runs);
    if (space !== null) {
      const freed = thread.freedTables;
      thread.charge(Step.Table, space.code.unmap.call);
      yield Wait.Run;
      mapper.clear(thread, domain, space, iova, bytes, freed);
      if (domain.driver.forgetRange !== undefined) yield* domain.driver.forgetRange(thread, domain, iova, bytes);
      yield* domain.driver.flushRange(thread, domain, iova, bytes, freed.length > 0);
      mapper.giveBack(thread, space, freed);
      mapper.observer?.unmapped(domain.id, iova, bytes, true, mapper.scheduler.now());
      yield* space.iova.free(thread, iova / space.page, bytes / space.page);
    }
    thread.charge(Step.Pin, (bytes / pageOf(domain)) * costs.unpinPage);
    if (thread.debt !== 0) yield Wait.Run;
    dma.end(thread, dma.unmaps, outer, Turn.Unmap);
  }

  /** An identity domain takes memory as it is: the first run stands for all. */
  private *allocate(thread: Thread, domain: Domain, pages: number): Call<number> {
    const { space } = domain;
    if (space === null) return PAGE;
    const pfn = yield* space.iova.allocate(thread, pages);
    return pfn * space.page;
  }

  private *mapRun(thread: Thread, domain: Domain, iova: number, pa: number, bytes: number, access: Access): Call<void> {
    const { space } = domain;
    if (space === null) return;
    thread.charge(Step.Syscall, this.costs.run);
    yield* this.dma.mapper.install(thread, domain, space, iova, pa, bytes, access);
  }
}

/** Pages of the kernel: the granule of its tables. */
function pageOf({ space }: Domain): number {
  return space === null ? PAGE : space.page;
}

function bytesOf(runs: readonly Run[]): number {
  return runs.reduce((sum, { bytes }) => sum + bytes, 0);
}
