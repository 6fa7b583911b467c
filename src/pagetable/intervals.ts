/**
 * Mappings of an address space without page tables: intervals of input addresses with the physical address each begins at, as a
 * virtio-iommu device and its driver keep them (interval trees there, a sorted array here). Addresses are doubles below 2^53.
 */
import type { Access } from '../protocol/access.js';

export interface Interval {
  readonly start: number;
  /** First address after it. */
  readonly end: number;
  readonly pa: number;
  readonly access: Access;
}

export class Intervals {
  private readonly sorted: Interval[] = [];

  get size(): number {
    return this.sorted.length;
  }

  [Symbol.iterator](): Iterator<Interval> {
    return this.sorted[Symbol.iterator]();
  }

  /** False, and nothing changed, if it overlaps another. */
  add(interval: Interval): boolean {
    const at = this.firstEndingAfter(interval.start);
    const next = this.sorted[at];
    if (next !== undefined && next.start < interval.end) return false;
    this.sorted.splice(at, 0, interval);
    return true;
  }

  /** The interval that contains the address. */
  find(address: number): Interval | null {
    const found = this.sorted[this.firstEndingAfter(address)];
    return found !== undefined && found.start <= address ? found : null;
  }

  /** The intervals that have an address of [start, end), in ascending order. */
  within(start: number, end: number): readonly Interval[] {
    const first = this.firstEndingAfter(start);
    let last = first;
    while (last < this.sorted.length && this.sorted[last]!.start < end) last++;
    return this.sorted.slice(first, last);
  }

  /**
   * Removes the intervals of [start, end) in ascending order and returns them; stops at one that reaches beyond, which stays:
   * `split` tells.
   */
  remove(start: number, end: number): { readonly removed: readonly Interval[]; readonly split: boolean } {
    const first = this.firstEndingAfter(start);
    let last = first;
    let split = false;
    while (last < this.sorted.length && this.sorted[last]!.start < end && !split) {
      const { start: from, end: to } = this.sorted[last]!;
      split = from < start || to > end;
      if (!split) last++;
    }
    return { removed: this.sorted.splice(first, last - first), split };
  }

  clear(): void {
    this.sorted.length = 0;
  }

  private firstEndingAfter(address: number): number {
    let low = 0;
    let high = this.sorted.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.sorted[middle]!.end > address) high = middle;
      else low = middle + 1;
    }
    return low;
  }
}
