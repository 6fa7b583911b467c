/**
 * Linux before it learned to work on ranges (drivers/iommu/iommu.c up to 5.x: __iommu_map and __iommu_unmap call the driver for each
 * page): a walk from the root for each leaf, an invalidation request for each page, table pages always declared changed. Each part
 * can be switched off (`os.dma.strategy.before`); page-table code is chosen in `table-code.ts`.
 */
import type { Access } from '../../../protocol/access.js';
import type { Observer } from '../../../protocol/observer.js';
import type { Domain } from '../../domain.js';
import type { DmaSpace } from '../../domain-state.js';
import type { Scheduler } from '../../scheduler.js';
import type { CostSpec, StrategySpec } from '../../spec.js';
import { Step } from '../../step.js';
import type { Call, Thread } from '../../thread.js';
import { Mapper } from '../mapper.js';

/** Table work of those kernels; what the DMA API does with it is as today. */
export class PerPageMapper extends Mapper {
  constructor(
    scheduler: Scheduler,
    costs: CostSpec,
    observer: Observer | null,
    private readonly before: StrategySpec['before'],
  ) {
    super(scheduler, costs, observer);
  }

  override *install(
    thread: Thread,
    domain: Domain,
    space: DmaSpace,
    iova: number,
    pa: number,
    bytes: number,
    access: Access,
  ): Call<void> {
    for (let done = 0; done < bytes; ) {
      const size = this.stepOf(space, iova + done, pa + done, bytes - done);
      yield* super.install(thread, domain, space, iova + done, pa + done, size, access);
      done += size;
    }
  }

  override *installNoSync(
    thread: Thread,
    domain: Domain,
    space: DmaSpace,
    iova: number,
    pa: number,
    bytes: number,
    access: Access,
  ): Call<void> {
    for (let done = 0; done < bytes; ) {
      const size = this.stepOf(space, iova + done, pa + done, bytes - done);
      yield* super.installNoSync(thread, domain, space, iova + done, pa + done, size, access);
      done += size;
    }
  }

  protected override clearEntries(
    thread: Thread,
    space: DmaSpace,
    iova: number,
    bytes: number,
    freed: number[],
  ): number {
    if (!this.before.walkPerLeaf) return super.clearEntries(thread, space, iova, bytes, freed);
    let done = 0;
    for (let size = 1; done < bytes && size > 0; done += size) {
      size = space.table.leafBytes(iova + done);
      // The caller has paid for the first call.
      if (done > 0) thread.charge(Step.Table, space.code.unmap.call);
      if (size > 0) super.clearEntries(thread, space, iova + done, size, freed);
    }
    return done;
  }

  override *flush(thread: Thread, domain: Domain, iova: number, bytes: number, tablesFreed: boolean): Call<void> {
    const changed = tablesFreed || this.before.noHint;
    const step = this.before.flushPerPage ? domain.space!.page : bytes;
    for (let done = 0; done < bytes; done += step) yield* super.flush(thread, domain, iova + done, step, changed);
  }

  /** Bytes that one call into the page-table code maps. */
  private stepOf(space: DmaSpace, iova: number, pa: number, bytes: number): number {
    return this.before.walkPerLeaf ? space.table.firstLeafBytes(iova, pa, bytes, space.largestLg2) : bytes;
  }
}
