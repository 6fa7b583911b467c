/**
 * Batched invalidation: an unmap clears its entries at once, and everything a CPU has unmapped in a burst becomes unreachable by one
 * flush of the whole domain. Unlike the lazy mode, which lets buffers be reused before, nothing is given back until then. The
 * flush costs the domain all its cached translations, those in use included.
 */
import type { Access } from '../../../protocol/access.js';
import type { Domain } from '../../domain.js';
import type { Call, Thread } from '../../thread.js';
import { LinuxPath } from '../linux.js';
import type { Mapper } from '../mapper.js';
import type { StrategyEnvironment } from './environment.js';
import { HeldByCpu } from './held.js';
import { StrategyPath } from './strategy-path.js';
import { freeIova, pageBytes, removeRange } from './steps.js';

export class BatchedPath extends StrategyPath {
  private readonly linux: LinuxPath;
  private readonly held: HeldByCpu;

  constructor(
    private readonly mapper: Mapper,
    { spec }: StrategyEnvironment,
  ) {
    super();
    this.linux = new LinuxPath(mapper);
    this.held = new HeldByCpu(spec.batch, this.statistics);
  }

  map(thread: Thread, domain: Domain, pa: number, bytes: number, access: Access): number | Call<number> {
    return this.linux.map(thread, domain, pa, bytes, access);
  }

  *unmap(thread: Thread, domain: Domain, address: number, bytes: number): Call<void> {
    const { space } = domain;
    if (space === null) return;
    const { mapper } = this;
    const held = this.held.of(thread);
    if (held.full) yield* this.settle(thread, domain);
    const iova = address - (address % space.page);
    const length = pageBytes(space, address, bytes);
    yield* removeRange(mapper, thread, domain, space, iova, length, held.tables);
    held.add(iova, length, mapper.scheduler.now(), thread.debt);
  }

  *settle(thread: Thread, domain: Domain): Call<void> {
    const { space } = domain;
    const held = this.held.of(thread);
    if (space === null || held.count === 0) return;
    const { mapper } = this;
    yield* domain.flushAll(thread);
    mapper.giveBack(thread, space, held.tables);
    const now = mapper.scheduler.now();
    for (let i = 0; i < held.count; i++) mapper.observer?.unmapped(domain.id, held.iova(i), held.bytes(i), true, now);
    for (let i = 0; i < held.count; i++) yield* freeIova(thread, space, held.iova(i), held.bytes(i));
    held.clear(now);
  }
}
