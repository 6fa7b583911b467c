/** Read-only description of the memory management of processes. Times in integer picoseconds, sizes in bytes. */

export interface MmCosts {
  /** Page-fault exception of a CPU: entry, exit, and the architecture's part of the handler. */
  readonly exception: number;
  /** Uncontended acquire and release of mmap_lock. */
  readonly lock: number;
  /** Finding the VMA of an address. */
  readonly vmaLookup: number;
  /** handle_mm_fault without what follows: walk, cgroup charge, reverse map, LRU, storing the entry. */
  readonly fault: number;
  /** Allocating a page. */
  readonly allocatePage: number;
  /** Clearing, or copying, 4 KiB. */
  readonly clearPage: number;
  /** Setting permissions or accessed and dirty state of a present page. */
  readonly updatePage: number;
  /** Preparing one transfer from or to storage. */
  readonly submitIo: number;
  /** munmap, mprotect, madvise: entry, VMA changes, exit. */
  readonly call: number;
  /** The same for one page of the range that is present, and one table unlinked. */
  readonly callPage: number;
  readonly callTable: number;
  /** Freeing a page after the flush. */
  readonly freePage: number;
  /** Interrupting the CPUs that run the process to flush their TLBs. */
  readonly shootdown: number;
  /** Looking at one page of the LRU clock, and unmapping one through the reverse map. */
  readonly scanPage: number;
  readonly evictPage: number;
}

export interface StorageSpec {
  /** From the submission of 4 KiB to its completion on an idle device, and time between completions of a busy one, ps. */
  readonly latency: number;
  readonly interval: number;
}

export interface MmSpec {
  /** Bytes that all processes may have resident (memory.max of a cgroup that holds them); Infinity: no limit. */
  readonly limit: number;
  /** Pages that one direct reclaim frees (SWAP_CLUSTER_MAX). */
  readonly cluster: number;
  readonly storage: StorageSpec;
  readonly costs: MmCosts;
}
