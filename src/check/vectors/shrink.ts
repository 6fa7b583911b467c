/**
 * Makes a vector small on which two responders disagree: fewer accesses before the one they disagree about, then fewer words of memory, as long as they still
 * disagree about it. Whoever looks at a disagreement has less to read; what is left can be replayed as any vector.
 */
import type { Vector, VectorAccess } from './vector.js';

/** True: the responders still disagree about the last access of the vector. */
export type Disagrees = (vector: Vector) => boolean;

/** Machines that are built for it, at most; each takes milliseconds. */
const MOST_ATTEMPTS = 2000;

class Shrinker {
  private attempts = 0;

  constructor(private readonly disagrees: Disagrees) {}

  private tries(candidate: Vector): boolean {
    return ++this.attempts <= MOST_ATTEMPTS && this.disagrees(candidate);
  }

  /** The smallest list found by leaving out runs of items, long ones first, with which `build` still gives a disagreement. */
  reduce<T>(items: readonly T[], build: (rest: readonly T[]) => Vector): readonly T[] {
    let left = items;
    for (let run = left.length; run >= 1; ) {
      const before = left.length;
      for (let from = 0; from < left.length && this.attempts < MOST_ATTEMPTS; ) {
        const rest = [...left.slice(0, from), ...left.slice(from + run)];
        if (this.tries(build(rest))) left = rest;
        else from += run;
      }
      // Single items until none can go: one that was needed may no longer be.
      if (run > 1) run = Math.floor(run / 2);
      else if (left.length === before) break;
    }
    return left;
  }
}

/** `vector` ends with the access of the disagreement, whose id stays; the others are told apart by theirs. */
export function shrink(vector: Vector, disagrees: Disagrees): Vector {
  const shrinker = new Shrinker(disagrees);
  const last = vector.accesses.at(-1)!;
  const withAccesses = (accesses: readonly VectorAccess[]): Vector => ({ ...vector, accesses: [...accesses, last] });
  const fewer = withAccesses(shrinker.reduce(vector.accesses.slice(0, -1), withAccesses));
  // Which memory is table memory matters to no responder; without words most of it is gone.
  const withWords = (words: readonly (readonly [bigint, bigint])[]): Vector => ({
    ...fewer,
    words: new Map(words),
    tables: fewer.tables.filter(({ address, bytes }) =>
      words.some(([at]) => at >= address && at < address + BigInt(bytes)),
    ),
  });
  return withWords(shrinker.reduce([...fewer.words], withWords));
}
