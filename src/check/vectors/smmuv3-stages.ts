/**
 * Stage 1 and stage 2 of generated SMMUv3 streams: geometries, leaves fit and unfit for use, and the configuration words that go with
 * them. Stage 1 tables of a nested stream come from an arena of intermediate addresses that stage 2 maps page by page or in one block.
 */
import { type Geometry, type GranuleLg2, levelShift, stage1StartLevel } from '../reference/smmuv3-structures.js';
import { contiguousLg2 } from '../reference/smmuv3-walk.js';
import {
  alignUp,
  type Dice,
  encodeAddress,
  type Image,
  rootBytesLg2,
  type TableSource,
  TARGETS_START,
  Tree,
  truncate,
} from './smmuv3-image.js';
import type { Mode } from './smmuv3-modes.js';

export const GRANULES: readonly GranuleLg2[] = [12, 14, 16];
const TG0 = { 12: 0n, 14: 2n, 16: 1n } as const;
const TG1 = { 12: 2n, 14: 1n, 16: 3n } as const;
/** CD.IPS and STE.S2PS to bits. */
const SIZES = [32, 36, 40, 42, 44, 48, 52, 52] as const;

const AF = 1n << 10n;
const DBM = 1n << 51n;
const CONTIGUOUS = 1n << 52n;

/** Intermediate addresses for the tables and CDs of a nested stream. */
const ARENA_LG2 = 25;

type Flavour1 =
  | 'fit'
  | 'readOnly'
  | 'stale'
  | 'tooLarge'
  | 'junk'
  | 'reserved'
  | 'tableTooLarge'
  | 'illegalBlock'
  | 'muddle';
type Flavour2 = Flavour1 | 'writeOnly' | 'noAccess' | 'absent';

const FLAVOURS1: Readonly<Partial<Record<Flavour1, number>>> = {
  fit: 76,
  readOnly: 9,
  stale: 5,
  tooLarge: 4,
  junk: 2,
  reserved: 4,
};
const FLAVOURS2: Readonly<Partial<Record<Flavour2, number>>> = {
  fit: 80,
  readOnly: 6,
  writeOnly: 3,
  noAccess: 1,
  stale: 4,
  tooLarge: 3,
  junk: 1,
  reserved: 2,
};
const STRICT_ONLY: Readonly<Partial<Record<Flavour1, number>>> = { tableTooLarge: 5, illegalBlock: 5, muddle: 8 };
/** Access flags and dirty bits are wanted more than other faults. */
const HTTU_MORE = { stale: 40, readOnly: 30 } as const;

/** Levels at which a tree may have leaves of at most `maxLg2` bytes. */
function leafLevels(geometry: Geometry, maxLg2: number): number[] {
  const levels = geometry.granuleLg2 === 12 ? [1, 2, 3] : [2, 3];
  return levels.filter((level) => {
    const shift = levelShift(geometry.granuleLg2, level);
    return level >= geometry.startLevel && shift <= Math.min(maxLg2, geometry.inputBits);
  });
}

/** A level where a block descriptor is reserved, if the tree has one. */
function illegalBlockLevel({ granuleLg2, startLevel }: Geometry): number | null {
  const level = granuleLg2 === 12 ? 0 : 1;
  return startLevel <= level ? level : null;
}

interface Placement {
  readonly input: bigint;
  readonly level: number;
  /** log2 of the bytes of the leaf or of its contiguous group. */
  readonly sizeLg2: number;
}

/** Both stages: where the next leaf goes and how much it covers; null when the place is taken. */
function choosePlace(
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
function placeLeaves(tree: Tree, { input, level, sizeLg2 }: Placement, output: bigint, word: bigint): void {
  const shift = levelShift(tree.geometry.granuleLg2, level);
  const hint = sizeLg2 > shift ? CONTIGUOUS : 0n;
  for (let offset = 0n; offset < 1n << BigInt(sizeLg2); offset += 1n << BigInt(shift)) {
    tree.place(input + offset, level, encodeAddress(output + offset) | word | hint);
  }
}

/** A descriptor that is not valid, with other bits set; bit 0 clear, or a block's type at level 3. */
function brokenWord(dice: Dice, flavour: 'junk' | 'reserved', level: number): bigint {
  const noise = encodeAddress(TARGETS_START + (dice.bits(14) << 16n)) | (dice.bits(10) << 2n);
  return flavour === 'reserved' && level === 3 ? noise | 1n : noise | (dice.chance(50) ? 2n : 0n);
}

/** An address just or far beyond `bits`, aligned, or null when descriptors of the granule cannot hold it. */
function beyond(dice: Dice, bits: number, granuleLg2: number, sizeLg2: number, wide: boolean): bigint | null {
  const top = granuleLg2 === 16 && wide ? 51 : 47;
  const low = Math.max(bits, sizeLg2);
  if (low > top) return null;
  return (1n << BigInt(dice.between(low, top))) | truncate(TARGETS_START, Math.max(sizeLg2, 30));
}

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

export function bit(set: boolean, position: number): bigint {
  return set ? 1n << BigInt(position) : 0n;
}

/** One half of the VA space: a tree under TTB0 or TTB1 and the addresses that its leaves answer. */
export interface Half {
  readonly tree: Tree;
  readonly start: bigint;
  /** APTable[1] is in use in an emulator's reach: only fit leaves, and writes only to them. */
  readonly guarded: boolean;
  readonly points: bigint[];
}

/** A stage 1 context: its CD and its leaves. */
export class Stage1Space {
  readonly halves: Half[] = [];
  readonly ignoreTopByte: readonly [boolean, boolean];
  private readonly outputBits: number;
  private readonly sizeField: number;
  private readonly updateAccessFlag: boolean;
  private readonly updateDirty: boolean;
  private readonly fields: bigint;
  private readonly pointers: [bigint, bigint] = [0n, 0n];
  private readonly wide: boolean;

  constructor(
    private readonly image: Image,
    private readonly dice: Dice,
    private readonly mode: Mode,
    httu: number,
    oas: number,
    va52: boolean,
    private readonly stage2: Stage2Space | null,
    asid: number,
  ) {
    const needed = stage2 === null ? 33 : Math.max(stage2.arenaBits(), mode.emulator ? 33 : 0);
    const allowed = [0, 1, 2, 3, 4, 4, 5, ...(mode.emulator ? [] : [6, 7])].filter(
      (size) => Math.min(SIZES[size] ?? 52, oas) >= needed,
    );
    this.sizeField = mode.wide && dice.chance(50) ? 6 : dice.pick(allowed);
    this.outputBits = Math.min(SIZES[this.sizeField] ?? 52, oas);
    this.wide = mode.wide === true;
    this.updateAccessFlag = mode.httu === true && dice.chance(80);
    this.updateDirty = this.updateAccessFlag && httu > 1 && dice.chance(70);
    const topByte = dice.chance(25);
    this.ignoreTopByte = mode.emulator ? [topByte, topByte] : [topByte, dice.chance(25)];
    const lower = dice.chance(90);
    const upper = !lower || dice.chance(45);
    this.fields =
      this.half(0, lower, va52) |
      (this.half(1, upper, va52) << 16n) |
      (1n << 31n) |
      (BigInt(this.sizeField) << 32n) |
      bit(dice.chance(12), 35) |
      bit(dice.chance(mode.permissions ? 25 : 10), 36) |
      bit(dice.chance(10), 37) |
      bit(this.ignoreTopByte[0], 38) |
      bit(this.ignoreTopByte[1], 39) |
      bit(dice.chance(mode.permissions ? 15 : 10), 40) |
      (1n << 41n) |
      bit(this.updateDirty, 42) |
      bit(this.updateAccessFlag, 43) |
      bit(dice.chance(85), 45) |
      (1n << 46n) |
      bit(dice.chance(50), 47) |
      (BigInt(asid) << 48n);
  }

  /** The 8 words of the CD. */
  context(): bigint[] {
    return [this.fields, this.pointers[0], this.pointers[1], this.dice.bits(64), this.dice.bits(32), 0n, 0n, 0n];
  }

  /** Adds a leaf to a half, and behind it the page of stage 2; records an address that meets both. */
  addLeaf(half: Half): void {
    const { dice, mode } = this;
    const { geometry } = half.tree;
    const level = dice.pick(leafLevels(geometry, this.stage2 === null ? 30 : 40));
    const shift = levelShift(geometry.granuleLg2, level);
    const previous = half.points.length > 0 && dice.chance(60) ? dice.pick(half.points) : null;
    const input =
      previous === null
        ? this.inputOf(half)
        : (previous & ~((1n << BigInt(shift + 3)) - 1n)) | (dice.bits(3) << BigInt(shift));
    const offset = input & ((1n << BigInt(geometry.inputBits)) - 1n);
    const flavour = half.guarded ? dice.pick<Flavour1>(['fit', 'fit', 'readOnly']) : this.flavour();
    if (flavour === 'illegalBlock') {
      const illegal = illegalBlockLevel(geometry);
      if (illegal === null) return;
      half.tree.place(offset, illegal, this.attributes('fit', illegal));
      half.points.push(input);
      return;
    }
    const chosen = choosePlace(half.tree, mode, dice, offset, level, 40);
    if (chosen === null) return;
    const point = half.start + chosen.input + dice.bits(chosen.sizeLg2);
    if (flavour === 'junk' || flavour === 'reserved') {
      half.tree.place(offset, level, brokenWord(dice, flavour, level));
    } else if (flavour === 'tooLarge' || flavour === 'tableTooLarge' || flavour === 'muddle') {
      const output = beyond(dice, this.outputBits, geometry.granuleLg2, chosen.sizeLg2, this.wide);
      if (output === null) return;
      if (flavour === 'tableTooLarge' && level < 3)
        half.tree.place(offset, level, encodeAddress(truncate(output, 30)) | 3n);
      else
        placeLeaves(
          half.tree,
          chosen,
          output,
          this.attributes(flavour === 'muddle' ? dice.pick(['stale', 'readOnly']) : 'fit', level),
        );
    } else {
      const output =
        this.stage2 === null
          ? this.image.target(chosen.sizeLg2)
          : this.intermediate(this.stage2, chosen.sizeLg2, geometry.granuleLg2);
      if (output === null) return;
      placeLeaves(half.tree, chosen, output, this.attributes(flavour, level));
      if (this.stage2 !== null) this.stage2.mapData(output + (point & ((1n << BigInt(chosen.sizeLg2)) - 1n)), true);
    }
    half.points.push(point);
  }

  /** Half of the VA space: CD control bits 15:0 of it, its tree, its pointer. */
  private half(which: 0 | 1, enabled: boolean, va52: boolean): bigint {
    const { dice, mode } = this;
    const attributes = dice.bits(6) << 8n;
    if (!enabled) {
      // Disabled: the other fields do not count, however wrong.
      this.pointers[which] = dice.chance(50) ? dice.bits(48) << 4n : 0n;
      return dice.bits(8) | attributes | (1n << 14n);
    }
    const far = this.stage2 !== null && this.stage2.arenaBits() > 48;
    const granuleLg2 = far || (this.wide && dice.chance(70)) ? 16 : dice.pick(GRANULES);
    const most = va52 && granuleLg2 === 16 ? 52 : 48;
    const inputBits = dice.chance(35) ? dice.pick([39, 48, most]) : dice.between(25, most);
    const geometry = { granuleLg2, inputBits, startLevel: stage1StartLevel(granuleLg2, inputBits) };
    const ignoreHierarchy = dice.chance(25);
    const guarded = mode.emulator === true && !ignoreHierarchy && dice.chance(15);
    const source: TableSource = this.stage2 === null ? this.image : guarded ? soundSource(this.stage2) : this.stage2;
    const tree = new Tree(source, geometry, () => this.tableBits(ignoreHierarchy, guarded));
    const start = which === 0 ? 0n : (1n << 64n) - (1n << BigInt(inputBits));
    this.halves.push({ tree, start, guarded, points: [] });
    // The unit aligns the pointer itself.
    const low = dice.chance(30)
      ? (dice.bits(8) << 4n) & ((1n << BigInt(Math.min(rootBytesLg2(geometry), 12))) - 1n)
      : 0n;
    this.pointers[which] = tree.root | low | bit(ignoreHierarchy, 1) | bit(dice.chance(30), 0);
    return BigInt(64 - inputBits) | ((which === 0 ? TG0 : TG1)[granuleLg2] << 6n) | attributes;
  }

  private inputOf(half: Half): bigint {
    const { inputBits } = half.tree.geometry;
    const low = this.dice.chance(40) ? Math.min(inputBits, 32) : inputBits;
    return half.start + this.dice.bits(low);
  }

  /** An intermediate address for data, clear of the tables; null when none was found. */
  private intermediate(stage2: Stage2Space, sizeLg2: number, granuleLg2: number): bigint | null {
    const limit = Math.min(this.outputBits, granuleLg2 === 16 ? 52 : 48);
    const beyondStage2 = limit > stage2.tree.geometry.inputBits && this.dice.chance(3);
    const within = Math.min(limit, stage2.usableBits);
    const bits = beyondStage2 ? limit : this.dice.chance(60) ? Math.min(within, 36) : within;
    if (bits < sizeLg2) return null;
    for (let attempt = 0; attempt < 4; attempt++) {
      let output = this.dice.bits(bits - sizeLg2) << BigInt(sizeLg2);
      if (beyondStage2) output |= 1n << BigInt(Math.max(sizeLg2, limit - 1));
      if (!stage2.inArena(output, sizeLg2)) return output;
    }
    return null;
  }

  private flavour(): Flavour1 {
    const { mode } = this;
    return this.dice.weighted<Flavour1>({
      ...FLAVOURS1,
      ...(mode.strict ? STRICT_ONLY : {}),
      ...(mode.httu ? HTTU_MORE : {}),
    });
  }

  /** APTable, UXNTable, PXNTable, NSTable and ignored bits of a table descriptor. */
  private tableBits(ignoreHierarchy: boolean, guarded: boolean): bigint {
    const { dice, mode } = this;
    const ignored = dice.chance(20) ? (dice.bits(10) << 2n) & 0xffcn : 0n;
    const secure = bit(dice.chance(10), 63);
    if (ignoreHierarchy) return (dice.chance(50) ? dice.bits(4) << 59n : 0n) | secure | ignored;
    if (mode.emulator)
      return bit(guarded && dice.chance(60), 62) | (dice.chance(25) ? dice.bits(2) << 59n : 0n) | secure | ignored;
    if (mode.permissions || mode.strict)
      return (dice.chance(15) ? 1n << BigInt(dice.between(59, 62)) : 0n) | secure | ignored;
    return secure | ignored;
  }

  private attributes(flavour: Flavour1, level: number): bigint {
    const { dice, mode } = this;
    const privilegedOnly = (mode.permissions === true && dice.chance(25)) || (mode.strict === true && dice.chance(10));
    const never = mode.permissions ? 35 : 20;
    return (
      (level === 3 ? 3n : 1n) |
      (dice.bits(4) << 2n) |
      bit(!privilegedOnly, 6) |
      bit(flavour === 'readOnly' || (mode.permissions === true && dice.chance(12)), 7) |
      (dice.bits(2) << 8n) |
      (flavour === 'stale' ? 0n : AF) |
      bit(dice.chance(50), 11) |
      bit(dice.chance(mode.httu ? 60 : 15), 51) |
      (dice.chance(never) ? dice.bits(2) << 53n : 0n) |
      (dice.chance(20) ? dice.bits(8) << 55n : 0n)
    );
  }
}

/** Tables of a guarded half: none of their pages is unfit. */
function soundSource(stage2: Stage2Space): TableSource {
  return {
    reserve(bytesLg2, root) {
      stage2.sound = true;
      const address = stage2.reserve(bytesLg2, root);
      stage2.sound = false;
      return address;
    },
    write: (address, word) => stage2.write(address, word),
  };
}
