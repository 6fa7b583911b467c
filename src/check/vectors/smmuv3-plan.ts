/** What the parts of a vector under construction share: the unit that the `cfg` lines describe, the image, the draws, the mode. */
import type { Dice, Image } from './smmuv3-image.js';
import type { Mode } from './smmuv3-modes.js';

/** What the vector's `cfg` lines say. */
export interface UnitPlan {
  readonly stage: '1' | '2' | 'nested';
  readonly oas: number;
  readonly ssidBits: number;
  readonly httu: number;
  readonly va52: boolean;
}

/** The parts that all streams of a vector share. */
export interface Workshop {
  readonly image: Image;
  readonly dice: Dice;
  readonly mode: Mode;
  readonly unit: UnitPlan;
}
