/**
 * What a driver does to a table: map, unmap, look up, for every format. Purely functional; the caller charges time from `work`.
 * Follows Linux drivers/iommu/generic_pt/iommu_pt.h: best page sizes, missing tables installed on the way down, cleared tables
 * gathered and given back by the caller only after the invalidation. IOVAs are doubles, so only those below 2^53 can be mapped.
 * Not modelled: splitting a large page, growing the table at the root, concurrent updates (the caller holds the locks).
 */
import type { FrameAllocator } from '../memory/frames.js';
import type { PhysicalMemory } from '../memory/physical.js';
import type { Access } from '../protocol/access.js';
import { EntryKind, type Format, Row, Size } from './format.js';
import { high, PageSizes, POWER } from './page-size.js';
import { SETS } from './templates.js';
import { PageTableError, TableWork } from './work.js';

/**
 * When unmap gathers a table page. `covered`: only if the unmapped range spans everything the table translates, as Linux does,
 * so that 4 KiB unmaps never free a table. `empty`: as soon as its last entry is cleared.
 */
export type FreeTables = 'covered' | 'empty';

export interface PageTableOptions {
  /** Width of input addresses, and with it the size of the root; by default the format's widest for the height. */
  readonly inputLg2?: number;
  /** log2 of the page sizes that the driver uses (its pgsize_bitmap); by default all of the format's. */
  readonly pageSizes?: readonly number[];
}

const FRAME = 4096;

export class PageTable {
  /** Byte address of the root table. */
  readonly root: number;
  readonly work = new TableWork();
  /**
   * 4 KiB frames of tables that `map` replaced by a large leaf (empty tables left behind by earlier unmaps), or had to unlink
   * again when it failed. The owner flushes the paging-structure caches, gives them back and empties the list; Linux does so at once.
   */
  readonly displaced: number[] = [];
  /** Width of input addresses and bytes of the root table. */
  readonly inputLg2: number;
  readonly rootBytes: number;
  private readonly sizes: PageSizes;
  /** Bytes of the smallest unit of address space. */
  private readonly granule: number;
  /** Entries in use by number of the table's first frame; kept only when `empty` needs it. */
  private readonly live: Map<number, number> | null;
  /**
   * The table reached last, its level (0: none) and the input addresses that it translates. What follows mostly lies in it, and need not be
   * looked up from the root.
   */
  private lastTable = Number.NaN;
  private lastLevel = 0;
  private lastStart = Number.NaN;
  private lastEnd = Number.NaN;
  /** First input and output addresses that cannot be mapped. */
  private readonly iovaLimit: number;
  private readonly paLimit: number;

  /**
   * Allocates the root. Throws RangeError if the format has no table of that many levels and width, OutOfMemory.
   */
  constructor(
    readonly format: Format,
    private readonly memory: PhysicalMemory,
    private readonly frames: FrameAllocator,
    readonly levels: number,
    freeTables: FreeTables = 'covered',
    options: PageTableOptions = {},
  ) {
    if (!format.heights.includes(levels)) throw new RangeError(`${format.name}: no table of ${levels} levels`);
    this.inputLg2 = options.inputLg2 ?? format.inputWidth(levels);
    if (this.inputLg2 > format.inputWidth(levels)) {
      throw new RangeError(`${format.name}: ${levels} levels do not translate ${this.inputLg2} bits`);
    }
    this.sizes = new PageSizes(format, levels, options.pageSizes);
    this.granule = 1 << format.granuleLg2;
    this.live = freeTables === 'empty' ? new Map() : null;
    this.iovaLimit = Math.min(format.mappableBytes(this.inputLg2), 2 ** 53);
    this.paLimit = 2 ** format.hostAddressWidth;
    this.rootBytes = format.rootBytes(levels, this.inputLg2);
    this.root = this.allocate(this.rootBytes);
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
   * mapped, where it stops as Linux does. The frames of unlinked tables are appended to `freed`: give them back (`giveBack`) after the flush.
   * Throws PageTableError `partial`, with nothing changed, when the range begins or ends inside a large leaf.
   */
  unmap(iova: number, bytes: number, freed: number[]): number {
    this.checkRange(iova, bytes);
    const end = iova + bytes;
    if (bytes === this.granule && this.clearPage(iova)) return bytes;
    if (bytes > this.granule) {
      const size = this.leafAt(end - this.granule);
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

  /** Bytes of the leaf that maps `iova`, 0 if none does. */
  leafBytes(iova: number): number {
    return iova >= 0 && iova < this.iovaLimit ? this.leafAt(iova) : 0;
  }

  /** Bytes of the first leaf that `map` would write for the same arguments, 0 if none fits. */
  firstLeafBytes(iova: number, pa: number, bytes: number, largestLg2: number): number {
    const sizeLg2 = this.sizes.best(iova, pa, bytes, largestLg2);
    return sizeLg2 === 0 ? 0 : 2 ** sizeLg2;
  }

  /** The frames of all tables, the root included, for the end of a domain; the table must not be used afterwards. */
  destroy(freed: number[]): void {
    this.collect(this.root, this.levels, freed, false);
    pushFrames(this.root, this.rootBytes, freed);
    this.live?.clear();
  }

  /** Clears frames, returns them to the allocator and empties the list. Only after the flush that covers them. */
  giveBack(pages: number[]): void {
    for (const page of pages) {
      this.memory.clearPage(high(page), page | 0);
      this.frames.free(page);
    }
    pages.length = 0;
  }

  private checkRange(iova: number, bytes: number): void {
    if (!(bytes > 0) || ((iova | bytes) & (this.granule - 1)) !== 0) {
      const page = `${this.granule / 1024} KiB pages`;
      throw new PageTableError('misaligned', `0x${iova.toString(16)}, ${bytes} bytes: not whole ${page}`);
    }
    if (!(iova >= 0 && iova + bytes <= this.iovaLimit)) {
      throw new PageTableError('width', `0x${iova.toString(16)}, ${bytes} bytes: beyond ${this.levels} levels`);
    }
  }

  private checkMap(iova: number, pa: number, bytes: number, access: Access): number {
    this.checkRange(iova, bytes);
    if ((pa & (this.granule - 1)) !== 0) {
      throw new PageTableError('misaligned', `0x${pa.toString(16)} is not ${this.granule / 1024} KiB aligned`);
    }
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
    const { format, sizes } = this;
    const { templates } = format;
    const sizeLg2 = sizes.best(iova, pa, bytes, largestLg2);
    if (sizeLg2 === 0) {
      throw new PageTableError('misaligned', `no page of at most 2^${largestLg2} bytes fits 0x${iova.toString(16)}`);
    }
    const level = templates.levelOfSize[sizeLg2]!;
    const size = POWER[sizeLg2]!;
    const slots = 1 << templates.slotsLg2[sizeLg2]!;
    const step = templates.slotStep[sizeLg2]!;
    const templateHi = templates.leafHi[sizeLg2 * SETS + permissions]!;
    const templateLo = templates.leafLo[sizeLg2 * SETS + permissions]!;
    const table = this.descend(iova, level);
    if (table < 0) return 0;
    const tableHi = high(table);
    const tableLo = table | 0;
    const tableBytes = this.bytesOf(level);
    let done = 0;
    let line = -1;
    let offset = this.offsetOf(iova, level);
    do {
      if (!this.vacate(table, offset, slots, level)) break;
      for (let slot = 0; slot < slots; slot++) {
        const address = pa + done + slot * step;
        const hi = templateHi | format.fieldHi(address);
        this.memory.write(tableHi, tableLo + offset, hi, templateLo | format.fieldLo(address));
        if (offset >> 6 !== line) this.work.lines++;
        line = offset >> 6;
        offset += 8;
      }
      this.work.leaves++;
      this.work.levelsPerLeaf += this.levels - level + 1;
      this.countSlots(table, slots, 1);
      done += size;
    } while (
      done < bytes &&
      offset < tableBytes &&
      sizes.best(iova + done, pa + done, bytes - done, largestLg2) === sizeLg2
    );
    return done;
  }

  /** Takes empty tables out of the places of a leaf; false if anything is mapped there. */
  private vacate(table: number, offset: number, slots: number, level: number): boolean {
    for (let at = offset; at < offset + 8 * slots; at += 8) {
      const kind = this.format.rows[this.load(table, at, level) + Row.Kind]!;
      if (kind === EntryKind.Absent) continue;
      if (kind !== EntryKind.Table || !this.displace(table, at, level)) return false;
    }
    return true;
  }

  /** Address of the table at `level` on the path to iova, installing what is missing; -1 if a leaf is in the way. */
  private descend(iova: number, level: number): number {
    const format = this.format;
    if (this.reaches(iova, level)) {
      this.work.levels += this.levels - level + 1;
      return this.lastTable;
    }
    let table = this.root;
    this.work.levels++;
    for (let at = this.levels; at > level; at--) {
      const offset = this.offsetOf(iova, at);
      const kind = format.rows[this.load(table, offset, at) + Row.Kind]!;
      let next: number;
      if (kind === EntryKind.Table) {
        next = this.entryAddress();
      } else if (kind === EntryKind.Absent) {
        next = this.allocate(format.tableBytes);
        this.work.tablesAllocated++;
        const { tableHi, tableLo } = format.templates;
        this.store(table, offset, tableHi[at]! | format.fieldHi(next), tableLo[at]! | format.fieldLo(next));
        this.count(table, 1);
      } else return -1;
      table = next;
      this.work.levels++;
    }
    this.reached(table, level, iova);
    return table;
  }

  /** The table of the level for the address is the one reached last. */
  private reaches(iova: number, level: number): boolean {
    return level === this.lastLevel && iova >= this.lastStart && iova < this.lastEnd;
  }

  private reached(table: number, level: number, iova: number): void {
    const bytes = (this.format.span[level]! * this.bytesOf(level)) / 8;
    this.lastTable = table;
    this.lastLevel = level;
    this.lastStart = Math.floor(iova / bytes) * bytes;
    this.lastEnd = this.lastStart + bytes;
  }

  /** `clear` of one page in the table reached last: true if it was there. */
  private clearPage(iova: number): boolean {
    if (this.live !== null || this.granule !== this.format.span[1]) return false;
    if (!this.reaches(iova, 1)) return false;
    const table = this.lastTable;
    const offset = this.offsetOf(iova, 1);
    const row = this.load(table, offset, 1);
    if (this.format.rows[row + Row.Kind]! !== EntryKind.Leaf || this.leafSize(row) !== this.granule) return false;
    const { work, levels } = this;
    this.memory.write(high(table), (table | 0) + offset, 0, 0);
    work.levels += levels;
    work.leaves++;
    work.levelsPerLeaf += levels;
    work.lines++;
    work.entries++;
    return true;
  }

  /** Takes an empty table out of the place of a large leaf; false, with nothing changed, if anything is mapped below it. */
  private displace(table: number, offset: number, level: number): boolean {
    const below = this.entryAddress();
    const frames: number[] = [];
    if (!this.collect(below, level - 1, frames, true)) return false;
    pushFrames(below, this.format.tableBytes, frames);
    const { tableBytes } = this.format;
    for (let i = 0; i < frames.length; i += Math.max(1, tableBytes / FRAME)) this.forget(frames[i]!);
    this.displaced.push(...frames);
    this.store(table, offset, 0, 0);
    this.count(table, -1);
    return true;
  }

  /** Appends the frames of the tables below `table`; with `mustBeEmpty` it gives up at the first leaf and returns false. */
  private collect(table: number, level: number, frames: number[], mustBeEmpty: boolean): boolean {
    const bytes = this.bytesOf(level);
    for (let offset = 0; offset < bytes; offset += 8) {
      const kind = this.format.rows[this.load(table, offset, level) + Row.Kind]!;
      if (kind === EntryKind.Absent) continue;
      if (kind !== EntryKind.Table) {
        if (mustBeEmpty) return false;
        continue;
      }
      const below = this.entryAddress();
      if (!this.collect(below, level - 1, frames, mustBeEmpty)) return false;
      pushFrames(below, this.format.tableBytes, frames);
    }
    return true;
  }

  /** Clears [start, end) below `table`; returns the address reached, which is `end` unless something was not mapped. */
  private clear(table: number, level: number, start: number, end: number, freed: number[]): number {
    const format = this.format;
    const span = format.span[level]!;
    const tableHi = high(table);
    const tableLo = table | 0;
    let at = start;
    let offset = this.offsetOf(start, level);
    let line = -1;
    this.work.levels++;
    if (level === 1) this.reached(table, 1, start);
    while (at < end) {
      const row = this.load(table, offset, level);
      const kind = format.rows[row + Row.Kind]!;
      if (kind <= EntryKind.Refused) return at;
      let slots = 1;
      if (kind === EntryKind.Leaf) {
        const size = this.leafSize(row);
        if (Math.floor(at / size) * size !== at || at + size > end) throw partial(at, size);
        this.work.leaves++;
        this.work.levelsPerLeaf += this.levels - level + 1;
        slots = size / span;
        at += size;
      } else {
        const below = this.entryAddress();
        const first = Math.floor(at / span) * span;
        const stop = Math.min(end, first + span);
        const reached = this.clear(below, level - 1, at, stop, freed);
        const remove =
          this.live === null
            ? at === first && stop === first + span && reached === stop
            : !this.live.has(below / FRAME);
        if (remove) {
          this.forget(below);
          pushFrames(below, format.tableBytes, freed);
        } else {
          slots = 0;
          offset += 8;
        }
        if (reached < stop) end = reached;
        at = stop;
      }
      for (let slot = 0; slot < slots; slot++) {
        this.memory.write(tableHi, tableLo + offset, 0, 0);
        if (offset >> 6 !== line) this.work.lines++;
        line = offset >> 6;
        offset += 8;
      }
      this.countSlots(table, slots, -1);
    }
    return end;
  }

  /** Bytes of the leaf that maps the address, 0 if none does; the leaf entry is the word last read. */
  private leafAt(iova: number): number {
    let table = this.root;
    for (let level = this.levels; ; level--) {
      const row = this.load(table, this.offsetOf(iova, level), level);
      const kind = this.format.rows[row + Row.Kind]!;
      if (kind <= EntryKind.Refused) return 0;
      if (kind === EntryKind.Leaf) return this.leafSize(row);
      table = this.entryAddress();
    }
  }

  /** Bytes of the leaf that was loaded last. */
  private leafSize(row: number): number {
    const { format, memory } = this;
    const sizeLg2 = format.rows[row + Row.SizeLg2]!;
    if (sizeLg2 !== Size.Coded) return POWER[sizeLg2]!;
    const { wordHi, wordLo } = memory;
    return 2 ** format.codedSize(row, format.addressHi(wordHi, wordLo), format.addressLo(wordLo));
  }

  private bytesOf(level: number): number {
    return level === this.levels ? this.rootBytes : this.format.tableBytes;
  }

  private allocate(bytes: number): number {
    return bytes <= FRAME ? this.frames.allocate() : this.frames.allocateContiguous(bytes, bytes);
  }

  /** Where the entry for an address lies in its table, in bytes. */
  private offsetOf(iova: number, level: number): number {
    const shift = this.format.indexShift[level]!;
    const hi = high(iova);
    const bytes = shift < 32 ? ((iova | 0) >>> shift) | (hi << (32 - shift)) : hi >>> (shift - 32);
    return bytes & (this.bytesOf(level) - 8);
  }

  /** Reads the entry `offset` bytes into a table, which does not cross a 4 GiB boundary; returns its row. */
  private load(table: number, offset: number, level: number): number {
    this.memory.read(high(table), (table | 0) + offset);
    return this.format.classify(level, this.memory.wordHi, this.memory.wordLo);
  }

  /** Address in the entry last read. */
  private entryAddress(): number {
    return this.format.addressOf(this.memory.wordHi, this.memory.wordLo);
  }

  /** Stores one table entry, on a line of its own for the flush count. */
  private store(table: number, offset: number, hi: number, lo: number): void {
    this.memory.write(high(table), (table | 0) + offset, hi, lo);
    this.work.entries++;
    this.work.lines++;
  }

  /** A table is unlinked. */
  private forget(table: number): void {
    this.work.tablesFreed++;
    this.lastLevel = 0;
    this.live?.delete(table / FRAME);
  }

  /** A leaf, or table entry, of `slots` entries was stored (sign 1) or cleared (-1). */
  private countSlots(table: number, slots: number, sign: number): void {
    this.work.entries += slots;
    if (slots > 1) this.work.contiguous += slots;
    if (slots > 0) this.count(table, sign * slots);
  }

  /** Keeps the number of entries in use of a table; one without any has no key. */
  private count(table: number, change: number): void {
    if (this.live === null) return;
    const left = (this.live.get(table / FRAME) ?? 0) + change;
    if (left === 0) this.live.delete(table / FRAME);
    else this.live.set(table / FRAME, left);
  }
}

/** Appends the addresses of a table's 4 KiB frames. */
function pushFrames(table: number, bytes: number, frames: number[]): void {
  for (let offset = 0; offset < bytes; offset += FRAME) frames.push(table + offset);
}

function partial(iova: number, size: number): PageTableError {
  return new PageTableError(
    'partial',
    `0x${iova.toString(16)} is inside a page of ${size} bytes, which cannot be split`,
  );
}
