/**
 * What generated RISC-V vectors are made of: dice, the memory image with its page allocator, and radix tables of any shape
 * (page tables of either stage, device and process directories) that are filled from the top.
 * Everything lies in the address window that every emulator can take (OVEC 1).
 */
import type { Random } from './vector.js';

export const PAGE = 4096n;
export const WINDOW_START = 0x1_0000_0000n;
export const WINDOW_END = 0x1_8000_0000n;
const WINDOW_PAGES = Number((WINDOW_END - WINDOW_START) / PAGE);

/** Draws of the shapes that a generator needs. */
export class Dice {
  constructor(private readonly random: Random) {}

  below(bound: number): number {
    return bound <= 1 ? 0 : this.random.below(bound);
  }

  between(low: number, high: number): number {
    return low + this.below(high - low + 1);
  }

  chance(percent: number): boolean {
    return this.below(100) < percent;
  }

  pick<T>(list: readonly T[]): T {
    return list[this.below(list.length)]!;
  }

  /** Draws by weight; the list must not be empty. */
  weighted<T>(list: readonly (readonly [item: T, weight: number])[]): T {
    let at = this.below(list.reduce((sum, [, weight]) => sum + weight, 0));
    for (const [item, weight] of list) {
      if (at < weight) return item;
      at -= weight;
    }
    throw new Error('no weights');
  }

  /** `count` random bits. */
  bits(count: number): bigint {
    let value = 0n;
    for (let done = 0; done < count; done += 16) value = (value << 16n) | BigInt(this.random.below(0x10000));
    return value & ((1n << BigInt(count)) - 1n);
  }

  /** `count` random bits, not all 0. */
  nonZeroBits(count: number): bigint {
    return this.bits(count) || 1n << BigInt(this.below(count));
  }
}

/** Words by address, and which pages of the window are taken by tables or are the target of an access. */
export class Image {
  readonly words = new Map<bigint, bigint>();
  readonly #tables: { address: bigint; bytes: number }[] = [];
  readonly #taken = new Set<bigint>();

  constructor(private readonly dice: Dice) {}

  set(address: bigint, word: bigint): void {
    if (word !== 0n) this.words.set(address, word);
  }

  /** A free target page. */
  targetPage(): bigint {
    return this.take(1);
  }

  /** Free pages for a table, aligned to their total size. */
  table(pages = 1): bigint {
    const address = this.take(pages);
    this.#tables.push({ address, bytes: pages * Number(PAGE) });
    return address;
  }

  /** Takes the page of an address; false if it is outside the window or taken. */
  takePage(address: bigint): boolean {
    const page = address & ~(PAGE - 1n);
    if (page < WINDOW_START || page >= WINDOW_END || this.#taken.has(page)) return false;
    this.#taken.add(page);
    return true;
  }

  /** Tables of which every word is 0. */
  emptyTables(): { address: bigint; bytes: number }[] {
    const filled = new Set([...this.words.keys()].map((address) => address & ~(PAGE - 1n)));
    return this.#tables.filter(({ address, bytes }) => {
      for (let page = address; page < address + BigInt(bytes); page += PAGE) {
        if (filled.has(page)) return false;
      }
      return true;
    });
  }

  private take(pages: number): bigint {
    for (;;) {
      const first = WINDOW_START + BigInt(this.dice.below(WINDOW_PAGES / pages) * pages) * PAGE;
      const addresses = Array.from({ length: pages }, (_, i) => first + BigInt(i) * PAGE);
      if (addresses.some((address) => this.#taken.has(address))) continue;
      for (const address of addresses) this.#taken.add(address);
      return first;
    }
  }
}

/** A table as entries refer to it (guest-physical under a second stage) and as the image holds it. */
export interface TablePage {
  readonly pointer: bigint;
  readonly host: bigint;
}

/** How a level takes its index from the key, and the bytes of one entry. */
export interface RadixLevel {
  readonly shift: number;
  readonly bits: number;
  readonly bytes: number;
}

/** Tables below a root. Levels count from the leaf, 0, up to the root. */
export class Radix {
  readonly #children = new Map<bigint, TablePage>();
  readonly #taken = new Set<bigint>();

  constructor(
    private readonly image: Image,
    readonly root: TablePage,
    private readonly levels: readonly RadixLevel[],
    private readonly newTable: () => TablePage | null,
    private readonly pointerEntry: (table: bigint) => bigint,
  ) {}

  get depth(): number {
    return this.levels.length;
  }

  /**
   * Host address of the entry of `key` at a level, for the caller to fill; makes the tables above it.
   * null if the place is taken, or lies below a leaf or a broken entry.
   */
  claim(key: bigint, level: number): bigint | null {
    let table = this.root;
    for (let at = this.depth - 1; at > level; at--) {
      const slot = this.slot(table, key, at);
      if (this.#taken.has(slot)) return null;
      let child = this.#children.get(slot);
      if (child === undefined) {
        const created = this.newTable();
        if (created === null) return null;
        child = created;
        this.#children.set(slot, child);
        this.image.set(slot, this.pointerEntry(child.pointer));
      }
      table = child;
    }
    const slot = this.slot(table, key, level);
    if (this.#taken.has(slot) || this.#children.has(slot)) return null;
    this.#taken.add(slot);
    return slot;
  }

  private slot(table: TablePage, key: bigint, level: number): bigint {
    const { shift, bits, bytes } = this.levels[level]!;
    const index = (key >> BigInt(shift)) & ((1n << BigInt(bits)) - 1n);
    return table.host + index * BigInt(bytes);
  }
}
