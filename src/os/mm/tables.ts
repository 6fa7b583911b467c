/**
 * Page tables of processes in the CPU's format, which IOMMUs can walk too (mm/memory.c, pgtable-generic.c): one object for all tables of a
 * format, as a table is nothing but its root. Entries that are not present but not zero stand for pages in storage (swap entries); bit 0
 * is the present bit of every format here. The caller keeps changes atomic by not letting time pass (the page-table lock).
 */
import type { FrameAllocator } from '../../memory/frames.js';
import type { PhysicalMemory } from '../../memory/physical.js';
import { EntryKind, type Format, Permission, Row } from '../../pagetable/format.js';
import { high } from '../../pagetable/page-size.js';
import { SETS } from '../../pagetable/templates.js';
import { Access } from '../../protocol/access.js';

const PAGE = 4096;
const ENTRIES = 512;
/** The page is in storage. */
const STORED = 2;
export const PAGE_LG2 = 12;
export const HUGE_LG2 = 21;
export const HUGE = 2 ** HUGE_LG2;

export class ProcessTables {
  /** What `find` found: where the walk ended, and the entry there. */
  private entryHi = 0;
  private entryLo = 0;
  level = 0;
  present = false;
  wordHi = 0;
  wordLo = 0;
  private row = 0;
  /** Width of input addresses. */
  readonly inputLg2: number;
  /** First address that a process cannot have: the upper half belongs to the kernel. */
  readonly limit: number;

  /** Throws RangeError for a format without 4 KiB tables of 512 entries. */
  constructor(
    readonly format: Format,
    private readonly memory: PhysicalMemory,
    private readonly frames: FrameAllocator,
    readonly levels: number,
  ) {
    if (format.tableBytes !== PAGE || format.granuleLg2 !== PAGE_LG2) {
      throw new RangeError(`${format.name}: processes have tables of 512 entries for pages of 4 KiB`);
    }
    if (format.templates.levelOfSize[HUGE_LG2] !== 2) throw new RangeError(`${format.name}: no pages of 2 MiB`);
    this.inputLg2 = format.inputWidth(levels);
    this.limit = format.mappableBytes(this.inputLg2);
  }

  /** An empty table. Throws OutOfMemory. */
  create(): number {
    return this.frames.allocate();
  }

  /** Walks to the page of the address, or to where the walk ends. */
  find(root: number, address: number): void {
    const { format } = this;
    const addressHi = high(address);
    const addressLo = address | 0;
    let hi = high(root);
    let lo = root | 0;
    for (let level = this.levels; ; level--) {
      this.load(hi, lo | this.offsetOf(addressHi, addressLo, level), level);
      const kind = format.rows[this.row + Row.Kind]!;
      this.present = kind === EntryKind.Leaf;
      if (kind !== EntryKind.Table) return;
      hi = format.addressHi(this.wordHi, this.wordLo);
      lo = format.addressLo(this.wordLo);
    }
  }

  /** Of what `find` found. */
  get stored(): boolean {
    return !this.present && this.wordLo === STORED;
  }

  get frame(): number {
    return this.format.addressOf(this.wordHi, this.wordLo);
  }

  get bytes(): number {
    return this.format.span[this.level]!;
  }

  /** Whether a user's access to the present page needs no fault; accessed and dirty state aside. */
  permits(access: Access): boolean {
    const needed = access | Permission.User;
    return (this.format.rows[this.row + Row.Permissions]! & needed) === needed;
  }

  get accessed(): boolean {
    const used = this.format.rows[this.row + Row.Used]!;
    return (this.wordLo & used) === used;
  }

  get dirty(): boolean {
    const { rows } = this.format;
    return (this.wordLo & rows[this.row + Row.DirtyMask]!) === rows[this.row + Row.DirtyValue]!;
  }

  /** Marks the page found accessed, and dirty for a write that its permissions allow. Returns false if it was so already. */
  use(write: boolean): boolean {
    const { rows } = this.format;
    let lo = this.wordLo | rows[this.row + Row.Used]!;
    if (write) lo = (lo & ~rows[this.row + Row.DirtyMask]!) | rows[this.row + Row.DirtyValue]!;
    if (lo === this.wordLo) return false;
    this.store(this.wordHi, lo);
    return true;
  }

  /** pte_mkold. */
  age(): void {
    this.store(this.wordHi, this.wordLo & ~this.format.rows[this.row + Row.Used]!);
  }

  /** Takes the page found out of the table and remembers that it is in storage, or that nothing is there. */
  evict(stored: boolean): void {
    this.store(0, stored ? STORED : 0);
  }

  /** Gives the page found other permissions; it stays accessed, and dirty if it was and remains writable. */
  protect(access: Access): void {
    const { bytes, frame, dirty, accessed } = this;
    this.compose(bytes === HUGE ? HUGE_LG2 : PAGE_LG2, access, frame, dirty);
    if (!accessed) this.age();
  }

  /**
   * Maps a page at the address for which `find` has just ended without one, installing what tables are missing; accessed, and dirty if
   * wanted. Throws OutOfMemory with the table as it was, but for empty tables.
   */
  map(address: number, sizeLg2: number, access: Access, frame: number, dirty: boolean): void {
    const { format } = this;
    const target = sizeLg2 === HUGE_LG2 ? 2 : 1;
    if (this.present || this.level < target) throw new Error(`0x${address.toString(16)} is mapped already`);
    while (this.level > target) {
      const table = this.frames.allocate();
      const { tableHi, tableLo } = format.templates;
      this.store(tableHi[this.level]! | format.fieldHi(table), tableLo[this.level]! | format.fieldLo(table));
      this.loadIn(table, address, this.level - 1);
    }
    this.compose(sizeLg2, access, frame, dirty);
  }

  /** Cuts the 2 MiB page found into 512 small ones of the same permissions (__split_huge_pmd). Throws OutOfMemory, with nothing changed. */
  split(access: Access): void {
    const { format, entryHi, entryLo, frame, dirty, accessed } = this;
    const table = this.frames.allocate();
    for (let i = 0; i < ENTRIES; i++) {
      this.load(high(table), (table + 8 * i) | 0, 1);
      this.compose(PAGE_LG2, access, frame + i * PAGE, dirty);
      if (!accessed) this.age();
    }
    this.load(entryHi, entryLo, 2);
    const { tableHi, tableLo } = format.templates;
    this.store(tableHi[2]! | format.fieldHi(table), tableLo[2]! | format.fieldLo(table));
  }

  /**
   * Visits the pages of [start, end) that are present, with the cursor on each, in ascending order; `stored` ones only to `visitStored`.
   * The visitor may change the entry.
   */
  forEach(root: number, start: number, end: number, visit: () => void, visitStored: (() => void) | null = null): void {
    this.visitTable(root, this.levels, start, end, visit, visitStored);
  }

  /** Unlinks the tables that translate addresses of [floor, ceiling) alone, around [start, end), and appends them to `freed` (free_pgtables). */
  unlinkTables(root: number, start: number, end: number, floor: number, ceiling: number, freed: number[]): void {
    this.unlink(root, this.levels, start, end, floor, ceiling, freed);
  }

  /** Appends all tables, the root included; no page may be mapped. */
  destroy(root: number, freed: number[]): void {
    this.unlink(root, this.levels, 0, this.limit, 0, this.limit, freed);
    freed.push(root);
  }

  /** Gives table pages back, and empties the list. Only after the flush that covers them. */
  giveBack(pages: number[]): void {
    for (const page of pages) {
      this.memory.clearPage(high(page), page | 0);
      this.frames.free(page);
    }
    pages.length = 0;
  }

  private visitTable(
    table: number,
    level: number,
    start: number,
    end: number,
    visit: () => void,
    visitStored: (() => void) | null,
  ): void {
    const { format } = this;
    const span = format.span[level]!;
    for (let at = start; at < end; at = (Math.floor(at / span) + 1) * span) {
      this.loadIn(table, at, level);
      const kind = format.rows[this.row + Row.Kind]!;
      if (kind === EntryKind.Table) {
        const stop = Math.min(end, (Math.floor(at / span) + 1) * span);
        this.visitTable(this.frame, level - 1, at, stop, visit, visitStored);
      } else if (kind === EntryKind.Leaf) {
        this.present = true;
        visit();
      } else if (this.wordLo === STORED && visitStored !== null) {
        this.present = false;
        visitStored();
      }
    }
  }

  private unlink(
    table: number,
    level: number,
    start: number,
    end: number,
    floor: number,
    ceiling: number,
    freed: number[],
  ): void {
    const { format } = this;
    const span = format.span[level]!;
    for (let first = Math.floor(start / span) * span; first < end; first += span) {
      this.loadIn(table, first, level);
      if (format.rows[this.row + Row.Kind]! !== EntryKind.Table) continue;
      const below = this.frame;
      const [from, to] = [Math.max(start, first), Math.min(end, first + span)];
      if (level > 2) this.unlink(below, level - 1, from, to, floor, ceiling, freed);
      if (first < floor || first + span > ceiling) continue;
      freed.push(below);
      this.loadIn(table, first, level);
      this.store(0, 0);
    }
  }

  /** Of the entry for the address in a table of the level, in bytes. */
  private offsetOf(hi: number, lo: number, level: number): number {
    const shift = this.format.indexShift[level]!;
    return (shift < 32 ? (lo >>> shift) | (hi << (32 - shift)) : hi >>> (shift - 32)) & (PAGE - 8);
  }

  private loadIn(table: number, address: number, level: number): void {
    this.load(high(table), table | this.offsetOf(high(address), address | 0, level), level);
  }

  private load(hi: number, lo: number, level: number): void {
    const { memory } = this;
    memory.read(hi, lo);
    this.entryHi = hi;
    this.entryLo = lo;
    this.level = level;
    this.wordHi = memory.wordHi;
    this.wordLo = memory.wordLo;
    this.row = this.format.classify(level, this.wordHi, this.wordLo);
  }

  private store(hi: number, lo: number): void {
    this.memory.write(this.entryHi, this.entryLo, hi, lo);
    this.wordHi = hi;
    this.wordLo = lo;
    this.row = this.format.classify(this.level, hi, lo);
  }

  /** Stores a page entry as the CPU's kernel writes it. Formats without a dirty state of their own count every writable page as dirty. */
  private compose(sizeLg2: number, access: Access, frame: number, dirty: boolean): void {
    const { format } = this;
    const permissions = format.permissionsFor(access);
    if (permissions < 0) throw new RangeError(`${format.name} has no entry for access ${access}`);
    const at = sizeLg2 * SETS + permissions;
    const hi = format.templates.leafHi[at]! | format.fieldHi(frame);
    let lo = format.templates.leafLo[at]! | format.fieldLo(frame);
    if ((access & Access.Write) !== 0) {
      const row = format.classify(this.level, hi, lo);
      const mask = format.rows[row + Row.DirtyMask]!;
      const value = format.rows[row + Row.DirtyValue]!;
      lo = (lo & ~mask) | (dirty ? value : ~value & mask);
    }
    this.store(hi, lo);
  }
}
