/**
 * Memory image of an SMMUv3 vector under construction: where tables and target pages lie, trees of VMSAv8-64 descriptors, and tables
 * that lie in the address space of stage 2. Tables and targets keep to different halves of the window that every emulator maps, so that
 * no translated write lands in a table.
 */
import { type Geometry, levelShift } from '../reference/smmuv3-structures.js';
import type { Random } from './vector.js';

const TABLES_START = 0x1_0000_0000n;
const TABLES_END = 0x1_4000_0000n;
const TARGETS_LG2 = 30;
export const TARGETS_START = 0x1_4000_0000n;

/** Draws in the forms that generators need. */
export class Dice {
  constructor(private readonly random: Random) {}

  below(bound: number): number {
    return bound < 2 ? 0 : this.random.below(bound);
  }

  /** Both ends included. */
  between(low: number, high: number): number {
    return low + this.below(high - low + 1);
  }

  chance(percent: number): boolean {
    return this.random.below(100) < percent;
  }

  pick<T>(list: readonly [T, ...T[]] | readonly T[]): T {
    return list[this.below(list.length)] as T;
  }

  /** An even number of `count` bits. */
  bits(count: number): bigint {
    let value = 0n;
    for (let left = count; left > 0; left -= 16) {
      const step = Math.min(left, 16);
      value = (value << BigInt(step)) | BigInt(this.random.below(2 ** step));
    }
    return value;
  }

  /** One key by weight. */
  weighted<K extends string>(weights: Readonly<Partial<Record<K, number>>>): K {
    const entries = Object.entries(weights) as [K, number][];
    let left = this.below(entries.reduce((sum, [, weight]) => sum + weight, 0));
    for (const [key, weight] of entries) {
      if (left < weight) return key;
      left -= weight;
    }
    throw new Error('smmuv3: no weights');
  }
}

export function alignUp(address: bigint, lg2: number): bigint {
  return ((address + (1n << BigInt(lg2)) - 1n) >> BigInt(lg2)) << BigInt(lg2);
}

export function truncate(address: bigint, lg2: number): bigint {
  return (address >> BigInt(lg2)) << BigInt(lg2);
}

/** Where the tables of a tree come from; addresses are as descriptors name them. */
export interface TableSource {
  /** Reserves an aligned power of two of bytes. `root`: the start of a walk. */
  reserve(bytesLg2: number, root: boolean): bigint;
  write(address: bigint, word: bigint): void;
}

export class Image implements TableSource {
  readonly words = new Map<bigint, bigint>();
  readonly tables: { readonly address: bigint; readonly bytes: number }[] = [];
  private next = TABLES_START;

  constructor(readonly dice: Dice) {}

  /** @throws Error when the window is full: a generator that builds too much */
  reserve(bytesLg2: number): bigint {
    const skip = BigInt(this.dice.below(3)) << BigInt(Math.min(bytesLg2, 16));
    const address = alignUp(this.next + skip, bytesLg2);
    this.next = address + (1n << BigInt(bytesLg2));
    if (this.next > TABLES_END) throw new Error('smmuv3: the window for tables is full');
    this.tables.push({ address, bytes: 2 ** bytesLg2 });
    return address;
  }

  write(address: bigint, word: bigint): void {
    if (word === 0n) this.words.delete(address);
    else this.words.set(address, word);
  }

  /** A random page or block among the targets; null when the size does not fit. */
  target(sizeLg2: number): bigint | null {
    if (sizeLg2 > TARGETS_LG2) return null;
    return TARGETS_START + (this.dice.bits(TARGETS_LG2 - sizeLg2) << BigInt(sizeLg2));
  }
}

/** An address as descriptors hold it; bits 51:48 go to 15:12 (64 KiB granule, 52-bit output). */
export function encodeAddress(address: bigint): bigint {
  return (address & 0xffff_ffff_ffffn) | (((address >> 48n) & 0xfn) << 12n);
}

/** log2 of the bytes of the start level. */
export function rootBytesLg2({ granuleLg2, inputBits, startLevel }: Geometry): number {
  return inputBits - levelShift(granuleLg2, startLevel) + 3;
}

/** A tree of translation tables that grows by leaves. */
export class Tree {
  readonly root: bigint;
  private readonly children = new Map<bigint, bigint>();
  private readonly taken = new Set<bigint>();

  /** @param tableBits attribute bits of the next table descriptor */
  constructor(
    private readonly source: TableSource,
    readonly geometry: Geometry,
    private readonly tableBits: () => bigint,
  ) {
    // 64 bytes is the least alignment with 52-bit addresses.
    this.root = source.reserve(Math.max(6, rootBytesLg2(geometry)), true);
  }

  /** Puts a descriptor where a walk of `input` meets `level`. False, and nothing changed: something is already there or above it. */
  place(input: bigint, level: number, word: bigint): boolean {
    if (!this.free(input, level)) return false;
    const { startLevel, granuleLg2 } = this.geometry;
    let table = this.root;
    for (let at = startLevel; at < level; at++) {
      const entry = this.entry(table, input, at);
      let child = this.children.get(entry);
      if (child === undefined) {
        child = this.source.reserve(granuleLg2, false);
        this.children.set(entry, child);
        this.source.write(entry, encodeAddress(child) | this.tableBits() | 3n);
      }
      table = child;
    }
    const entry = this.entry(table, input, level);
    this.taken.add(entry);
    this.source.write(entry, word);
    return true;
  }

  free(input: bigint, level: number): boolean {
    let table = this.root;
    for (let at = this.geometry.startLevel; at < level; at++) {
      const entry = this.entry(table, input, at);
      if (this.taken.has(entry)) return false;
      const child = this.children.get(entry);
      if (child === undefined) return true;
      table = child;
    }
    const entry = this.entry(table, input, level);
    return !this.taken.has(entry) && !this.children.has(entry);
  }

  /** Bits of index at a level. */
  indexBits(level: number): number {
    const { startLevel, granuleLg2, inputBits } = this.geometry;
    return level === startLevel ? inputBits - levelShift(granuleLg2, level) : granuleLg2 - 3;
  }

  private entry(table: bigint, input: bigint, level: number): bigint {
    const shift = BigInt(levelShift(this.geometry.granuleLg2, level));
    return table + ((input >> shift) & ((1n << BigInt(this.indexBits(level))) - 1n)) * 8n;
  }
}
