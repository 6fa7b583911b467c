/**
 * Random GCR3 tables and guest tables ("v2", specification 48882, 2.2.6) for vectors. Everything in them is guest-physical: with
 * a host table below (nested), every guest table and guest page gets a place in guest-physical space that the host table maps.
 */
import type { Dice } from './amdvi-dice.js';
import { ADDRESS, type HostSpace, lowBits, type Slot, spanLg2 } from './amdvi-host-space.js';
import type { Image } from './amdvi-image.js';

const PRESENT = 1n << 0n;
const WRITABLE = 1n << 1n;
const USER = 1n << 2n;
const ACCESSED = 1n << 5n;
const DIRTY = 1n << 6n;
const PAGE_SIZE = 1n << 7n;
/** PWT and PCD (4:3) and bits for software (11:9, 62:52). */
const IGNORED = 0x7ff0_0000_0000_0e18n;
const NO_EXECUTE = 1n << 63n;
const BLOCK_LG2 = 21;
const FRAMES_PER_BLOCK = 512;

/** A table page: where the guest and where memory has it. */
interface Page {
  readonly gpa: bigint;
  readonly spa: bigint;
}

export interface GuestPath {
  readonly start: bigint;
  readonly sizeLg2: number;
  readonly slots: readonly Slot[];
}

export interface AddressSpace {
  readonly pasid: number;
  readonly paths: readonly GuestPath[];
}

export interface GuestOptions {
  readonly gcr3Levels: number;
  readonly gcr3IsGuestPhysical: boolean;
  /** Requests without PASID use PASID 0. */
  readonly withoutPasid: boolean;
  readonly levels: number;
  readonly host: HostSpace | undefined;
  readonly denials: number;
  /** Accessed and dirty bits are set from the start, so that hardware writes no guest table. */
  readonly preset: boolean;
}

/** Hands out guest-physical pages of one device and maps them in its host table, if it has one. */
class GuestMemory {
  private readonly image: Image;
  private readonly dice: Dice;
  private readonly host: HostSpace | undefined;
  /** Guest tables lie together in a 2 MiB block of a single host page, or each in a page of its own. */
  private block: Page | undefined;
  private used = 0;

  constructor(image: Image, dice: Dice, host: HostSpace | undefined) {
    this.image = image;
    this.dice = dice;
    this.host = host;
    if (host !== undefined && host.mode > 1 && dice.chance(40)) this.block = this.reserveBlock(host);
  }

  table(): Page {
    const { host, block } = this;
    if (host === undefined) {
      const address = this.image.frame();
      return { gpa: address, spa: address };
    }
    if (block !== undefined && this.used < FRAMES_PER_BLOCK) {
      const offset = BigInt(this.used++ * 4096);
      this.image.addTable(block.spa + offset, 4096);
      return { gpa: block.gpa + offset, spa: block.spa + offset };
    }
    const spa = this.image.frame();
    return { gpa: this.place(host, spa, 12, 1), spa };
  }

  /** A guest-physical address whose low bits are those of a reachable page that the host mostly maps. */
  page(): bigint {
    const page = this.image.page();
    if (this.host === undefined) return page;
    const shape = this.host.shape();
    for (let tries = 0; tries < 8; tries++) {
      const gpa = (this.anywhere(this.host) & ~lowBits(shape.sizeLg2)) | (page & lowBits(shape.sizeLg2));
      if (this.dice.chance(8) || this.host.map(gpa, page, shape, this.host.permissions())) return gpa;
    }
    return page & lowBits(Math.min(this.host.widthLg2, 52));
  }

  /** An address the host table can translate and a guest entry can hold. */
  private anywhere(host: HostSpace): bigint {
    return host.address() & lowBits(52);
  }

  private reserveBlock(host: HostSpace): Page {
    const spa = this.image.block();
    return { gpa: this.place(host, spa, BLOCK_LG2, 2), spa };
  }

  private place(host: HostSpace, spa: bigint, sizeLg2: number, level: number): bigint {
    for (;;) {
      const gpa = this.anywhere(host) & ~lowBits(sizeLg2);
      if (host.map(gpa, spa, { level, sizeLg2 }, 3)) return gpa;
    }
  }
}

export class GuestSpace {
  readonly options: GuestOptions;
  /** As the device table entry has it. */
  readonly gcr3Root: bigint;
  readonly spaces: AddressSpace[] = [];
  readonly gcr3Slots: Slot[] = [];
  private readonly image: Image;
  private readonly dice: Dice;
  private readonly memory: GuestMemory;
  private readonly pages = new Map<bigint, Page>();
  private readonly gcr3: Page;

  constructor(image: Image, dice: Dice, options: GuestOptions) {
    this.image = image;
    this.dice = dice;
    this.options = options;
    this.memory = new GuestMemory(image, dice, options.host);
    this.gcr3 = this.gcr3Table();
    this.gcr3Root = options.gcr3IsGuestPhysical ? this.gcr3.gpa : this.gcr3.spa;
    const count = 1 + dice.below(3);
    if (options.withoutPasid) this.addSpace(0);
    for (let i = 0; i < count; i++) this.addSpace(this.pasid());
  }

  /** Bits of PASID that the GCR3 table covers, at most the 20 that a request can carry. */
  get pasidBits(): number {
    return Math.min(20, 9 * this.options.gcr3Levels);
  }

  /** Small ones, and any. */
  pasid(): number {
    return Number(this.dice.bits(this.dice.chance(40) ? 3 : this.pasidBits));
  }

  /** A canonical address; without PASID of the lower half, which is canonical in every reading. */
  address(lowerHalf: boolean): bigint {
    const width = spanLg2(this.options.levels + 1);
    const address = this.dice.bits(lowerHalf ? width - 1 : width) & ~lowBits(12);
    return BigInt.asUintN(64, BigInt.asIntN(width, address));
  }

  private gcr3Table(): Page {
    const { gcr3IsGuestPhysical } = this.options;
    const spa = gcr3IsGuestPhysical ? undefined : this.image.frame();
    return spa === undefined ? this.memory.table() : { gpa: spa, spa };
  }

  private addSpace(pasid: number): void {
    if (this.spaces.some((space) => space.pasid === pasid)) return;
    const root = this.memory.table();
    this.pages.set(root.gpa, root);
    this.linkGcr3(pasid, root.gpa);
    const paths: GuestPath[] = [];
    this.spaces.push({ pasid, paths });
    const forAll = this.options.withoutPasid && pasid === 0;
    const count = 2 + this.dice.below(5);
    for (let i = 0; i < count; i++) {
      const path = this.dice.chance(85) ? this.mapPage(root, paths, forAll) : this.leaveHole(root, paths, forAll);
      if (path !== undefined) paths.push(path);
    }
  }

  private linkGcr3(pasid: number, root: bigint): void {
    let table = this.gcr3;
    for (let level = this.options.gcr3Levels; level > 0; level--) {
      const index = (BigInt(pasid) >> BigInt(9 * (level - 1))) & 0x1ffn;
      const slot = { address: table.spa + 8n * index, level };
      this.gcr3Slots.push(slot);
      if (level === 1) {
        this.image.write(slot.address, root | PRESENT);
        return;
      }
      const entry = this.image.read(slot.address);
      const known = entry === 0n ? undefined : this.pages.get(entry & ADDRESS);
      table = known ?? this.gcr3Table();
      this.pages.set(this.options.gcr3IsGuestPhysical ? table.gpa : table.spa, table);
      const address = this.options.gcr3IsGuestPhysical ? table.gpa : table.spa;
      if (known === undefined) this.image.write(slot.address, address | PRESENT);
    }
  }

  private mapPage(root: Page, paths: readonly GuestPath[], forAll: boolean): GuestPath | undefined {
    const level = this.dice.weighted([
      [60, 1],
      [28, 2],
      [12, 3],
    ]);
    const sizeLg2 = spanLg2(level);
    const gpa = this.memory.page();
    const start = (this.virtual(paths, forAll) & ~lowBits(sizeLg2)) | (gpa & lowBits(sizeLg2));
    const slots = this.descend(root, start, level, forAll);
    const last = slots?.at(-1);
    if (slots === undefined || last === undefined || this.image.read(last.address) !== 0n) return undefined;
    const execute = this.dice.chance(this.options.denials) ? NO_EXECUTE : 0n;
    const entry = (gpa & ~lowBits(sizeLg2)) | (level > 1 ? PAGE_SIZE : 0n) | execute | this.flags(forAll, DIRTY);
    this.image.write(last.address, entry);
    return { start, sizeLg2, slots };
  }

  private leaveHole(root: Page, paths: readonly GuestPath[], forAll: boolean): GuestPath | undefined {
    const level = 1 + this.dice.below(this.options.levels);
    const start = this.virtual(paths, forAll);
    const slots = this.descend(root, start, level, forAll);
    const last = slots?.at(-1);
    if (slots === undefined || last === undefined || this.image.read(last.address) !== 0n) return undefined;
    if (this.dice.chance(50)) this.image.write(last.address, this.dice.bits(64) & ~PRESENT);
    return { start, sizeLg2: 12, slots };
  }

  /** An address that often shares upper tables with an earlier one. */
  private virtual(paths: readonly GuestPath[], lowerHalf: boolean): bigint {
    const address = this.address(lowerHalf);
    if (paths.length === 0 || this.dice.chance(40)) return address;
    const shared = lowBits(spanLg2(1 + this.dice.below(this.options.levels)));
    return (this.dice.pick(paths).start & ~shared) | (address & shared);
  }

  private descend(root: Page, address: bigint, target: number, forAll: boolean): Slot[] | undefined {
    const slots: Slot[] = [];
    let table = root;
    for (let level = this.options.levels; ; level--) {
      const slot = { address: table.spa + 8n * ((address >> BigInt(spanLg2(level))) & 0x1ffn), level };
      slots.push(slot);
      if (level === target) return slots;
      const entry = this.image.read(slot.address);
      if (entry === 0n) {
        table = this.memory.table();
        this.pages.set(table.gpa, table);
        this.image.write(slot.address, table.gpa | this.flags(forAll, 0n));
        continue;
      }
      const next = this.pages.get(entry & ADDRESS);
      if ((entry & PRESENT) === 0n || (entry & PAGE_SIZE) !== 0n || next === undefined) return undefined;
      table = next;
    }
  }

  /** Bits of a present entry. `forAll`: a table that requests without PASID use, all of whose pages are user pages. */
  private flags(forAll: boolean, dirty: bigint): bigint {
    const { denials, preset } = this.options;
    const writable = this.dice.chance(denials) ? 0n : WRITABLE;
    const user = !forAll && this.dice.chance(denials) ? 0n : USER;
    const used = preset ? ACCESSED | dirty : this.dice.bits(7) & (ACCESSED | dirty);
    return PRESENT | writable | user | used | (this.dice.bits(64) & IGNORED);
  }
}
