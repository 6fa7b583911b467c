/**
 * Range invalidation: an unmap only notes its buffer; at the end of a burst, buffers whose I/O addresses are neighbours are taken
 * out of the table by one call and invalidated as one range. What that saves depends on how the IOVA allocator has laid them out,
 * and on what one command can name: VT-d covers a range by an aligned power of two.
 */
import type { Access } from '../../../protocol/access.js';
import type { Domain } from '../../domain.js';
import type { DmaSpace } from '../../domain-state.js';
import { Step } from '../../step.js';
import type { Call, Thread } from '../../thread.js';
import { LinuxPath } from '../linux.js';
import type { Mapper } from '../mapper.js';
import type { StrategyEnvironment } from './environment.js';
import { HeldByCpu, type HeldRanges } from './held.js';
import { StrategyPath } from './strategy-path.js';
import { freeIova, pageBytes, removeRange } from './steps.js';

export class RangedPath extends StrategyPath {
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
    const held = this.held.of(thread);
    if (held.full) yield* this.settle(thread, domain);
    thread.charge(Step.Queue, this.mapper.costs.queueIova);
    const now = this.mapper.scheduler.now();
    held.add(address - (address % space.page), pageBytes(space, address, bytes), now, thread.debt);
  }

  *settle(thread: Thread, domain: Domain): Call<void> {
    const { space } = domain;
    const held = this.held.of(thread);
    if (space === null || held.count === 0) return;
    yield* invalidateRuns(this.mapper, thread, domain, space, held);
    const now = this.mapper.scheduler.now();
    for (let i = 0; i < held.count; i++) yield* freeIova(thread, space, held.iova(i), held.bytes(i));
    held.clear(now);
  }
}

/**
 * Unmaps and invalidates the runs of `held`, one after the other, and gives their table pages back; the I/O addresses are left to the
 * caller. A run ends at a multiple of `block` bytes.
 */
export function* invalidateRuns(
  mapper: Mapper,
  thread: Thread,
  domain: Domain,
  space: DmaSpace,
  held: HeldRanges,
  block = Infinity,
): Call<void> {
  const { tables } = held;
  held.sort();
  for (let first = 0, next = 0; first < held.count; first = next) {
    next = held.runEnd(first, block);
    const iova = held.iova(first);
    const bytes = held.end(next - 1) - iova;
    yield* removeRange(mapper, thread, domain, space, iova, bytes, tables);
    yield* mapper.flush(thread, domain, iova, bytes, tables.length > 0);
    mapper.giveBack(thread, space, tables);
    mapper.observer?.unmapped(domain.id, iova, bytes, true, mapper.scheduler.now());
  }
}
