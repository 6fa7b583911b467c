/**
 * Leaves of generated SMMUv3 tables: fit and unfit for use, single or in contiguous groups, for both stages.
 * Descriptor layouts from Arm DDI 0487 D8.3; contiguous groups D8.7.
 */
import { type Geometry, type GranuleLg2, levelShift } from '../reference/smmuv3-structures.js';
import { contiguousLg2 } from '../reference/smmuv3-walk.js';
import { type Dice, encodeAddress, TARGETS_START, type Tree, truncate } from './smmuv3-image.js';
import type { Mode } from './smmuv3-modes.js';

export const GRANULES: readonly GranuleLg2[] = [12, 14, 16];
export const TG0 = { 12: 0n, 14: 2n, 16: 1n } as const;
export const TG1 = { 12: 2n, 14: 1n, 16: 3n } as const;
/** CD.IPS and STE.S2PS to bits. */
export const SIZES = [32, 36, 40, 42, 44, 48, 52, 52] as const;

export const AF = 1n << 10n;
export const DBM = 1n << 51n;
const CONTIGUOUS = 1n << 52n;

export type Flavour1 =
  | 'fit'
  | 'readOnly'
  | 'stale'
  | 'tooLarge'
  | 'junk'
  | 'reserved'
  | 'tableTooLarge'
  | 'illegalBlock'
  | 'muddle';
export type Flavour2 = Flavour1 | 'writeOnly' | 'noAccess' | 'absent';

export const FLAVOURS1: Readonly<Partial<Record<Flavour1, number>>> = {
  fit: 76,
  readOnly: 9,
  stale: 5,
  tooLarge: 4,
  junk: 2,
  reserved: 4,
};
export const FLAVOURS2: Readonly<Partial<Record<Flavour2, number>>> = {
  fit: 80,
  readOnly: 6,
  writeOnly: 3,
  noAccess: 1,
  stale: 4,
  tooLarge: 3,
  junk: 1,
  reserved: 2,
};
export const STRICT_ONLY: Readonly<Partial<Record<Flavour1, number>>> = {
  tableTooLarge: 5,
  illegalBlock: 5,
  muddle: 8,
};
/** Access flags and dirty bits are wanted more than other faults. */
export const HTTU_MORE = { stale: 40, readOnly: 30 } as const;

/** Levels at which a tree may have leaves of at most `maxLg2` bytes. */
export function leafLevels(geometry: Geometry, maxLg2: number): number[] {
  const levels = geometry.granuleLg2 === 12 ? [1, 2, 3] : [2, 3];
  return levels.filter((level) => {
    const shift = levelShift(geometry.granuleLg2, level);
    return level >= geometry.startLevel && shift <= Math.min(maxLg2, geometry.inputBits);
  });
}

/** A level where a block descriptor is reserved, if the tree has one. */
export function illegalBlockLevel({ granuleLg2, startLevel }: Geometry): number | null {
  const level = granuleLg2 === 12 ? 0 : 1;
  return startLevel <= level ? level : null;
}

export interface Placement {
  readonly input: bigint;
  readonly level: number;
  /** log2 of the bytes of the leaf or of its contiguous group. */
  readonly sizeLg2: number;
}

/** Both stages: where the next leaf goes and how much it covers; null when the place is taken. */
export function choosePlace(
  tree: Tree,
  mode: Mode,
  dice: Dice,
  input: bigint,
  level: number,
  maxLg2: number,
): Placement | null {
  const { granuleLg2, inputBits } = tree.geometry;
  const shift = levelShift(granuleLg2, level);
  const groupLg2 = shift + contiguousLg2(granuleLg2, level);
  if (mode.contiguous && groupLg2 <= Math.min(maxLg2, inputBits) && dice.chance(60)) {
    const start = truncate(input, groupLg2);
    const count = 2 ** (groupLg2 - shift);
    const open = Array.from({ length: count }, (_, index) =>
      tree.free(start + (BigInt(index) << BigInt(shift)), level),
    );
    if (open.every((free) => free)) return { input: start, level, sizeLg2: groupLg2 };
  }
  return tree.free(input, level) ? { input: truncate(input, shift), level, sizeLg2: shift } : null;
}

/** Writes the leaf, or all leaves of its group. `word` holds type and attributes without address. */
export function placeLeaves(tree: Tree, { input, level, sizeLg2 }: Placement, output: bigint, word: bigint): void {
  const shift = levelShift(tree.geometry.granuleLg2, level);
  const hint = sizeLg2 > shift ? CONTIGUOUS : 0n;
  for (let offset = 0n; offset < 1n << BigInt(sizeLg2); offset += 1n << BigInt(shift)) {
    tree.place(input + offset, level, encodeAddress(output + offset) | word | hint);
  }
}

/** A descriptor that is not valid, with other bits set; bit 0 clear, or a block's type at level 3. */
export function brokenWord(dice: Dice, flavour: 'junk' | 'reserved', level: number): bigint {
  const noise = encodeAddress(TARGETS_START + (dice.bits(14) << 16n)) | (dice.bits(10) << 2n);
  return flavour === 'reserved' && level === 3 ? noise | 1n : noise | (dice.chance(50) ? 2n : 0n);
}

/** An address just or far beyond `bits`, aligned, or null when descriptors of the granule cannot hold it. */
export function beyond(dice: Dice, bits: number, granuleLg2: number, sizeLg2: number, wide: boolean): bigint | null {
  const top = granuleLg2 === 16 && wide ? 51 : 47;
  const low = Math.max(bits, sizeLg2);
  if (low > top) return null;
  return (1n << BigInt(dice.between(low, top))) | truncate(TARGETS_START, Math.max(sizeLg2, 30));
}

export function bit(set: boolean, position: number): bigint {
  return set ? 1n << BigInt(position) : 0n;
}
