/**
 * The text format of translation vectors, OVEC 1: one directive a line, in which the simulator states what it believes so that
 * independent implementations can replay it. `writeVector` and `parseVectors` are inverses of each other.
 *
 *     ovec 1 <architecture>               a fresh machine
 *     cfg <key> <value>                   before the rest
 *     table <addr> [<bytes>]              table memory whose words are all 0 (4096 bytes unless given)
 *     mem <addr> <word> ...               at most 512 consecutive 64-bit words; other memory is 0
 *     reg <offset> <4|8> <value>
 *     x <id> <rid> <pasid|-> <iova> <r|w|x|rw> [priv] [len=N] [at=ats|at=translated]
 *     e <id> ok <pa> [size=N] [perm=r|w|rw|rx|rwx] [nmem=N]
 *     e <id> fault <code> [addr=A] [addr2=A] [silent=1] [status=success|ur|ca]
 *     m <id> <r|a|w> <bytes> <addr>       one memory access of a cold x <id>, in order
 *     flush
 *     peek <addr> [<words>]               (1 word unless given)
 *
 * nmem counts the reads only, not the atomic updates. perm and status belong to translation requests (at=ats): R, W and Exe of a completion that brings a translation, and
 * the status of one that brings none; with status=success that is a completion without permissions, and the code says to nobody but the reader why. Not supported: mem, table and reg after the first x.
 */
import { Line } from './text-line.js';
import {
  hex,
  type Orders,
  type ParsedVector,
  readsOf,
  type StatedAnswer,
  VectorReader,
  WORDS_A_LINE,
} from './text-reader.js';
import type { Vector, VectorAccess } from './vector.js';

export interface WriteOptions extends Partial<Orders> {
  /** Write the `m` lines; true unless given. */
  readonly memoryAccesses?: boolean;
}

/** @throws RangeError if there are answers, but not one for each access. */
export function writeVector(vector: Vector, answers: readonly StatedAnswer[], options: WriteOptions = {}): string {
  const { accesses } = vector;
  if (answers.length !== 0 && answers.length !== accesses.length) {
    throw new RangeError(`${accesses.length} accesses have ${answers.length} answers`);
  }
  const lines = [`ovec 1 ${vector.architecture}`];
  for (const [key, value] of vector.config) lines.push(`cfg ${key} ${value}`);
  for (const { address, bytes } of vector.tables) lines.push(`table ${hex(address)} ${bytes}`);
  writeMemory(lines, vector.words);
  for (const { offset, bytes, value } of vector.registers) lines.push(`reg ${hex(offset)} ${bytes} ${hex(value)}`);
  const flushes = new Set(options.flushes);
  accesses.forEach((access, index) => {
    if (flushes.has(index)) lines.push('flush');
    writeAccess(lines, access);
    const answer = answers[index];
    if (answer !== undefined) writeAnswer(lines, access.id, answer, options.memoryAccesses ?? true);
  });
  if (flushes.has(accesses.length)) lines.push('flush');
  for (const { address, words } of options.peeks ?? []) lines.push(`peek ${hex(address)} ${words}`);
  return `${lines.join('\n')}\n`;
}

/** Non-zero words by address, neighbours on one line. */
function writeMemory(lines: string[], words: ReadonlyMap<bigint, bigint>): void {
  const addresses = [...words.keys()].filter((address) => words.get(address) !== 0n);
  addresses.sort((a, b) => (a < b ? -1 : a > b ? 1 : 0));
  let run: string[] = [];
  let next = -1n;
  for (const address of addresses) {
    if (address !== next || run.length === WORDS_A_LINE + 2) {
      if (run.length > 0) lines.push(run.join(' '));
      run = ['mem', hex(address)];
    }
    run.push(hex(words.get(address)!));
    next = address + 8n;
  }
  if (run.length > 0) lines.push(run.join(' '));
}

function writeAccess(lines: string[], access: VectorAccess): void {
  const { id, rid, pasid, iova, kind, privileged, length, at } = access;
  const words = ['x', id, hex(rid), pasid === null ? '-' : hex(pasid), hex(iova), kind];
  if (privileged === true) words.push('priv');
  if (length !== undefined) words.push(`len=${length}`);
  if (at !== undefined) words.push(`at=${at}`);
  lines.push(words.join(' '));
}

function writeAnswer(lines: string[], id: number, answer: StatedAnswer, memoryAccesses: boolean): void {
  const words = ['e', id];
  if (answer.ok) {
    words.push('ok', hex(answer.pa));
    if (answer.size !== undefined) words.push(`size=${answer.size}`);
    if (answer.permissions !== undefined) words.push(`perm=${answer.permissions}`);
    words.push(`nmem=${answer.reads ?? readsOf(answer.accesses)}`);
  } else {
    words.push('fault', answer.code);
    if (answer.address2 !== undefined) words.push(`addr2=${hex(answer.address2)}`);
    if (answer.silent === true) words.push('silent=1');
    if (answer.status !== undefined) words.push(`status=${answer.status}`);
  }
  lines.push(words.join(' '));
  if (!memoryAccesses) return;
  for (const { kind, bytes, address } of answer.accesses) lines.push(`m ${id} ${kind} ${bytes} ${hex(address)}`);
}

/**
 * Reads every vector of a text. `addr` of a fault is checked to be a number and not kept: a record's first address follows from
 * the access. Lines are counted from `firstLine`.
 * @throws VectorSyntaxError, which names line and column.
 */
export function parseVectors(text: string, firstLine = 1): ParsedVector[] {
  const parsed: ParsedVector[] = [];
  let reader: VectorReader | null = null;
  text.split(/\r?\n/).forEach((source, index) => {
    const line = new Line(source, firstLine + index);
    if (line.empty) return;
    const directive = line.text('directive');
    if (directive === 'ovec') {
      if (reader !== null) parsed.push(reader.finish());
      reader = new VectorReader(line);
    } else if (reader === null) {
      throw line.problem('a vector starts with "ovec 1 <architecture>"');
    } else {
      reader.read(directive, line);
    }
    line.end();
  });
  const last = reader as VectorReader | null;
  if (last !== null) parsed.push(last.finish());
  return parsed;
}
