/** Hands out numbers from 1 up, the lowest free one first (iommu_alloc_global_pasid over ida_alloc_range). 0 stands for no PASID. */
export class PasidAllocator {
  /** Bit set = in use. */
  private words = new Int32Array(32);
  /** No number below is free. */
  private lowest = 1;

  /** The lowest free number below `limit`; -1 if there is none. */
  allocate(limit: number): number {
    let pasid = this.lowest;
    while (pasid < limit && this.isUsed(pasid)) {
      pasid += (pasid & 31) === 0 && this.words[pasid >>> 5] === -1 ? 32 : 1;
    }
    if (pasid >= limit) return -1;
    while (pasid >>> 5 >= this.words.length) {
      const larger = new Int32Array(2 * this.words.length);
      larger.set(this.words);
      this.words = larger;
    }
    this.words[pasid >>> 5]! |= 1 << (pasid & 31);
    this.lowest = pasid + 1;
    return pasid;
  }

  free(pasid: number): void {
    if (!this.isUsed(pasid)) throw new RangeError(`PASID ${pasid} is not in use`);
    this.words[pasid >>> 5]! &= ~(1 << (pasid & 31));
    if (pasid < this.lowest) this.lowest = pasid;
  }

  private isUsed(pasid: number): boolean {
    return ((this.words[pasid >>> 5] ?? 0) & (1 << (pasid & 31))) !== 0;
  }
}
