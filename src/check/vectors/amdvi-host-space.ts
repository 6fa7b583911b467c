/**
 * Random host tables ("v1", specification 48882, 2.2.3) for vectors: maps pages of every size, natural and size-coded with all
 * their replicas, leaves holes, and remembers the paths it made so that accesses can aim at them.
 */
import type { Dice } from './amdvi-dice.js';
import type { Image } from './amdvi-image.js';

const PRESENT = 1n;
/** 4:1, 8:7 and 63: hardware ignores them. */
const IGNORED = 0x8000_0000_0000_019en;
const ACCESSED = 0x20n;
const ACCESSED_DIRTY = 0x60n;
const USER_AND_COHERENT = 3n << 59n;
const READ_WRITE = 3n << 61n;
export const ADDRESS = 0x000f_ffff_ffff_f000n;
/** Address bits hold a size code up to here; larger natural pages exist only below it as well. */
const LARGEST_PAGE_LG2 = 51;
const TOP_LEVEL = 6;

/** log2 of what one entry of a host or guest level spans. */
export const spanLg2 = (level: number): number => 12 + 9 * (level - 1);

export const lowBits = (count: number): bigint => (1n << BigInt(count)) - 1n;

/** An entry as a walk meets it. */
export interface Slot {
  readonly address: bigint;
  readonly level: number;
}

/** A way through the tables that an access can take; nothing promises that it ends in a page. */
export interface Path {
  /** First input address of the page, or any address that leads here. */
  readonly start: bigint;
  /** log2 of the bytes that lead the same way. */
  readonly sizeLg2: number;
  /** Where the page is in physical memory; undefined for a hole. */
  readonly page: bigint | undefined;
  /** Natural page above level 1. */
  readonly natural: boolean;
  readonly slots: readonly Slot[];
}

export interface HostOptions {
  /** Percent of tables that are reached by an entry more than one level above them, where address bits allow it. */
  readonly skips: number;
  /** Percent of leaves and of table entries that lack a permission. */
  readonly denials: number;
  readonly tableDenials: number;
  /** Natural pages of 512 GiB and more, which no release of QEMU reaches within the address window. */
  readonly hugeNaturalPages: boolean;
}

/** Pages of a mapping: level and size of the leaf. */
interface Shape {
  readonly level: number;
  readonly sizeLg2: number;
}

export class HostSpace {
  readonly mode: number;
  readonly root: bigint;
  readonly paths: Path[] = [];
  private readonly image: Image;
  private readonly dice: Dice;
  private readonly options: HostOptions;

  constructor(image: Image, dice: Dice, mode: number, options: HostOptions) {
    this.image = image;
    this.dice = dice;
    this.mode = mode;
    this.options = options;
    this.root = image.frame();
  }

  get widthLg2(): number {
    return Math.min(64, spanLg2(this.mode + 1));
  }

  /** An input address within the width whose indices often repeat those of an earlier one, or are first or last of a table. */
  address(): bigint {
    const earlier = this.paths.length > 0 && this.dice.chance(60) ? this.dice.pick(this.paths).start : undefined;
    const shared = this.dice.below(this.mode + 1);
    let address = this.dice.bits(12);
    for (let level = 1; level <= this.mode; level++) {
      const shift = BigInt(spanLg2(level));
      const width = level === TOP_LEVEL ? 7 : 9;
      // Tables can be skipped only where the address is 0.
      const skips = level > 1 ? this.options.skips : 0;
      let index = this.dice.weighted([
        [70 - skips, this.dice.bits(width)],
        [15 + skips, 0n],
        [15, lowBits(width)],
      ]);
      if (earlier !== undefined && level > shared) index = (earlier >> shift) & lowBits(width);
      address |= index << shift;
    }
    return address & ~lowBits(12);
  }

  /** Maps a random page of a random shape and remembers the path. */
  mapPage(): void {
    const shape = this.shape();
    const page = this.image.page();
    const offset = page & lowBits(shape.sizeLg2);
    const address = (this.address() & ~lowBits(shape.sizeLg2)) | offset;
    this.map(address, page, shape, this.permissions());
  }

  /** Maps the page at `address` (its 4 KiB page to `page`); false if other entries are in the way. `grants`: 2 bits, 1 = read. */
  map(address: bigint, page: bigint, shape: Shape, grants: number): boolean {
    const { level, sizeLg2 } = shape;
    const start = address & ~lowBits(sizeLg2);
    const slots = this.descend(start, level);
    if (slots === undefined) return false;
    const last = slots.at(-1)!;
    const replicas = 1 << (sizeLg2 - spanLg2(level));
    const first = last.address - (last.address % BigInt(8 * replicas));
    for (let i = 0; i < replicas; i++) if (this.image.read(first + BigInt(8 * i)) !== 0n) return false;
    const entry = this.leaf(page, shape) | (BigInt(grants) << 61n);
    for (let i = 0; i < replicas; i++) this.image.write(first + BigInt(8 * i), entry);
    const physical = page & ~lowBits(sizeLg2);
    const natural = level > 1 && replicas === 1;
    this.paths.push({ start, sizeLg2, page: physical, natural, slots });
    return true;
  }

  /** An entry that is not present, all zero or not, at a random level. */
  mapHole(): void {
    const level = 1 + this.dice.below(this.mode);
    const start = this.address() & ~lowBits(spanLg2(level));
    const slots = this.descend(start, level);
    if (slots === undefined) return;
    const { address } = slots.at(-1)!;
    if (this.image.read(address) !== 0n) return;
    if (this.dice.chance(50)) {
      const garbage = this.dice.bits(64) & ~PRESENT;
      this.image.write(address, this.dice.chance(50) ? garbage & ~READ_WRITE : garbage);
    }
    this.paths.push({ start, sizeLg2: spanLg2(level), page: undefined, natural: false, slots });
  }

  /** A shape that the mode allows; small replica counts are more likely, all are possible. */
  shape(): Shape {
    const level = Math.min(
      this.mode,
      this.dice.weighted([
        [45, 1],
        [27, 2],
        [15, 3],
        [8, 4],
        [5, 5],
      ]),
    );
    const natural = this.dice.chance(level === 1 ? 60 : 45) && (level < 4 || this.options.hugeNaturalPages);
    const larger = 1 + Math.min(this.dice.below(8), this.dice.below(8));
    return { level, sizeLg2: natural ? spanLg2(level) : Math.min(spanLg2(level) + larger, LARGEST_PAGE_LG2) };
  }

  /** Of a leaf, 2 bits: both, or sometimes less. */
  permissions(): number {
    return this.dice.chance(this.options.denials) ? this.dice.below(3) : 3;
  }

  /** The slots from the root to that of `address` in a table of `level`; makes missing tables. undefined: something is in the way. */
  private descend(address: bigint, target: number): Slot[] | undefined {
    const slots: Slot[] = [];
    let table = this.root;
    let level = this.mode;
    for (;;) {
      const slot = { address: table + 8n * ((address >> BigInt(spanLg2(level))) & 0x1ffn), level };
      slots.push(slot);
      if (level === target) return slots;
      let entry = this.image.read(slot.address);
      if (entry === 0n) {
        entry = this.tableEntry(this.nextLevel(address, level, target));
        this.image.write(slot.address, entry);
      }
      const next = Number((entry >> 9n) & 7n);
      if ((entry & PRESENT) === 0n || next === 0 || next === 7 || next < target) return undefined;
      const skipped = lowBits(spanLg2(level)) & ~lowBits(spanLg2(next + 1));
      if ((address & skipped) !== 0n) return undefined;
      table = entry & ADDRESS;
      level = next;
    }
  }

  private nextLevel(address: bigint, level: number, target: number): number {
    if (!this.dice.chance(this.options.skips)) return level - 1;
    let lowest = level - 1;
    while (lowest > target && ((address >> BigInt(spanLg2(lowest))) & 0x1ffn) === 0n) lowest--;
    return lowest + this.dice.below(level - lowest);
  }

  private tableEntry(next: number): bigint {
    const grants = BigInt(this.dice.chance(this.options.tableDenials) ? this.dice.below(3) : 3) << 61n;
    const accessed = this.dice.bits(7) & ACCESSED;
    return PRESENT | (BigInt(next) << 9n) | this.image.frame() | grants | accessed | (this.dice.bits(64) & IGNORED);
  }

  private leaf(page: bigint, { level, sizeLg2 }: Shape): bigint {
    const address = page & ~lowBits(sizeLg2);
    const natural = sizeLg2 === spanLg2(level);
    const code = natural ? 0n : (7n << 9n) | (lowBits(sizeLg2 - 1) & ~lowBits(12));
    const flags = this.dice.bits(7) & ACCESSED_DIRTY;
    return PRESENT | address | code | flags | (this.dice.bits(64) & (IGNORED | USER_AND_COHERENT));
  }
}
