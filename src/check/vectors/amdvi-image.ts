/**
 * Memory that an AMD-Vi vector is built in: tables in the lower part of the window every emulator has as memory, pages that
 * devices reach in the upper part, so that a replayed write never lands in a table.
 */
import type { Dice } from './amdvi-dice.js';

const TABLES_START = 0x1_0000_0000n;
const PAGES_START = 0x1_2000_0000n;
const PAGES_END = 0x1_8000_0000n;
const FRAME = 4096n;
const BLOCK = 1n << 21n;

/** True if a device may reach this 4 KiB page in a replay. */
export function isReachable(address: bigint): boolean {
  return address >= PAGES_START && address < PAGES_END;
}

export class Image {
  readonly words = new Map<bigint, bigint>();
  readonly tables: { readonly address: bigint; readonly bytes: number }[] = [];
  private readonly dice: Dice;
  /** 2 MiB blocks handed out whole, and 4 KiB frames handed out singly: a block is one or the other. */
  private readonly blocks = new Map<bigint, 'whole' | 'frames'>();
  private readonly frames = new Set<bigint>();

  constructor(dice: Dice) {
    this.dice = dice;
  }

  read(address: bigint): bigint {
    return this.words.get(address) ?? 0n;
  }

  write(address: bigint, word: bigint): void {
    if (word === 0n) this.words.delete(address);
    else this.words.set(address, word);
  }

  /** A 4 KiB page for a table, anywhere. */
  frame(): bigint {
    const count = Number((PAGES_START - TABLES_START) / FRAME);
    for (;;) {
      const address = TABLES_START + BigInt(this.dice.below(count)) * FRAME;
      const block = address - (address % BLOCK);
      if (this.frames.has(address) || this.blocks.get(block) === 'whole') continue;
      this.frames.add(address);
      this.blocks.set(block, 'frames');
      this.tables.push({ address, bytes: Number(FRAME) });
      return address;
    }
  }

  /** 2 MiB of table memory, aligned; the caller names the tables in it with `addTable`. */
  block(): bigint {
    const count = Number((PAGES_START - TABLES_START) / BLOCK);
    for (;;) {
      const address = TABLES_START + BigInt(this.dice.below(count)) * BLOCK;
      if (this.blocks.has(address)) continue;
      this.blocks.set(address, 'whole');
      return address;
    }
  }

  addTable(address: bigint, bytes: number): void {
    this.tables.push({ address, bytes });
  }

  /** A 4 KiB page that a device may reach. */
  page(): bigint {
    return PAGES_START + BigInt(this.dice.below(Number((PAGES_END - PAGES_START) / FRAME))) * FRAME;
  }

  /** A reachable 4 KiB page inside the naturally aligned page of 2^sizeLg2 bytes at `base`; undefined if there is none. */
  pageIn(base: bigint, sizeLg2: number): bigint | undefined {
    const start = base > PAGES_START ? base : PAGES_START;
    const end = base + (1n << BigInt(sizeLg2)) < PAGES_END ? base + (1n << BigInt(sizeLg2)) : PAGES_END;
    if (start >= end) return undefined;
    return start + BigInt(this.dice.below(Number((end - start) / FRAME))) * FRAME;
  }
}
