/**
 * Memory of a VT-d vector under construction. Tables lie in [0x1_7000_0000, 0x1_8000_0000), the pages that accesses reach in
 * [0x1_0000_0000, 0x1_7000_0000), so that an emulator may let a write happen without harm to a table.
 */
import type { Random } from './vector.js';

const TABLES = 0x1_7000_0000n;
const TABLE_PAGES = 0x1_0000;
const TARGETS = 0x1_0000_0000n;
const TARGET_PAGES = 0x7_0000;

export class Image {
  readonly words = new Map<bigint, bigint>();
  readonly tables: { address: bigint; bytes: number }[] = [];
  private readonly taken = new Set<number>();

  constructor(readonly random: Random) {}

  /** True in `percent` of 100 cases. */
  chance(percent: number): boolean {
    return this.random.below(100) < percent;
  }

  pick<T>(values: readonly T[]): T {
    return values.length === 1 ? values[0]! : values[this.random.below(values.length)]!;
  }

  /** Random bits high..low in place, the others zero. */
  bits(high: number, low = 0): bigint {
    let value = 0n;
    for (let at = low; at <= high; at += 16) {
      value |= BigInt(this.random.below(1 << Math.min(16, high - at + 1))) << BigInt(at);
    }
    return value;
  }

  /** One random bit of those set in `mask`; zero if none is. */
  oneOf(mask: bigint): bigint {
    const choices: bigint[] = [];
    for (let bit = 1n; bit <= mask; bit <<= 1n) if ((mask & bit) !== 0n) choices.push(bit);
    return choices.length === 0 ? 0n : this.pick(choices);
  }

  /** Consecutive pages of table memory that nothing else uses. */
  allocate(pages = 1): bigint {
    for (;;) {
      const first = this.random.below(TABLE_PAGES - pages + 1);
      const numbers = Array.from({ length: pages }, (_, i) => first + i);
      if (numbers.some((number) => this.taken.has(number))) continue;
      for (const number of numbers) this.taken.add(number);
      const address = TABLES + BigInt(first) * 4096n;
      this.tables.push({ address, bytes: pages * 4096 });
      return address;
    }
  }

  read(address: bigint): bigint {
    return this.words.get(address) ?? 0n;
  }

  write(address: bigint, word: bigint): void {
    if (word === 0n) this.words.delete(address);
    else this.words.set(address, word);
  }

  /** A page that an access may reach. */
  target(): bigint {
    return TARGETS + BigInt(this.random.below(TARGET_PAGES)) * 4096n;
  }
}
