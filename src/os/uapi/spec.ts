/** What mapping memory of a process costs besides page-table code and invalidations. Times in ps. */
export interface UserMapCosts {
  /** Entering and leaving the system call, with its look-ups and bookkeeping. */
  readonly call: number;
  /** Pages that one call of pin_user_pages takes at most, what the call takes, and each of its pages. */
  readonly pinBatch: number;
  readonly pinCall: number;
  readonly pinPage: number;
  readonly unpinPage: number;
  /** One run of frames handed to iommu_map. */
  readonly run: number;
}
