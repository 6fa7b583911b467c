/** CDs of a generated SMMUv3 stream: one, or a linear or two-level table by SubstreamID (Arm IHI 0070G 5.2 S1Fmt, 5.3). */
import { spoilContext } from './smmuv3-flaws.js';
import type { TableSource } from './smmuv3-image.js';
import { bit } from './smmuv3-leaves.js';
import type { Workshop } from './smmuv3-plan.js';
import { Stage1Space } from './smmuv3-stage1.js';
import type { Stage2Space } from './smmuv3-stage2.js';

function writeWords(source: TableSource, address: bigint, words: readonly bigint[]): void {
  for (const [index, word] of words.entries()) source.write(address + BigInt(8 * index), word);
}

function buildContext(shop: Workshop, stage2: Stage2Space | null): Stage1Space {
  const { image, dice, mode, unit } = shop;
  const space = new Stage1Space(image, dice, mode, unit.httu, unit.oas, unit.va52, stage2, dice.below(0x1_0000));
  for (const half of space.halves) {
    for (let left = dice.between(3, 9); left > 0; left--) space.addLeaf(half);
  }
  return space;
}

/** CDs of a stream: by number, and the STE fields that lead to them. */
export interface ContextTable {
  readonly pointer: bigint;
  readonly contextsLg2: number;
  readonly format: bigint;
  readonly spaces: ReadonlyMap<number, Stage1Space>;
}

/** One CD, or a linear or two-level table of CDs. */
export function buildContexts(shop: Workshop, stage2: Stage2Space | null, spoil: boolean): ContextTable {
  const { image, dice, mode, unit } = shop;
  const source: TableSource = stage2 ?? image;
  const words = (space: Stage1Space): bigint[] =>
    spoil ? spoilContext(shop, space.context(), space) : space.context();
  if (!mode.substreams || dice.chance(10)) {
    const space = buildContext(shop, stage2);
    const pointer = source.reserve(6, false);
    writeWords(source, pointer, words(space));
    return { pointer, contextsLg2: 0, format: dice.bits(2), spaces: new Map([[0, space]]) };
  }
  const contextsLg2 = dice.between(1, unit.ssidBits);
  const linear = contextsLg2 <= 8 && dice.chance(50);
  const numbers = new Set([dice.chance(50) ? 0 : dice.below(2 ** contextsLg2)]);
  for (let left = dice.between(1, 3); left > 0; left--)
    numbers.add(dice.below(2 ** Math.min(contextsLg2, dice.chance(50) ? 7 : 20)));
  const spaces = new Map([...numbers].map((number) => [number, buildContext(shop, stage2)]));
  if (linear) {
    const pointer = source.reserve(contextsLg2 + 6, false);
    for (const [number, space] of spaces) writeWords(source, pointer + BigInt(64 * number), words(space));
    // 3 is reserved and behaves as 0.
    return { pointer, contextsLg2, format: dice.chance(15) ? 3n : 0n, spaces };
  }
  const leafLg2 = dice.chance(50) ? 6 : 10;
  const pointer = source.reserve(Math.max(6, contextsLg2 - leafLg2 + 3), false);
  const leaves = new Map<number, bigint>();
  for (const [number, space] of spaces) {
    const outer = number >> leafLg2;
    let leaf = leaves.get(outer);
    if (leaf === undefined) {
      leaf = source.reserve(leafLg2 + 6, false);
      leaves.set(outer, leaf);
      const far = dice.chance(4) ? 1n << BigInt(Math.min(55, unit.oas + dice.below(4))) : 0n;
      source.write(pointer + BigInt(8 * outer), leaf | far | bit(!dice.chance(4), 0));
    }
    writeWords(source, leaf + BigInt(64 * (number & (2 ** leafLg2 - 1))), words(space));
  }
  return { pointer, contextsLg2, format: leafLg2 === 6 ? 1n : 2n, spaces };
}

/** The PASID of an access: mostly one with a CD. */
export function drawPasid(shop: Workshop, table: ContextTable, defaultSubstream: number): number | null {
  const { dice, mode } = shop;
  if (!mode.substreams) return null;
  const roll = dice.below(100);
  if (table.contextsLg2 === 0) return roll < 85 ? null : dice.below(4);
  if (roll < 15) return null;
  if (roll < 19) return dice.below(2 ** table.contextsLg2);
  if (roll < 23) return Math.min(2 ** 20 - 1, 2 ** table.contextsLg2 + dice.below(4));
  const numbers = [...table.spaces.keys()].filter(
    (number) => number !== 0 || defaultSubstream !== 2 || dice.chance(10),
  );
  return numbers.length === 0 ? null : dice.pick(numbers);
}
