/**
 * Pattern search on a grid (Hooke and Jeeves, 1961): a round tries one step up and down in each dimension, in a seeded order,
 * keeps what is better, and then goes as far again in the direction of the whole round. A round that brings nothing halves the
 * steps down to one grid unit; then it begins again with wide steps, and ends when such a repetition has found nothing better.
 * Coordinates are integers (multiples of the dimension's quantum), so that a repeated search visits exactly the same points.
 */
import type { RandomStream } from '../../kernel/random.js';

export interface Dimension {
  readonly name: string;
  /** Size of one grid unit. */
  readonly quantum: number;
  /** Start, first step and bounds, in grid units. */
  readonly start: number;
  readonly step: number;
  readonly min: number;
  readonly max: number;
}

/** A dimension from values in its own unit. */
export function dimension(
  name: string,
  quantum: number,
  values: { readonly start: number; readonly step: number; readonly min: number; readonly max: number },
): Dimension {
  const grid = (value: number): number => Math.round(value / quantum);
  const { start, step, min, max } = values;
  return { name, quantum, start: grid(start), step: Math.max(1, grid(step)), min: grid(min), max: grid(max) };
}

/** Values of a grid position in the dimensions' own units, without the rounding noise of the product. */
export function valuesAt(dimensions: readonly Dimension[], position: readonly number[]): number[] {
  return position.map((units, i) => Number((units * dimensions[i]!.quantum).toFixed(6)));
}

export interface SearchResult {
  /** In the dimensions' own units. */
  readonly values: readonly number[];
  readonly cost: number;
  readonly startCost: number;
  readonly rounds: number;
}

/** Costs of several candidates at once. */
export type Cost = (candidates: readonly (readonly number[])[]) => Promise<number[]>;

const MAX_ROUNDS = 100;

export async function patternSearch(
  dimensions: readonly Dimension[],
  random: RandomStream,
  cost: Cost,
): Promise<SearchResult> {
  let position = dimensions.map((d) => d.start);
  let steps = dimensions.map((d) => d.step);
  const order = Int32Array.from(dimensions.keys());
  const startCost = (await cost([valuesAt(dimensions, position)]))[0]!;
  let best = startCost;
  let rounds = 0;
  /** Moves to the best of the candidates if it is better than the position. */
  const move = async (candidates: readonly number[][]): Promise<void> => {
    const costs = await cost(candidates.map((candidate) => valuesAt(dimensions, candidate)));
    const lowest = Math.min(...costs, best);
    if (lowest === best) return;
    best = lowest;
    position = candidates[costs.indexOf(lowest)]!;
  };
  let restarted = startCost;
  for (; rounds < MAX_ROUNDS; rounds++) {
    const before = position;
    random.shuffle(order);
    for (const i of order) await move(neighbours(position, i, steps[i]!, dimensions[i]!));
    if (position !== before) await move([ahead(before, position, dimensions)]);
    else if (steps.some((step) => step > 1)) steps = steps.map((step) => Math.ceil(step / 2));
    else if (best < restarted) {
      restarted = best;
      steps = dimensions.map((d) => d.step);
    } else break;
  }
  return { values: valuesAt(dimensions, position), cost: best, startCost, rounds };
}

/** As far again in the direction of the last round: follows valleys that lie across the dimensions. */
function ahead(from: readonly number[], to: readonly number[], dimensions: readonly Dimension[]): number[] {
  return to.map((units, i) => Math.min(dimensions[i]!.max, Math.max(dimensions[i]!.min, 2 * units - from[i]!)));
}

function neighbours(position: readonly number[], i: number, step: number, { min, max }: Dimension): number[][] {
  const here = position[i]!;
  const ends = [Math.max(min, here - step), Math.min(max, here + step)];
  return ends.filter((end) => end !== here).map((end) => position.map((units, j) => (j === i ? end : units)));
}
