/** What memory management counts. */
import { Histogram } from '../../stats/histogram.js';
import { LockStatistics } from '../lock.js';

/** How a fault was resolved. */
export const enum FaultKind {
  /** The entry permitted the access already, or only its accessed or dirty state had to be set. */
  Present,
  /** A read of an untouched anonymous page: the shared page of zeros. */
  Zero,
  /** A page allocated, cleared or filled from the page cache, and mapped. */
  Minor,
  /** A write to a page mapped read-only: the page of zeros replaced, or write permission given. */
  Protection,
  Huge,
  /** Read from storage. */
  Major,
  /** Another thread changed the entry meanwhile: whoever faulted tries again. */
  Raced,
  /** No memory. */
  Failed,
}

export const FAULT_KINDS: readonly string[] = [
  'present',
  'zero',
  'minor',
  'protection',
  'huge',
  'major',
  'raced',
  'failed',
];

export class MmStatistics {
  /** handle_mm_fault by kind: latency, ps. */
  readonly faults: readonly Histogram[] = FAULT_KINDS.map(() => new Histogram());
  /** Segmentation faults of CPUs. */
  refused = 0;
  /** Pages paged out, of these written to storage, and pages looked at by reclaim. */
  evicted = 0;
  written = 0;
  scanned = 0;
  /** Calls of the notifiers of address spaces. */
  invalidations = 0;
  /** mmap_lock. */
  readonly locks = new LockStatistics();

  reset(): void {
    for (const histogram of this.faults) histogram.reset();
    this.refused = 0;
    this.evicted = 0;
    this.written = 0;
    this.scanned = 0;
    this.invalidations = 0;
    this.locks.reset();
  }
}
