/**
 * Removing cached translations by what their tags say: the vocabulary in which the invalidation rules of all architectures are written
 * (arch/NAME/invalidation.ts). A rule names a scope, which bounds where its entries are, and decides about each of them.
 */
import type { Tag } from './tag.js';
import type { Scope } from './tag-index.js';
import type { Translations } from './translations.js';

/** Removes the IOTLB entries of the scope that `drop` names. */
export function dropLeaves(t: Translations, scope: Scope, drop: (tag: Tag) => boolean): void {
  t.leafIndex.drop(scope, drop);
}

/** Removes the table entries of the paging-structure caches that `drop` names. */
export function dropStructures(t: Translations, scope: Scope, drop: (tag: Tag) => boolean): void {
  for (const index of t.tableIndex) index.drop(scope, drop);
}

/** Removes the entries of the second-stage TLB that `drop` names. */
export function dropSeconds(t: Translations, scope: Scope, drop: (tag: Tag) => boolean): void {
  t.secondIndex.drop(scope, drop);
}
