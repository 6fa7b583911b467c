/**
 * What each invalidation command removes from the translation caches (Intel VT-d Architecture Specification, chapter 6, "Caching
 * Translation Information"). Context and PASID caches: see directory.ts.
 * Known silicon is coarser than the specification for non-leaf entries (Xeon E7 v2 Datasheet Vol. 2: a page-selective command
 * without the hint empties the domain's non-leaf caches): `nonLeafScope`.
 */
import { Stage } from '../../address-space.js';
import type { SetAssociativeCache } from '../../cache.js';
import type { InvalidationSpec } from '../../spec.js';
import { Key, SIZE_LG2, type Translations } from '../../translations.js';

/** An address range of 4 KiB << addressMask bytes, naturally aligned. */
export interface PageRange {
  readonly hi: number;
  readonly lo: number;
  readonly addressMask: number;
}

/** Page number as a double: exact, it has at most 52 bits. */
const number = (hi: number, lo: number): number => (hi >>> 0) * 4294967296 + (lo >>> 0);

/** The range and the block of 2^spanLg2 bytes that contains page number `page` overlap: compared as numbers of the larger of the two. */
function meets(range: PageRange, page: number, spanLg2: number): boolean {
  const start = number(range.hi, range.lo) / 4096;
  const unit = 2 ** (Math.max(spanLg2, 12 + range.addressMask) - 12);
  return Math.floor(page / unit) === Math.floor(start / unit);
}

/** Region number hi:lo << spanLg2 lies in the range, or contains it. */
function overlaps(regionHi: number, regionLo: number, spanLg2: number, range: PageRange): boolean {
  return meets(range, number(regionHi, regionLo) * 2 ** (spanLg2 - 12), spanLg2);
}

/** The leaf of 2^sizeLg2 bytes that contains the 4 KiB page number pageHi:pageLo lies in the range, or contains it. */
export function containsPage(range: PageRange, pageHi: number, pageLo: number, sizeLg2: number): boolean {
  return meets(range, number(pageHi, pageLo), sizeLg2);
}

function dropStructure(
  t: Translations,
  keep: (cache: SetAssociativeCache, entry: number, level: number) => boolean,
): void {
  for (let i = 0; i < t.structure.length; i++) {
    const cache = t.structure[i]!;
    if (cache.occupancy === 0) continue;
    for (let entry = 0; entry < cache.entries; entry++) {
      if (cache.valid[entry] === 1 && !keep(cache, entry, i + 2)) cache.invalidate(entry);
    }
  }
}

function dropLeaves(t: Translations, drop: (cache: SetAssociativeCache, entry: number) => boolean): void {
  const cache = t.iotlb;
  if (cache.occupancy === 0) return;
  for (let entry = 0; entry < cache.entries; entry++) {
    if (cache.valid[entry] === 1 && drop(cache, entry)) t.drop(entry);
  }
}

/** IOTLB invalidate, global (granularity 01b). */
export function invalidateGlobal(t: Translations): void {
  t.dropAll();
}

/** IOTLB invalidate, domain-selective (10b): every PASID of the domain. */
export function invalidateDomain(t: Translations, did: number): void {
  dropLeaves(t, (cache, entry) => Key.did(cache, entry) === did);
  dropStructure(t, (cache, entry) => Key.did(cache, entry) !== did);
}

/**
 * IOTLB invalidate, page-selective within domain (11b). First-stage entries of the domain go whatever their address; second-stage
 * non-leaf entries stay when the hint (IH) is set and honoured.
 */
export function invalidatePages(
  t: Translations,
  did: number,
  range: PageRange,
  hint: boolean,
  spec: InvalidationSpec,
): void {
  dropLeaves(t, (cache, entry) => {
    if (Key.did(cache, entry) !== did) return false;
    if (Key.stage(cache, entry) === Stage.First) return true;
    const span = SIZE_LG2[Key.size(cache, entry)]!;
    return overlaps(Key.regionHi(cache, entry), Key.regionLo(cache, entry), span, range);
  });
  const keepSecond = hint && spec.hintHonoured;
  dropStructure(t, (cache, entry, level) => {
    if (Key.did(cache, entry) !== did) return true;
    if (Key.stage(cache, entry) === Stage.First) return false;
    if (keepSecond) return true;
    if (spec.nonLeafScope === 'domain') return false;
    return !overlaps(Key.regionHi(cache, entry), Key.regionLo(cache, entry), 12 + 9 * (level - 1), range);
  });
}

/** PASID-based IOTLB invalidate, all entries of one PASID of a domain (granularity 10b): first-stage entries. */
export function invalidatePasid(t: Translations, did: number, pasid: number): void {
  const mine = (cache: SetAssociativeCache, entry: number): boolean => ofPasid(cache, entry, did, pasid);
  dropLeaves(t, mine);
  dropStructure(t, (cache, entry) => !mine(cache, entry));
}

function ofPasid(cache: SetAssociativeCache, entry: number, did: number, pasid: number): boolean {
  const first = Key.stage(cache, entry) === Stage.First;
  return first && Key.did(cache, entry) === did && Key.pasid(cache, entry) === pasid;
}

/** PASID-based IOTLB invalidate, page-selective within PASID (11b): first-stage entries only. */
export function invalidatePasidPages(
  t: Translations,
  did: number,
  pasid: number,
  range: PageRange,
  hint: boolean,
  spec: InvalidationSpec,
): void {
  const mine = (cache: SetAssociativeCache, entry: number): boolean => ofPasid(cache, entry, did, pasid);
  dropLeaves(t, (cache, entry) => {
    const span = SIZE_LG2[Key.size(cache, entry)]!;
    return mine(cache, entry) && overlaps(Key.regionHi(cache, entry), Key.regionLo(cache, entry), span, range);
  });
  if (hint && spec.hintHonoured) return;
  dropStructure(t, (cache, entry, level) => {
    if (!mine(cache, entry)) return true;
    if (spec.nonLeafScope === 'domain') return false;
    return !overlaps(Key.regionHi(cache, entry), Key.regionLo(cache, entry), 12 + 9 * (level - 1), range);
  });
}
