/** Ways to break the entries of an AMD-Vi vector, one at a time: reserved bits, illegal levels and sizes, absent entries. */
import type { Entry } from './amdvi-device-table.js';
import type { Dice } from './amdvi-dice.js';
import { ADDRESS, lowBits, type Slot, spanLg2 } from './amdvi-host-space.js';
import type { Image } from './amdvi-image.js';

const PRESENT = 1n;
const PAGE_SIZE = 1n << 7n;
const NEXT_LEVEL = 7n << 9n;
const LARGEST_PAGE_LG2 = 51;
/** As a size: all address bits are ones. */
const ENDLESS_CODE = 53;

/** A size code that is not of this level: too small, the natural size, too large, or one without an end. */
function wrongSize(dice: Dice, entry: bigint, level: number): bigint {
  const natural = spanLg2(level);
  const sizes = [ENDLESS_CODE];
  if (natural > 12) sizes.push(13 + dice.below(natural - 12), natural);
  if (natural + 9 <= LARGEST_PAGE_LG2) sizes.push(natural + 9 + dice.below(LARGEST_PAGE_LG2 - natural - 8));
  const size = dice.pick(sizes);
  const code = lowBits(size - 1) & ~lowBits(12);
  return (entry & ~(ADDRESS & lowBits(size))) | NEXT_LEVEL | code;
}

/** Breaks one host entry on a path. */
export function corruptHost(image: Image, dice: Dice, slot: Slot): void {
  const entry = image.read(slot.address);
  if ((entry & PRESENT) === 0n) return;
  const next = Number((entry & NEXT_LEVEL) >> 9n);
  const isLeaf = next === 0 || next === 7;
  const otherLevel = BigInt(slot.level + dice.below(7 - slot.level));
  const broken = dice.weighted([
    [20, entry & ~PRESENT],
    [30, entry | (1n << BigInt(52 + dice.below(5)))],
    [15, isLeaf ? entry & ~(3n << 61n) : entry | (1n << BigInt(57 + dice.below(4)))],
    [25, (entry & ~NEXT_LEVEL) | (otherLevel << 9n)],
    [isLeaf ? 45 : 0, wrongSize(dice, entry, slot.level)],
    // A leaf at level 6.
    [slot.level === 6 ? 60 : 0, entry | NEXT_LEVEL],
  ]);
  image.write(slot.address, broken);
}

/** Breaks one guest entry on a path. */
export function corruptGuest(image: Image, dice: Dice, slot: Slot): void {
  const entry = image.read(slot.address);
  if ((entry & PRESENT) === 0n) return;
  const large = slot.level > 1 && slot.level < 4 && (entry & PAGE_SIZE) !== 0n;
  const reserved = slot.level > 3 ? PAGE_SIZE : large ? 1n << BigInt(13 + dice.below(spanLg2(slot.level) - 13)) : 0n;
  const broken = dice.weighted([
    [20, entry & ~PRESENT],
    [40, entry | reserved],
    [15, entry & ~(1n << 1n)],
    [15, entry & ~(1n << 2n)],
    [10, entry | (1n << 63n)],
  ]);
  image.write(slot.address, broken);
}

/** Breaks a device table entry with V = 1, TV = 1. Never two faults at once: which one is reported first is nowhere said. */
export function corruptEntry(dice: Dice, entry: Entry): Entry {
  const [first, second, third, fourth] = entry;
  const reserved = dice.chance(20) ? 1n << 63n : 1n << BigInt(2 + dice.below(5));
  const hasGuest = (first & (1n << 55n)) !== 0n;
  return dice.weighted<Entry>([
    [30, [first | reserved, second, third, fourth]],
    [20, [first & ~2n, second, third, fourth]],
    [15, [first | NEXT_LEVEL, second, third, fourth]],
    // SA: faults leave no record.
    [15, [first, second | (1n << 34n), third, fourth]],
    [hasGuest ? 15 : 0, [first | (3n << 56n), second, third, fourth]],
    [hasGuest ? 15 : 0, [first, second, third | (1n << 55n), fourth]],
  ]);
}
