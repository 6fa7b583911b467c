/**
 * What page-table code costs: a time for each count of work that the table reports, by entry format and by generation of the code
 * (Linux before and since drivers/iommu/generic_pt). Table pages are allocated and freed at a price of their own. Not modelled: cache
 * misses on the tables, the loop over page sizes around old drivers (iommu_map_pages).
 */
import type { TableWork } from '../pagetable/work.js';

/** Formats as Linux names them in drivers/iommu/generic_pt/fmt. */
export const TABLE_FORMATS = ['amdv1', 'vtdss', 'x86_64', 'armv8', 'riscv64'] as const;
export type TableFormat = (typeof TABLE_FORMATS)[number];

/** `generic`: generic_pt. `legacy`: what a driver had, or has, of its own: io-pgtable, or code inside the driver. */
export const TABLE_CODES = ['generic', 'legacy'] as const;
export type TableCode = (typeof TABLE_CODES)[number];

/** ps. */
export interface TableTerms {
  /** Per call. */
  readonly call: number;
  /** Per leaf, however many entries it has. */
  readonly leaf: number;
  /** Per entry of a leaf that has several. */
  readonly slot: number;
  /** Per table entered. */
  readonly level: number;
}

export interface TableProfile {
  /** The code starts at the root again for every leaf, instead of keeping its place in the table. */
  readonly rootPerLeaf: boolean;
  readonly map: TableTerms;
  readonly unmap: TableTerms;
}

export type TableCosts = Readonly<Record<TableFormat, Readonly<Record<TableCode, TableProfile>>>>;

/** The whole of a map call, but for pages allocated. */
export function mapTime(profile: TableProfile, work: TableWork): number {
  return profile.map.call + workTime(profile.map, profile, work);
}

/** What an unmap call takes besides `unmap.call`. */
export function unmapTime(profile: TableProfile, work: TableWork): number {
  return workTime(profile.unmap, profile, work);
}

function workTime(terms: TableTerms, { rootPerLeaf }: TableProfile, work: TableWork): number {
  const levels = rootPerLeaf ? work.levelsPerLeaf : work.levels;
  return work.leaves * terms.leaf + work.contiguous * terms.slot + levels * terms.level;
}
