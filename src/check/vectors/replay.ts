/** Replays a parsed vector on the simulator: its accesses, flushes and peeks in order, and where the answers it states differ. */
import { describeDisagreement, difference } from './compare.js';
import { SIMULATOR } from './simulate.js';
import type { ParsedVector, StatedAnswer } from './text-reader.js';
import type { Answer } from './vector.js';

export interface Replayed {
  readonly answers: readonly Answer[];
  /** Accesses whose stated answer is not the simulator's: what differs, and both answers with their vector. */
  readonly disagreements: readonly { readonly id: number; readonly what: string; readonly text: string }[];
  /** A line for each `peek`. */
  readonly peeks: readonly string[];
}

/** The answer without what the stated one leaves open of the completion of a translation request. */
function asStated(stated: Answer, answer: Answer): Answer {
  if (stated.ok && answer.ok && stated.permissions === undefined) {
    const { permissions: _, ...rest } = answer;
    return rest;
  }
  if (!stated.ok && !answer.ok && stated.status === undefined) {
    const { status: _, ...rest } = answer;
    return rest;
  }
  return answer;
}

/** What a stated answer says that the simulator does not; what it leaves open (size, perm, status, nmem, `m` lines) counts as agreed. */
export function contradiction(stated: StatedAnswer, answer: Answer): string | null {
  const listed = stated.accesses.length > 0;
  const size = stated.ok && stated.size !== undefined;
  const what = difference(stated, asStated(stated, answer), { memoryAccesses: listed, size });
  if (what !== null || stated.reads === undefined) return what;
  const reads = answer.accesses.filter(({ kind }) => kind === 'r').length;
  return stated.reads === reads ? null : 'number of reads';
}

/** @throws VectorConfigError, RangeError as Simulation does */
export function replay(parsed: ParsedVector): Replayed {
  const { vector, answers: stated, flushes, peeks } = parsed;
  const simulation = SIMULATOR.simulation(vector);
  const flushed = new Set(flushes);
  const answers: Answer[] = [];
  const disagreements: Replayed['disagreements'][number][] = [];
  vector.accesses.forEach((access, index) => {
    if (flushed.has(index)) simulation.flush();
    const answer = simulation.access(access);
    answers.push(answer);
    const other = stated[index];
    const what = other === undefined ? null : contradiction(other, answer);
    if (what === null || other === undefined) return;
    const sides = [
      { name: 'file', answer: other },
      { name: 'simulator', answer },
    ];
    disagreements.push({ id: access.id, what, text: describeDisagreement(vector, index, what, sides) });
  });
  const lines = peeks.map(({ address, words }) => {
    const values = Array.from(
      { length: words },
      (_, i) => `0x${simulation.bench.word(address + BigInt(8 * i)).toString(16)}`,
    );
    return `peek 0x${address.toString(16)} ${values.join(' ')}`;
  });
  return { answers, disagreements, peeks: lines };
}
