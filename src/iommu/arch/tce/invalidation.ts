/**
 * What a TCE kill removes (skiboot hw/phb4.c, phb4_tce_kill): one page of an endpoint, everything of an endpoint, or everything. TCEs are
 * tagged with the endpoint; the page of a kill includes the window bit. Upper levels of multi-level tables are TCEs too: a page kill
 * takes those on the way to its page.
 */
import { type PageRange, pagesOf } from '../../page-range.js';
import { dropLeaves, dropStructures } from '../../sweep.js';
import type { Tag } from '../../tag.js';
import { inDomain } from '../../tag-index.js';
import type { Translations } from '../../translations.js';

export function killAll(t: Translations): void {
  t.invalidateAll();
}

export function killEndpoint(t: Translations, pe: number): void {
  const scope = inDomain(pe);
  const mine = (tag: Tag): boolean => tag.did === pe;
  dropLeaves(t, scope, mine);
  dropStructures(t, scope, mine);
}

export function killPage(t: Translations, pe: number, range: PageRange): void {
  const scope = inDomain(pe, 0, pagesOf(range));
  const mine = (tag: Tag): boolean => tag.did === pe && tag.meets(range);
  dropLeaves(t, scope, mine);
  dropStructures(t, scope, mine);
}
