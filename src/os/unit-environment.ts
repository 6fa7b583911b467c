/** What a driver of IOMMU units works with. One driver serves all units of its architecture. */
import type { FrameAllocator } from '../memory/frames.js';
import type { PhysicalMemory } from '../memory/physical.js';
import type { MemorySystem } from '../memory/system.js';
import type { DeviceWait } from '../protocol/ats.js';
import type { Observer } from '../protocol/observer.js';
import type { RegisterBus } from '../protocol/registers.js';
import type { Distance } from './distance.js';
import type { InvalidationStatistics } from './invalidation-statistics.js';
import type { LockStatistics } from './lock.js';
import type { LineStatistics } from './shared-line.js';
import type { Scheduler } from './scheduler.js';
import type { Monitor } from './guest/monitor.js';
import type { MemoryRange } from './identity-table.js';
import type { CostSpec, OsSpec, StrategyKind, UnitSpec } from './spec.js';

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
  readonly lines: LineStatistics;
  readonly seed: number;
  /** Time of a probe of a traced function, 0: not traced. */
  readonly probe: number;
  readonly invalidationHint: boolean;
  /** How CPUs learn of the end of a CMD_SYNC. */
  readonly completion: OsSpec['completion'];
  /** Chooses among command queues where a unit has several. */
  readonly strategy: StrategyKind;
  /** The virtual machine that the units are emulated for; null where software drives the hardware itself. */
  readonly monitor: Monitor | null;
  /** All memory of the machine. */
  readonly ranges: readonly MemoryRange[];
  /** By unit number; null where a unit is of another architecture. */
  readonly units: readonly (UnitMemory | null)[];
}

/** A unit, and the memory that its tables and its command queues are allocated from. */
export interface UnitMemory {
  readonly spec: UnitSpec;
  readonly frames: FrameAllocator;
  readonly queueFrames: FrameAllocator;
  /** Socket of `queueFrames`. */
  readonly queueSocket: number;
  /** Measures how long its command queue waits for devices; null: it never does. */
  readonly deviceWait: DeviceWait | null;
}
