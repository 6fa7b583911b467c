/**
 * IOVA allocation of one domain as the DMA API does it (drivers/iommu/iova.c alloc_iova_fast / free_iova_fast,
 * drivers/iommu/dma-iommu.c iommu_dma_alloc_iova): per-CPU magazines, then a depot, then a tree under one lock; first below
 * 4 GiB, and for good in the full space once that has failed. Not modelled: memory shortage when a magazine is allocated.
 */
import { RandomStream } from '../../kernel/random.js';
import { SpinLock } from '../lock.js';
import type { CostSpec } from '../spec.js';
import { Step } from '../step.js';
import { type Call, type Program, type SoftWork, type Thread, Wait } from '../thread.js';
import type { IovaEnvironment, IovaStatistics } from './environment.js';
import type { Magazine } from './magazine.js';
import { RangeCache } from './rcache.js';
import { IovaTree } from './tree.js';

/** Pages. */
const LARGEST_AGED = 32;

export class IovaAllocator {
  private readonly tree: IovaTree;
  private readonly treeLock: SpinLock;
  private readonly caches: RangeCache[] = [];
  private readonly statistics: IovaStatistics;
  private readonly costs: CostSpec;
  /** Last page the domain's tables and the device's mask reach. */
  private readonly limit: number;
  /** Linux tries PCI devices below 4 GiB first (pci_32bit_workaround). */
  private narrow: boolean;
  /** The largest size that magazines hold; smaller ones are rounded up to a power of two. */
  private readonly cacheable: number;
  /** Bytes of a page: the granule of the domain's tables. */
  private readonly page: number;
  /** Last page below 4 GiB. */
  private readonly limit32: number;

  /** `apertureBits`: input address bits of the domain's page table. */
  constructor(
    readonly domain: number,
    apertureBits: number,
    private readonly environment: IovaEnvironment,
  ) {
    const { scheduler, spec, costs, treeLocks, depotLocks, page, reserved } = environment;
    this.page = page;
    this.tree = new IovaTree(2 ** 32 / page);
    this.limit32 = (2 ** 32 / page - 1) | 0;
    this.statistics = environment.statistics;
    this.costs = costs;
    this.treeLock = new SpinLock(scheduler, costs, treeLocks);
    for (let order = 0; order < spec.cachedOrders; order++) {
      const lock = new SpinLock(scheduler, costs, depotLocks);
      this.caches.push(new RangeCache(order, scheduler.cpus.length, spec.magazine, lock));
    }
    this.cacheable = spec.cachedOrders === 0 ? 0 : 1 << (spec.cachedOrders - 1);
    this.limit = 2 ** Math.min(spec.addressBits, apertureBits, 52) / page - 1;
    this.narrow = this.limit > this.limit32;
    for (const [first, last] of reserved) this.tree.reserve(Math.floor(first / page), Math.floor(last / page));
    this.age(spec.aged, new RandomStream(environment.seed, `os/iova/${domain}`));
  }

  /** Leaves `ranges` ranges of random sizes in the tree, every other one of those allocated: between any two is a hole as small as they are. */
  private age(ranges: number, random: RandomStream): void {
    const others: number[] = [];
    for (let i = 0; i < 2 * ranges; i++) {
      const size = this.roundedPages(1 + random.below(LARGEST_AGED));
      const pfn = (this.narrow ? this.tree.allocate(size, this.limit32) : 0) || this.tree.allocate(size, this.limit);
      if (i % 2 === 0 && pfn !== 0) others.push(pfn);
    }
    for (const pfn of others) this.tree.free(pfn);
  }

  /** Pages of address space that a mapping of `pages` pages occupies. */
  roundedPages(pages: number): number {
    if (pages >= this.cacheable) return pages;
    let rounded = 1;
    while (rounded < pages) rounded *= 2;
    return rounded;
  }

  /**
   * The part of an allocation that needs no other CPU: a pop from this CPU's magazines. Returns the first page, 0 if `allocate`
   * has to go on (a full magazine may wait in the depot, or only the tree can serve).
   */
  allocateLocal(thread: Thread, pages: number): number {
    const cache = this.cacheFor(pages);
    if (cache === null) return 0;
    thread.charge(Step.Iova, this.costs.iovaCache);
    const cpu = thread.cpu.id;
    if (!cache.readyToGet(cpu)) return 0;
    const size = this.roundedPages(pages);
    const pfn = cache.get(cpu, (this.narrow ? this.limit32 : this.limit) + 1 - size);
    if (pfn !== 0) {
      this.statistics.magazineHits++;
      this.environment.observer?.iovaAllocated(this.domain, pfn * this.page, size * this.page);
    }
    return pfn;
  }

  /** What follows when `allocateLocal` returned 0. Returns the first page, 0 when the address space is exhausted. */
  *allocate(thread: Thread, pages: number): Call<number> {
    const size = this.roundedPages(pages);
    const cache = this.cacheFor(pages);
    let pfn = 0;
    if (this.narrow) {
      pfn = yield* this.allocateBelow(thread, cache, size, this.limit32);
      if (pfn === 0) {
        this.narrow = false;
        this.statistics.wentWide++;
        if (cache !== null) {
          thread.charge(Step.Iova, this.costs.iovaCache);
          if (cache.readyToGet(thread.cpu.id)) pfn = cache.get(thread.cpu.id, this.limit + 1 - size);
        }
      }
    }
    if (pfn === 0) pfn = yield* this.allocateBelow(thread, cache, size, this.limit);
    if (pfn === 0) {
      yield* this.drain(thread);
      pfn = yield* this.allocateFromTree(thread, size, this.limit);
    }
    if (pfn === 0) this.statistics.exhausted++;
    else this.environment.observer?.iovaAllocated(this.domain, pfn * this.page, size * this.page);
    return pfn;
  }

  /** Whether `freeLocal` will succeed on this CPU. */
  freesLocally(thread: Thread, pages: number): boolean {
    const cache = this.cacheFor(pages);
    return cache?.readyToPut(thread.cpu.id) ?? false;
  }

  /** Puts the range into this CPU's magazines; only if `freesLocally`. */
  freeLocal(thread: Thread, pfn: number, pages: number): void {
    thread.charge(Step.IovaFree, this.costs.iovaCache);
    this.reportFree(pfn, pages);
    this.cacheFor(pages)!.put(thread.cpu.id, pfn);
  }

  /** Frees a range that this CPU's magazines have no room for, or that is too large for them. */
  *free(thread: Thread, pfn: number, pages: number): Call<void> {
    const cache = this.cacheFor(pages);
    if (cache === null) {
      if (thread.debt !== 0) yield Wait.Run;
      if (!this.treeLock.take(thread)) yield Wait.Block;
      this.reportFree(pfn, pages);
      this.freeToTree(thread, pfn);
      yield Wait.Run;
      this.treeLock.release(thread);
      return;
    }
    thread.charge(Step.IovaFree, this.costs.iovaCache);
    yield Wait.Run;
    if (!cache.lock.take(thread)) yield Wait.Block;
    if (!cache.readyToPut(thread.cpu.id)) {
      cache.store(thread.cpu.id);
      this.statistics.depotStores++;
      this.scheduleTrim(cache, thread.cpu.id);
    }
    this.reportFree(pfn, pages);
    cache.put(thread.cpu.id, pfn);
    thread.charge(Step.IovaFree, this.costs.iovaDepot);
    yield Wait.Run;
    cache.lock.release(thread);
  }

  /** Boot-time allocation without simulated time. Returns the first page, 0 if there is no room. */
  allocateStatic(pages: number): number {
    let pfn = this.narrow ? this.tree.allocate(pages, this.limit32) : 0;
    if (pfn === 0) pfn = this.tree.allocate(pages, this.limit);
    if (pfn !== 0) this.environment.observer?.iovaAllocated(this.domain, pfn * this.page, pages * this.page);
    return pfn;
  }

  /** Ranges in the tree, whether mapped, reserved or cached. */
  get ranges(): number {
    return this.tree.ranges;
  }

  /** Full magazines in the depots. */
  get depotMagazines(): number {
    return this.caches.reduce((sum, cache) => sum + cache.depotSize, 0);
  }

  private cacheFor(pages: number): RangeCache | null {
    return pages > this.cacheable ? null : this.caches[32 - Math.clz32(pages - 1)]!;
  }

  private reportFree(pfn: number, pages: number): void {
    const { observer, scheduler } = this.environment;
    observer?.iovaFreed(this.domain, pfn * this.page, this.roundedPages(pages) * this.page, scheduler.now());
  }

  /** Depot, then tree. */
  private *allocateBelow(thread: Thread, cache: RangeCache | null, size: number, limit: number): Call<number> {
    if (cache !== null && !cache.readyToGet(thread.cpu.id)) {
      if (thread.debt !== 0) yield Wait.Run;
      if (!cache.lock.take(thread)) yield Wait.Block;
      const found = cache.fetch(thread.cpu.id);
      if (found) thread.charge(Step.Iova, this.costs.iovaDepot);
      if (thread.debt !== 0) yield Wait.Run;
      cache.lock.release(thread);
      if (found) {
        this.statistics.depotFetches++;
        const pfn = cache.get(thread.cpu.id, limit + 1 - size);
        if (pfn !== 0) return pfn;
      }
    }
    return yield* this.allocateFromTree(thread, size, limit);
  }

  private *allocateFromTree(thread: Thread, size: number, limit: number): Call<number> {
    if (thread.debt !== 0) yield Wait.Run;
    if (!this.treeLock.take(thread)) yield Wait.Block;
    const pfn = this.tree.allocate(size, limit);
    this.statistics.treeAllocations++;
    this.statistics.treeVisits += this.tree.visits;
    thread.charge(Step.Iova, this.costs.iovaTree + this.tree.visits * this.costs.iovaTreeNode);
    yield Wait.Run;
    this.treeLock.release(thread);
    return pfn;
  }

  private freeToTree(thread: Thread, pfn: number): void {
    this.tree.free(pfn);
    this.statistics.treeFrees++;
    this.statistics.treeVisits += this.tree.visits;
    thread.charge(Step.IovaFree, this.costs.iovaTree + this.tree.visits * this.costs.iovaTreeNode);
  }

  /** Gives every cached range back to the tree, one magazine per hold of the tree lock. */
  private *drain(thread: Thread): Call<void> {
    this.statistics.drains++;
    for (const cache of this.caches) {
      for (const magazine of cache.drain()) yield* this.empty(thread, magazine);
    }
  }

  private *empty(thread: Thread, magazine: Magazine): Call<void> {
    if (thread.debt !== 0) yield Wait.Run;
    if (!this.treeLock.take(thread)) yield Wait.Block;
    for (let i = 0; i < magazine.size; i++) this.freeToTree(thread, magazine.at(i));
    magazine.clear();
    yield Wait.Run;
    this.treeLock.release(thread);
  }

  private scheduleTrim(cache: RangeCache, cpu: number): void {
    if (cache.trimming) return;
    cache.trimming = true;
    this.environment.timers.after(this.environment.spec.trim, cpu, new Trim(this, cache));
  }

  /** iova_depot_work_func: gives one surplus magazine back and comes again while it finds one. */
  *trim(context: Thread, cache: RangeCache): Program {
    cache.trimming = false;
    context.charge(Step.Interrupt, this.costs.timer);
    yield Wait.Run;
    if (!cache.lock.take(context)) yield Wait.Block;
    const magazine = cache.surplus();
    if (magazine !== null) context.charge(Step.IovaFree, this.costs.iovaDepot);
    yield Wait.Run;
    cache.lock.release(context);
    if (magazine === null) return;
    this.statistics.depotTrims++;
    yield* this.empty(context, magazine);
    this.scheduleTrim(cache, context.cpu.id);
  }
}

class Trim implements SoftWork {
  constructor(
    private readonly allocator: IovaAllocator,
    private readonly cache: RangeCache,
  ) {}

  run(context: Thread): Program {
    return this.allocator.trim(context, this.cache);
  }
}
