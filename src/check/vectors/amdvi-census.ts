/** What the vectors of a range of seeds reach: outcomes of the AMD-Vi reference walker by class, for tests of the generator. */
import { RandomStream } from '../../kernel/random.js';
import { explainAmdvi } from '../reference/amdvi.js';
import { amdviGenerator } from './amdvi.js';
import type { Vector } from './vector.js';

export interface Census {
  readonly accesses: number;
  readonly succeeded: number;
  /** Accesses by class: `ok: ...` with the tables that translated, or `CODE: ...` with what was wrong and the level of the entry. */
  readonly classes: ReadonlyMap<string, number>;
}

/** The vector of one seed; the same for ever. */
export function amdviVector(mode: string, seed: number): Vector {
  return amdviGenerator.generate(new RandomStream(seed, `vectors.amdvi.${mode}`), mode);
}

/** Counts the outcome classes of `count` vectors from `firstSeed` on. */
export function amdviCensus(mode: string, firstSeed: number, count: number): Census {
  const classes = new Map<string, number>();
  let accesses = 0;
  let succeeded = 0;
  for (let seed = firstSeed; seed < firstSeed + count; seed++) {
    for (const { answer, reason } of explainAmdvi(amdviVector(mode, seed))) {
      const record = !answer.ok && answer.silent === true ? ' (no record)' : '';
      const name = answer.ok ? `ok: ${reason}` : `${answer.code}: ${reason}${record}`;
      classes.set(name, (classes.get(name) ?? 0) + 1);
      accesses++;
      if (answer.ok) succeeded++;
    }
  }
  return { accesses, succeeded, classes };
}
