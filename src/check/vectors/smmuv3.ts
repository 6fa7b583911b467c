/**
 * Generator of SMMUv3 vectors: stream tables with several streams, tables of all granules and sizes, and accesses of which about 60 %
 * succeed. Layouts from Arm IHI 0070G chapter 5. See `smmuv3-modes.ts` for what each mode holds and what `common` leaves out.
 */
import { withAts } from './ats-accesses.js';
import { Dice, Image, TARGETS_START } from './smmuv3-image.js';
import { MODE_SENTENCES, MODES, type Mode } from './smmuv3-modes.js';
import type { UnitPlan } from './smmuv3-plan.js';
import { buildStream, type Stream, type Wish } from './smmuv3-streams.js';
import type { Generator, Random, RegisterWrite, Vector, VectorAccess } from './vector.js';

const STE_LG2 = 6;
/** Levels of two-level stream tables split here; other values are reserved. */
const SPLITS = [6, 8, 10] as const;

/** A requester id that every harness can place. */
function drawRid(dice: Dice, limitLg2: number): number {
  const limit = 2 ** limitLg2;
  if (limit > 0x100 && dice.chance(50))
    return (dice.between(1, Math.min(0xff, limit / 0x100 - 1)) << 8) | dice.below(8);
  const devices = Math.min(0x1e, limit / 8 - 1);
  return (dice.between(1, devices) << 3) | dice.below(8);
}

function planUnit(dice: Dice, mode: Mode): UnitPlan {
  const stage = mode.substreams
    ? dice.pick(['1', 'nested'] as const)
    : dice.pick(['1', '1', '2', 'nested', 'nested', 'nested'] as const);
  const oas = mode.wide ? 52 : 44;
  return {
    stage: mode.wide && dice.chance(50) ? 'nested' : stage,
    oas,
    ssidBits: mode.substreams ? dice.pick([1, 4, 8, 12, 16, 20]) : 0,
    httu: mode.httu ? dice.pick([1, 2, 2]) : 0,
    va52: mode.wide === true && dice.chance(70),
  };
}

function configOf(unit: UnitPlan): (readonly [string, string])[] {
  const lines: (readonly [string, string])[] = [['stage', unit.stage]];
  if (unit.oas !== 44) lines.push(['oas', String(unit.oas)]);
  if (unit.ssidBits > 0) lines.push(['ssid', String(unit.ssidBits)]);
  if (unit.httu > 0) lines.push(['httu', String(unit.httu)]);
  if (unit.va52) lines.push(['vax', '52']);
  return lines;
}

interface StreamTable {
  readonly base: bigint;
  readonly config: number;
  /** StreamIDs without a stream that may be used as they are. */
  readonly empty: readonly number[];
}

/** Lays the STEs out; level 2 arrays are as short as their streams and chance allow. */
function writeStreamTable(
  image: Image,
  dice: Dice,
  mode: Mode,
  sizeLg2: number,
  streams: ReadonlyMap<number, Stream>,
): StreamTable {
  const write = (address: bigint, entry: readonly bigint[]): void => {
    for (const [index, word] of entry.entries()) image.write(address + BigInt(8 * index), word);
  };
  const empty: number[] = [];
  const strays = Array.from({ length: 4 }, () => drawRid(dice, sizeLg2)).filter((rid) => !streams.has(rid));
  if (dice.chance(50)) {
    const base = image.reserve(sizeLg2 + STE_LG2);
    for (const [rid, { entry }] of streams) write(base + BigInt(rid << STE_LG2), entry);
    return { base, config: sizeLg2, empty: strays };
  }
  const split = dice.pick(SPLITS);
  const base = image.reserve(Math.max(STE_LG2, sizeLg2 - split + 3));
  const inner = 2 ** split - 1;
  const groups = new Map<number, number[]>();
  for (const rid of streams.keys()) groups.set(rid >> split, [...(groups.get(rid >> split) ?? []), rid]);
  const spans = new Map<number, number>();
  for (const [group, rids] of groups) {
    const least = Math.ceil(Math.log2(Math.max(...rids.map((rid) => rid & inner)) + 1));
    const arrayLg2 = dice.between(Math.min(least, split), split);
    spans.set(group, arrayLg2);
    const array = image.reserve(arrayLg2 + STE_LG2);
    // Reserved spans, and spans that leave a stream out, are read as they stand.
    const span =
      mode.strict && dice.chance(15) ? dice.pick([0, Math.max(1, arrayLg2), split + 2, 12, 31]) : arrayLg2 + 1;
    image.write(base + BigInt(group * 8), array | BigInt(span));
    for (const rid of rids) write(array + BigInt((rid & inner) << STE_LG2), streams.get(rid)?.entry ?? []);
  }
  for (const rid of strays) {
    const arrayLg2 = spans.get(rid >> split);
    // A level 1 descriptor of an unused group is invalid, with an address left in it at times.
    if (arrayLg2 === undefined && dice.chance(50)) image.write(base + BigInt((rid >> split) * 8), dice.bits(26) << 6n);
    if (arrayLg2 === undefined || (rid & inner) < 2 ** arrayLg2 || mode.strict) empty.push(rid);
  }
  return { base, config: (1 << 16) | (split << 6) | sizeLg2, empty };
}

function toAccess(id: number, rid: number, { privileged, ...rest }: Wish): VectorAccess {
  return { id, rid, ...rest, ...(privileged ? { privileged } : {}) };
}

function generate(random: Random, name: string): Vector {
  const named = MODES[name];
  if (named === undefined) throw new Error(`smmuv3: unknown mode ${name}`);
  const dice = new Dice(random);
  // Half of the vectors with ATS have every kind of access and permission, of which many grant nothing.
  const mode = named.ats ? { ...named, permissions: dice.chance(50), httu: dice.chance(40) } : named;
  const image = new Image(dice);
  const unit = planUnit(dice, mode);
  const sizeLg2 = dice.chance(50) ? 16 : dice.between(6, 16);
  const streams = new Map<number, Stream>();
  for (let left = dice.between(2, 5); left > 0; left--) {
    streams.set(drawRid(dice, sizeLg2), buildStream({ image, dice, mode, unit }));
  }
  const table = writeStreamTable(image, dice, mode, sizeLg2, streams);
  const accesses: VectorAccess[] = [];
  const queue = [...streams];
  const count = dice.between(16, 56);
  const first = queue[0]?.[1];
  if (first === undefined) throw new Error('smmuv3: no stream');
  while (accesses.length < count) {
    if (dice.chance(2) && table.empty.length > 0) {
      accesses.push(toAccess(accesses.length, dice.pick(table.empty), first.draw()));
      continue;
    }
    const outside = drawRid(dice, 16);
    if (dice.chance(2) && outside >= 2 ** sizeLg2) {
      accesses.push(toAccess(accesses.length, outside, first.draw()));
      continue;
    }
    const [rid, stream] = dice.pick(queue);
    const plain = toAccess(accesses.length, rid, stream.draw());
    const access = mode.ats ? withAts(random, plain, () => TARGETS_START | (dice.bits(30) & ~7n)) : plain;
    accesses.push(access);
    // Once more, with another kind: hardware updates are seen by the next access.
    if (mode.httu && dice.chance(50))
      accesses.push({ ...access, id: accesses.length, kind: dice.pick(['r', 'w', 'w']) });
  }
  const registers: RegisterWrite[] = [
    { offset: 0x80, bytes: 8, value: table.base | (dice.chance(50) ? 1n << 62n : 0n) },
    { offset: 0x88, bytes: 4, value: BigInt(table.config) },
    { offset: 0x20, bytes: 4, value: mode.ats ? 0x11n : 1n },
  ];
  return {
    architecture: 'smmuv3',
    config: configOf(unit),
    words: image.words,
    tables: image.tables,
    registers,
    accesses,
  };
}

export const SMMUV3_GENERATOR: Generator = { architecture: 'smmuv3', modes: MODE_SENTENCES, generate };
