/**
 * Stage 2 of generated SMMUv3 streams: STE words 2 and 3, tables, data pages, and the arena of intermediate addresses that stage 1 tables
 * and CDs of a nested stream come from, mapped page by page or in one block.
 */
import { type Geometry, levelShift } from '../reference/smmuv3-structures.js';
import {
  alignUp,
  type Dice,
  encodeAddress,
  type Image,
  rootBytesLg2,
  type TableSource,
  Tree,
  truncate,
} from './smmuv3-image.js';
import {
  AF,
  beyond,
  bit,
  brokenWord,
  choosePlace,
  DBM,
  FLAVOURS2,
  type Flavour2,
  GRANULES,
  HTTU_MORE,
  illegalBlockLevel,
  leafLevels,
  placeLeaves,
  SIZES,
  STRICT_ONLY,
  TG0,
} from './smmuv3-leaves.js';
import type { Mode } from './smmuv3-modes.js';

/** Intermediate addresses for the tables and CDs of a nested stream. */
const ARENA_LG2 = 25;

/** A stage 2 tree with its STE words 2 and 3, and the arena for what lies behind it. */
export class Stage2Space implements TableSource {
  readonly tree: Tree;
  readonly outputBits: number;
  /** Input bits that are used; in an emulator's reach only the first of concatenated tables. */
  readonly usableBits: number;
  readonly record: boolean;
  /** Set while tables are built whose pages must all be fit. */
  sound = false;
  private readonly arena: bigint;
  private arenaNext: bigint;
  /** Physical addresses of arena pages by page number. */
  private readonly pages = new Map<bigint, bigint>();
  private open: { next: bigint; readonly end: bigint } | null = null;
  private readonly blockArena: boolean;
  private readonly sizeField: number;
  private readonly updateAccessFlag: boolean;
  private readonly updateDirty: boolean;
  private readonly ignoreAccessFlag: boolean;
  private readonly startField: number;

  constructor(
    private readonly image: Image,
    private readonly dice: Dice,
    private readonly mode: Mode,
    httu: number,
    oas: number,
    private readonly nested: boolean,
  ) {
    const sizes = mode.emulator || !mode.wide ? [1, 2, 3, 4, 4, 5] : [1, 4, 5, 6, 6, 6, 7];
    this.sizeField = dice.pick(sizes);
    this.outputBits = Math.min(SIZES[this.sizeField] ?? 52, oas);
    const { geometry, startField } = this.chooseGeometry(oas, nested);
    this.startField = startField;
    this.updateAccessFlag = mode.httu === true && dice.chance(75);
    this.updateDirty = this.updateAccessFlag && httu > 1 && dice.chance(70);
    this.ignoreAccessFlag = dice.chance(15);
    this.record = dice.chance(85);
    this.tree = new Tree(image, geometry, () => (dice.chance(20) ? dice.bits(10) << 2n : 0n));
    const firstTable = levelShift(geometry.granuleLg2, geometry.startLevel) + geometry.granuleLg2 - 3;
    this.usableBits = mode.emulator ? Math.min(geometry.inputBits, firstTable) : geometry.inputBits;
    // Within 36 bits, so that every IPS but the smallest reaches it; sometimes at the top of a 52-bit space.
    const arenaBits =
      mode.wide && geometry.inputBits > 48 && dice.chance(60) ? geometry.inputBits : Math.min(this.usableBits, 36);
    this.arena = dice.bits(Math.max(0, arenaBits - ARENA_LG2)) << BigInt(ARENA_LG2);
    this.arenaNext = this.arena;
    const blockLg2 = levelShift(geometry.granuleLg2, 2);
    this.blockArena =
      nested &&
      geometry.granuleLg2 !== 16 &&
      blockLg2 <= geometry.inputBits &&
      geometry.startLevel <= 2 &&
      dice.chance(25);
    if (this.blockArena) this.mapArena(blockLg2);
  }

  /** STE words 2 and 3. */
  words(vmid: number): [bigint, bigint] {
    const { granuleLg2, inputBits } = this.tree.geometry;
    const junk = this.dice.chance(30) ? this.dice.bits(8) << 4n : 0n;
    const low = junk & ((1n << BigInt(rootBytesLg2(this.tree.geometry))) - 1n);
    const control =
      BigInt(vmid) |
      (BigInt(64 - inputBits) << 32n) |
      (BigInt(this.startField) << 38n) |
      (this.dice.bits(6) << 40n) |
      (TG0[granuleLg2] << 46n) |
      (BigInt(this.sizeField) << 48n) |
      (1n << 51n) |
      bit(this.ignoreAccessFlag, 53) |
      bit(this.updateDirty, 55) |
      bit(this.updateAccessFlag, 56) |
      bit(this.record, 58);
    return [control, this.tree.root | low];
  }

  /** Maps the page or block around an intermediate address to a target, in a random flavour. Does nothing where it is mapped. */
  mapData(ipa: bigint, mayReach: boolean): void {
    const { tree, dice, mode } = this;
    if (ipa >> BigInt(tree.geometry.inputBits) !== 0n) return;
    const level = dice.pick(leafLevels(tree.geometry, 30));
    const chosen = choosePlace(tree, mode, dice, ipa, level, 30);
    if (chosen === null || this.inArena(chosen.input, chosen.sizeLg2)) return;
    const flavour = mayReach ? this.flavour() : 'fit';
    if (flavour === 'illegalBlock') {
      const illegal = illegalBlockLevel(tree.geometry);
      if (
        illegal === null ||
        this.inArena(
          truncate(ipa, levelShift(tree.geometry.granuleLg2, illegal)),
          levelShift(tree.geometry.granuleLg2, illegal),
        )
      )
        return;
      tree.place(ipa, illegal, this.attributes('fit', illegal));
      return;
    }
    if (flavour === 'junk' || flavour === 'reserved') {
      tree.place(ipa, level, brokenWord(dice, flavour, level));
      return;
    }
    if (flavour === 'tooLarge' || flavour === 'tableTooLarge' || flavour === 'muddle') {
      const output = beyond(dice, this.outputBits, tree.geometry.granuleLg2, chosen.sizeLg2, mode.wide === true);
      if (output === null) return;
      if (flavour === 'tableTooLarge' && level < 3) tree.place(ipa, level, encodeAddress(truncate(output, 30)) | 3n);
      else
        placeLeaves(
          tree,
          chosen,
          output,
          this.attributes(flavour === 'muddle' ? dice.pick(['stale', 'noAccess', 'readOnly']) : 'fit', level),
        );
      return;
    }
    const output = this.image.target(chosen.sizeLg2);
    if (output !== null) placeLeaves(tree, chosen, output, this.attributes(flavour, level));
  }

  /** Reserves intermediate addresses for a table, and maps them. */
  reserve(bytesLg2: number, root: boolean): bigint {
    const pageLg2 = this.tree.geometry.granuleLg2;
    const sound = this.sound || (root && this.mode.emulator === true);
    const flaw = !sound && !this.blockArena && this.dice.chance(this.mode.httu ? 45 : 4) ? this.flaw() : null;
    if (this.blockArena || bytesLg2 >= pageLg2 || flaw !== null)
      return this.reservePages(Math.max(bytesLg2, this.blockArena ? 0 : pageLg2), flaw);
    const open = this.open;
    const at = open === null ? null : alignUp(open.next, bytesLg2);
    if (open !== null && at !== null && at + (1n << BigInt(bytesLg2)) <= open.end) {
      open.next = at + (1n << BigInt(bytesLg2));
      return at;
    }
    const page = this.reservePages(pageLg2, null);
    this.open = { next: page + (1n << BigInt(bytesLg2)), end: page + (1n << BigInt(pageLg2)) };
    return page;
  }

  write(address: bigint, word: bigint): void {
    const pageLg2 = BigInt(this.tree.geometry.granuleLg2);
    const page = this.pages.get(address >> pageLg2);
    if (page === undefined) throw new Error('smmuv3: no page behind a table');
    this.image.write(page | (address & ((1n << pageLg2) - 1n)), word);
  }

  /** Does a block of intermediate addresses hold tables? */
  inArena(start: bigint, sizeLg2: number): boolean {
    return (
      this.nested && start < this.arena + (1n << BigInt(ARENA_LG2)) && start + (1n << BigInt(sizeLg2)) > this.arena
    );
  }

  /** Bits that an address of the arena needs. */
  arenaBits(): number {
    return (this.arena + (1n << BigInt(ARENA_LG2)) - 1n).toString(2).length;
  }

  private reservePages(bytesLg2: number, flaw: Flavour2 | null): bigint {
    const pageLg2 = this.tree.geometry.granuleLg2;
    const ipa = alignUp(this.arenaNext, bytesLg2);
    this.arenaNext = ipa + (1n << BigInt(bytesLg2));
    if (this.arenaNext > this.arena + (1n << BigInt(ARENA_LG2)))
      throw new Error('smmuv3: the arena for nested tables is full');
    if (this.blockArena) return ipa;
    const scatter = this.mode.strict === true && this.dice.chance(50);
    const together = this.image.reserve(bytesLg2);
    for (let offset = 0n; offset < 1n << BigInt(bytesLg2); offset += 1n << BigInt(pageLg2)) {
      const physical = scatter && offset > 0n ? this.image.reserve(pageLg2) : together + offset;
      this.pages.set((ipa + offset) >> BigInt(pageLg2), physical);
      if (flaw !== 'absent')
        this.tree.place(ipa + offset, 3, encodeAddress(physical) | this.attributes(flaw ?? 'fit', 3));
    }
    return ipa;
  }

  /** The whole arena in blocks of stage 2. */
  private mapArena(blockLg2: number): void {
    const pageLg2 = BigInt(this.tree.geometry.granuleLg2);
    const lg2 = Math.max(blockLg2, ARENA_LG2);
    const physical = this.image.reserve(lg2);
    for (let offset = 0n; offset < 1n << BigInt(ARENA_LG2); offset += 1n << BigInt(blockLg2)) {
      const word = encodeAddress(physical + offset) | this.attributes('fit', 2);
      this.tree.place(this.arena + offset, 2, word);
    }
    for (let offset = 0n; offset < 1n << BigInt(ARENA_LG2); offset += 1n << pageLg2) {
      this.pages.set((this.arena + offset) >> pageLg2, physical + offset);
    }
  }

  private flavour(): Flavour2 {
    const { mode } = this;
    return this.dice.weighted<Flavour2>({
      ...FLAVOURS2,
      ...(mode.strict ? STRICT_ONLY : {}),
      ...(mode.httu ? HTTU_MORE : {}),
    });
  }

  /** What is wrong with a page that holds tables. */
  private flaw(): Flavour2 {
    if (this.mode.httu) return this.dice.pick(['stale', 'stale', 'readOnly', 'readOnly', 'readOnly', 'absent']);
    return this.dice.pick(['absent', 'stale', 'writeOnly', 'noAccess', 'readOnly']);
  }

  private attributes(flavour: Flavour2, level: number): bigint {
    const { dice, mode } = this;
    const access = flavour === 'readOnly' ? 1n : flavour === 'writeOnly' ? 2n : flavour === 'noAccess' ? 0n : 3n;
    // XN[1:0] matters to instruction accesses only.
    const never = dice.chance(mode.permissions ? 40 : 20) ? dice.bits(2) << 53n : 0n;
    return (
      (level === 3 ? 3n : 1n) |
      (dice.pick([0xfn, 0x5n, 0x1n, 0x0n]) << 2n) |
      (access << 6n) |
      (dice.bits(2) << 8n) |
      (flavour === 'stale' ? 0n : AF) |
      (mode.httu && dice.chance(60) ? DBM : 0n) |
      never |
      (dice.chance(20) ? dice.bits(4) << 55n : 0n)
    );
  }

  /** S2TG, S2SL0 and S2T0SZ that go together. */
  private chooseGeometry(oas: number, nested: boolean): { geometry: Geometry; startField: number } {
    const { dice, mode } = this;
    for (;;) {
      const granuleLg2 = mode.wide && dice.chance(75) ? 16 : dice.pick(GRANULES);
      const startField = nested && dice.chance(25) ? 2 : dice.below(3);
      const startLevel = (granuleLg2 === 12 ? 2 : 3) - startField;
      const shift = levelShift(granuleLg2, startLevel);
      const widest = Math.min(oas, granuleLg2 === 16 ? 52 : 48, mode.emulator ? this.outputBits : 52);
      const least = Math.max(25, shift + 1, nested ? 31 : 0);
      const most = Math.min(widest, shift + granuleLg2 - 3 + 4);
      if (least > most) continue;
      const inputBits = dice.chance(30) ? most : dice.between(least, most);
      // The first of concatenated tables must leave room.
      if (mode.emulator && nested && shift + granuleLg2 - 3 < 31) continue;
      return { geometry: { granuleLg2, inputBits, startLevel }, startField };
    }
  }
}
