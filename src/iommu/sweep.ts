/**
 * Removing cached translations by what their tags say: the vocabulary in which the invalidation rules of all architectures are written
 * (arch/NAME/invalidation.ts). A `Tag` is one entry as a rule sees it.
 */
import type { Stage } from './address-space.js';
import type { SetAssociativeCache } from './cache.js';
import type { Translations } from './translations.js';

/** An address range of 4 KiB << addressMask bytes, naturally aligned. */
export interface PageRange {
  readonly hi: number;
  readonly lo: number;
  readonly addressMask: number;
}

/** One cached translation or table entry. The object is reused: rules must not keep it. */
export class Tag {
  did = 0;
  /** PASID, ASID or PSCID; 0 for second-stage entries. */
  pasid = 0;
  stage: Stage = 0;
  global = false;
  /** Number of the region of 2^spanLg2 bytes that the entry covers, as a double. */
  region = 0;
  spanLg2 = 12;
  /** 1 leaf; otherwise level of the table entry. */
  level = 1;

  /** The region lies in the range, or contains it. */
  meets(range: PageRange): boolean {
    return meets(range, this.region, this.spanLg2);
  }
}

/** The range and region `number` of 2^spanLg2 bytes overlap: compared as numbers of the larger of the two. */
function meets(range: PageRange, number: number, spanLg2: number): boolean {
  const largerLg2 = Math.max(spanLg2, 12 + range.addressMask);
  const start = ((range.hi >>> 0) * 4294967296 + (range.lo >>> 0)) / 2 ** largerLg2;
  return Math.floor(number / 2 ** (largerLg2 - spanLg2)) === Math.floor(start);
}

/** The leaf of 2^sizeLg2 bytes that contains the 4 KiB page number pageHi:pageLo lies in the range, or contains it. */
export function containsPage(range: PageRange, pageHi: number, pageLo: number, sizeLg2: number): boolean {
  const page = (pageHi >>> 0) * 4294967296 + (pageLo >>> 0);
  return meets(range, Math.floor(page / 2 ** (sizeLg2 - 12)), sizeLg2);
}

const TAG = new Tag();

function structureTag(t: Translations, index: number, entry: number): Tag {
  const cache = t.structure[index]!;
  const k1 = cache.k1[entry]!;
  const k2 = cache.k2[entry]!;
  TAG.did = k1 >>> 16;
  TAG.pasid = k2 & 0xfffff;
  TAG.stage = (k2 >>> 22) & 3;
  TAG.global = false;
  TAG.region = (k1 & 0xffff) * 4294967296 + (cache.k0[entry]! >>> 0);
  TAG.spanLg2 = t.tableSpan[index]![entry]!;
  TAG.level = index + 2;
  return TAG;
}

function leafTag(t: Translations, cache: SetAssociativeCache, entry: number): Tag {
  const k1 = cache.k1[entry]!;
  const k2 = cache.k2[entry]!;
  const second = cache === t.second;
  TAG.did = k1 >>> 16;
  TAG.pasid = second ? 0 : k2 & 0xfffff;
  TAG.stage = second ? 0 : (k2 >>> 24) & 3;
  TAG.global = !second && t.global[entry] === 1;
  TAG.spanLg2 = t.sizeLg2[second ? k2 : (k2 >>> 20) & 15]!;
  // The number of a 4 KiB page may have 52 bits; the top four are in the third key word.
  const top = TAG.spanLg2 < 16 && !second ? ((k2 >>> 26) & 0xf) << (28 - TAG.spanLg2) : 0;
  TAG.region = ((k1 & 0xffff) | top) * 4294967296 + (cache.k0[entry]! >>> 0);
  TAG.level = 1;
  return TAG;
}

/** Removes the IOTLB entries that `drop` names. */
export function dropLeaves(t: Translations, drop: (tag: Tag) => boolean): void {
  const cache = t.iotlb;
  if (cache.occupancy === 0) return;
  for (let entry = 0; entry < cache.entries; entry++) {
    if (cache.valid[entry] === 1 && drop(leafTag(t, cache, entry))) t.drop(entry);
  }
}

/** Removes the table entries of the paging-structure caches that `drop` names. */
export function dropStructures(t: Translations, drop: (tag: Tag) => boolean): void {
  for (let i = 0; i < t.structure.length; i++) {
    const cache = t.structure[i]!;
    if (cache.occupancy === 0) continue;
    for (let entry = 0; entry < cache.entries; entry++) {
      if (cache.valid[entry] === 1 && drop(structureTag(t, i, entry))) cache.invalidate(entry);
    }
  }
}

/** Removes the entries of the second-stage TLB that `drop` names. */
export function dropSeconds(t: Translations, drop: (tag: Tag) => boolean): void {
  const cache = t.second;
  if (cache.occupancy === 0) return;
  for (let entry = 0; entry < cache.entries; entry++) {
    if (cache.valid[entry] === 1 && drop(leafTag(t, cache, entry))) t.dropSecond(entry);
  }
}
