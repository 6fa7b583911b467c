/**
 * Whoever keeps translations of a process outside its CPUs (struct mmu_notifier, mm/mmu_notifier.c): an IOMMU that walks the process page
 * table. Called in the context of the thread that changes the table.
 */
import type { Call, Thread } from '../thread.js';

export interface MmuNotifier {
  /**
   * arch_invalidate_secondary_tlbs: entries of [start, end) are gone from the table or lost permissions. Returns when nobody uses them any
   * more; pages and tables are freed only after that.
   */
  invalidate(thread: Thread, start: number, end: number): Call<void>;
  /** The address space dies: after this nobody translates by its table. */
  release(thread: Thread): Call<void>;
}
