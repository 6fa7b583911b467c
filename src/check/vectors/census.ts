/**
 * Which outcomes a range of generated vectors reaches: a measure of how varied a generator is.
 */
import type { Answer, Generator, Random, Responder } from './vector.js';

export interface Census {
  readonly vectors: number;
  readonly accesses: number;
  readonly translated: number;
  /** Accesses by class: `ok`, `ok size=N`, `fault C` or `fault C silent`. */
  readonly classes: ReadonlyMap<string, number>;
  /** Accesses by `fault C after N`, N being the reads before the fault. */
  readonly depths: ReadonlyMap<string, number>;
  /** Accesses translated by number of reads. */
  readonly reads: ReadonlyMap<number, number>;
}

export function outcomeClass(answer: Answer): string {
  if (answer.ok) return answer.size === undefined ? 'ok' : `ok size=${answer.size}`;
  return `fault ${answer.code}${answer.silent === true ? ' silent' : ''}`;
}

/** @param randomOf The source of a seed's vector. */
export function census(
  generator: Generator,
  responder: Responder,
  mode: string,
  seeds: { readonly from: number; readonly to: number },
  randomOf: (seed: number) => Random,
): Census {
  const classes = new Map<string, number>();
  const depths = new Map<string, number>();
  const reads = new Map<number, number>();
  let accesses = 0;
  let translated = 0;
  for (let seed = seeds.from; seed < seeds.to; seed++) {
    for (const answer of responder.answer(generator.generate(randomOf(seed), mode))) {
      const count = answer.accesses.filter(({ kind }) => kind === 'r').length;
      accesses++;
      add(classes, outcomeClass(answer));
      if (answer.ok) {
        translated++;
        add(reads, count);
      } else {
        add(depths, `fault ${answer.code} after ${count}`);
      }
    }
  }
  return { vectors: seeds.to - seeds.from, accesses, translated, classes, depths, reads };
}

function add<K>(counts: Map<K, number>, key: K): void {
  counts.set(key, (counts.get(key) ?? 0) + 1);
}
