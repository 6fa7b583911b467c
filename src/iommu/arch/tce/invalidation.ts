/**
 * What a TCE kill removes (skiboot hw/phb4.c, phb4_tce_kill): one page of an endpoint, everything of an endpoint, or everything. TCEs are
 * tagged with the endpoint; the page of a kill includes the window bit. Upper levels of multi-level tables are TCEs too: a page kill
 * takes those on the way to its page.
 */
import { dropLeaves, dropStructures, type PageRange } from '../../sweep.js';
import type { Translations } from '../../translations.js';

export function killAll(t: Translations): void {
  t.dropAll();
}

export function killEndpoint(t: Translations, pe: number): void {
  dropLeaves(t, (tag) => tag.did === pe);
  dropStructures(t, (tag) => tag.did === pe);
}

export function killPage(t: Translations, pe: number, range: PageRange): void {
  dropLeaves(t, (tag) => tag.did === pe && tag.meets(range));
  dropStructures(t, (tag) => tag.did === pe && tag.meets(range));
}
