/**
 * Permanently mapped pools, the way of DAMN (Markuze et al., ASPLOS 2018): buffers come from memory that stays mapped for good, for both
 * directions, and a map is a look-up of the I/O address that the buffer has had since its first use. Protection is coarse: a device
 * reaches every buffer of the pool at any time, whoever uses it, and nothing else. Not modelled: the copy that keeps a device from
 * changing data the kernel has looked at.
 */
import { Access } from '../../../protocol/access.js';
import type { Domain } from '../../domain.js';
import { Step } from '../../step.js';
import type { Call, Thread } from '../../thread.js';
import type { Mapper } from '../mapper.js';
import { StrategyPath } from './strategy-path.js';
import { allocateIova, pageBytes } from './steps.js';

export class PoolPath extends StrategyPath {
  /** By physical address of its first page: where a buffer is mapped, and how far. */
  private readonly mapped = new Map<number, { readonly iova: number; readonly bytes: number }>();

  constructor(private readonly mapper: Mapper) {
    super();
  }

  *map(thread: Thread, domain: Domain, pa: number, bytes: number): Call<number> {
    const { space } = domain;
    if (space === null) return pa;
    const offset = pa % space.page;
    const first = pa - offset;
    const length = pageBytes(space, pa, bytes);
    thread.charge(Step.Iova, this.mapper.costs.poolLookup);
    const known = this.mapped.get(first);
    if (known !== undefined && known.bytes >= length) return known.iova + offset;
    const iova = yield* allocateIova(thread, space, length);
    if (iova === 0) return 0;
    yield* this.mapper.install(thread, domain, space, iova, first, length, Access.Read | Access.Write);
    this.mapped.set(first, { iova, bytes: length });
    this.statistics.poolBytes += length;
    return iova + offset;
  }

  *unmap(): Call<void> {}
}
