/**
 * Two responders side by side: the simulator against a plain reference, or against what a file states. Answers agree when outcome,
 * physical address, fault code, second address, silence, page size and every memory access are the same; of translation requests also the status
 * of the completion and its permissions, but not the fault that a completion without permissions stands for.
 */
import { vectorsOf } from './generators.js';
import { shrink } from './shrink.js';
import { writeVector } from './text.js';
import type { Answer, Generator, MemoryAccess, Responder, Vector } from './vector.js';

/** What of an answer counts; `m` lines of other models may be missing. */
export interface Strictness {
  readonly memoryAccesses: boolean;
  readonly size: boolean;
}

export const EVERYTHING: Strictness = { memoryAccesses: true, size: true };

export interface NamedResponder {
  readonly name: string;
  readonly responder: Responder;
}

export interface Comparison {
  readonly vectors: number;
  readonly accesses: number;
  /** Accesses that were refused, by both sides. */
  readonly faults: number;
  /** The first disagreement in full, or null. */
  readonly disagreement: string | null;
}

/** What differs between two answers, in a word; null when they agree. */
export function difference(left: Answer, right: Answer, strictness: Strictness = EVERYTHING): string | null {
  if (left.ok !== right.ok) return 'outcome';
  if (left.ok && right.ok) {
    if (left.pa !== right.pa) return 'physical address';
    if (strictness.size && left.size !== right.size) return 'page size';
    if (left.permissions !== right.permissions) return 'permissions';
  }
  if (!left.ok && !right.ok) {
    if (left.status !== right.status) return 'completion status';
    const empty = left.status === 'success';
    if (!empty && left.code !== right.code) return 'fault code';
    if ((left.silent === true) !== (right.silent === true)) return 'record';
    if (!empty && left.address2 !== right.address2) return 'second address';
  }
  if (!strictness.memoryAccesses) return null;
  const { accesses } = left;
  if (accesses.length !== right.accesses.length) return 'number of memory accesses';
  const other = accesses.findIndex((access, i) => !sameAccess(access, right.accesses[i]!));
  return other < 0 ? null : `memory access ${other + 1}`;
}

function sameAccess(a: MemoryAccess, b: MemoryAccess): boolean {
  return a.kind === b.kind && a.bytes === b.bytes && a.address === b.address;
}

/** One access of a vector with two answers, for people: what differs, both answers, then the whole vector, which can be replayed. */
export function describeDisagreement(
  vector: Vector,
  index: number,
  what: string,
  sides: readonly { readonly name: string; readonly answer: Answer }[],
): string {
  const access = vector.accesses[index]!;
  const lines = [`access ${access.id} of a ${vector.architecture} vector: ${what} differs`];
  for (const { name, answer } of sides) {
    // The lines of this one answer, as the format writes them.
    const text = writeVector({ ...vector, words: new Map(), tables: [], registers: [], accesses: [access] }, [answer]);
    lines.push(
      `${name}:`,
      ...text
        .split('\n')
        .filter((line) => /^[em] /.test(line))
        .map((line) => `  ${line}`),
    );
  }
  return `${lines.join('\n')}\n\n${writeVector({ ...vector, accesses: vector.accesses.slice(0, index + 1) }, [])}`;
}

/** What two responders disagree about in the last access of a vector, with a vector as small as it can be made for the same disagreement. */
function smallest(
  vector: Vector,
  answers: readonly [Answer, Answer],
  what: string,
  [left, right]: readonly [NamedResponder, NamedResponder],
  strictness: Strictness,
): string {
  const answer = (candidate: Vector): readonly [Answer, Answer] => [
    left.responder.answer(candidate).at(-1)!,
    right.responder.answer(candidate).at(-1)!,
  ];
  const disagrees = (candidate: Vector): boolean => difference(...answer(candidate), strictness) === what;
  // A responder that depends on more than the vector has nothing to be shown smaller.
  const again = disagrees(vector);
  const small = again ? shrink(vector, disagrees) : vector;
  const [a, b] = again ? answer(small) : answers;
  const sides = [
    { name: left.name, answer: a },
    { name: right.name, answer: b },
  ];
  return describeDisagreement(small, small.accesses.length - 1, what, sides);
}

/** Compares two responders over the accesses of a generator until the first disagreement. */
export function compareOver(
  generator: Generator,
  mode: string,
  seed: number,
  count: number,
  [left, right]: readonly [NamedResponder, NamedResponder],
  strictness: Strictness = EVERYTHING,
): Comparison {
  let vectors = 0;
  let accesses = 0;
  let faults = 0;
  for (const vector of vectorsOf(generator, mode, seed, count)) {
    const [a, b] = [left.responder.answer(vector), right.responder.answer(vector)];
    for (let i = 0; i < vector.accesses.length; i++) {
      const what = difference(a[i]!, b[i]!, strictness);
      if (what !== null) {
        const until = { ...vector, accesses: vector.accesses.slice(0, i + 1) };
        const disagreement = smallest(until, [a[i]!, b[i]!], what, [left, right], strictness);
        return { vectors, accesses: accesses + i, faults, disagreement };
      }
      if (!a[i]!.ok) faults++;
    }
    vectors++;
    accesses += vector.accesses.length;
  }
  return { vectors, accesses, faults, disagreement: null };
}
