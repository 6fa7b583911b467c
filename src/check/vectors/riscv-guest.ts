/**
 * Leaves of generated RISC-V page tables that map into the window, and the second stage, which hands out guest pages.
 * Each mapping is made for one access.
 */
import {
  type EntryFlaw,
  type EntryRules,
  type EntryTraits,
  flawedWord,
  leafWord,
  NAPOT_PAGES,
  pickFlaw,
  pointerWord,
} from './riscv-entries.js';
import {
  type Dice,
  type Image,
  PAGE,
  Radix,
  type RadixLevel,
  type TablePage,
  WINDOW_END,
  WINDOW_START,
} from './riscv-image.js';

/** Highest level whose pages fit into the window: 1 GiB. */
const WINDOW_LEVEL = 2;
const ATTEMPTS = 8;

/** What all spaces of a vector share. */
export interface Workshop {
  readonly dice: Dice;
  readonly image: Image;
  readonly physical: EntryRules;
  /** Share of level-0 leaves that are 64 KiB regions, percent. */
  readonly napotPercent: number;
  /** Entries may have clear accessed and dirty bits where hardware sets them. */
  readonly clearBits: boolean;
}

/** `flaw` makes the entry wrong: 'any' draws one that is possible there. */
export interface MapRequest {
  readonly level: number;
  readonly traits: EntryTraits;
  readonly flaw?: EntryFlaw | 'any';
}

export function pageBytes(level: number): bigint {
  return PAGE << BigInt(9 * level);
}

export function stageLevels(levels: number, extraRootBits: number): RadixLevel[] {
  return Array.from({ length: levels }, (_, level) => ({
    shift: 12 + 9 * level,
    bits: level === levels - 1 ? 9 + extraRootBits : 9,
    bytes: 8,
  }));
}

/** Level of a leaf: mostly 4 KiB. */
export function pickLevel(dice: Dice, highest: number): number {
  return Math.min(highest, dice.weighted(LEVEL_WEIGHTS));
}

const LEVEL_WEIGHTS: readonly (readonly [number, number])[] = [
  [0, 55],
  [1, 22],
  [2, 13],
  [3, 6],
  [4, 4],
];

/** The address with its bits below a page of `level` replaced, so that a page at physical 0 maps it into the window. */
export function throughWindow(dice: Dice, address: bigint, level: number): bigint {
  const target = WINDOW_START + (dice.bits(31) & ~(PAGE - 1n));
  return (address & ~(pageBytes(level) - 1n)) | target;
}

/** Where a leaf that maps `address` points to; its target page is taken. null: no place. */
export function placeLeaf(
  workshop: Workshop,
  address: bigint,
  level: number,
  napot: boolean,
): { base: bigint; target: bigint } | null {
  const { dice, image } = workshop;
  const size = napot ? NAPOT_PAGES * PAGE : pageBytes(level);
  if (size === PAGE) {
    const target = image.targetPage();
    return { base: target, target };
  }
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const regions = (WINDOW_END - WINDOW_START) / size;
    const base = level > WINDOW_LEVEL ? 0n : WINDOW_START + size * BigInt(dice.below(Number(regions)));
    const target = base | (address & (size - 1n) & ~(PAGE - 1n));
    if (image.takePage(target)) return { base, target };
  }
  return null;
}

/** The wrong entry itself needs no place: it leads nowhere. */
export function flawedEntry(workshop: Workshop, rules: EntryRules, request: MapRequest): bigint {
  const { dice } = workshop;
  const { level, traits } = request;
  const flaw =
    request.flaw === undefined || request.flaw === 'any' ? pickFlaw(dice, level, traits, rules) : request.flaw;
  const size = pageBytes(Math.min(level, WINDOW_LEVEL));
  const base = level > WINDOW_LEVEL ? 0n : WINDOW_START + (dice.bits(31) & ~(size - 1n));
  return flawedWord(dice, rules, flaw, level, base, traits);
}

/** A second-stage page table (iohgatp) and the guest pages it maps. */
export class GuestSpace {
  readonly #radix: Radix;
  #lastPage = 0n;

  constructor(
    private readonly workshop: Workshop,
    readonly levels: number,
    readonly gscid: number,
    /** GADE. */
    readonly updates: boolean,
  ) {
    const { dice, image } = workshop;
    const root = image.table(4);
    this.#radix = new Radix(
      image,
      { pointer: root, host: root },
      stageLevels(levels, 2),
      () => {
        const page = image.table();
        return { pointer: page, host: page };
      },
      (table) => pointerWord(dice, table),
    );
    this.#lastPage = this.freshAddress();
  }

  get root(): bigint {
    return this.#radix.root.host;
  }

  /** Bits of a guest-physical address. */
  get width(): number {
    return 12 + 9 * this.levels + 2;
  }

  /** A page address, often near the last one; at most the 56 bits that an entry's page number holds. */
  pickAddress(bits = Math.min(this.width, 56)): bigint {
    const { dice } = this.workshop;
    const address = dice.chance(60) ? this.#lastPage ^ dice.bits(dice.pick([14, 21, 30])) : this.freshAddress(bits);
    this.#lastPage = address & ~(PAGE - 1n);
    return this.#lastPage;
  }

  /** Maps a page; host address of the target page, or null if something is in the way. A flawed mapping returns 0. */
  map(gpa: bigint, request: MapRequest): bigint | null {
    const { workshop } = this;
    const { image, dice } = workshop;
    if (gpa >> BigInt(this.width) !== 0n) return null;
    const slot = this.#radix.claim(gpa, request.level);
    if (slot === null) return null;
    if (request.flaw !== undefined) {
      image.set(slot, flawedEntry(workshop, workshop.physical, request));
      return 0n;
    }
    const napot = request.level === 0 && dice.chance(workshop.napotPercent);
    const place = placeLeaf(workshop, gpa, request.level, napot);
    if (place === null) return null;
    image.set(slot, leafWord(dice, workshop.physical, place.base, request.traits, napot));
    return place.target;
  }

  /** A guest page for a table, mapped by a leaf of any size. */
  newTable(): TablePage | null {
    const { dice } = this.workshop;
    for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
      const level = pickLevel(dice, this.levels - 1);
      const address = this.pickAddress();
      const pointer = level > WINDOW_LEVEL ? throughWindow(dice, address, level) : address;
      const host = this.map(pointer, { level, traits: this.tableTraits() });
      if (host !== null) return { pointer, host };
    }
    return null;
  }

  /** A guest page for a table that the second stage refuses to translate. */
  brokenTable(): bigint | null {
    const { dice } = this.workshop;
    for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
      const address = this.pickAddress();
      const level = dice.below(this.levels);
      if (this.map(address, { level, traits: this.tableTraits(), flaw: 'any' }) !== null) return address;
    }
    return null;
  }

  private tableTraits(): EntryTraits {
    const { clearBits } = this.workshop;
    return {
      need: 'r',
      user: true,
      mapsTable: true,
      updates: this.updates,
      clearBits,
      userMatters: true,
      permissionsMatter: true,
    };
  }

  private freshAddress(bits = Math.min(this.width, 56)): bigint {
    const { dice } = this.workshop;
    return dice.bits(dice.between(28, bits)) & ~(PAGE - 1n);
  }
}
