/**
 * What each IOTINVAL command removes from the translation caches (RISC-V IOMMU specification, "IOMMU Page-Table cache invalidation
 * commands"; with NL, non-leaf entries too where an address is given). Directory caches are never touched by it.
 * Entries of nested translations are tagged with the input address, so a second-stage invalidation by address removes all of them in
 * the guest (GSCID), as the specification allows; second-stage entries go by their own address.
 */
import { Stage } from '../../address-space.js';
import { dropLeaves, dropSeconds, dropStructures, type PageRange, type Tag } from '../../sweep.js';
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
  dropLeaves(t, (tag) => mine(tag) && (range === null || tag.meets(range)));
  if (range === null) dropStructures(t, mine);
  else if (nonLeaf) dropStructures(t, (tag) => mine(tag) && tag.meets(range));
}

/** IOTINVAL.GVMA: second-stage entries of one guest or (-1) of all, and what was combined from them. */
export function invalidateSecond(t: Translations, gscid: number, range: PageRange | null, nonLeaf: boolean): void {
  const guest = (tag: Tag): boolean => tag.stage !== Stage.First && (gscid < 0 || tag.did === gscid);
  const mine = (tag: Tag): boolean => tag.stage === Stage.Second && (gscid < 0 || tag.did === gscid);
  dropLeaves(t, (tag) => guest(tag) && (range === null || tag.stage === Stage.Nested || tag.meets(range)));
  dropSeconds(t, (tag) => (gscid < 0 || tag.did === gscid) && (range === null || tag.meets(range)));
  if (range === null) dropStructures(t, mine);
  else if (nonLeaf) dropStructures(t, (tag) => mine(tag) && tag.meets(range));
}
