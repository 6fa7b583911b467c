/**
 * What each invalidation command removes from the translation caches (Intel VT-d Architecture Specification, chapter 6, "Caching
 * Translation Information"). Context and PASID caches: see directory.ts. The second-stage TLB holds where first-stage tables lie: it
 * goes with the second stage of the domain.
 * Known silicon is coarser than the specification for non-leaf entries (Xeon E7 v2 Datasheet Vol. 2: a page-selective command
 * without the hint empties the domain's non-leaf caches): `nonLeafScope`.
 */
import { Stage } from '../../address-space.js';
import type { InvalidationSpec } from '../../spec.js';
import { type PageRange, pagesOf } from '../../page-range.js';
import { dropLeaves, dropSeconds, dropStructures } from '../../sweep.js';
import type { Tag } from '../../tag.js';
import { ANY, inDomain, Scope } from '../../tag-index.js';
import type { Translations } from '../../translations.js';

/** First-stage and nested entries are tagged with domain and PASID, second-stage and pass-through ones with the domain alone. */
const hasPasid = (tag: Tag): boolean => tag.stage === Stage.First || tag.stage === Stage.Nested;

/** IOTLB invalidate, global (granularity 01b). */
export function invalidateGlobal(t: Translations): void {
  t.invalidateAll();
}

/** IOTLB invalidate, domain-selective (10b): every PASID of the domain. */
export function invalidateDomain(t: Translations, did: number): void {
  const mine = (tag: Tag): boolean => tag.did === did;
  const scope = inDomain(did);
  dropLeaves(t, scope, mine);
  dropStructures(t, scope, mine);
  dropSeconds(t, scope, mine);
}

const PROCESSES = (1 << Stage.First) | (1 << Stage.Nested);
const SECOND_STAGE = (1 << Stage.Second) | (1 << Stage.PassThrough);
/** What the page-selective command at hand names, and where that is: most commands are such, and should leave no garbage. */
const processes = new Scope(0, ANY, PROCESSES, null);
const inPages = new Scope(0, 0, SECOND_STAGE, null);
const named = { did: 0, range: { hi: 0, lo: 0, addressMask: 0 } as PageRange };
const ofProcess = (tag: Tag): boolean => tag.did === named.did && hasPasid(tag);
const inRange = (tag: Tag): boolean => tag.did === named.did && !hasPasid(tag) && tag.meets(named.range);

/**
 * IOTLB invalidate, page-selective within domain (11b). First-stage and nested entries of the domain go whatever their address;
 * second-stage non-leaf entries stay when the hint (IH) is set and honoured.
 */
export function invalidatePages(
  t: Translations,
  did: number,
  range: PageRange,
  hint: boolean,
  spec: InvalidationSpec,
): void {
  processes.did = did;
  inPages.did = did;
  inPages.pages = pagesOf(range);
  named.did = did;
  named.range = range;
  dropLeaves(t, processes, ofProcess);
  dropLeaves(t, inPages, inRange);
  dropSeconds(t, inPages, inRange);
  dropStructures(t, processes, ofProcess);
  if (hint && spec.hintHonoured) return;
  if (spec.nonLeafScope === 'range') dropStructures(t, inPages, inRange);
  else dropStructures(t, inDomain(did, ANY, null, Stage.Second), (tag) => tag.did === did && !hasPasid(tag));
}

const ofPasid =
  (did: number, pasid: number) =>
  (tag: Tag): boolean =>
    hasPasid(tag) && tag.did === did && tag.pasid === pasid;

/** PASID-based IOTLB invalidate, all entries of one PASID of a domain (granularity 10b): first-stage and nested entries. */
export function invalidatePasid(t: Translations, did: number, pasid: number): void {
  const mine = ofPasid(did, pasid);
  const scope = inDomain(did, pasid);
  dropLeaves(t, scope, mine);
  dropStructures(t, scope, mine);
}

/** PASID-based IOTLB invalidate, page-selective within PASID (11b): first-stage and nested entries only. */
export function invalidatePasidPages(
  t: Translations,
  did: number,
  pasid: number,
  range: PageRange,
  hint: boolean,
  spec: InvalidationSpec,
): void {
  const mine = ofPasid(did, pasid);
  const inPages = inDomain(did, pasid, pagesOf(range));
  const inRange = (tag: Tag): boolean => mine(tag) && tag.meets(range);
  dropLeaves(t, inPages, inRange);
  if (hint && spec.hintHonoured) return;
  if (spec.nonLeafScope === 'range') dropStructures(t, inPages, inRange);
  else dropStructures(t, inDomain(did, pasid), mine);
}
