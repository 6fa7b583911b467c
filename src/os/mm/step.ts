/** Where the time of page faults and of memory-management calls goes. The steps follow those of the DMA API: an invalidation charges those. */
import { STEP_NAMES, Step } from '../step.js';

/** They begin where those of the DMA API end (a test holds both together). */
export const enum MmStep {
  // biome-ignore lint/style/useLiteralEnumMembers: the number follows from another enumeration.
  Exception = Step.Count,
  Lock,
  /** Sleeping for mmap_lock. */
  LockWait,
  Fault,
  Allocate,
  Clear,
  /** Waiting for storage. */
  Storage,
  Call,
  Pages,
  Shootdown,
  Reclaim,
}

/** Causes of a ledger for a thread that makes such calls. */
export const MM_STEP_NAMES: readonly string[] = [
  ...STEP_NAMES,
  'mm_exception',
  'mm_lock',
  'mm_lock_wait',
  'mm_fault',
  'mm_allocate',
  'mm_clear',
  'mm_storage',
  'mm_call',
  'mm_pages',
  'mm_shootdown',
  'mm_reclaim',
];
