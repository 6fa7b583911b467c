/**
 * Streams of a generated SMMUv3 vector: each has an STE, CDs and tables as its kind asks, and draws its own accesses. Kinds cover the
 * configurations that work, those that pass or stop everything, and ILLEGAL entries.
 */
import { buildContexts, drawPasid } from './smmuv3-contexts.js';
import { spoilEntry } from './smmuv3-flaws.js';
import { type Dice, TARGETS_START } from './smmuv3-image.js';
import { bit } from './smmuv3-leaves.js';
import type { Mode } from './smmuv3-modes.js';
import type { Workshop } from './smmuv3-plan.js';
import type { Half, Stage1Space } from './smmuv3-stage1.js';
import { Stage2Space } from './smmuv3-stage2.js';
import type { AccessKind } from './vector.js';

export interface Wish {
  readonly pasid: number | null;
  readonly iova: bigint;
  readonly kind: AccessKind;
  readonly privileged: boolean;
}

export interface Stream {
  /** The 8 words of the STE. */
  readonly entry: readonly bigint[];
  draw(): Wish;
}

type Kind = 'works' | 'bypass' | 'abort' | 'invalid' | 'illegal' | 'illegalContext' | 'unsupported';

const KINDS: Readonly<Record<Kind, number>> = {
  works: 82,
  bypass: 5,
  abort: 3,
  invalid: 2,
  illegal: 3,
  illegalContext: 3,
  unsupported: 2,
};

/** Attribute fields of STE words 0 and 1 that no translation depends on, and fields that are ignored without substreams. */
function attributes(dice: Dice, mode: Mode, substreams: boolean): [bigint, bigint] {
  const ignored = mode.substreams ? 0n : dice.bits(2);
  const first = substreams ? 0n : ignored << 4n;
  const second =
    (substreams ? 0n : ignored) | (dice.bits(6) << 2n) | (dice.bits(2) << 44n) | bit(dice.chance(20), 83 - 64);
  return [first, second];
}

function kindOf({ dice, mode }: Workshop): AccessKind {
  if (mode.permissions) return dice.pick(['r', 'r', 'w', 'x', 'rw']);
  if (mode.httu && dice.chance(10)) return 'rw';
  return dice.chance(45) ? 'w' : 'r';
}

function wish(shop: Workshop, iova: bigint, kind: AccessKind, pasid: number | null): Wish {
  const privileged = shop.mode.permissions === true && shop.dice.chance(50);
  return { pasid, iova: BigInt.asUintN(64, iova) & ~7n, kind, privileged };
}

/** EATS in word 1, in the mode that has ATS. */
function eats({ dice, mode }: Workshop): bigint {
  return mode.ats === true && dice.chance(80) ? 1n << 28n : 0n;
}

/** PASIDs on streams that take none, where the mode has PASIDs at all. */
function stray({ dice, mode }: Workshop): number | null {
  return mode.substreams && dice.chance(8) ? dice.below(8) : null;
}

/** An address that passes unchanged: a target page; rarely one that the unit cannot output. */
function passing(shop: Workshop): bigint {
  const { dice, mode, unit } = shop;
  if (!mode.emulator && dice.chance(5)) return 1n << BigInt(dice.between(unit.oas, 63));
  return TARGETS_START | dice.bits(30);
}

/** An address for one half of the VA space: mapped, beside something mapped, or outside. */
function drawVa(shop: Workshop, space: Stage1Space, half: Half, kind: AccessKind): bigint {
  const { dice } = shop;
  const { geometry } = half.tree;
  const point = half.points.length === 0 ? half.start + dice.bits(geometry.inputBits) : dice.pick(half.points);
  const roll = dice.below(100);
  const which = half.start === 0n ? 0 : 1;
  // Behind a guarded half a write may only meet a leaf.
  const beside = !half.guarded || kind === 'r';
  if (roll < 9 && beside) {
    const level = dice.between(geometry.startLevel, 3);
    const shift = geometry.granuleLg2 + (3 - level) * (geometry.granuleLg2 - 3);
    return point ^ ((1n + dice.bits(half.tree.indexBits(level)) / 2n) << BigInt(shift));
  }
  if (roll < 14) return point ^ (1n << BigInt(dice.between(geometry.inputBits, 63)));
  if (roll < 24 && space.ignoreTopByte[which]) return point ^ (dice.bits(8) << 56n);
  if (half.guarded && half.points.length === 0) return point ^ (1n << 55n);
  return point;
}

function buildPoints(shop: Workshop, stage2: Stage2Space): bigint[] {
  const { dice } = shop;
  return Array.from({ length: dice.between(3, 9) }, () => {
    const point = dice.bits(dice.chance(60) ? Math.min(stage2.usableBits, 36) : stage2.usableBits);
    stage2.mapData(point, true);
    return point;
  });
}

function drawIpa(shop: Workshop, stage2: Stage2Space, points: readonly bigint[]): bigint {
  const { dice, mode, unit } = shop;
  const { geometry } = stage2.tree;
  const point = dice.pick(points);
  const roll = dice.below(100);
  if (roll < 8) {
    const level = dice.between(geometry.startLevel, 3);
    const shift = geometry.granuleLg2 + (3 - level) * (geometry.granuleLg2 - 3);
    const bits = Math.min(stage2.tree.indexBits(level), Math.max(1, stage2.usableBits - shift));
    return point ^ (dice.bits(bits) << BigInt(shift));
  }
  if (roll < 14) {
    const top = mode.emulator ? unit.oas - 1 : 63;
    if (geometry.inputBits <= top) return point | (1n << BigInt(dice.between(geometry.inputBits, top)));
  }
  return point;
}

/** A stream that translates, perhaps with a flaw in its STE or its CDs. */
function buildTranslating(
  shop: Workshop,
  translate1: boolean,
  translate2: boolean,
  flaw: 'illegal' | 'illegalContext' | null,
): Stream {
  const { image, dice, mode, unit } = shop;
  const stage2 = translate2 ? new Stage2Space(image, dice, mode, unit.httu, unit.oas, translate1) : null;
  const table = translate1 ? buildContexts(shop, stage2, flaw === 'illegalContext') : null;
  const substreams = table !== null && table.contextsLg2 > 0;
  // Whether a translated request is stopped by S1DSS = 0 is not said where its PASID does not count.
  const choices = mode.ats ? [1, 2, 2] : [0, 1, 1, 2, 2, 2, 3];
  const defaultSubstream = substreams ? dice.pick(choices) : 0;
  const points = stage2 !== null && (table === null || defaultSubstream === 1) ? buildPoints(shop, stage2) : [];
  const [first, second] = attributes(dice, mode, substreams);
  const config = 4n | bit(translate1, 0) | bit(translate2, 1);
  const [control2, pointer2] = stage2 === null ? [dice.bits(16), 0n] : stage2.words(dice.below(0x1_0000));
  const entry = [
    1n |
      (config << 1n) |
      (table === null
        ? first
        : table.pointer | (BigInt(table.contextsLg2) << 59n) | (substreams ? table.format << 4n : first)),
    second | BigInt(defaultSubstream) | eats(shop),
    control2,
    pointer2,
    0n,
    0n,
    0n,
    0n,
  ];
  const spoiled = flaw === 'illegal' ? spoilEntry(shop, entry, translate1, translate2) : null;
  return {
    entry: spoiled ?? entry,
    draw() {
      const kind = kindOf(shop);
      const pasid = table === null ? stray(shop) : drawPasid(shop, table, defaultSubstream);
      if (table === null || (substreams && pasid === null && defaultSubstream === 1)) {
        return wish(shop, stage2 === null ? passing(shop) : drawIpa(shop, stage2, points), kind, pasid);
      }
      const space = table.spaces.get(pasid ?? 0) ?? dice.pick([...table.spaces.values()]);
      return wish(shop, drawVa(shop, space, dice.pick(space.halves), kind), kind, pasid);
    },
  };
}

/** Stages of a stream that the unit supports. */
function chooseStages({ dice, unit, mode }: Workshop): [boolean, boolean] {
  if (unit.stage === '1') return [true, false];
  if (unit.stage === '2') return [false, true];
  return dice.pick([
    [true, false],
    [false, true],
    [true, true],
    [true, true],
    ...(mode.wide || mode.httu ? [[true, true] as [boolean, boolean]] : []),
  ]);
}

export function buildStream(shop: Workshop): Stream {
  const { dice, mode, unit } = shop;
  const kind = dice.weighted(KINDS);
  const idle = (entry: readonly bigint[]): Stream => ({
    entry,
    draw: () => wish(shop, passing(shop), kindOf(shop), stray(shop)),
  });
  // Without stage 1 QEMU still judges S1CDMax and S1STALLD.
  const noise = (mode.emulator ? dice.bits(40) : dice.bits(55)) << 6n;
  const rest = [((dice.bits(26) << 2n) & ~(1n << 27n)) | eats(shop), dice.bits(64), dice.bits(64), 0n, 0n, 0n, 0n];
  if (kind === 'bypass') return idle([1n | (4n << 1n) | noise, ...rest]);
  if (kind === 'abort') return idle([1n | (BigInt(dice.below(4)) << 1n) | noise, ...rest]);
  if (kind === 'invalid') return idle([(dice.bits(3) << 1n) | noise, ...rest]);
  if (kind === 'unsupported' && unit.stage !== 'nested') {
    const config = unit.stage === '1' ? dice.pick([6n, 7n]) : dice.pick([5n, 7n]);
    return idle([1n | (config << 1n) | noise, 0n, 1n << 51n, 0n, 0n, 0n, 0n, 0n]);
  }
  const [translate1, translate2] = chooseStages(shop);
  const flaw = kind === 'illegal' ? 'illegal' : kind === 'illegalContext' && translate1 ? 'illegalContext' : null;
  return buildTranslating(shop, translate1, translate2, flaw);
}
