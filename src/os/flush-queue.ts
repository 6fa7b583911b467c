/**
 * Deferred invalidation, the lazy mode of the DMA API (drivers/iommu/dma-iommu.c: queue_iova, fq_ring_free, fq_flush_timeout):
 * unmapped ranges wait in a ring per CPU until a flush of the whole domain that started after they were queued has finished.
 * A flush happens when a ring is full or when the timer, one per domain, expires. The single queue (IOMMU_DMA_OPTS_SINGLE_QUEUE, for
 * devices whose flushes a hypervisor makes expensive: shadow_on_flush) is one ring behind one lock for all CPUs.
 */
import type { PageTable } from '../pagetable/table.js';
import type { Observer } from '../protocol/observer.js';
import { Histogram } from '../stats/histogram.js';
import { TimeAverage } from '../stats/time-average.js';
import type { IovaAllocator } from './iova/allocator.js';
import { type LockStatistics, SpinLock } from './lock.js';
import type { Scheduler } from './scheduler.js';
import type { CostSpec, FlushQueueSpec } from './spec.js';
import { Step } from './step.js';
import { type Call, type Program, type SoftWork, type Thread, Wait } from './thread.js';
import type { Timers } from './timers.js';

/** Counters of all domains. */
export class FlushQueueStatistics {
  queued = 0;
  freed = 0;
  fullFlushes = 0;
  timerFlushes = 0;

  readonly occupancy: TimeAverage = new TimeAverage();
  /** Of ranges given back: from the return of the unmap until the flush that covers it was complete, and until hardware had executed it. ps */
  readonly lifetime: Histogram = new Histogram();
  readonly reachable: Histogram = new Histogram();
  /** AskedRanges.executed. */
  executed: Float64Array = new Float64Array(1);

  reset(now: number): void {
    this.queued = 0;
    this.freed = 0;
    this.fullFlushes = 0;
    this.timerFlushes = 0;
    this.occupancy.reset(now);
    this.lifetime.reset();
    this.reachable.reset();
  }
}

/** What the queue needs of its domain. */
export interface FlushedDomain {
  readonly id: number;
  /** There when the first range is freed. */
  readonly space: { readonly table: PageTable; readonly iova: IovaAllocator } | null;
  /** Removes every cached translation of the domain and waits until they are gone. */
  flushAll(thread: Thread): Call<void>;
}

export interface FlushQueueEnvironment {
  readonly scheduler: Scheduler;
  readonly timers: Timers;
  readonly costs: CostSpec;
  readonly spec: FlushQueueSpec;
  readonly statistics: FlushQueueStatistics;
  readonly locks: LockStatistics;
  readonly observer: Observer | null;
}

/** Flushes whose times are kept; more are never between the queueing of a range and its end. */
const FLUSHES = 1024;

class Ring {
  head = 0;
  tail = 0;
  readonly pfns: Float64Array;
  readonly pages: Int32Array;
  /** Flushes started when the entry was queued, and when the unmap returned. */
  readonly counters: Float64Array;
  readonly unmappedAt: Float64Array;
  /** Table pages that the unmap unlinked; most have none. */
  readonly tables: (number[] | null)[];

  constructor(
    readonly size: number,
    readonly lock: SpinLock,
  ) {
    this.pfns = new Float64Array(size);
    this.pages = new Int32Array(size);
    this.counters = new Float64Array(size);
    this.unmappedAt = new Float64Array(size);
    this.tables = new Array<number[] | null>(size).fill(null);
  }

  get empty(): boolean {
    return this.head === this.tail;
  }

  get full(): boolean {
    return (this.tail + 1) % this.size === this.head;
  }
}

export class FlushQueue implements SoftWork {
  /** One for each CPU, created when it queues its first range; or one for all. */
  private readonly rings: (Ring | null)[];
  private readonly single: boolean;
  private started = 0;
  private finished = 0;
  private timerOn = false;
  /** When the last flushes were complete, and executed by hardware, by number. */
  private readonly completedAt = new Float64Array(FLUSHES);
  private readonly executedAt = new Float64Array(FLUSHES);
  private readonly costs: CostSpec;
  private readonly statistics: FlushQueueStatistics;
  private readonly makeRing: () => Ring;

  constructor(
    private readonly domain: FlushedDomain,
    private readonly environment: FlushQueueEnvironment,
  ) {
    const { scheduler, costs, spec, locks } = environment;
    this.costs = costs;
    this.statistics = environment.statistics;
    if (spec.entries < 2) throw new RangeError(`a flush queue needs at least 2 entries, got ${spec.entries}`);
    this.single = spec.kind === 'single';
    this.rings = this.single ? [null] : scheduler.cpus.map(() => null);
    this.makeRing = () => new Ring(spec.entries, new SpinLock(scheduler, costs, locks));
  }

  /**
   * Queues an unmapped range on this CPU if that needs neither waiting nor freeing; else returns false and `add` has to do it. The lock
   * of a CPU's own ring is part of the cost then; that of the single ring is always asked for.
   */
  addFast(thread: Thread, pfn: number, pages: number, tables: number[]): boolean {
    if (this.single) return false;
    const ring = this.ringOf(thread);
    if (ring.lock.held || ring.full || this.ready(ring)) return false;
    this.append(ring, thread, pfn, pages, tables);
    this.arm(thread);
    return true;
  }

  /** queue_iova: frees what has been flushed, flushes when still full, queues the range. Empties `tables`. */
  *add(thread: Thread, pfn: number, pages: number, tables: number[]): Call<void> {
    const ring = this.ringOf(thread);
    if (thread.debt !== 0) yield Wait.Run;
    if (!ring.lock.take(thread)) yield Wait.Block;
    yield* this.freeReady(thread, ring);
    if (ring.full) {
      this.statistics.fullFlushes++;
      yield* this.flush(thread);
      yield* this.freeReady(thread, ring);
    }
    this.append(ring, thread, pfn, pages, tables);
    yield Wait.Run;
    ring.lock.release(thread);
    this.arm(thread);
  }

  /** fq_flush_timeout: one flush, then every ring's ready entries, which this CPU's magazines receive. */
  *run(context: Thread): Program {
    context.charge(Step.Interrupt, this.costs.timer);
    this.timerOn = false;
    this.statistics.timerFlushes++;
    yield* this.flush(context);
    for (const ring of this.rings) {
      if (ring === null || (ring.empty && !ring.lock.held)) {
        context.charge(Step.Lock, this.costs.lock);
        continue;
      }
      if (context.debt !== 0) yield Wait.Run;
      if (!ring.lock.take(context)) yield Wait.Block;
      yield* this.freeReady(context, ring);
      if (context.debt !== 0) yield Wait.Run;
      ring.lock.release(context);
    }
    if (context.debt !== 0) yield Wait.Run;
  }

  /** Entries waiting in the ring that a CPU uses. */
  length(cpu: number): number {
    const ring = this.rings[this.single ? 0 : cpu] ?? null;
    if (ring === null) return 0;
    return (ring.tail - ring.head + ring.size) % ring.size;
  }

  private ringOf(thread: Thread): Ring {
    const index = this.single ? 0 : thread.cpu.id;
    const known = this.rings[index];
    if (known !== null && known !== undefined) return known;
    const ring = this.makeRing();
    this.rings[index] = ring;
    return ring;
  }

  private *flush(thread: Thread): Call<void> {
    if (thread.debt !== 0) yield Wait.Run;
    const { observer, scheduler } = this.environment;
    this.started++;
    const startedAt = scheduler.now();
    yield* this.domain.flushAll(thread);
    const now = scheduler.now();
    const executed = this.statistics.executed[0]!;
    this.completedAt[this.finished % FLUSHES] = now;
    this.executedAt[this.finished % FLUSHES] = executed >= startedAt ? executed : now;
    this.finished++;
    observer?.flushed(this.domain.id, startedAt, now);
  }

  private ready(ring: Ring): boolean {
    return ring.head !== ring.tail && ring.counters[ring.head]! < this.finished;
  }

  /** Under the ring's lock: gives back the entries whose flush has finished, oldest first. */
  private *freeReady(thread: Thread, ring: Ring): Call<void> {
    const { table, iova } = this.domain.space!;
    while (this.ready(ring)) {
      const at = ring.head;
      const tables = ring.tables[at]!;
      if (tables !== null) {
        thread.charge(Step.Table, tables.length * this.costs.tablePage);
        table.giveBack(tables);
        ring.tables[at] = null;
      }
      const pfn = ring.pfns[at]!;
      const pages = ring.pages[at]!;
      if (iova.freesLocally(thread, pages)) iova.freeLocal(thread, pfn, pages);
      else yield* iova.free(thread, pfn, pages);
      ring.head = (at + 1) % ring.size;
      this.ended(ring, at);
      this.statistics.freed++;
      this.statistics.occupancy.add(this.environment.scheduler.now(), -1);
    }
  }

  private ended(ring: Ring, at: number): void {
    const flush = Math.max(ring.counters[at]!, this.finished - FLUSHES) % FLUSHES;
    const since = ring.unmappedAt[at]!;
    this.statistics.lifetime.add(Math.max(0, this.completedAt[flush]! - since));
    this.statistics.reachable.add(Math.max(0, this.executedAt[flush]! - since));
  }

  private append(ring: Ring, thread: Thread, pfn: number, pages: number, tables: number[]): void {
    const at = ring.tail;
    ring.pfns[at] = pfn;
    ring.pages[at] = pages;
    ring.counters[at] = this.started;
    if (tables.length > 0) {
      ring.tables[at] = tables.slice();
      tables.length = 0;
    }
    ring.tail = (at + 1) % ring.size;
    thread.charge(Step.Queue, this.costs.queueIova);
    ring.unmappedAt[at] = this.environment.scheduler.now() + thread.debt;
    this.statistics.queued++;
    this.statistics.occupancy.add(this.environment.scheduler.now(), 1);
  }

  private arm(thread: Thread): void {
    if (this.timerOn) return;
    this.timerOn = true;
    this.environment.timers.after(this.environment.spec.timeout, thread.cpu.id, this);
  }
}
