/**
 * The DMA API with bounce buffers before another way of mapping: without translation (swiotlb=force, kernel/dma/direct.h), or behind
 * an IOMMU, where Linux copies for untrusted devices the buffers that do not fill whole pages, since the device would reach what else
 * lies there (iommu_dma_map_swiotlb, drivers/iommu/dma-iommu.c). A scatter list with one such segment is mapped segment by segment.
 */
import { Access } from '../../protocol/access.js';
import type { Domain } from '../domain.js';
import type { BounceRule } from '../spec.js';
import { SLOT_BYTES } from '../swiotlb/pool.js';
import type { Swiotlb } from '../swiotlb/swiotlb.js';
import type { Call, Thread } from '../thread.js';
import { mapBySegment, unmapBySegment } from './by-segment.js';
import type { DmaPath } from './path.js';
import type { StrategyStatistics } from './strategies/statistics.js';
import type { ScatterList } from './scatter-list.js';

export interface Bouncing {
  readonly swiotlb: Swiotlb;
  readonly rule: BounceRule;
}

export class BouncePath implements DmaPath {
  readonly statistics: StrategyStatistics | null;
  private readonly swiotlb: Swiotlb;

  constructor(
    private readonly inner: DmaPath,
    private readonly bouncing: Bouncing,
  ) {
    this.statistics = inner.statistics;
    this.swiotlb = bouncing.swiotlb;
  }

  *map(thread: Thread, domain: Domain, pa: number, bytes: number, access: Access): Call<number> {
    if (!this.bounces(domain, pa, bytes)) {
      const direct = this.inner.map(thread, domain, pa, bytes, access);
      return typeof direct === 'number' ? direct : yield* direct;
    }
    const bounce = yield* this.swiotlb.map(thread, pa, bytes, domain.space?.page ?? SLOT_BYTES);
    if (bounce === 0) return 0;
    const mapped = this.inner.map(thread, domain, bounce, bytes, access);
    const address = typeof mapped === 'number' ? mapped : yield* mapped;
    if (address === 0) yield* this.swiotlb.unmap(thread, bounce, false);
    return address;
  }

  *unmap(thread: Thread, domain: Domain, address: number, bytes: number, access: Access): Call<void> {
    // iommu_iova_to_phys, which has to come before the entries are cleared.
    const pa = domain.space === null ? address : domain.space.table.lookup(address);
    yield* this.inner.unmap(thread, domain, address, bytes, access);
    if (this.swiotlb.owns(pa)) yield* this.swiotlb.unmap(thread, pa, (access & Access.Write) !== 0);
  }

  *mapList(thread: Thread, domain: Domain, list: ScatterList, access: Access): Call<boolean> {
    const bounced = this.bouncesList(domain, list);
    return yield* bounced
      ? mapBySegment(this, thread, domain, list, access)
      : this.inner.mapList(thread, domain, list, access);
  }

  *unmapList(thread: Thread, domain: Domain, list: ScatterList, access: Access): Call<void> {
    const bounced = this.bouncesList(domain, list);
    yield* bounced
      ? unmapBySegment(this, thread, domain, list, access)
      : this.inner.unmapList(thread, domain, list, access);
  }

  private bouncesList(domain: Domain, list: ScatterList): boolean {
    for (let i = 0; i < list.segments; i++) {
      if (this.bounces(domain, list.physical[i]!, list.bytes[i]!)) return true;
    }
    return false;
  }

  private bounces(domain: Domain, pa: number, bytes: number): boolean {
    const { rule } = this.bouncing;
    if (rule !== 'untrusted') return rule === 'always';
    const page = domain.space?.page ?? 1;
    return pa % page !== 0 || bytes % page !== 0;
  }
}
