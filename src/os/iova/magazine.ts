const NOTHING = new Float64Array(0);

/** A stack of page frame numbers of equal-sized IOVA ranges (struct iova_magazine, drivers/iommu/iova.c; 127 entries in Linux). */
export class Magazine {
  /** Allocated with the first entry: most CPUs never use most size classes. */
  private pfns: Float64Array = NOTHING;
  private count = 0;

  constructor(private readonly capacity: number) {}

  get size(): number {
    return this.count;
  }

  get full(): boolean {
    return this.count === this.capacity;
  }

  push(pfn: number): void {
    if (this.pfns === NOTHING) this.pfns = new Float64Array(this.capacity);
    this.pfns[this.count++] = pfn;
  }

  /** The topmost PFN that is at most `limit`, 0 if there is none. The top entry takes the place of one from further down. */
  pop(limit: number): number {
    let i = this.count - 1;
    while (i >= 0 && this.pfns[i]! > limit) i--;
    if (i < 0) return 0;
    const pfn = this.pfns[i]!;
    this.pfns[i] = this.pfns[--this.count]!;
    return pfn;
  }

  at(index: number): number {
    return this.pfns[index]!;
  }

  clear(): void {
    this.count = 0;
  }
}
