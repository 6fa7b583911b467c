/** Draws of the AMD-Vi generator on top of a `Random`: proportions in percent, choices, wide numbers. */
import type { Random } from './vector.js';

export class Dice {
  private readonly random: Random;

  constructor(random: Random) {
    this.random = random;
  }

  /** 0 to bound - 1; bound from 1. */
  below(bound: number): number {
    return bound === 1 ? 0 : this.random.below(bound);
  }

  /** True in `percent` of 100 cases. */
  chance(percent: number): boolean {
    return this.random.below(100) < percent;
  }

  pick<T>(values: readonly T[]): T {
    return values[this.below(values.length)]!;
  }

  /** A value by weight. */
  weighted<T>(choices: readonly (readonly [weight: number, value: T])[]): T {
    let left = this.below(choices.reduce((sum, [weight]) => sum + weight, 0));
    for (const [weight, value] of choices) {
      if (left < weight) return value;
      left -= weight;
    }
    throw new RangeError('nothing to choose from');
  }

  /** `count` even random bits. */
  bits(count: number): bigint {
    let value = 0n;
    for (let left = count; left > 0; left -= 24) value = (value << 24n) | BigInt(this.random.below(1 << 24));
    return BigInt.asUintN(count, value);
  }
}
