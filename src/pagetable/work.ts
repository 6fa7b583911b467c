/** What a table operation costs, in counts, and how it fails. */

export type PageTableFailure = 'misaligned' | 'width' | 'permissions' | 'overlap' | 'partial';

export class PageTableError extends Error {
  constructor(
    readonly failure: PageTableFailure,
    message: string,
  ) {
    super(message);
    this.name = 'PageTableError';
  }
}

/** Counts since `reset`, from which the caller computes software time. */
export class TableWork {
  /** Pages mapped or unmapped (large ones count once). */
  leaves = 0;
  /** 64-bit entries stored, leaf and table. */
  entries = 0;
  /** Of these, entries of leaves that take several: contiguous or replicated ones. */
  contiguous = 0;
  /** Tables entered on the way down, roots included: once for a run of neighbouring leaves. */
  levels = 0;
  /** The same for code that starts at the root again for every leaf. */
  levelsPerLeaf = 0;
  tablesAllocated = 0;
  /** Tables unlinked (not yet given back). */
  tablesFreed = 0;
  /** 64-byte lines stored, each once per run of entries: what a driver flushes for a non-coherent walker, besides those of each new table. */
  lines = 0;

  reset(): void {
    this.leaves = 0;
    this.entries = 0;
    this.contiguous = 0;
    this.levels = 0;
    this.levelsPerLeaf = 0;
    this.tablesAllocated = 0;
    this.tablesFreed = 0;
    this.lines = 0;
  }
}
