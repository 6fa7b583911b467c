/** Read-only description of one structure that holds translations or directory entries, in an IOMMU or a device. */

export type Replacement = 'lru' | 'plru' | 'fifo' | 'random';

/** `ways` equal to `entries` is fully associative. `enabled: false` always misses. */
export interface StructureSpec {
  readonly enabled: boolean;
  readonly entries: number;
  readonly ways: number;
  readonly replacement: Replacement;
  /** Lookup time, ps. */
  readonly latency: number;
}
