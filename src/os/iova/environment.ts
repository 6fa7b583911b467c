/** What every IOVA allocator shares, and what they count together. */
import type { Observer } from '../../protocol/observer.js';
import type { LockStatistics } from '../lock.js';
import type { Scheduler } from '../scheduler.js';
import type { CostSpec, IovaSpec } from '../spec.js';
import type { Timers } from '../timers.js';

/** Counters of all domains. */
export class IovaStatistics {
  magazineHits = 0;
  depotFetches = 0;
  depotStores = 0;
  depotTrims = 0;
  treeAllocations = 0;
  treeFrees = 0;
  treeVisits = 0;
  drains = 0;
  exhausted = 0;
  /** Pages below 4 GiB ran out for a device that can address more. */
  wentWide = 0;

  reset(): void {
    this.magazineHits = 0;
    this.depotFetches = 0;
    this.depotStores = 0;
    this.depotTrims = 0;
    this.treeAllocations = 0;
    this.treeFrees = 0;
    this.treeVisits = 0;
    this.drains = 0;
    this.exhausted = 0;
    this.wentWide = 0;
  }
}

export interface IovaEnvironment {
  readonly scheduler: Scheduler;
  readonly timers: Timers;
  readonly costs: CostSpec;
  readonly spec: IovaSpec;
  readonly statistics: IovaStatistics;
  readonly treeLocks: LockStatistics;
  readonly depotLocks: LockStatistics;
  readonly observer: Observer | null;
  /** Of the run; the history of an aged address space follows from it. */
  readonly seed: number;
  /** Bytes of a page: the granule of the domain's tables. */
  readonly page: number;
  /** Byte ranges that are never handed out, last byte included. */
  readonly reserved: readonly (readonly [first: number, last: number])[];
}
