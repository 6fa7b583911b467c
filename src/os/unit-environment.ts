/** What a driver of IOMMU units works with. One driver serves all units of its architecture. */
import type { FrameAllocator } from '../memory/frames.js';
import type { PhysicalMemory } from '../memory/physical.js';
import type { MemorySystem } from '../memory/system.js';
import type { Observer } from '../protocol/observer.js';
import type { RegisterBus } from '../protocol/registers.js';
import type { Distance } from './distance.js';
import type { InvalidationStatistics } from './invalidation-statistics.js';
import type { LockStatistics } from './lock.js';
import type { Scheduler } from './scheduler.js';
import type { Monitor } from './guest/monitor.js';
import type { MemoryRange } from './identity-table.js';
import type { CostSpec, UnitSpec } from './spec.js';

export interface UnitDriverEnvironment {
  readonly scheduler: Scheduler;
  readonly costs: CostSpec;
  readonly distance: Distance;
  readonly memory: PhysicalMemory;
  readonly timing: MemorySystem | null;
  readonly registers: RegisterBus;
  readonly observer: Observer | null;
  readonly statistics: InvalidationStatistics;
  readonly queueLocks: LockStatistics;
  readonly invalidationHint: boolean;
  /** The virtual machine that the units are emulated for; null where software drives the hardware itself. */
  readonly monitor: Monitor | null;
  /** All memory of the machine. */
  readonly ranges: readonly MemoryRange[];
  /** By unit number; null where a unit is of another architecture. */
  readonly units: readonly ({ readonly spec: UnitSpec; readonly frames: FrameAllocator } | null)[];
}
