/**
 * One __iommu_dma_unmap (drivers/iommu/dma-iommu.c): the page table is cleared; then, in strict mode, caches are emptied and waited for
 * before table pages and address space are given back; in lazy mode the flush queue takes both. A record that its path uses again.
 * Hot path: bench/map-unmap.mjs.
 */
import type { Domain } from '../domain.js';
import type { DmaSpace } from '../domain-state.js';
import { Step } from '../step.js';
import { type Call, DONE, NOTHING, Routine, RUN, type Thread, type Wait } from '../thread.js';
import type { Mapper } from './mapper.js';

const enum State {
  Begin,
  Clear,
  /** Told to units that hear of every unmap. */
  Forget,
  Flush,
  /** Address space goes back. */
  Free,
  /** Given to the flush queue. */
  Queue,
  Queued,
}

export class Unmapping extends Routine {
  private state = State.Begin;
  private thread: Thread | null = null;
  private domain: Domain | null = null;
  private space: DmaSpace | null = null;
  private pages = 0;
  /** What is done for the present state. */
  private inner: Call<void> = NOTHING;
  /** [0] = first address. */
  private readonly values = new Float64Array(1);

  /** `idle`: where the record goes when it is done. */
  constructor(
    private readonly mapper: Mapper,
    private readonly idle: Unmapping[],
  ) {
    super();
  }

  begin(thread: Thread, domain: Domain, space: DmaSpace, iova: number, pages: number): void {
    this.thread = thread;
    this.domain = domain;
    this.space = space;
    this.values[0] = iova;
    this.pages = pages;
    this.state = State.Begin;
  }

  next(): IteratorResult<Wait, void> {
    const { scheduler } = this.mapper;
    const thread = this.thread!;
    for (;;) {
      switch (this.state) {
        case State.Begin:
          thread.charge(Step.Table, this.space!.code.unmap.call);
          this.state = State.Clear;
          if (!scheduler.passes(thread)) return RUN;
          break;
        case State.Clear:
          this.inner = this.clear(thread);
          this.state = State.Forget;
          break;
        case State.Queued:
          this.report(false);
          this.idle.push(this);
          return DONE;
        default: {
          const turn = this.inner.next();
          if (turn.done !== true) return turn;
          if (this.state === State.Free) {
            this.idle.push(this);
            return DONE;
          }
          if (this.state === State.Forget) this.inner = this.forgotten(thread);
          else if (this.state === State.Flush) this.inner = this.flushed(thread);
          else {
            this.state = State.Queued;
            if (thread.debt !== 0 && !scheduler.passes(thread)) return RUN;
          }
        }
      }
    }
  }

  private clear(thread: Thread): Call<void> {
    const { mapper, pages } = this;
    const domain = this.domain!;
    const space = this.space!;
    const iova = this.values[0]!;
    const bytes = pages * space.page;
    mapper.clear(thread, domain, space, iova, bytes, thread.freedTables);
    const { driver } = domain;
    return driver.forgetRange === undefined ? NOTHING : driver.forgetRange(thread, domain, iova, bytes);
  }

  private forgotten(thread: Thread): Call<void> {
    const { mapper, pages } = this;
    const { page, queue } = this.space!;
    const iova = this.values[0]!;
    const freed = thread.freedTables;
    if (queue === null) {
      this.state = State.Flush;
      return mapper.flush(thread, this.domain!, iova, pages * page, freed.length > 0);
    }
    this.state = State.Queue;
    const pfn = iova / page;
    return queue.addFast(thread, pfn, pages, freed) ? NOTHING : queue.add(thread, pfn, pages, freed);
  }

  private flushed(thread: Thread): Call<void> {
    const { mapper, pages } = this;
    const space = this.space!;
    mapper.giveBack(thread, space, thread.freedTables);
    // Reported before the range can be allocated again, which may be before this call has returned.
    this.report(true);
    this.state = State.Free;
    const pfn = this.values[0]! / space.page;
    if (!space.iova.freesLocally(thread, pages)) return space.iova.free(thread, pfn, pages);
    space.iova.freeLocal(thread, pfn, pages);
    return NOTHING;
  }

  /** To the audit. */
  private report(flushed: boolean): void {
    const { observer, scheduler } = this.mapper;
    if (observer === null) return;
    observer.unmapped(this.domain!.id, this.values[0]!, this.pages * this.space!.page, flushed, scheduler.now());
  }
}
