/** What a range of generated VT-d vectors reaches: outcomes by class, for tests and for whoever tunes the generator. */
import { RandomStream } from '../../kernel/random.js';
import { VTD_REFERENCE } from '../reference/vtd.js';
import type { Answer, Vector } from './vector.js';
import { VTD_GENERATOR } from './vtd.js';

export interface Census {
  readonly accesses: number;
  readonly granted: number;
  /** Accesses by class, in order of first appearance. */
  readonly classes: ReadonlyMap<string, number>;
}

/**
 * Class of an outcome: table mode of the root pointer, then page size, or fault reason and whether it is recorded, then the number of
 * reads, which tells how far the walk came. For example `scalable fault 0x71 after 6 reads`.
 */
export function outcomeClass(vector: Vector, answer: Answer): string {
  const mode = ['legacy', 'scalable', 'reserved', 'abort'][Number((vector.registers[0]!.value >> 10n) & 3n)]!;
  const reads = `after ${answer.accesses.filter((access) => access.kind === 'r').length} reads`;
  if (answer.ok)
    return `${mode} ${answer.size === undefined ? 'pass-through' : `page 0x${answer.size.toString(16)}`} ${reads}`;
  return `${mode} fault 0x${answer.code.toString(16)}${answer.silent ? ' silent' : ''} ${reads}`;
}

/** The outcomes of `count` vectors of a mode, from one seed each, starting at `firstSeed`. */
export function vtdCensus(mode: string, firstSeed: number, count: number): Census {
  const classes = new Map<string, number>();
  let accesses = 0;
  let granted = 0;
  for (let seed = firstSeed; seed < firstSeed + count; seed++) {
    const vector = VTD_GENERATOR.generate(new RandomStream(seed, `vectors/vtd/${mode}`), mode);
    for (const answer of VTD_REFERENCE.answer(vector)) {
      const name = outcomeClass(vector, answer);
      classes.set(name, (classes.get(name) ?? 0) + 1);
      accesses++;
      if (answer.ok) granted++;
    }
  }
  return { accesses, granted, classes };
}
