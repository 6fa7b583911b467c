/**
 * Table work of the DMA API, what iommu_map and iommu_unmap_fast do: entries written and cleared with the time their code takes,
 * cache lines flushed for walkers that do not snoop, the audit told. An unmap clears entries when the page-table code begins.
 * Not modelled: which lines of a table the stores leave in the CPU caches.
 */
import type { Access } from '../../protocol/access.js';
import type { Observer } from '../../protocol/observer.js';
import type { Domain } from '../domain.js';
import type { DmaSpace } from '../domain-state.js';
import type { Scheduler } from '../scheduler.js';
import type { CostSpec } from '../spec.js';
import { Step } from '../step.js';
import { mapTime, unmapTime } from '../table-costs.js';
import { type Call, NOTHING, type Thread } from '../thread.js';

/** Lines of a table page: all are flushed when a non-coherent walker is to see a new one. */
const LINES_PER_PAGE = 64;

export class Mapper {
  /** Page-table pages allocated by maps, unlinked by unmaps. */
  tablesAllocated = 0;
  tablesFreed = 0;

  constructor(
    readonly scheduler: Scheduler,
    readonly costs: CostSpec,
    readonly observer: Observer | null,
  ) {}

  resetStatistics(): void {
    this.tablesAllocated = 0;
    this.tablesFreed = 0;
  }

  /**
   * iommu_map: [iova, iova + bytes) is reachable when the call returns and its time has passed. The entries are written at once; what is left
   * to do is returned, most often `NOTHING`.
   */
  install(
    thread: Thread,
    domain: Domain,
    space: DmaSpace,
    iova: number,
    pa: number,
    bytes: number,
    access: Access,
  ): Call<void> {
    const rest = this.installNoSync(thread, domain, space, iova, pa, bytes, access);
    return domain.driver.syncsMaps ? this.sync(thread, domain, iova, bytes, rest) : rest;
  }

  private *sync(thread: Thread, domain: Domain, iova: number, bytes: number, rest: Call<void>): Call<void> {
    yield* rest;
    yield* domain.driver.syncMap(thread, domain, iova, bytes);
  }

  /** iommu_map_nosync: `IommuDriver.syncMap` is still the caller's to do, for several such calls at once. */
  installNoSync(
    thread: Thread,
    domain: Domain,
    space: DmaSpace,
    iova: number,
    pa: number,
    bytes: number,
    access: Access,
  ): Call<void> {
    const { table, code, coherent } = space;
    const work = table.work;
    work.reset();
    table.map(iova, pa, bytes, access, space.largestLg2);
    this.tablesAllocated += work.tablesAllocated;
    const { tablePage, cacheLineFlush } = this.costs;
    thread.charge(Step.Table, mapTime(code, work) + work.tablesAllocated * tablePage);
    if (!coherent) {
      thread.charge(Step.CacheFlush, (work.lines + work.tablesAllocated * LINES_PER_PAGE) * cacheLineFlush);
    }
    this.observer?.mapped(domain.id, iova, pa, bytes, access);
    return table.displaced.length > 0 ? this.flushDisplaced(thread, domain, space, iova, bytes) : NOTHING;
  }

  /** A large leaf took the place of empty tables: walkers may still hold pointers to them. */
  private *flushDisplaced(thread: Thread, domain: Domain, space: DmaSpace, iova: number, bytes: number): Call<void> {
    const displaced = space.table.displaced.splice(0);
    yield* domain.driver.flushRange(thread, domain, iova, bytes, true);
    this.giveBack(thread, space, displaced);
  }

  /**
   * iommu_unmap_fast: clears the entries of [iova, iova + bytes) now; unlinked table pages go to `freed`. The entry of the call into
   * the page-table code is the caller's (`space.code.unmap.call`), who lets it pass before.
   */
  clear(thread: Thread, domain: Domain, space: DmaSpace, iova: number, bytes: number, freed: number[]): void {
    const cleared = this.clearEntries(thread, space, iova, bytes, freed);
    if (cleared !== bytes)
      throw new Error(`domain ${domain.id}: unmap of 0x${iova.toString(16)} cleared ${cleared} of ${bytes} bytes`);
    this.observer?.unmapping(domain.id, iova, bytes, this.scheduler.now());
  }

  /** Returns the bytes cleared. */
  protected clearEntries(thread: Thread, space: DmaSpace, iova: number, bytes: number, freed: number[]): number {
    const { table, code, coherent } = space;
    const work = table.work;
    work.reset();
    const cleared = table.unmap(iova, bytes, freed);
    this.tablesFreed += work.tablesFreed;
    thread.charge(Step.Table, unmapTime(code, work));
    if (!coherent) thread.charge(Step.CacheFlush, work.lines * this.costs.cacheLineFlush);
    return cleared;
  }

  /** iommu_iotlb_sync: no translation of [iova, iova + bytes) is cached anywhere when the call returns. */
  flush(thread: Thread, domain: Domain, iova: number, bytes: number, tablesFreed: boolean): Call<void> {
    return domain.driver.flushRange(thread, domain, iova, bytes, tablesFreed);
  }

  /** Frees table pages that no walker can reach any more. */
  giveBack(thread: Thread, space: DmaSpace, pages: number[]): void {
    if (pages.length === 0) return;
    thread.charge(Step.Table, pages.length * this.costs.tablePage);
    space.table.giveBack(pages);
  }
}
