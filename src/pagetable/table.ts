/**
 * What a driver does to a table: map, unmap, look up, for every format. Purely functional; the caller charges time from `work`.
 * Follows Linux drivers/iommu/generic_pt/iommu_pt.h: best page sizes, missing tables installed on the way down, cleared tables
 * gathered and given back by the caller only after the invalidation. IOVAs are doubles, so only those below 2^53 can be mapped.
 * Not modelled: splitting a large page, growing the table at the root, concurrent updates (the caller holds the locks).
 */
import type { FrameAllocator } from '../memory/frames.js';
import type { PhysicalMemory } from '../memory/physical.js';
import type { Access } from '../protocol/access.js';
import { EntryKind, type Format, Row } from './format.js';
import { bestPageSize, high } from './page-size.js';
import { PageTableError, TableWork } from './work.js';

/**
 * When unmap gathers a table page. `covered`: only if the unmapped range spans everything the table translates, as Linux does,
 * so that 4 KiB unmaps never free a table. `empty`: as soon as its last entry is cleared.
 */
export type FreeTables = 'covered' | 'empty';

const FRAME = 4096;

export class PageTable {
  /** Byte address of the root table. */
  readonly root: number;
  readonly work = new TableWork();
  /**
   * Table pages that `map` replaced by a large leaf (empty tables left behind by earlier unmaps), or had to unlink again when it
   * failed. The owner flushes the paging-structure caches, gives them back and empties the list; Linux does so at once.
   */
  readonly displaced: number[] = [];
  /** Entries in use by table frame number; kept only when `empty` needs it. */
  private readonly live: Map<number, number> | null;
  /** First input and output addresses that cannot be mapped. */
  private readonly iovaLimit: number;
  private readonly paLimit: number;

  /**
   * Allocates the root. Throws RangeError if the format has no table of that many levels, OutOfMemory.
   */
  constructor(
    readonly format: Format,
    private readonly memory: PhysicalMemory,
    private readonly frames: FrameAllocator,
    readonly levels: number,
    freeTables: FreeTables = 'covered',
  ) {
    if (!format.heights.includes(levels) || format.tableBytes !== FRAME) {
      throw new RangeError(`${format.name}: no table of ${levels} levels with 4 KiB table pages`);
    }
    this.live = freeTables === 'empty' ? new Map() : null;
    this.iovaLimit = Math.min(format.mappableBytes(levels), 2 ** 53);
    this.paLimit = 2 ** format.hostAddressWidth;
    this.root =
      format.rootBytes === FRAME ? frames.allocate() : frames.allocateContiguous(format.rootBytes, format.rootBytes);
  }

  /**
   * Maps [iova, iova + bytes) to pa with `access` (Access bits), in the largest leaves that alignment, length and `largestLg2`
   * allow. Throws PageTableError, OutOfMemory; then nothing of the range is mapped (tables allocated on the way may remain, empty).
   */
  map(iova: number, pa: number, bytes: number, access: Access, largestLg2: number): void {
    const permissions = this.checkMap(iova, pa, bytes, access);
    let done = 0;
    try {
      while (done < bytes) {
        const run = this.mapRun(iova + done, pa + done, bytes - done, permissions, largestLg2);
        if (run === 0) throw new PageTableError('overlap', `0x${(iova + done).toString(16)} is mapped already`);
        done += run;
      }
    } catch (error) {
      if (done > 0) this.clear(this.root, this.levels, iova, iova + done, this.displaced);
      throw error;
    }
  }

  /**
   * Clears the leaves of [iova, iova + bytes) and returns the bytes cleared: fewer than asked when it meets an address that is not
   * mapped, where it stops as Linux does. Unlinked table pages are appended to `freed`: give them back (`giveBack`) after the flush.
   * Throws PageTableError `partial`, with nothing changed, when the range begins or ends inside a large leaf.
   */
  unmap(iova: number, bytes: number, freed: number[]): number {
    this.checkRange(iova, bytes);
    const end = iova + bytes;
    if (bytes > FRAME) {
      const size = this.leafAt(end - FRAME);
      if (size > 0 && end % size !== 0) throw partial(end, size);
    }
    return this.clear(this.root, this.levels, iova, end, freed) - iova;
  }

  /** Physical address that `iova` maps to, or -1. */
  lookup(iova: number): number {
    if (!(iova >= 0 && iova < this.iovaLimit)) return -1;
    const size = this.leafAt(iova);
    if (size === 0) return -1;
    const page = this.entryAddress();
    return Math.floor(page / size) * size + (iova - Math.floor(iova / size) * size);
  }

  /** All table pages, the root included, for the end of a domain; the table must not be used afterwards. */
  destroy(freed: number[]): void {
    this.collect(this.root, this.levels, freed, false);
    for (let offset = 0; offset < this.format.rootBytes; offset += FRAME) freed.push(this.root + offset);
    this.live?.clear();
  }

  /** Clears table pages, returns them to the allocator and empties the list. Only after the flush that covers them. */
  giveBack(pages: number[]): void {
    for (const page of pages) {
      this.memory.clearPage(high(page), page | 0);
      this.frames.free(page);
    }
    pages.length = 0;
  }

  private checkRange(iova: number, bytes: number): void {
    if (!(bytes > 0) || ((iova | bytes) & (FRAME - 1)) !== 0) {
      throw new PageTableError('misaligned', `0x${iova.toString(16)}, ${bytes} bytes: not whole 4 KiB pages`);
    }
    if (!(iova >= 0 && iova + bytes <= this.iovaLimit)) {
      throw new PageTableError('width', `0x${iova.toString(16)}, ${bytes} bytes: beyond ${this.levels} levels`);
    }
  }

  private checkMap(iova: number, pa: number, bytes: number, access: Access): number {
    this.checkRange(iova, bytes);
    if ((pa & (FRAME - 1)) !== 0) throw new PageTableError('misaligned', `0x${pa.toString(16)} is not 4 KiB aligned`);
    if (!(pa >= 0 && pa + bytes <= this.paLimit)) {
      throw new PageTableError('width', `0x${pa.toString(16)}, ${bytes} bytes: beyond the host address width`);
    }
    const permissions = this.format.permissionsFor(access);
    if (permissions < 0)
      throw new PageTableError('permissions', `${this.format.name} has no entry for access ${access}`);
    return permissions;
  }

  /** Maps leaves of one size in one table; returns the bytes mapped, 0 if the first place is taken. */
  private mapRun(iova: number, pa: number, bytes: number, permissions: number, largestLg2: number): number {
    const format = this.format;
    const sizeLg2 = bestPageSize(format, this.levels, iova, pa, bytes, largestLg2);
    if (sizeLg2 === 0) {
      throw new PageTableError('misaligned', `no page of at most 2^${largestLg2} bytes fits 0x${iova.toString(16)}`);
    }
    const level = format.levelOfSize[sizeLg2]!;
    const size = format.span[level]!;
    const templateHi = format.leafHi[(level << 4) | permissions]!;
    const templateLo = format.leafLo[(level << 4) | permissions]!;
    const scale = format.addressScale;
    const table = this.descend(iova, level);
    if (table < 0) return 0;
    const tableEnd = table + (level === this.levels ? format.rootBytes : FRAME);
    let done = 0;
    let line = -1;
    let entry = this.entryIn(table, iova, level);
    do {
      const row = this.load(entry, level);
      const kind = format.rows[row + Row.Kind]!;
      if (kind === EntryKind.Leaf || (kind === EntryKind.Table && !this.displace(table, entry, level))) break;
      const field = (pa + done) / scale;
      this.memory.write(high(entry), entry | 0, templateHi | high(field), templateLo | field);
      this.work.leaves++;
      this.work.entries++;
      const stored = Math.floor(entry / 64);
      if (stored !== line) this.work.lines++;
      line = stored;
      this.count(table, 1);
      done += size;
      entry += 8;
    } while (
      done < bytes &&
      entry < tableEnd &&
      bestPageSize(format, this.levels, iova + done, pa + done, bytes - done, largestLg2) === sizeLg2
    );
    return done;
  }

  /** Address of the table at `level` on the path to iova, installing what is missing; -1 if a leaf is in the way. */
  private descend(iova: number, level: number): number {
    const format = this.format;
    let table = this.root;
    this.work.levels++;
    for (let at = this.levels; at > level; at--) {
      const entry = this.entryIn(table, iova, at);
      const kind = format.rows[this.load(entry, at) + Row.Kind]!;
      if (kind === EntryKind.Leaf) return -1;
      let next: number;
      if (kind === EntryKind.Table) {
        next = this.entryAddress();
      } else {
        next = this.frames.allocate();
        this.work.tablesAllocated++;
        const field = next / format.addressScale;
        this.store(entry, format.tableHi | high(field), format.tableLo | field);
        this.count(table, 1);
      }
      table = next;
      this.work.levels++;
    }
    return table;
  }

  /** Takes an empty table out of the place of a large leaf; false, with nothing changed, if anything is mapped below it. */
  private displace(table: number, entry: number, level: number): boolean {
    const below = this.entryAddress();
    const pages: number[] = [];
    if (!this.collect(below, level - 1, pages, true)) return false;
    pages.push(below);
    for (const page of pages) this.unlinked(page, this.displaced);
    this.store(entry, 0, 0);
    this.count(table, -1);
    return true;
  }

  /** Appends the table pages below `table`; with `mustBeEmpty` it gives up at the first leaf and returns false. */
  private collect(table: number, level: number, pages: number[], mustBeEmpty: boolean): boolean {
    const end = table + (level === this.levels ? this.format.rootBytes : FRAME);
    for (let entry = table; entry < end; entry += 8) {
      const kind = this.format.rows[this.load(entry, level) + Row.Kind]!;
      if (kind === EntryKind.Leaf && mustBeEmpty) return false;
      if (kind !== EntryKind.Table) continue;
      const below = this.entryAddress();
      if (!this.collect(below, level - 1, pages, mustBeEmpty)) return false;
      pages.push(below);
    }
    return true;
  }

  /** Clears [start, end) below `table`; returns the address reached, which is `end` unless something was not mapped. */
  private clear(table: number, level: number, start: number, end: number, freed: number[]): number {
    const format = this.format;
    const span = format.span[level]!;
    let at = start;
    let entry = this.entryIn(table, start, level);
    let line = -1;
    this.work.levels++;
    while (at < end) {
      const row = this.load(entry, level);
      const kind = format.rows[row + Row.Kind]!;
      if (kind === EntryKind.Absent) return at;
      let remove = true;
      if (kind === EntryKind.Leaf) {
        if (level > 1 && (Math.floor(at / span) * span !== at || at + span > end)) throw partial(at, span);
        this.work.leaves++;
        at += span;
      } else {
        const below = this.entryAddress();
        const first = Math.floor(at / span) * span;
        const stop = Math.min(end, first + span);
        const reached = this.clear(below, level - 1, at, stop, freed);
        remove =
          this.live === null
            ? at === first && stop === first + span && reached === stop
            : !this.live.has(below / FRAME);
        if (remove) this.unlinked(below, freed);
        if (reached < stop) end = reached;
        at = stop;
      }
      if (remove) {
        this.memory.write(high(entry), entry | 0, 0, 0);
        this.work.entries++;
        const stored = Math.floor(entry / 64);
        if (stored !== line) this.work.lines++;
        line = stored;
        this.count(table, -1);
      }
      entry += 8;
    }
    return end;
  }

  /** Bytes of the leaf that maps the address, 0 if none does; the leaf entry is the word last read. */
  private leafAt(iova: number): number {
    let table = this.root;
    for (let level = this.levels; ; level--) {
      const row = this.load(this.entryIn(table, iova, level), level);
      const kind = this.format.rows[row + Row.Kind]!;
      if (kind === EntryKind.Absent) return 0;
      if (kind === EntryKind.Leaf) return this.format.span[level]!;
      table = this.entryAddress();
    }
  }

  private entryIn(table: number, iova: number, level: number): number {
    const mask = level === this.levels ? this.format.rootMask : this.format.indexMask;
    return table + (((iova / this.format.span[level]!) << 3) & mask);
  }

  /** Reads an entry; returns its row. */
  private load(entry: number, level: number): number {
    this.memory.read(high(entry), entry | 0);
    return this.format.classify(level, this.memory.wordHi, this.memory.wordLo);
  }

  /** Address in the entry last read. */
  private entryAddress(): number {
    return this.format.addressOf(this.memory.wordHi, this.memory.wordLo);
  }

  /** Stores one table entry, on a line of its own for the flush count. */
  private store(entry: number, hi: number, lo: number): void {
    this.memory.write(high(entry), entry | 0, hi, lo);
    this.work.entries++;
    this.work.lines++;
  }

  private unlinked(page: number, list: number[]): void {
    list.push(page);
    this.work.tablesFreed++;
    this.live?.delete(page / FRAME);
  }

  /** Keeps the number of entries in use of a table page; a page without any has no key. */
  private count(table: number, change: number): void {
    if (this.live === null) return;
    const left = (this.live.get(table / FRAME) ?? 0) + change;
    if (left === 0) this.live.delete(table / FRAME);
    else this.live.set(table / FRAME, left);
  }
}

function partial(iova: number, size: number): PageTableError {
  return new PageTableError(
    'partial',
    `0x${iova.toString(16)} is inside a page of ${size} bytes, which cannot be split`,
  );
}
