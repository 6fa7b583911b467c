/**
 * Page-table entries of generated RISC-V vectors: legal ones of every kind, and each way in which an entry may be wrong
 * (RISC-V Privileged Architecture, Sv39/48/57, Svnapot, Svpbmt; capabilities.Svrsw60t59b).
 */
import { type Dice, PAGE } from './riscv-image.js';
import type { AccessKind } from './vector.js';

const V = 1n;
const R = 2n;
const W = 4n;
const X = 8n;
const U = 16n;
const G = 32n;
const A = 64n;
const D = 128n;
const N = 1n << 63n;
const PERMISSIONS = R | W | X;
const LEGAL_PERMISSIONS: readonly bigint[] = [R, R | W, R | X, R | W | X, X];
export const NAPOT_PAGES = 16n;
/** Physical page numbers of an entry. */
const PPN_BITS = 44;

/** What shapes an entry beyond its address. */
export interface EntryTraits {
  readonly need: AccessKind;
  /** The entry maps memory for user mode (always so in the second stage). */
  readonly user: boolean;
  /** The entry maps a table: if writable it must be dirty, since a first-stage update may need that. */
  readonly mapsTable: boolean;
  /** Hardware sets accessed and dirty bits: a clear one is no fault. */
  readonly updates: boolean;
  /** Leave those bits clear at times. */
  readonly clearBits: boolean;
  /** The other setting of U is refused. */
  readonly userMatters: boolean;
  /** A missing permission is refused. */
  readonly permissionsMatter: boolean;
}

/** Extensions that give meaning to otherwise reserved bits, and the width beyond which a pointer leads nowhere. */
export interface EntryRules {
  readonly memoryTypes: boolean;
  readonly softwareBits: boolean;
  /** Bits of an address that the next access takes: the physical or guest-physical width. */
  readonly addressBits: number;
}

function requiredPermissions(need: AccessKind): bigint {
  return need === 'r' ? R : need === 'x' ? X : W;
}

function writes(need: AccessKind): boolean {
  return need === 'w' || need === 'rw';
}

function pages(level: number): bigint {
  return 1n << BigInt(9 * level);
}

/** A pointer to the next table. G and the two software bits are legal in it and of no effect. */
export function pointerWord(dice: Dice, table: bigint): bigint {
  const software = dice.chance(15) ? dice.bits(2) << 8n : 0n;
  return V | software | (dice.chance(10) ? G : 0n) | ((table / PAGE) << 10n);
}

/** @param base First byte of the page that is mapped; `napot` makes it a 64 KiB region of level 0. */
export function leafWord(dice: Dice, rules: EntryRules, base: bigint, traits: EntryTraits, napot: boolean): bigint {
  const { need, user, mapsTable, updates, clearBits } = traits;
  const required = requiredPermissions(need);
  const permissions = dice.pick(LEGAL_PERMISSIONS.filter((candidate) => (candidate & required) !== 0n));
  const writable = (permissions & W) !== 0n;
  let dirty = writes(need) || (mapsTable && writable) || dice.chance(50);
  let accessed = true;
  if (updates && clearBits && dice.chance(50)) {
    accessed = dice.chance(40);
    dirty = accessed && dice.chance(30);
  }
  let word = V | permissions | ((base / PAGE) << 10n);
  if (user) word |= U;
  if (accessed) word |= A;
  if (dirty) word |= D;
  if (dice.chance(15)) word |= G;
  if (dice.chance(20)) word |= dice.bits(2) << 8n;
  if (rules.memoryTypes) word |= BigInt(dice.below(3)) << 61n;
  if (rules.softwareBits) word |= dice.bits(2) << 59n;
  // Bits 3:0 of the page number code the size: 1000 is 64 KiB.
  return napot ? (word & ~((NAPOT_PAGES - 1n) << 10n)) | N | (8n << 10n) : word;
}

/** Ways in which the entry at the end of a walk is wrong. All end in a page fault but the last two, which lead beyond the width. */
export type EntryFlaw =
  | 'absent'
  | 'write-only'
  | 'reserved-bit'
  | 'memory-type'
  | 'napot'
  | 'user'
  | 'accessed'
  | 'dirty'
  | 'denied'
  | 'misaligned'
  | 'pointer-at-leaf'
  | 'pointer-bits'
  | 'pointer-beyond'
  | 'table-beyond';

/** The heavier ones are refused by QEMU's emulation too, which ignores reserved bits, U and N. */
const FLAW_WEIGHTS: readonly (readonly [EntryFlaw, number])[] = [
  ['absent', 6],
  ['write-only', 3],
  ['accessed', 3],
  ['dirty', 3],
  ['denied', 5],
  ['misaligned', 3],
  ['pointer-at-leaf', 2],
  ['reserved-bit', 2],
  ['user', 2],
  ['memory-type', 1],
  ['napot', 1],
  ['pointer-bits', 1],
  ['pointer-beyond', 3],
  ['table-beyond', 4],
];

function applies(flaw: EntryFlaw, level: number, traits: EntryTraits, rules: EntryRules): boolean {
  switch (flaw) {
    case 'user':
      return traits.userMatters;
    case 'denied':
      return traits.permissionsMatter;
    case 'accessed':
      return !traits.updates;
    case 'dirty':
      return !traits.updates && writes(traits.need);
    case 'misaligned':
    case 'pointer-bits':
      return level > 0;
    case 'pointer-at-leaf':
      return level === 0;
    case 'pointer-beyond':
      return level > 0 && rules.addressBits < PPN_BITS + 12;
    case 'table-beyond':
      // Larger leaves have no address bits between their size and the width.
      return traits.mapsTable && level <= 2 && rules.addressBits < PPN_BITS + 12;
  }
  return true;
}

/** A flaw that is possible at this level. */
export function pickFlaw(dice: Dice, level: number, traits: EntryTraits, rules: EntryRules): EntryFlaw {
  return dice.weighted(FLAW_WEIGHTS.filter(([flaw]) => applies(flaw, level, traits, rules)));
}

/** A wrong entry in place of a leaf of `level` that would map `base`. */
export function flawedWord(
  dice: Dice,
  rules: EntryRules,
  flaw: EntryFlaw,
  level: number,
  base: bigint,
  traits: EntryTraits,
): bigint {
  const good = leafWord(dice, rules, base, traits, false);
  const pointer = V | ((base / PAGE) << 10n);
  switch (flaw) {
    case 'absent':
      return dice.chance(50) ? 0n : good & ~V;
    case 'write-only':
      return (good & ~PERMISSIONS) | W | (dice.chance(40) ? X : 0n);
    case 'reserved-bit':
      return good | (1n << BigInt(54 + dice.below(rules.softwareBits ? 5 : 7)));
    case 'memory-type':
      return good | ((rules.memoryTypes ? 3n : dice.nonZeroBits(2)) << 61n);
    case 'napot':
      return level > 0 ? good | N : badNapot(dice, good);
    case 'user':
      return good ^ U;
    case 'accessed':
      return good & ~A;
    case 'dirty':
      return good & ~D;
    case 'denied': {
      const required = requiredPermissions(traits.need);
      const denying = LEGAL_PERMISSIONS.filter((candidate) => (candidate & required) === 0n);
      return (good & ~PERMISSIONS) | dice.pick(denying);
    }
    case 'misaligned':
      return good | ((dice.nonZeroBits(9 * level) & (pages(level) - 1n)) << 10n);
    case 'pointer-at-leaf':
      return pointer;
    case 'pointer-bits':
      return pointer | dice.pick([A, D, U, A | D, A | U, A | D | U]);
    case 'pointer-beyond':
      return pointer | pagesBeyond(dice, rules);
    case 'table-beyond':
      return good | pagesBeyond(dice, rules);
  }
}

/** Bits of the page number field that exceed the width. */
function pagesBeyond(dice: Dice, rules: EntryRules): bigint {
  return (dice.nonZeroBits(PPN_BITS + 12 - rules.addressBits) << BigInt(rules.addressBits - 12)) << 10n;
}

/** NAPOT at level 0 with a reserved size code. */
function badNapot(dice: Dice, good: bigint): bigint {
  const code = dice.bits(4);
  return (good & ~((NAPOT_PAGES - 1n) << 10n)) | N | ((code === 8n ? 4n : code) << 10n);
}
