/**
 * The DMA API (drivers/iommu/dma-iommu.c: iommu_dma_map_phys, iommu_dma_unmap_phys; kernel/dma/mapping.c for passthrough), with the
 * order of the kernel: strict mode invalidates and waits before table pages and IOVA are given back, lazy mode queues both.
 * An unmap clears entries when the page-table code begins; a map stores them before it returns its address, which nobody can use
 * earlier. Not modelled: bounce buffers, scatter-gather lists, cache maintenance for devices that do not snoop, which lines of a
 * table the stores leave in the CPU caches.
 */
import type { Access } from '../protocol/access.js';
import type { Observer } from '../protocol/observer.js';
import { Histogram } from '../stats/histogram.js';
import { LatencyLedger } from '../stats/latency-ledger.js';
import type { Domain } from './domain.js';
import type { DmaSpace } from './domain-state.js';
import type { Scheduler } from './scheduler.js';
import type { CostSpec } from './spec.js';
import { STEP_NAMES, Step, Turn } from './step.js';
import { mapTime, unmapTime } from './table-costs.js';
import { type Call, type Thread, Wait } from './thread.js';

/** Page of machines without translation. */
const PAGE = 4096;
/** Lines of a table page: all are flushed when a non-coherent walker is to see a new one. */
const LINES_PER_PAGE = 64;

/** Measurements of one kind of call: its steps, and its latency in ps. */
export class CallMeter {
  readonly ledger: LatencyLedger;
  readonly latency: Histogram = new Histogram();

  constructor(slots: number) {
    this.ledger = new LatencyLedger(slots, STEP_NAMES);
  }

  reset(): void {
    this.ledger.reset();
    this.latency.reset();
  }
}

export class DmaApi {
  /** Calls that found no address space. */
  failures = 0;
  /** Pages mapped, passthrough included. */
  pages = 0;
  /** Page-table pages allocated, freed. */
  tablesAllocated = 0;
  tablesFreed = 0;

  readonly maps: CallMeter;
  readonly unmaps: CallMeter;

  /** `slots`: threads the scheduler may have; meters are indexed by thread number. */
  constructor(
    private readonly scheduler: Scheduler,
    private readonly costs: CostSpec,
    private readonly observer: Observer | null,
    slots: number,
  ) {
    this.maps = new CallMeter(slots);
    this.unmaps = new CallMeter(slots);
  }

  resetStatistics(): void {
    this.maps.reset();
    this.unmaps.reset();
    this.failures = 0;
    this.pages = 0;
    this.tablesAllocated = 0;
    this.tablesFreed = 0;
  }

  /**
   * dma_map_page: makes [pa, pa + bytes) reachable for the domain's devices. Returns the DMA address, 0 (DMA_MAPPING_ERROR) when
   * no address space is left.
   */
  *map(thread: Thread, domain: Domain, pa: number, bytes: number, access: Access): Call<number> {
    const outer = this.begin(thread, this.maps);
    const space = domain.space;
    const page = space === null ? PAGE : space.page;
    const offset = pa % page;
    const pages = Math.ceil((offset + bytes) / page);
    thread.charge(Step.Call, this.costs.mapCall);
    let address = pa;
    if (space !== null) {
      let pfn = space.iova.allocateLocal(thread, pages);
      if (pfn === 0) pfn = yield* space.iova.allocate(thread, pages);
      if (pfn === 0) {
        this.failures++;
        address = 0;
      } else {
        yield* this.install(thread, domain, space, pfn * page, pa - offset, pages * page, access);
        address = pfn * page + offset;
      }
    }
    if (address !== 0) this.pages += pages;
    if (thread.debt !== 0) yield Wait.Run;
    this.end(thread, this.maps, outer, Turn.Map);
    return address;
  }

  /** dma_unmap_page of a whole mapping. */
  *unmap(thread: Thread, domain: Domain, address: number, bytes: number): Call<void> {
    const outer = this.begin(thread, this.unmaps);
    thread.charge(Step.Call, this.costs.unmapCall);
    const space = domain.space;
    if (space === null) {
      if (thread.debt !== 0) yield Wait.Run;
      this.end(thread, this.unmaps, outer, Turn.Unmap);
      return;
    }
    const { page } = space;
    const offset = address % page;
    const iova = address - offset;
    const pages = Math.ceil((offset + bytes) / page);
    const freed = thread.freedTables;
    thread.charge(Step.Table, space.code.unmap.call);
    yield Wait.Run;
    this.clear(thread, domain, space, iova, pages * page, freed);
    const { driver } = domain;
    if (driver.forgetRange !== undefined) yield* driver.forgetRange(thread, domain, iova, pages * page);
    const pfn = iova / page;
    if (space.queue !== null) {
      if (!space.queue.addFast(thread, pfn, pages, freed)) yield* space.queue.add(thread, pfn, pages, freed);
      if (thread.debt !== 0) yield Wait.Run;
      this.observer?.unmapped(domain.id, iova, pages * page, false, this.scheduler.now());
    } else {
      yield* driver.flushRange(thread, domain, iova, pages * page, freed.length > 0);
      this.giveBack(thread, space, freed);
      // Reported before the range can be allocated again, which may be before this call has returned.
      this.observer?.unmapped(domain.id, iova, pages * page, true, this.scheduler.now());
      if (space.iova.freesLocally(thread, pages)) space.iova.freeLocal(thread, pfn, pages);
      else yield* space.iova.free(thread, pfn, pages);
      if (thread.debt !== 0) yield Wait.Run;
    }
    this.end(thread, this.unmaps, outer, Turn.Unmap);
  }

  /** iommu_map and what follows from it. */
  private *install(
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
    if (table.displaced.length > 0) {
      // A large leaf took the place of empty tables: walkers may still hold pointers to them.
      const displaced = table.displaced.splice(0);
      yield* domain.driver.flushRange(thread, domain, iova, bytes, true);
      this.giveBack(thread, space, displaced);
    }
    if (domain.driver.syncsMaps) yield* domain.driver.syncMap(thread, domain, iova, bytes);
  }

  /** iommu_unmap_fast: clears the entries; unlinked table pages go to `freed`. */
  private clear(thread: Thread, domain: Domain, space: DmaSpace, iova: number, bytes: number, freed: number[]): void {
    const { table, code, coherent } = space;
    const work = table.work;
    work.reset();
    const cleared = table.unmap(iova, bytes, freed);
    this.tablesFreed += work.tablesFreed;
    if (cleared !== bytes)
      throw new Error(`domain ${domain.id}: unmap of 0x${iova.toString(16)} cleared ${cleared} of ${bytes} bytes`);
    this.observer?.unmapping(domain.id, iova, bytes, this.scheduler.now());
    thread.charge(Step.Table, unmapTime(code, work));
    if (!coherent) thread.charge(Step.CacheFlush, work.lines * this.costs.cacheLineFlush);
  }

  private giveBack(thread: Thread, space: DmaSpace, pages: number[]): void {
    if (pages.length === 0) return;
    thread.charge(Step.Table, pages.length * this.costs.tablePage);
    space.table.giveBack(pages);
  }

  /** Opens the call's account: it starts when the time charged before has passed. */
  private begin(thread: Thread, meter: CallMeter): LatencyLedger | null {
    const outer = thread.ledger;
    meter.ledger.start(thread.id, this.scheduler.now() + thread.debt);
    thread.ledger = meter.ledger;
    thread.interruptStep = Step.Interrupt;
    return outer;
  }

  private end(thread: Thread, meter: CallMeter, outer: LatencyLedger | null, turn: Turn): void {
    const latency = meter.ledger.finish(thread.id, this.scheduler.now());
    meter.latency.add(latency);
    thread.lastCallPs = latency;
    thread.ledger = outer;
    thread.interruptStep = Turn.Interrupt;
    if (outer !== null) outer.chargeFor(thread.id, turn, latency);
  }
}
