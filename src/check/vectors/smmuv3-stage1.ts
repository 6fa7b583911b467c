/**
 * Stage 1 of generated SMMUv3 streams: a CD, the trees under its TTBs, and addresses that meet their leaves, through stage 2 where the
 * stream is nested.
 */
import { levelShift, stage1StartLevel } from '../reference/smmuv3-structures.js';
import {
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
  FLAVOURS1,
  type Flavour1,
  GRANULES,
  HTTU_MORE,
  illegalBlockLevel,
  leafLevels,
  placeLeaves,
  SIZES,
  STRICT_ONLY,
  TG0,
  TG1,
} from './smmuv3-leaves.js';
import type { Mode } from './smmuv3-modes.js';
import type { Stage2Space } from './smmuv3-stage2.js';

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
