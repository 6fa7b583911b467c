/**
 * What each IOTINVAL command removes from the translation caches (RISC-V IOMMU specification, "IOMMU Page-Table cache invalidation
 * commands"; with NL, non-leaf entries too where an address is given). Directory caches are never touched by it.
 * Entries of nested translations are tagged with the input address, so a second-stage invalidation by address removes all of them in
 * the guest (GSCID), as the specification allows; second-stage entries go by their own address.
 */
import { Stage } from '../../address-space.js';
import { type PageRange, pagesOf } from '../../page-range.js';
import { dropLeaves, dropSeconds, dropStructures } from '../../sweep.js';
import type { Tag } from '../../tag.js';
import { ANY, EVERYTHING, inDomain } from '../../tag-index.js';
import type { Translations } from '../../translations.js';

/**
 * IOTINVAL.VMA: first-stage entries of the host's (`gscid` -1) or of one guest's address spaces; of one PSCID, which leaves global
 * leaves, or (-1) of all. With a range: the leaves in it, and with `nonLeaf` what leads to them.
 */
export function invalidateFirst(
  t: Translations,
  gscid: number,
  pscid: number,
  range: PageRange | null,
  nonLeaf: boolean,
): void {
  const mine = (tag: Tag): boolean => {
    const stage = gscid < 0 ? tag.stage === Stage.First : tag.stage === Stage.Nested && tag.did === gscid;
    return stage && (pscid < 0 || (tag.pasid === pscid && !tag.global));
  };
  // The host's address spaces have no GSCID: their domain is 0.
  const did = Math.max(gscid, 0);
  const scope = inDomain(did, pscid < 0 ? ANY : pscid, range === null ? null : pagesOf(range));
  dropLeaves(t, scope, (tag) => mine(tag) && (range === null || tag.meets(range)));
  if (range === null) dropStructures(t, scope, mine);
  else if (nonLeaf) dropStructures(t, scope, (tag) => mine(tag) && tag.meets(range));
}

/** IOTINVAL.GVMA: second-stage entries of one guest or (-1) of all, and what was combined from them. */
export function invalidateSecond(t: Translations, gscid: number, range: PageRange | null, nonLeaf: boolean): void {
  const guest = (tag: Tag): boolean => tag.stage !== Stage.First && (gscid < 0 || tag.did === gscid);
  const mine = (tag: Tag): boolean => tag.stage === Stage.Second && (gscid < 0 || tag.did === gscid);
  const all = gscid < 0 ? EVERYTHING : inDomain(gscid);
  if (range === null) {
    dropLeaves(t, all, guest);
    dropSeconds(t, all, mine);
    dropStructures(t, all, mine);
    return;
  }
  const inPages = gscid < 0 ? EVERYTHING : inDomain(gscid, 0, pagesOf(range));
  const inRange = (tag: Tag): boolean => mine(tag) && tag.meets(range);
  const nested = gscid < 0 ? EVERYTHING : inDomain(gscid, ANY, null, Stage.Nested, Stage.PassThrough);
  dropLeaves(
    t,
    nested,
    (tag) => guest(tag) && tag.stage !== Stage.Second && (tag.stage === Stage.Nested || tag.meets(range)),
  );
  dropLeaves(t, inPages, inRange);
  dropSeconds(t, inPages, inRange);
  if (nonLeaf) dropStructures(t, inPages, inRange);
}
