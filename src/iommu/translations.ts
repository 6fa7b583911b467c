/**
 * The IOTLB and the paging-structure caches of one unit. One IOTLB array holds all page sizes; entries are tagged with domain,
 * PASID (first stage only), stage and size. A paging-structure cache of level n holds level-n table entries, that is, pointers to
 * level-(n-1) tables with the permissions accumulated so far.
 * Hot path: bench/end-to-end.
 */
import type { AddressSpace } from './address-space.js';
import { SetAssociativeCache } from './cache.js';
import type { IommuSpec } from './spec.js';

/** Leaf sizes: log2 of bytes by size class. */
export const SIZE_LG2: readonly number[] = [12, 21, 30];

export class Translations {
  readonly iotlb: SetAssociativeCache;
  /** Index 0 holds level 2 (2 MiB an entry). */
  readonly structure: readonly SetAssociativeCache[];
  /** Paging-structure caches are searched in parallel: the time of the slowest. */
  readonly structureLatency: number;
  /** Entries of each size class now in the IOTLB: sizes that are absent are not searched. */
  private readonly population = new Int32Array(3);
  private readonly pageHi: Int32Array;
  private readonly pageLo: Int32Array;
  private readonly permission: Int32Array;
  private readonly tableHi: readonly Int32Array[];
  private readonly tableLo: readonly Int32Array[];
  private readonly tablePermission: readonly Int32Array[];

  // Results of `lookup` and `resume`.
  outHi = 0;
  outLo = 0;
  level = 0;
  permissions = 0;

  constructor(spec: IommuSpec, seed: number, name: string) {
    this.iotlb = new SetAssociativeCache(spec.iotlb, seed, `${name}/iotlb`);
    const psc = spec.pagingStructureCache;
    const specs = [psc.level2, psc.level3, psc.level4, psc.level5];
    this.structure = specs.map((s, i) => new SetAssociativeCache(s, seed, `${name}/psc${i + 2}`));
    this.structureLatency = Math.max(0, ...specs.filter((s) => s.enabled).map((s) => s.latency));
    this.pageHi = new Int32Array(spec.iotlb.entries);
    this.pageLo = new Int32Array(spec.iotlb.entries);
    this.permission = new Int32Array(spec.iotlb.entries);
    this.tableHi = specs.map((s) => new Int32Array(s.entries));
    this.tableLo = specs.map((s) => new Int32Array(s.entries));
    this.tablePermission = specs.map((s) => new Int32Array(s.entries));
  }

  /**
   * Looks hi:lo up in every page size present. True on a hit that grants `access`: the translated address is in outHi:outLo.
   * A hit without the permission counts as a miss, so that the walk decides (and sets a dirty bit where one is due).
   */
  lookup(space: AddressSpace, hi: number, lo: number, access: number): boolean {
    const iotlb = this.iotlb;
    if (iotlb.enabled === false) return false;
    iotlb.lookups++;
    for (let size = 0; size < 3; size++) {
      if (this.population[size] === 0) continue;
      const entry = this.touch(space, size, hi, lo);
      if (entry < 0) continue;
      if ((this.permission[entry]! & access) !== access) return false;
      iotlb.hits++;
      const mask = (1 << SIZE_LG2[size]!) - 1;
      this.outHi = this.pageHi[entry]!;
      this.outLo = this.pageLo[entry]! | (lo & mask);
      return true;
    }
    return false;
  }

  private touch(space: AddressSpace, size: number, hi: number, lo: number): number {
    const s = SIZE_LG2[size]!;
    const k0 = (lo >>> s) | (hi << (32 - s));
    const k1 = ((hi >>> s) & 0xffff) | (space.did << 16);
    return this.iotlb.touch(k0, k1, space.pasid | (size << 20) | (space.stage << 22) | ((hi >>> 28) << 24));
  }

  /** Caches a leaf: page address, size class (0 = 4 KiB) and the permissions a hit may use without a walk. */
  fill(
    space: AddressSpace,
    hi: number,
    lo: number,
    size: number,
    outHi: number,
    outLo: number,
    permissions: number,
  ): void {
    const s = SIZE_LG2[size]!;
    const k0 = (lo >>> s) | (hi << (32 - s));
    const k1 = ((hi >>> s) & 0xffff) | (space.did << 16);
    const iotlb = this.iotlb;
    const victimsBefore = iotlb.evictions;
    const occupancyBefore = iotlb.occupancy;
    const entry = iotlb.fill(k0, k1, space.pasid | (size << 20) | (space.stage << 22) | ((hi >>> 28) << 24));
    if (entry < 0) return;
    if (iotlb.evictions !== victimsBefore) this.population[(iotlb.victimKey2 >>> 20) & 3]!--;
    if (iotlb.occupancy !== occupancyBefore || iotlb.evictions !== victimsBefore) this.population[size]!++;
    this.pageHi[entry] = outHi;
    this.pageLo[entry] = outLo & ~((1 << s) - 1);
    this.permission[entry] = permissions;
  }

  /**
   * Finds the deepest cached table for hi:lo below `levels`. True: tables of `level` at outHi:outLo with `permissions` so far.
   * False: the walk starts at the root.
   */
  resume(space: AddressSpace, hi: number, lo: number): boolean {
    for (let level = 2; level <= space.levels; level++) {
      const cache = this.structure[level - 2]!;
      const s = 12 + 9 * (level - 1);
      const entry = cache.lookup(
        s < 32 ? (lo >>> s) | (hi << (32 - s)) : hi >>> (s - 32),
        (s < 32 ? (hi >>> s) & 0xffff : 0) | (space.did << 16),
        space.pasid | (space.stage << 22),
      );
      if (entry >= 0) {
        this.level = level - 1;
        this.outHi = this.tableHi[level - 2]![entry]!;
        this.outLo = this.tableLo[level - 2]![entry]!;
        this.permissions = this.tablePermission[level - 2]![entry]!;
        return true;
      }
    }
    return false;
  }

  /** Caches the level-`level` table entry that covers hi:lo and points to the table at tableHi:tableLo. */
  fillStructure(
    space: AddressSpace,
    hi: number,
    lo: number,
    level: number,
    tableHi: number,
    tableLo: number,
    permissions: number,
  ): void {
    const cache = this.structure[level - 2]!;
    const s = 12 + 9 * (level - 1);
    const entry = cache.fill(
      s < 32 ? (lo >>> s) | (hi << (32 - s)) : hi >>> (s - 32),
      (s < 32 ? (hi >>> s) & 0xffff : 0) | (space.did << 16),
      space.pasid | (space.stage << 22),
    );
    if (entry < 0) return;
    this.tableHi[level - 2]![entry] = tableHi;
    this.tableLo[level - 2]![entry] = tableLo;
    this.tablePermission[level - 2]![entry] = permissions;
  }

  /** Removes an IOTLB entry. */
  drop(entry: number): void {
    if (this.iotlb.valid[entry] === 0) return;
    this.population[(this.iotlb.k2[entry]! >>> 20) & 3]!--;
    this.iotlb.invalidate(entry);
  }

  dropAll(): void {
    this.population.fill(0);
    this.iotlb.invalidateAll();
    for (const cache of this.structure) cache.invalidateAll();
  }

  resetCounters(): void {
    this.iotlb.resetCounters();
    for (const cache of this.structure) cache.resetCounters();
  }
}

/** Fields of an entry's key words, for invalidation rules. */
export const Key = {
  did: (cache: SetAssociativeCache, entry: number): number => cache.k1[entry]! >>> 16,
  pasid: (cache: SetAssociativeCache, entry: number): number => cache.k2[entry]! & 0xfffff,
  stage: (cache: SetAssociativeCache, entry: number): number => (cache.k2[entry]! >>> 22) & 3,
  size: (cache: SetAssociativeCache, entry: number): number => (cache.k2[entry]! >>> 20) & 3,
  /** Region number, high and low: the input address shifted right by the entry's span. Of 4 KiB pages the top four bits are in k2. */
  regionHi: (cache: SetAssociativeCache, entry: number): number => {
    const k2 = cache.k2[entry]!;
    return (cache.k1[entry]! & 0xffff) | (((k2 >>> 20) & 3) === 0 ? ((k2 >>> 24) & 0xf) << 16 : 0);
  },
  regionLo: (cache: SetAssociativeCache, entry: number): number => cache.k0[entry]!,
};
