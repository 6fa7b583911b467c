/** What a range of generated SMMUv3 vectors reaches: outcomes by class, for tests and for whoever tunes the generator. */
import { RandomStream } from '../../kernel/random.js';
import { SMMUV3_REFERENCE } from '../reference/smmuv3.js';
import { SMMUV3_GENERATOR } from './smmuv3.js';
import type { Answer } from './vector.js';

export interface Census {
  readonly accesses: number;
  readonly granted: number;
  /** Accesses by class, in order of first appearance. */
  readonly classes: ReadonlyMap<string, number>;
}

/**
 * Class of an outcome: size of the translation, or event number, stage 2 where the record would hold an IPA, and whether there is a
 * record; then reads and updates of memory, which tell how far it came. For example `event 0x10 stage 2 after 7 reads`.
 */
export function outcomeClass(answer: Answer): string {
  const reads = answer.accesses.filter((access) => access.kind === 'r').length;
  const updates = answer.accesses.length - reads;
  const work = `after ${reads} reads${updates === 0 ? '' : ` ${updates} updates`}`;
  if (answer.ok) return `${answer.size === undefined ? 'untranslated' : `page 0x${answer.size.toString(16)}`} ${work}`;
  const stage = answer.address2 === undefined ? '' : ' stage 2';
  return `event 0x${answer.code.toString(16)}${stage}${answer.silent ? ' silent' : ''} ${work}`;
}

/** The outcomes of `count` vectors of a mode, from one seed each, starting at `firstSeed`. */
export function smmuv3Census(mode: string, firstSeed: number, count: number): Census {
  const classes = new Map<string, number>();
  let accesses = 0;
  let granted = 0;
  for (let seed = firstSeed; seed < firstSeed + count; seed++) {
    const vector = SMMUV3_GENERATOR.generate(new RandomStream(seed, `vectors/smmuv3/${mode}`), mode);
    for (const answer of SMMUV3_REFERENCE.answer(vector)) {
      const name = outcomeClass(answer);
      classes.set(name, (classes.get(name) ?? 0) + 1);
      accesses++;
      if (answer.ok) granted++;
    }
  }
  return { accesses, granted, classes };
}
