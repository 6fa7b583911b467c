/**
 * The translation caches of one unit: the IOTLB (whole translations of any page size in one array), one paging-structure cache per
 * table level for both stages, and the second-stage TLB, which knows where the guest-physical pages of first-stage tables and
 * directories lie. Entries are tagged with domain, PASID (not second stage) and stage. A paging-structure cache of level n holds
 * level-n table entries, that is, pointers to tables below with the permissions accumulated so far.
 * Hot path: bench/end-to-end.
 */
import { type Format, Permission } from '../pagetable/format.js';
import type { Walk } from '../pagetable/walk.js';
import { type AddressSpace, Stage } from './address-space.js';
import { SetAssociativeCache } from '../tlb/cache.js';
import type { Miss } from './miss.js';
import type { IommuSpec } from './spec.js';
import { LeafTags, TableTags } from './tag.js';
import { EVERYTHING, TagIndex, type Witness } from './tag-index.js';

/** Most page sizes a unit can tell apart. */
const SIZES = 16;

/** How many entries of each size class there are, and as a bit set which classes have any. */
class Census {
  present = 0;
  private readonly counts = new Int32Array(SIZES);

  add(size: number): void {
    this.counts[size]!++;
    this.present |= 1 << size;
  }

  remove(size: number): void {
    const left = this.counts[size]! - 1;
    this.counts[size] = left;
    if (left === 0) this.present &= ~(1 << size);
  }

  clear(): void {
    this.counts.fill(0);
    this.present = 0;
  }
}

export class Translations {
  readonly iotlb: SetAssociativeCache;
  /** Index 0 holds level 2 entries. */
  readonly structure: readonly SetAssociativeCache[];
  readonly second: SetAssociativeCache;
  /** Paging-structure caches are searched in parallel: the time of the slowest. */
  readonly structureLatency: number;
  readonly secondLatency: number;
  /** log2 of the bytes of each size class, ascending. */
  readonly sizeLg2: readonly number[];
  /** Size class that holds a leaf of 2^n bytes. */
  private readonly classOf = new Int8Array(65);
  private readonly shift: Int32Array;
  private readonly maskHi: Int32Array;
  private readonly maskLo: Int32Array;
  /** Size classes now in the IOTLB, and in the second-stage TLB: sizes that are absent are not searched. */
  private readonly population = new Census();
  private readonly secondPopulation = new Census();
  /** By entry number of the IOTLB: first address and permissions of the page. */
  readonly pageHi: Int32Array;
  readonly pageLo: Int32Array;
  readonly permission: Int32Array;
  /** 1: the entry is global: commands that name a PASID leave it. */
  readonly global: Uint8Array;
  /** The same of the second-stage TLB. */
  readonly hostHi: Int32Array;
  readonly hostLo: Int32Array;
  readonly hostPermission: Int32Array;
  /** By paging-structure cache and its entry number: the table that the cached entry points to, its level, permissions so far. */
  readonly tableHi: readonly Int32Array[];
  readonly tableLo: readonly Int32Array[];
  readonly tableLevel: readonly Uint8Array[];
  readonly tablePermission: readonly Int32Array[];
  /** log2 of the input bytes that an entry covers. */
  readonly tableSpan: readonly Uint8Array[];
  /** How invalidations find entries: of the IOTLB, the second-stage TLB, the paging-structure caches. */
  readonly leafIndex: TagIndex;
  readonly secondIndex: TagIndex;
  readonly tableIndex: readonly TagIndex[];

  // Results of `lookup`, `lookupSecond` and `resume`.
  outHi = 0;
  outLo = 0;
  level = 0;
  permissions = 0;
  outSizeLg2 = 0;
  /** IOTLB entry of the last hit. */
  private found = 0;

  constructor(spec: IommuSpec, pageSizes: readonly number[], seed: number, name: string) {
    if (pageSizes.length > SIZES) throw new RangeError(`${name}: more than ${SIZES} page sizes`);
    this.sizeLg2 = pageSizes;
    for (let lg2 = 0; lg2 <= 64; lg2++) {
      for (let i = 0; i < pageSizes.length; i++) if (pageSizes[i]! <= lg2) this.classOf[lg2] = i;
    }
    this.shift = Int32Array.from(pageSizes);
    this.maskLo = Int32Array.from(pageSizes, (s) => (s < 32 ? (1 << s) - 1 : -1));
    this.maskHi = Int32Array.from(pageSizes, (s) => (s < 32 ? 0 : (1 << (s - 32)) - 1));
    this.iotlb = new SetAssociativeCache(spec.iotlb, seed, `${name}/iotlb`);
    this.second = new SetAssociativeCache(spec.secondStageTlb, seed, `${name}/second`);
    const psc = spec.pagingStructureCache;
    const specs = [psc.level2, psc.level3, psc.level4, psc.level5];
    this.structure = specs.map((s, i) => new SetAssociativeCache(s, seed, `${name}/psc${i + 2}`));
    this.structureLatency = Math.max(0, ...specs.filter((s) => s.enabled).map((s) => s.latency));
    this.secondLatency = spec.secondStageTlb.enabled ? spec.secondStageTlb.latency : 0;
    this.pageHi = new Int32Array(spec.iotlb.entries);
    this.pageLo = new Int32Array(spec.iotlb.entries);
    this.permission = new Int32Array(spec.iotlb.entries);
    this.global = new Uint8Array(spec.iotlb.entries);
    this.hostHi = new Int32Array(spec.secondStageTlb.entries);
    this.hostLo = new Int32Array(spec.secondStageTlb.entries);
    this.hostPermission = new Int32Array(spec.secondStageTlb.entries);
    this.tableHi = specs.map((s) => new Int32Array(s.entries));
    this.tableLo = specs.map((s) => new Int32Array(s.entries));
    this.tableLevel = specs.map((s) => new Uint8Array(s.entries));
    this.tablePermission = specs.map((s) => new Int32Array(s.entries));
    this.tableSpan = specs.map((s) => new Uint8Array(s.entries));
    const leaves = new LeafTags(this.iotlb, pageSizes, this.global);
    this.leafIndex = new TagIndex(this.iotlb, leaves, (entry) => this.drop(entry));
    const seconds = new LeafTags(this.second, pageSizes, null);
    this.secondIndex = new TagIndex(this.second, seconds, (entry) => this.dropSecond(entry), true);
    this.tableIndex = this.structure.map((cache, i) => {
      const tags = new TableTags(cache, i + 2, this.tableSpan[i]!);
      return new TagIndex(cache, tags, (entry) => cache.invalidate(entry));
    });
  }

  /**
   * Looks hi:lo up in every page size present. True on a hit that grants `needed`: the translated address is in outHi:outLo.
   * A hit without the permission counts as a miss, so that the walk decides (and sets a dirty bit where one is due).
   */
  lookup(space: AddressSpace, hi: number, lo: number, needed: number): boolean {
    const iotlb = this.iotlb;
    if (iotlb.enabled === false) return false;
    iotlb.lookups++;
    for (let rest = this.population.present; rest !== 0; rest &= rest - 1) {
      const size = 31 - Math.clz32(rest & -rest);
      const entry = this.touch(space, size, hi, lo);
      if (entry < 0) continue;
      if ((this.permission[entry]! & needed) !== needed) return false;
      iotlb.hits++;
      this.found = entry;
      this.outSizeLg2 = this.shift[size]!;
      this.outHi = this.pageHi[entry]! | (hi & this.maskHi[size]!);
      this.outLo = this.pageLo[entry]! | (lo & this.maskLo[size]!);
      return true;
    }
    return false;
  }

  /** Gives the walk of a miss what the last hit of `lookup` holds. */
  answer({ walk }: Miss): void {
    walk.outHi = this.outHi;
    walk.outLo = this.outLo;
    walk.sizeLg2 = this.outSizeLg2;
    walk.permissions = this.permission[this.found]!;
    walk.global = this.global[this.found]!;
  }

  /** Permissions of the last hit of `lookup`. */
  get foundPermissions(): number {
    return this.permission[this.found]!;
  }

  private touch(space: AddressSpace, size: number, hi: number, lo: number): number {
    const s = this.shift[size]!;
    const k0 = s < 32 ? (lo >>> s) | (hi << (32 - s)) : hi >>> (s - 32);
    const k1 = (s < 32 ? (hi >>> s) & 0xffff : 0) | (space.did << 16);
    return this.iotlb.touch(k0, k1, space.pasid | (size << 20) | (space.stage << 24) | ((hi >>> 28) << 26));
  }

  /**
   * Caches what the walk of a miss has found, with the permissions a hit may use without a walk. A page size that the unit does not
   * know is held as the next smaller one.
   */
  fill({ space, walk, inputHi: hi, inputLo: lo }: Miss): void {
    const size = this.classOf[walk.sizeLg2]!;
    const s = this.shift[size]!;
    const k0 = s < 32 ? (lo >>> s) | (hi << (32 - s)) : hi >>> (s - 32);
    const k1 = (s < 32 ? (hi >>> s) & 0xffff : 0) | (space.did << 16);
    const iotlb = this.iotlb;
    const victimsBefore = iotlb.evictions;
    const occupancyBefore = iotlb.occupancy;
    const entry = iotlb.fill(k0, k1, space.pasid | (size << 20) | (space.stage << 24) | ((hi >>> 28) << 26));
    if (entry < 0) return;
    if (iotlb.evictions !== victimsBefore) this.population.remove((iotlb.victimKey2 >>> 20) & 15);
    if (iotlb.occupancy !== occupancyBefore || iotlb.evictions !== victimsBefore) this.population.add(size);
    this.pageHi[entry] = walk.outHi & ~this.maskHi[size]!;
    this.pageLo[entry] = walk.outLo & ~this.maskLo[size]!;
    this.permission[entry] = walk.permissions;
    this.global[entry] = walk.global;
  }

  /** Second-stage translation of the guest-physical hi:lo for an access of the walker. True: host address in outHi:outLo, of outSizeLg2. */
  lookupSecond(space: AddressSpace, hi: number, lo: number, needed: number): boolean {
    const cache = this.second;
    if (cache.enabled === false) return false;
    cache.lookups++;
    for (let rest = this.secondPopulation.present; rest !== 0; rest &= rest - 1) {
      const size = 31 - Math.clz32(rest & -rest);
      const s = this.shift[size]!;
      const k0 = s < 32 ? (lo >>> s) | (hi << (32 - s)) : hi >>> (s - 32);
      const entry = cache.touch(k0, (s < 32 ? (hi >>> s) & 0xffff : 0) | (space.did << 16), size);
      if (entry < 0) continue;
      const permissions = this.hostPermission[entry]!;
      if ((permissions & needed) !== needed) return false;
      cache.hits++;
      this.outHi = this.hostHi[entry]! | (hi & this.maskHi[size]!);
      this.outLo = this.hostLo[entry]! | (lo & this.maskLo[size]!);
      this.outSizeLg2 = s;
      this.permissions = permissions;
      return true;
    }
    return false;
  }

  /** Caches where a guest-physical page lies, as a second-stage walk has found it. */
  fillSecond(space: AddressSpace, walk: Walk): void {
    const cache = this.second;
    const { inputHi: hi, inputLo: lo } = walk;
    const size = this.classOf[walk.sizeLg2]!;
    const s = this.shift[size]!;
    const k0 = s < 32 ? (lo >>> s) | (hi << (32 - s)) : hi >>> (s - 32);
    const victimsBefore = cache.evictions;
    const occupancyBefore = cache.occupancy;
    const entry = cache.fill(k0, (s < 32 ? (hi >>> s) & 0xffff : 0) | (space.did << 16), size);
    if (entry < 0) return;
    if (cache.evictions !== victimsBefore) this.secondPopulation.remove(cache.victimKey2);
    if (cache.occupancy !== occupancyBefore || cache.evictions !== victimsBefore) this.secondPopulation.add(size);
    this.hostHi[entry] = walk.outHi & ~this.maskHi[size]!;
    this.hostLo[entry] = walk.outLo & ~this.maskLo[size]!;
    this.hostPermission[entry] = walk.clean === 1 ? walk.permissions & ~Permission.Write : walk.permissions;
  }

  /**
   * Finds the deepest cached table for hi:lo below `levels` of a space's tables under the tag `stage`. True: tables of `level` at
   * outHi:outLo with `permissions` so far. False: the walk starts at the root.
   */
  resume(space: AddressSpace, stage: Stage, format: Format, levels: number, hi: number, lo: number): boolean {
    const top = levels < 5 ? levels : 5;
    const k2 = (stage === Stage.Second ? 0 : space.pasid | (stage << 22)) | (space.tableNumber << 24);
    for (let level = 2; level <= top; level++) {
      const cache = this.structure[level - 2]!;
      const s = format.indexShift[level]! + 3;
      const entry = cache.lookup(
        s < 32 ? (lo >>> s) | (hi << (32 - s)) : hi >>> (s - 32),
        (s < 32 ? (hi >>> s) & 0xffff : 0) | (space.did << 16),
        k2,
      );
      if (entry >= 0) {
        this.level = this.tableLevel[level - 2]![entry]!;
        this.outHi = this.tableHi[level - 2]![entry]!;
        this.outLo = this.tableLo[level - 2]![entry]!;
        this.permissions = this.tablePermission[level - 2]![entry]!;
        return true;
      }
    }
    return false;
  }

  /**
   * Caches the table entry that the walk has just consumed, as one of the level above the table it points to: one that skips levels
   * (AMD-Vi) is good only where the address bits of those are the same.
   */
  fillStructure(space: AddressSpace, stage: Stage, format: Format, walk: Walk): void {
    const { inputHi: hi, inputLo: lo } = walk;
    const entryLevel = walk.level + 1;
    if (entryLevel > 5) return;
    const cache = this.structure[entryLevel - 2]!;
    const s = format.indexShift[entryLevel]! + 3;
    const entry = cache.fill(
      s < 32 ? (lo >>> s) | (hi << (32 - s)) : hi >>> (s - 32),
      (s < 32 ? (hi >>> s) & 0xffff : 0) | (space.did << 16),
      (stage === Stage.Second ? 0 : space.pasid | (stage << 22)) | (space.tableNumber << 24),
    );
    if (entry < 0) return;
    this.tableHi[entryLevel - 2]![entry] = walk.tableHi;
    this.tableLo[entryLevel - 2]![entry] = walk.tableLo;
    this.tableLevel[entryLevel - 2]![entry] = walk.level;
    this.tablePermission[entryLevel - 2]![entry] = walk.permissions;
    this.tableSpan[entryLevel - 2]![entry] = s;
  }

  /** Removes an IOTLB entry. */
  drop(entry: number): void {
    if (this.iotlb.valid[entry] === 0) return;
    this.population.remove((this.iotlb.k2[entry]! >>> 20) & 15);
    this.iotlb.invalidate(entry);
  }

  /** Removes an entry of the second-stage TLB. */
  dropSecond(entry: number): void {
    if (this.second.valid[entry] === 0) return;
    this.secondPopulation.remove(this.second.k2[entry]!);
    this.second.invalidate(entry);
  }

  /** Who is told of every entry that an invalidation removes. */
  watch(witness: Witness): void {
    this.leafIndex.witness = witness;
    this.secondIndex.witness = witness;
    for (const index of this.tableIndex) index.witness = witness;
  }

  /** A command that removes everything: as `dropAll`, and the witness is told. */
  invalidateAll(): void {
    this.leafIndex.drop(EVERYTHING, () => true);
    this.secondIndex.drop(EVERYTHING, () => true);
    for (const index of this.tableIndex) index.drop(EVERYTHING, () => true);
  }

  dropAll(): void {
    this.population.clear();
    this.secondPopulation.clear();
    this.iotlb.invalidateAll();
    this.second.invalidateAll();
    for (const cache of this.structure) cache.invalidateAll();
  }

  resetCounters(): void {
    this.iotlb.resetCounters();
    this.second.resetCounters();
    for (const cache of this.structure) cache.resetCounters();
  }
}
