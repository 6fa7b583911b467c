/**
 * Paths through the page tables of generated RISC-V vectors: made for one access, whole or broken at one place.
 */
import type { Context, MsiWindow } from './riscv-devices.js';
import { type EntryTraits, NAPOT_PAGES } from './riscv-entries.js';
import type { FirstStage } from './riscv-first-stage.js';
import { type GuestSpace, pageBytes, pickLevel, placeLeaf, throughWindow, type Workshop } from './riscv-guest.js';
import { type Dice, PAGE } from './riscv-image.js';
import type { ModeTraits } from './riscv-modes.js';
import type { AccessKind } from './vector.js';

/** Highest level of which a single stage has leaves: 1 GiB, see `ModeTraits.largeLeaves`. */
const SINGLE_STAGE_LEVEL = 2;

/** Where a translation with sound contexts is broken. */
export type Break = 'non-canonical' | 'first' | 'table' | 'final' | 'wide' | 'msi';

/** What an access asks of the pages that it meets. */
export interface Wish {
  readonly context: Context;
  readonly kind: AccessKind;
  /** What the leaves permit at least. Any of them is as good for an ATS translation request, which is told what is denied. */
  readonly need: AccessKind;
  readonly permissionsMatter: boolean;
  /** The first-stage leaf is a user page, and the other setting would be refused. */
  readonly user: boolean;
  readonly userMatters: boolean;
  /** A translated request: the address is guest-physical already. */
  readonly skipsFirst: boolean;
}

export class PathMaker {
  constructor(
    private readonly workshop: Workshop,
    private readonly traits: ModeTraits,
  ) {}

  private get dice(): Dice {
    return this.workshop.dice;
  }

  private firstTraits(wish: Wish): EntryTraits {
    const { need, user, userMatters, permissionsMatter, context } = wish;
    const { clearBits } = this.workshop;
    const updates = context.device.updateFirst;
    return { need, user, mapsTable: false, updates, clearBits, userMatters, permissionsMatter };
  }

  private secondTraits(wish: Wish, guest: GuestSpace): EntryTraits {
    return { ...this.firstTraits(wish), user: true, userMatters: true, updates: guest.updates };
  }

  /** Builds a whole translation; the page of its input address, or null if something is in the way. */
  whole(wish: Wish): bigint | null {
    const { device } = wish.context;
    if (wish.skipsFirst && !device.translatedToGpa) return this.workshop.image.targetPage();
    const first = wish.skipsFirst ? null : wish.context.first;
    const { guest } = device;
    if (first === null) return guest === null ? this.workshop.image.targetPage() : this.secondOnly(wish, guest);
    return guest === null ? this.firstOnly(wish, first) : this.bothStages(wish, first, guest);
  }

  private secondOnly(wish: Wish, guest: GuestSpace): bigint | null {
    const { dice, traits } = this;
    const { msi } = wish.context.device;
    if (msi !== null && dice.chance(45)) return this.msiPage(msi, wish.kind, false);
    const level = pickLevel(dice, traits.largeLeaves ? guest.levels - 1 : SINGLE_STAGE_LEVEL);
    const picked = guest.pickAddress(guest.width);
    const gpa = level > SINGLE_STAGE_LEVEL ? throughWindow(dice, picked, level) : picked;
    return guest.map(gpa, { level, traits: this.secondTraits(wish, guest) }) === null ? null : gpa;
  }

  private firstOnly(wish: Wish, first: FirstStage): bigint | null {
    const { dice, traits, workshop } = this;
    const level = pickLevel(dice, traits.largeLeaves ? first.levels - 1 : SINGLE_STAGE_LEVEL);
    const napot = level === 0 && dice.chance(workshop.napotPercent);
    const picked = first.pick();
    const iova = level > SINGLE_STAGE_LEVEL ? throughWindow(dice, picked, level) : picked;
    const place = placeLeaf(workshop, iova, level, napot);
    if (place === null) return null;
    return first.mapTo(iova, level, place.base, this.firstTraits(wish), napot) ? iova : null;
  }

  /** A first-stage leaf of any size onto guest memory that a second-stage leaf of any size maps. */
  private bothStages(wish: Wish, first: FirstStage, guest: GuestSpace): bigint | null {
    const { dice } = this;
    const { msi } = wish.context.device;
    const iova = first.pick();
    if (msi !== null && dice.chance(45)) {
      const page = this.msiPage(msi, wish.kind, false);
      return page !== null && first.mapTo(iova, 0, page, this.firstTraits(wish), false) ? iova : null;
    }
    const leaf = this.guestLeaf(first, guest, iova);
    const { level, gpa } = leaf;
    if (guest.map(gpa, { level, traits: this.secondTraits(wish, guest) }) === null) return null;
    return first.mapTo(iova, leaf.firstLevel, leaf.base, this.firstTraits(wish), leaf.napot) ? iova : null;
  }

  /** Picks the levels of both leaves and the guest page between them. */
  private guestLeaf(
    first: FirstStage,
    guest: GuestSpace,
    iova: bigint,
  ): { firstLevel: number; napot: boolean; base: bigint; gpa: bigint; level: number } {
    const { dice } = this;
    const firstLevel = pickLevel(dice, first.levels - 1);
    const napot = firstLevel === 0 && dice.chance(this.workshop.napotPercent);
    const size = napot ? NAPOT_PAGES * PAGE : pageBytes(firstLevel);
    const wanted = pickLevel(dice, guest.levels - 1);
    // A leaf above 1 GiB maps physical 0 onwards: only a page of its own can be steered into the window.
    const level = size === PAGE ? wanted : Math.min(wanted, SINGLE_STAGE_LEVEL);
    const picked = guest.pickAddress();
    const page = level > SINGLE_STAGE_LEVEL ? throughWindow(dice, picked, level) : picked;
    const base = page & ~(size - 1n);
    return { firstLevel, napot, base, gpa: base | (iova & (size - 1n)), level };
  }

  /** A page of a virtual interrupt file with its MSI entry; null if the entry is taken. */
  private msiPage(msi: MsiWindow, kind: AccessKind, broken: boolean): bigint | null {
    const { dice, workshop } = this;
    if (kind === 'x' && !broken) return null;
    const page = (msi.pattern & ~msi.mask) | (dice.bits(16) & msi.mask);
    const slot = msi.table + packed(page, msi.mask) * 16n;
    if (workshop.image.words.has(slot)) return null;
    const sound = 1n | (3n << 1n) | ((workshop.image.targetPage() / PAGE) << 10n);
    workshop.image.set(slot, broken && kind !== 'x' ? flawedMsiEntry(dice, sound) : sound);
    return page * PAGE;
  }

  /** Builds a translation that is refused at `place`; the page of its input address. */
  broken(wish: Wish, place: Break): bigint | null {
    const { dice } = this;
    const { guest, msi } = wish.context.device;
    const first = wish.skipsFirst ? null : wish.context.first;
    switch (place) {
      case 'non-canonical':
        return first!.pickNonCanonical();
      case 'first': {
        const iova = first!.pick();
        const request = { level: dice.below(first!.levels), traits: this.firstTraits(wish), flaw: 'any' } as const;
        return first!.mapFlawed(iova, request) ? iova : null;
      }
      case 'table': {
        const iova = first!.pick();
        const table = guest!.brokenTable();
        return table !== null && first!.pointTo(iova, dice.between(1, first!.levels - 1), table) ? iova : null;
      }
      case 'final':
        return this.brokenFinal(wish, first, guest!);
      case 'wide': {
        const beyond = dice.nonZeroBits((first === null ? 64 : 56) - guest!.width) << BigInt(guest!.width);
        const gpa = beyond | guest!.pickAddress();
        if (first === null) return gpa;
        const iova = first.pick();
        return first.mapTo(iova, 0, gpa, this.firstTraits(wish), false) ? iova : null;
      }
      case 'msi': {
        const page = this.msiPage(msi!, wish.kind, true);
        if (first === null || page === null) return page;
        const iova = first.pick();
        return first.mapTo(iova, 0, page, this.firstTraits(wish), false) ? iova : null;
      }
    }
  }

  /** The second stage refuses the address itself. */
  private brokenFinal(wish: Wish, first: FirstStage | null, guest: GuestSpace): bigint | null {
    const { dice } = this;
    const traits = this.secondTraits(wish, guest);
    const level = dice.below(guest.levels);
    if (first === null) {
      const gpa = guest.pickAddress(guest.width);
      return guest.map(gpa, { level, traits, flaw: 'any' }) === null ? null : gpa;
    }
    const iova = first.pick();
    const leaf = this.guestLeaf(first, guest, iova);
    if (guest.map(leaf.gpa, { level, traits, flaw: 'any' }) === null) return null;
    return first.mapTo(iova, leaf.firstLevel, leaf.base, this.firstTraits(wish), leaf.napot) ? iova : null;
  }
}

/** Where this access can be broken, by weight. */
export function breaks(wish: Wish): (readonly [Break, number])[] {
  const { guest, msi } = wish.context.device;
  const first = wish.skipsFirst ? null : wish.context.first;
  if (wish.skipsFirst && !wish.context.device.translatedToGpa) return [];
  const places: (readonly [Break, number])[] = [];
  if (first !== null) places.push(['non-canonical', 5], ['first', 45]);
  if (first !== null && guest !== null) places.push(['table', 25]);
  if (guest !== null) places.push(['final', 35]);
  if (guest !== null && guest.width < 56) places.push(['wide', 5]);
  if (msi !== null) places.push(['msi', 40]);
  return places;
}

/** Packs the bits that the mask selects. */
function packed(page: bigint, mask: bigint): bigint {
  let result = 0n;
  let position = 0n;
  for (let i = 0n; i < 52n; i++) {
    if (((mask >> i) & 1n) === 1n) result |= ((page >> i) & 1n) << position++;
  }
  return result;
}

/** An MSI entry that is absent, custom, of a reserved mode or with a reserved bit. */
function flawedMsiEntry(dice: Dice, sound: bigint): bigint {
  const mode = 3n << 1n;
  return dice.pick([
    0n,
    sound & ~1n,
    sound | (1n << 63n),
    sound & ~mode,
    (sound & ~mode) | (1n << 1n),
    (sound & ~mode) | (2n << 1n),
    sound | (1n << BigInt(dice.between(3, 9))),
    sound | (1n << BigInt(dice.between(54, 62))),
  ]);
}
