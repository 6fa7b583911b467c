/**
 * What the invalidation commands remove from the translation caches (specification 2.4.3). Host translations carry the domain,
 * guest and nested ones domain and PASID. Without PDE the page directory caches keep their entries: that is for unmaps that freed
 * no table. A nested entry is known by its guest-virtual address only, so a command for host pages (GN = 0), which names
 * guest-physical addresses, takes all nested entries of the domain.
 */
import { Stage } from '../../address-space.js';
import type { ContextCaches } from '../../contexts.js';
import type { InvalidationSpec } from '../../spec.js';
import { type PageRange, pagesOf } from '../../page-range.js';
import { dropLeaves, dropSeconds, dropStructures } from '../../sweep.js';
import type { Tag } from '../../tag.js';
import { ANY, inDomain } from '../../tag-index.js';
import type { Translations } from '../../translations.js';

/** INVALIDATE_DEVTAB_ENTRY: the entry and what was read by it, the device's GCR3 entries; translations stay. */
export function invalidateDevice(contexts: ContextCaches, deviceId: number): void {
  contexts.dropDevice(deviceId);
  contexts.dropProcessesOf(deviceId, () => true);
}

/** INVALIDATE_IOMMU_PAGES with GN = 0: pages of the domain's host table. */
export function invalidateHostPages(
  t: Translations,
  domain: number,
  range: PageRange,
  directories: boolean,
  spec: InvalidationSpec,
): void {
  const host = inDomain(domain, 0, pagesOf(range), Stage.Second);
  const mine = (tag: Tag): boolean => tag.did === domain && tag.stage === Stage.Second;
  const inRange = (tag: Tag): boolean => mine(tag) && tag.meets(range);
  dropLeaves(t, inDomain(domain, ANY, null, Stage.Nested), (tag) => tag.did === domain && tag.stage === Stage.Nested);
  dropLeaves(t, host, inRange);
  dropSeconds(t, host, inRange);
  if (!directories && spec.hintHonoured) return;
  if (spec.nonLeafScope === 'range') dropStructures(t, host, inRange);
  else dropStructures(t, inDomain(domain, ANY, null, Stage.Second), mine);
}

/** INVALIDATE_IOMMU_PAGES with GN = 1: pages of the guest table of one PASID; with PDE also how to find that table. */
export function invalidateGuestPages(
  t: Translations,
  contexts: ContextCaches,
  domain: number,
  pasid: number,
  range: PageRange,
  directories: boolean,
  spec: InvalidationSpec,
): void {
  const mine = (tag: Tag): boolean => {
    const guest = tag.stage === Stage.First || tag.stage === Stage.Nested;
    return guest && tag.did === domain && tag.pasid === pasid;
  };
  const inPages = inDomain(domain, pasid, pagesOf(range));
  const inRange = (tag: Tag): boolean => mine(tag) && tag.meets(range);
  dropLeaves(t, inPages, inRange);
  if (!directories && spec.hintHonoured) return;
  if (spec.nonLeafScope === 'range') dropStructures(t, inPages, inRange);
  else dropStructures(t, inDomain(domain, pasid), mine);
  contexts.dropProcessesIn(domain, (entry) => contexts.pasidOfProcess(entry) === pasid);
}

/** INVALIDATE_IOMMU_ALL. */
export function invalidateAll(t: Translations, contexts: ContextCaches): void {
  t.invalidateAll();
  contexts.dropAll();
}
