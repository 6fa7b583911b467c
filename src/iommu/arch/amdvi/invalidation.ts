/**
 * What the invalidation commands remove from the translation caches (specification 2.4.3). Host translations carry the domain,
 * guest and nested ones domain and PASID. Without PDE the page directory caches keep their entries: that is for unmaps that freed
 * no table. A nested entry is known by its guest-virtual address only, so a command for host pages (GN = 0), which names
 * guest-physical addresses, takes all nested entries of the domain.
 */
import { Stage } from '../../address-space.js';
import type { ContextCaches } from '../../contexts.js';
import type { InvalidationSpec } from '../../spec.js';
import { dropLeaves, dropSeconds, dropStructures, type PageRange, type Tag } from '../../sweep.js';
import type { Translations } from '../../translations.js';

/** INVALIDATE_DEVTAB_ENTRY: the entry and what was read by it, the device's GCR3 entries; translations stay. */
export function invalidateDevice(contexts: ContextCaches, deviceId: number): void {
  contexts.dropDevices((entry) => contexts.requesterOfDevice(entry) === deviceId);
  contexts.dropProcesses((entry) => contexts.requesterOfProcess(entry) === deviceId);
}

/** INVALIDATE_IOMMU_PAGES with GN = 0: pages of the domain's host table. */
export function invalidateHostPages(
  t: Translations,
  domain: number,
  range: PageRange,
  directories: boolean,
  spec: InvalidationSpec,
): void {
  dropLeaves(t, (tag) => {
    if (tag.did !== domain) return false;
    return tag.stage === Stage.Nested || (tag.stage === Stage.Second && tag.meets(range));
  });
  dropSeconds(t, (tag) => tag.did === domain && tag.meets(range));
  if (!directories && spec.hintHonoured) return;
  dropStructures(t, (tag) => tag.did === domain && tag.stage === Stage.Second && directoryIn(tag, range, spec));
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
  dropLeaves(t, (tag) => mine(tag) && tag.meets(range));
  if (!directories && spec.hintHonoured) return;
  dropStructures(t, (tag) => mine(tag) && directoryIn(tag, range, spec));
  contexts.dropProcesses((entry) => {
    return contexts.processSpace[entry]!.did === domain && contexts.pasidOfProcess(entry) === pasid;
  });
}

function directoryIn(tag: Tag, range: PageRange, spec: InvalidationSpec): boolean {
  return spec.nonLeafScope === 'domain' || tag.meets(range);
}

/** INVALIDATE_IOMMU_ALL. */
export function invalidateAll(t: Translations, contexts: ContextCaches): void {
  t.dropAll();
  contexts.dropAll();
}
