/**
 * A first-stage page table of generated RISC-V vectors, its tables in physical or guest memory.
 */
import { type EntryRules, type EntryTraits, leafWord, pointerWord } from './riscv-entries.js';
import { flawedEntry, type GuestSpace, type MapRequest, stageLevels, type Workshop } from './riscv-guest.js';
import { PAGE, Radix, type TablePage } from './riscv-image.js';

/** A first-stage page table (iosatp). */
export class FirstStage {
  readonly #radix: Radix;
  #last: bigint;

  constructor(
    private readonly workshop: Workshop,
    readonly levels: number,
    readonly pscid: number,
    readonly guest: GuestSpace | null,
    root: TablePage,
    newTable: () => TablePage | null,
  ) {
    const { dice, image } = workshop;
    this.#radix = new Radix(image, root, stageLevels(levels, 0), newTable, (table) => pointerWord(dice, table));
    this.#last = this.fresh();
  }

  get root(): bigint {
    return this.#radix.root.pointer;
  }

  get width(): number {
    return 12 + 9 * this.levels;
  }

  /** What an entry's pointer runs into: the guest-physical width, or the physical one. */
  get rules(): EntryRules {
    const { physical } = this.workshop;
    return this.guest === null ? physical : { ...physical, addressBits: Math.min(this.guest.width, 56) };
  }

  /** A canonical page address, often near the last one. */
  pick(): bigint {
    const { dice } = this.workshop;
    if (dice.chance(60)) this.#last ^= dice.bits(dice.pick([14, 21, 30])) & ~(PAGE - 1n);
    else this.#last = this.fresh();
    return this.#last;
  }

  /** A page address whose bits above the width do not repeat its highest bit. */
  pickNonCanonical(): bigint {
    const upper = BigInt(64 - this.width);
    const low = this.pick() & ((1n << BigInt(this.width)) - 1n);
    const sign = low >> BigInt(this.width - 1) === 1n ? (1n << upper) - 1n : 0n;
    const flipped = sign ^ this.workshop.dice.nonZeroBits(Number(upper));
    return low | (flipped << BigInt(this.width));
  }

  /** Writes a leaf; false if something is in the way. */
  mapTo(iova: bigint, level: number, base: bigint, traits: EntryTraits, napot: boolean): boolean {
    const { image, dice } = this.workshop;
    const slot = this.#radix.claim(iova, level);
    if (slot === null) return false;
    image.set(slot, leafWord(dice, this.rules, base, traits, napot));
    return true;
  }

  /** Writes a wrong entry. */
  mapFlawed(iova: bigint, request: MapRequest): boolean {
    const slot = this.#radix.claim(iova, request.level);
    if (slot === null) return false;
    this.workshop.image.set(slot, flawedEntry(this.workshop, this.rules, request));
    return true;
  }

  /** Writes a pointer at a level above 0 to a table that need not exist. */
  pointTo(iova: bigint, level: number, table: bigint): boolean {
    const slot = this.#radix.claim(iova, level);
    if (slot === null) return false;
    this.workshop.image.set(slot, pointerWord(this.workshop.dice, table));
    return true;
  }

  private fresh(): bigint {
    const { dice } = this.workshop;
    const low = dice.bits(this.width - 1) & ~(PAGE - 1n);
    const top = (1n << 64n) - (1n << BigInt(this.width - 1));
    return dice.chance(30) ? top | low : low;
  }
}
