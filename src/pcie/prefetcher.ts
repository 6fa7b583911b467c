/**
 * Follows the accesses of a device to say which pages it will need: a few sequential streams, each of one PASID, found when a page is followed by the next one. A
 * stream that has been found is kept a distance ahead of the accesses. PCI Express lets a device ask for translations and pages it does not need yet
 * (Base Specification 6.0, 10.1.2 and 10.4); how it chooses them is its own affair. Not modelled: descending streams, strides, streams that span several PASIDs.
 * Hot path where it is on: bench/end-to-end.
 */
import type { PrefetchSpec } from './spec.js';

/** Asks for the translation of a page; false: it cannot be asked for now. */
export type Fetch = (pasid: number, page: number, write: boolean) => boolean;

export class Prefetcher {
  /** By stream: PASID (-2: none), last page accessed, last page asked for, whether two pages have followed each other, time of last use. */
  private readonly pasids: Int32Array;
  private readonly last: Float64Array;
  private readonly frontier: Float64Array;
  private readonly found: Uint8Array;
  private readonly usedAt: Float64Array;
  private uses = 0;
  private recent = 0;

  constructor(
    private readonly spec: PrefetchSpec,
    private readonly fetch: Fetch,
  ) {
    const { streams } = spec;
    this.pasids = new Int32Array(streams).fill(-2);
    this.last = new Float64Array(streams);
    this.frontier = new Float64Array(streams);
    this.found = new Uint8Array(streams);
    this.usedAt = new Float64Array(streams);
  }

  /** The device accesses a page (number in units of the smallest translation) of a PASID (-1: none). */
  saw(pasid: number, page: number, write: boolean): void {
    const s = this.recent;
    if (this.pasids[s] !== pasid || this.last[s] !== page) this.recent = this.follow(pasid, page);
    const stream = this.recent;
    if (this.found[stream] === 0) return;
    const end = this.last[stream]! + this.spec.distance;
    while (this.frontier[stream]! < end) {
      const next = this.frontier[stream]! + 1;
      if (!this.fetch(pasid, next, write)) return;
      this.frontier[stream] = next;
    }
  }

  /** The stream that the page belongs to, moved on to it; a new one in place of the one unused for longest if there is none. */
  private follow(pasid: number, page: number): number {
    const { pasids, last, frontier, usedAt } = this;
    const now = ++this.uses;
    let oldest = 0;
    for (let s = 0; s < pasids.length; s++) {
      // Parts of a DMA, and DMAs beside each other, do not come in strict order.
      if (pasids[s] === pasid && page > last[s]! - this.spec.distance && page <= frontier[s]! + 1) {
        if (page > last[s]!) {
          last[s] = page;
          this.found[s] = 1;
          if (frontier[s]! < page) frontier[s] = page;
        }
        usedAt[s] = now;
        return s;
      }
      if (usedAt[s]! < usedAt[oldest]!) oldest = s;
    }
    pasids[oldest] = pasid;
    last[oldest] = page;
    frontier[oldest] = page;
    this.found[oldest] = 0;
    usedAt[oldest] = now;
    return oldest;
  }
}
