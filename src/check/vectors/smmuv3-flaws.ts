/** Entries that the specification calls ILLEGAL: ways to spoil an STE or a CD that would work (Arm IHI 0070G 5.2.2, 5.4.2). */
import type { Workshop } from './smmuv3-plan.js';
import type { Stage1Space } from './smmuv3-stage1.js';

/** Ways to spoil an STE that translates. Null: this one does not apply. */
export function spoilEntry(
  shop: Workshop,
  words: readonly bigint[],
  translate1: boolean,
  translate2: boolean,
): bigint[] | null {
  const { dice, mode, unit } = shop;
  const result = [...words];
  const change = (index: number, clear: bigint, set: bigint): bigint[] => {
    result[index] = ((result[index] ?? 0n) & ~clear) | set;
    return result;
  };
  const ways: (() => bigint[])[] = [];
  if (translate2) {
    ways.push(
      () => change(2, 0n, 3n << 46n),
      () => change(2, 0n, 3n << 38n),
      () => change(2, 0x3fn << 32n, BigInt(dice.between(40, 63)) << 32n),
      () => change(2, 0x3fn << 32n, BigInt(dice.between(0, 64 - unit.oas - 1)) << 32n),
      () => change(2, 0n, 1n << 52n),
      () => change(2, 0n, 1n << 57n),
      () => change(2, 7n << 48n, 0n),
      // A 4 KiB start level 2 or a larger granule's level 3 cannot hold 44 bits.
      () => change(2, (0x3fn << 32n) | (3n << 38n) | (7n << 48n), (BigInt(64 - 44) << 32n) | (4n << 48n)),
    );
    if (!mode.emulator) {
      ways.push(
        () => change(2, 1n << 51n, 0n),
        // Start level 0 or 1 for 25 bits: less than one index bit.
        () => change(2, 0x3fn << 32n, (39n << 32n) | (2n << 38n)),
      );
      if (unit.httu < 2) ways.push(() => change(2, 0n, 1n << 55n));
    }
  }
  if (translate1 && !mode.emulator) {
    ways.push(() => change(1, 0n, 1n << 27n));
    if (unit.oas < 56) ways.push(() => change(0, 0n, 1n << BigInt(dice.between(unit.oas, 55))));
    if (unit.ssidBits > 0 && unit.ssidBits < 31)
      ways.push(() => change(0, 31n << 59n, BigInt(unit.ssidBits + 1) << 59n));
  }
  return ways.length === 0 ? null : dice.pick(ways)();
}

/** Ways to spoil a CD. */
export function spoilContext(shop: Workshop, words: readonly bigint[], space: Stage1Space): bigint[] {
  const { dice, unit } = shop;
  const result = [...words];
  const change = (index: number, clear: bigint, set: bigint): bigint[] => {
    result[index] = ((result[index] ?? 0n) & ~clear) | set;
    return result;
  };
  const half = dice.pick(space.halves);
  const which = half.start === 0n ? 0 : 1;
  const low = BigInt(16 * which);
  const ways: (() => bigint[])[] = [
    () => change(0, 1n << 31n, 0n),
    () => change(0, 1n << 41n, 0n),
    () => change(0, 1n << 46n, 0n),
    () => change(0, 0n, 1n << 44n),
    () => change(0, 0n, 1n << 15n),
    () => change(0, 0x3fn << low, BigInt(dice.between(40, 63)) << low),
    () => change(0, 0x3fn << low, BigInt(dice.between(0, unit.va52 ? 11 : 15)) << low),
    () => change(0, 3n << (low + 6n), which === 0 ? 3n << 6n : 0n),
  ];
  if (unit.oas < 48) ways.push(() => change(1 + which, 0n, 1n << BigInt(dice.between(unit.oas, 47))));
  if (unit.httu < 2) ways.push(() => change(0, 0n, 1n << 42n));
  if (unit.httu < 1) ways.push(() => change(0, 0n, 1n << 43n));
  return dice.pick(ways)();
}
