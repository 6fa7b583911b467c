/**
 * The translations that a device keeps (PCI Express Base Specification 6.0, 10.2.4): by PASID and page, pages of any power of two from the
 * device's smallest translation unit on, with read and write permission. A translation larger than the device can hold is held as the part of it that was
 * asked for.
 * Hot path: bench/end-to-end.
 */
import { SetAssociativeCache } from '../tlb/cache.js';
import type { StructureSpec } from '../tlb/spec.js';

/** log2 of the smallest translation, and of the largest that can be told apart. */
const SMALLEST_LG2 = 12;
const LARGEST_LG2 = 42;
/** Size class in the second key word, above the page number's upper bits. */
const SIZE_SHIFT = 20;

export class DeviceTlb {
  readonly cache: SetAssociativeCache;
  /** By entry: first address and permissions. */
  private readonly pageHi: Int32Array;
  private readonly pageLo: Int32Array;
  private readonly permission: Uint8Array;
  /** By entry: 1 until the first hit of a translation that was asked for ahead. */
  private readonly unused: Uint8Array;
  /** Entries of each size class, and as a bit set which classes have any. */
  private readonly counts = new Int32Array(LARGEST_LG2 - SMALLEST_LG2 + 1);
  private present = 0;

  /** Translations asked for ahead: hit for the first time, and gone without a hit. */
  prefetchHits = 0;
  prefetchUnused = 0;

  // Result of `lookup`.
  outHi = 0;
  outLo = 0;

  /** `largestLg2`: log2 of the largest translation that an entry holds. Throws RangeError for an impossible geometry. */
  constructor(
    spec: StructureSpec,
    private readonly largestLg2: number,
    seed: number,
    name: string,
  ) {
    if (largestLg2 < SMALLEST_LG2 || largestLg2 > LARGEST_LG2) {
      throw new RangeError(`${name}: translations of 2^${largestLg2} bytes cannot be held`);
    }
    this.cache = new SetAssociativeCache(spec, seed, name);
    this.pageHi = new Int32Array(spec.entries);
    this.pageLo = new Int32Array(spec.entries);
    this.permission = new Uint8Array(spec.entries);
    this.unused = new Uint8Array(spec.entries);
  }

  /** True when hi:lo may be accessed as `needed` (Access bits); its translated address is in outHi:outLo. `pasid` -1: none. Does not count. */
  lookup(pasid: number, hi: number, lo: number, needed: number): boolean {
    const { cache } = this;
    for (let rest = this.present; rest !== 0; rest &= rest - 1) {
      const size = 31 - Math.clz32(rest & -rest);
      const entry = cache.touch(firstKey(size, hi, lo), secondKey(size, hi), pasid);
      if (entry < 0) continue;
      if ((this.permission[entry]! & needed) !== needed) return false;
      if (this.unused[entry] === 1) {
        this.unused[entry] = 0;
        this.prefetchHits++;
      }
      const s = size + SMALLEST_LG2;
      this.outHi = this.pageHi[entry]! | (s < 32 ? 0 : hi & ((1 << (s - 32)) - 1));
      this.outLo = this.pageLo[entry]! | (s < 32 ? lo & ((1 << s) - 1) : lo);
      return true;
    }
    return false;
  }

  /** Whether a translation of hi:lo is held that permits `needed` (Access bits; 0: whatever it permits); no use counts. */
  holds(pasid: number, hi: number, lo: number, needed = 0): boolean {
    for (let rest = this.present; rest !== 0; rest &= rest - 1) {
      const size = 31 - Math.clz32(rest & -rest);
      const entry = this.cache.find(firstKey(size, hi, lo), secondKey(size, hi), pasid);
      if (entry >= 0) return (this.permission[entry]! & needed) === needed;
    }
    return false;
  }

  /** Keeps the translation of hi:lo to outHi:outLo, part of a page of 2^sizeLg2 bytes. `ahead`: nobody needs it yet. */
  fill(
    pasid: number,
    hi: number,
    lo: number,
    outHi: number,
    outLo: number,
    sizeLg2: number,
    permission: number,
    ahead = false,
  ): void {
    const { cache } = this;
    const s = sizeLg2 < this.largestLg2 ? sizeLg2 : this.largestLg2;
    const size = s - SMALLEST_LG2;
    const { evictions, occupancy } = cache;
    const entry = cache.fill(firstKey(size, hi, lo), secondKey(size, hi), pasid);
    if (entry < 0) return;
    if (cache.evictions !== evictions) {
      this.uncount(cache.victimKey1 >>> SIZE_SHIFT);
      this.prefetchUnused += this.unused[entry]!;
    }
    this.unused[entry] = ahead ? 1 : 0;
    if (cache.occupancy !== occupancy || cache.evictions !== evictions) {
      this.counts[size]!++;
      this.present |= 1 << size;
    }
    this.pageHi[entry] = s < 32 ? outHi : outHi & (-1 << (s - 32));
    this.pageLo[entry] = s < 32 ? outLo & (-1 << s) : 0;
    this.permission[entry] = permission;
  }

  /**
   * Removes what lies in, or covers part of, the region of 2^sizeLg2 bytes at hi:lo (64: everything); of one PASID, or of each. Returns how many
   * entries went.
   */
  invalidate(pasid: number, everyPasid: boolean, hi: number, lo: number, sizeLg2: number): number {
    const { cache } = this;
    const before = cache.occupancy;
    if (before === 0) return 0;
    const pages = 2 ** (sizeLg2 - SMALLEST_LG2);
    if (everyPasid || pages > before) {
      for (let entry = 0; entry < cache.entries; entry++) {
        if (cache.valid[entry] === 0 || (!everyPasid && cache.k2[entry] !== pasid)) continue;
        if (this.meets(entry, hi, lo, sizeLg2)) this.drop(entry);
      }
      return before - cache.occupancy;
    }
    for (let rest = this.present; rest !== 0; rest &= rest - 1) {
      const size = 31 - Math.clz32(rest & -rest);
      const s = size + SMALLEST_LG2;
      const regions = s >= sizeLg2 ? 1 : 2 ** (sizeLg2 - s);
      for (let i = 0; i < regions; i++) {
        const offset = i * 2 ** s;
        const at = hi | Math.floor(offset / 2 ** 32);
        const low = lo | ((offset % 2 ** 32) | 0);
        const entry = cache.find(firstKey(size, at, low), secondKey(size, at), pasid);
        if (entry >= 0) this.drop(entry);
      }
    }
    return before - cache.occupancy;
  }

  /** Whether the page of an entry and the region share a byte. */
  private meets(entry: number, hi: number, lo: number, sizeLg2: number): boolean {
    const k1 = this.cache.k1[entry]!;
    const s = (k1 >>> SIZE_SHIFT) + SMALLEST_LG2;
    const k0 = this.cache.k0[entry]!;
    const upper = k1 & ((1 << SIZE_SHIFT) - 1);
    const pageHi = s < 32 ? (upper << s) | (k0 >>> (32 - s)) : k0 << (s - 32);
    const pageLo = s < 32 ? k0 << s : 0;
    return sameRegion(pageHi, pageLo, hi, lo, s > sizeLg2 ? s : sizeLg2);
  }

  private drop(entry: number): void {
    this.uncount(this.cache.k1[entry]! >>> SIZE_SHIFT);
    this.prefetchUnused += this.unused[entry]!;
    this.unused[entry] = 0;
    this.cache.invalidate(entry);
  }

  resetCounters(): void {
    this.cache.resetCounters();
    this.prefetchHits = 0;
    this.prefetchUnused = 0;
  }

  private uncount(size: number): void {
    const left = this.counts[size]! - 1;
    this.counts[size] = left;
    if (left === 0) this.present &= ~(1 << size);
  }
}

/** Low and high bits of the page number of hi:lo for pages of a size class. */
function firstKey(size: number, hi: number, lo: number): number {
  const s = size + SMALLEST_LG2;
  return s < 32 ? (lo >>> s) | (hi << (32 - s)) : hi >>> (s - 32);
}

function secondKey(size: number, hi: number): number {
  const s = size + SMALLEST_LG2;
  return (s < 32 ? hi >>> s : 0) | (size << SIZE_SHIFT);
}

/** Whether two addresses lie in one naturally aligned region of 2^sizeLg2 bytes. */
export function sameRegion(hi: number, lo: number, otherHi: number, otherLo: number, sizeLg2: number): boolean {
  if (sizeLg2 >= 64) return true;
  if (sizeLg2 >= 32) return (hi ^ otherHi) >>> (sizeLg2 - 32) === 0;
  return hi === otherHi && (lo ^ otherLo) >>> sizeLg2 === 0;
}
