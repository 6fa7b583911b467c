/**
 * What each TLBI command removes from the translation caches (Arm IHI 0070G 4.4, 16.4). Entries are tagged with StreamWorld, VMID and
 * ASID: NS-EL1 entries have all of them (VMID alone those of stage 2), EL2-E2H ones an ASID only. Entries of stage 1 alone and of
 * both stages together are `stage 1` to every command. Commands by address remove leaves, and table entries on the way to the address
 * unless Leaf is set; TTL is a hint and not looked at. Global entries survive commands by ASID, not those by address or for all.
 */
import { Stage } from '../../address-space.js';
import { type Pages, POWER } from '../../page-range.js';
import { dropLeaves, dropSeconds, dropStructures } from '../../sweep.js';
import type { Tag } from '../../tag.js';
import { ANY, EVERYTHING, inDomain, type Scope } from '../../tag-index.js';
import type { Translations } from '../../translations.js';
import { EL2_TAG } from './directory.js';

/** Input addresses are compared without their top byte: it repeats bit 55 or is ignored (TBI). */
const ADDRESS_LG2 = 56;
const PAGE_LG2 = 12;

/** The region of the entry and the pages overlap. */
function overlaps({ region, spanLg2 }: Tag, { first, count }: Pages): boolean {
  const span = POWER[spanLg2 - PAGE_LG2]!;
  const start = (region % POWER[ADDRESS_LG2 - spanLg2]!) * span;
  const from = first % POWER[ADDRESS_LG2 - PAGE_LG2]!;
  return start < from + count && from < start + span;
}

/** NS-EL1 or EL2 stage 1 entries, of a VMID or ASID if one is named. */
function stage1(el2: boolean, vmid: number | null, asid: number | null): (tag: Tag) => boolean {
  return (tag) => {
    if (tag.stage !== Stage.First && tag.stage !== Stage.Nested) return false;
    if ((tag.pasid & EL2_TAG) !== (el2 ? EL2_TAG : 0)) return false;
    return (vmid === null || tag.did === vmid) && (asid === null || (tag.pasid & 0xffff) === asid);
  };
}

/** Where those are: EL2 entries have no VMID. */
function scopeOf(el2: boolean, vmid: number | null, asid: number | null, pages: Pages | null = null): Scope {
  const tag = asid === null ? ANY : el2 ? asid | EL2_TAG : asid;
  return inDomain(vmid ?? 0, tag, pages, Stage.First, Stage.Nested);
}

/** TLBI_NSNH_ALL: everything of NS-EL1, both stages. */
export function invalidateNonSecure(t: Translations): void {
  const all = (tag: Tag): boolean => (tag.pasid & EL2_TAG) === 0;
  dropLeaves(t, EVERYTHING, all);
  dropStructures(t, EVERYTHING, all);
  dropSeconds(t, EVERYTHING, all);
}

/** TLBI_NH_ALL of a VMID, TLBI_EL2_ALL (null): stage 1, global entries included. */
export function invalidateStage1(t: Translations, el2: boolean, vmid: number | null): void {
  const mine = stage1(el2, vmid, null);
  const scope = scopeOf(el2, vmid, null);
  dropLeaves(t, scope, mine);
  dropStructures(t, scope, mine);
}

/** TLBI_NH_ASID, TLBI_EL2_ASID: global entries stay. */
export function invalidateAsid(t: Translations, el2: boolean, vmid: number | null, asid: number): void {
  const mine = stage1(el2, vmid, asid);
  const scope = scopeOf(el2, vmid, asid);
  dropLeaves(t, scope, (tag) => mine(tag) && !tag.global);
  dropStructures(t, scope, mine);
}

/** TLBI_NH_VA, TLBI_EL2_VA, and with `asid` null TLBI_NH_VAA, TLBI_EL2_VAA: global entries match any ASID. */
export function invalidatePages(
  t: Translations,
  el2: boolean,
  vmid: number | null,
  asid: number | null,
  pages: Pages,
  leaf: boolean,
): void {
  const any = stage1(el2, vmid, null);
  const mine = stage1(el2, vmid, asid);
  const scope = scopeOf(el2, vmid, asid, pages);
  dropLeaves(t, scope, (tag) => (tag.global ? any(tag) : mine(tag)) && overlaps(tag, pages));
  if (!leaf) dropStructures(t, scope, (tag) => mine(tag) && overlaps(tag, pages));
}

/** TLBI_S12_VMALL: both stages of a VMID. */
export function invalidateMachine(t: Translations, vmid: number): void {
  const mine = (tag: Tag): boolean => tag.did === vmid && (tag.pasid & EL2_TAG) === 0;
  const scope = inDomain(vmid);
  dropLeaves(t, scope, mine);
  dropStructures(t, scope, mine);
  dropSeconds(t, scope, mine);
}

/** TLBI_S2_IPA: entries by IPA. What both stages made together stays: software removes it by VMID or VA. */
export function invalidateGuestPages(t: Translations, vmid: number, pages: Pages, leaf: boolean): void {
  const mine = (tag: Tag): boolean =>
    tag.stage === Stage.Second && (tag.pasid & EL2_TAG) === 0 && tag.did === vmid && overlaps(tag, pages);
  const scope = inDomain(vmid, 0, pages, Stage.Second);
  dropLeaves(t, scope, mine);
  dropSeconds(t, scope, mine);
  if (!leaf) dropStructures(t, scope, mine);
}
