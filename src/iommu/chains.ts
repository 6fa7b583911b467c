/**
 * Entries of one structure in doubly linked chains, one chain per hash value of something they have in common. Nothing a machine has:
 * it spares the simulator from comparing every entry. Chains of several values may fall together, so what is on a chain is a superset of what
 * is asked for.
 */
import type { SetAssociativeCache } from '../tlb/cache.js';

export class Chains {
  /** Entries on the chain of each bucket. */
  readonly count: Int32Array;
  readonly mask: number;
  private readonly first: Int32Array;
  private readonly following: Int32Array;
  private readonly previous: Int32Array;
  /** Bucket of an entry, -1 when it is on no chain. */
  private readonly bucket: Int32Array;

  constructor(entries: number) {
    let buckets = 4;
    while (buckets < 2 * entries) buckets *= 2;
    this.mask = buckets - 1;
    this.count = new Int32Array(buckets);
    this.first = new Int32Array(buckets).fill(-1);
    this.following = new Int32Array(entries);
    this.previous = new Int32Array(entries);
    this.bucket = new Int32Array(entries).fill(-1);
  }

  /**
   * Calls `removes` with every valid entry on a chain; it returns whether it has removed the entry from `cache`. Entries that were removed
   * otherwise stay on their chains until they are met here, or filled and linked again.
   */
  sweep(bucket: number, { valid }: SetAssociativeCache, removes: (entry: number) => boolean): void {
    for (let entry = this.first[bucket]!; entry >= 0; ) {
      const next = this.following[entry]!;
      if (valid[entry] === 0 || removes(entry)) this.unlink(entry);
      entry = next;
    }
  }

  /** Puts the entry on the chain of `bucket`, from whichever it is on. */
  link(entry: number, bucket: number): void {
    if (this.bucket[entry] === bucket) return;
    this.unlink(entry);
    const head = this.first[bucket]!;
    this.following[entry] = head;
    this.previous[entry] = -1;
    if (head >= 0) this.previous[head] = entry;
    this.first[bucket] = entry;
    this.bucket[entry] = bucket;
    this.count[bucket]!++;
  }

  unlink(entry: number): void {
    const bucket = this.bucket[entry]!;
    if (bucket < 0) return;
    const before = this.previous[entry]!;
    const after = this.following[entry]!;
    if (before >= 0) this.following[before] = after;
    else this.first[bucket] = after;
    if (after >= 0) this.previous[after] = before;
    this.bucket[entry] = -1;
    this.count[bucket]!--;
  }
}
