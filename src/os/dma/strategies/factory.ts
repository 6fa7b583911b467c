/** What stands behind the DMA API when a strategy is chosen. */
import type { Observer } from '../../../protocol/observer.js';
import type { Scheduler } from '../../scheduler.js';
import type { CostSpec, StrategySpec } from '../../spec.js';
import { LinuxPath } from '../linux.js';
import { Mapper } from '../mapper.js';
import type { DmaPath } from '../path.js';
import { BatchedPath } from './batched.js';
import { ContiguousPath } from './contiguous.js';
import type { StrategyEnvironment } from './environment.js';
import { PerPageMapper } from './linux-before.js';
import { PoolPath } from './pool.js';
import { RangedPath } from './ranged.js';
import { RingPath } from './ring.js';
import { ShadowPath } from './shadow.js';

export function makePath(mapper: Mapper, environment: StrategyEnvironment): DmaPath {
  switch (environment.spec.kind) {
    case 'linux':
    case 'linux-before':
    // Its queues are chosen where the unit is driven.
    case 'per-cpu-queues':
      return new LinuxPath(mapper);
    case 'batched':
      return new BatchedPath(mapper, environment);
    case 'ranged':
      return new RangedPath(mapper, environment);
    case 'contiguous':
      return new ContiguousPath(mapper, environment);
    case 'shadow':
      return new ShadowPath(mapper, environment);
    case 'pool':
      return new PoolPath(mapper);
    case 'ring':
      return new RingPath(mapper, environment);
  }
}

/** The table work below it. */
export function makeMapper(
  scheduler: Scheduler,
  costs: CostSpec,
  observer: Observer | null,
  { kind, before }: StrategySpec,
): Mapper {
  if (kind === 'linux-before') return new PerPageMapper(scheduler, costs, observer, before);
  return new Mapper(scheduler, costs, observer);
}
