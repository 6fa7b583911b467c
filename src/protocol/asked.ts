/**
 * Which pages software wants invalidated at this moment. Commands often name more (the smallest aligned power of two that covers a
 * range, the whole domain): what they remove besides is the price of that. Hardware knows nothing of it; only counters ask.
 */
export class AskedRanges {
  /** Ranges now being invalidated. */
  active = 0;
  /** First page and end of each, in 4 KiB pages; a free one has end 0. */
  private readonly first: number[] = [];
  private readonly end: number[] = [];

  /** Returns the number to give to `done`. */
  asks(first: number, count: number): number {
    let slot = this.end.indexOf(0);
    if (slot < 0) slot = this.end.length;
    this.first[slot] = first;
    this.end[slot] = first + count;
    this.active++;
    return slot;
  }

  done(slot: number): void {
    this.end[slot] = 0;
    this.active--;
  }

  /** Whether [first, end) meets a range. */
  meets(first: number, end: number): boolean {
    for (let i = 0; i < this.end.length; i++) if (first < this.end[i]! && end > this.first[i]!) return true;
    return false;
  }
}
