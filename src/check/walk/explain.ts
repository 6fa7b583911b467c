/**
 * One translation step by step, as text: each entry read, where it lies, why, what its fields say; then the result or the fault, and
 * what the caches hold afterwards.
 */
import { Stage } from '../../iommu/address-space.js';
import type { Miss } from '../../iommu/miss.js';
import { type DirectoryStep, Reason, type TableStep, type WalkStep } from '../../iommu/walk-trace.js';
import { formatRequester } from '../../workload/fields.js';
import { wordOf } from '../vectors/bench.js';
import type { Simulation } from '../vectors/simulate.js';
import type { Answer, CompletionStatus, VectorAccess } from '../vectors/vector.js';
import { cacheRows, spaceText } from './caches.js';
import {
  decodeEntry,
  hex,
  permissionNames,
  rawWord,
  short,
  sizeName,
  tableFields,
  tableMeaning,
  wordsOf,
} from './decode.js';

const KINDS = { r: 'read', w: 'write', x: 'read for execution', rw: 'atomic read and write' } as const;
const INDENT = '     ';

/** Sends the access and explains what the unit does with it. */
export function explainWalk(simulation: Simulation, title: string, access: VectorAccess): string {
  const answer = simulation.access(access);
  const { steps, walk, built } = simulation.bench;
  const lines = [title, requestText(access), ''];
  let number = 0;
  for (const step of steps) lines.push(...stepLines(simulation, walk, step, ++number), '');
  lines.push(...resultLines(simulation, answer, walk, steps), '', 'caches afterwards');
  lines.push(...columns(cacheRows(built.unit).map(({ cache, key, value }) => [cache, key, value])));
  return `${lines.join('\n')}\n`;
}

function requestText({ rid, pasid, iova, kind, privileged }: VectorAccess): string {
  const who = rid > 0xffff ? `stream ${hex(BigInt(rid))}` : formatRequester(rid);
  const process = pasid === null ? 'without PASID' : `with PASID ${short(pasid)}`;
  return `${privileged === true ? 'privileged ' : ''}${KINDS[kind]} at ${hex(iova)} by ${who} ${process}`;
}

function stepLines(simulation: Simulation, walk: Miss | null, step: WalkStep, number: number): string[] {
  const words = wordsOf(step.words);
  const at = hex(wordOf(step.hi, step.lo));
  const head = (what: string): string => `${`${number}.`.padEnd(INDENT.length)}${what}`;
  if (step.kind === 'update') {
    return [head('accessed and dirty bits are set'), `${INDENT}${rawWord(words[0]!)} is stored at ${at}`];
  }
  const read = [`${INDENT}${step.bytes} bytes at ${at}`];
  for (let i = 0; i < words.length; i += 4) {
    const four = words.slice(i, i + 4).map(rawWord);
    read.push(`${INDENT}${four.join(' ')}`);
  }
  if (step.kind === 'directory') return directoryLines(simulation, step, words, head, read);
  return tableLines(simulation, walk, step, words[0]!, head, read);
}

function directoryLines(
  { kind, bench }: Simulation,
  { entry }: DirectoryStep,
  words: readonly bigint[],
  head: (what: string) => string,
  read: readonly string[],
): string[] {
  const layout = kind.layout(entry, bench.built);
  const fields = decodeEntry(layout, words).map(({ name, bits, value, meaning }) => [name, bits, value, meaning]);
  return [head(`${layout.title} (${layout.source})`), ...read, ...columns(fields)];
}

const WHY: Readonly<Record<Reason, string>> = {
  [Reason.Input]: 'input',
  [Reason.Directory]: 'guest address of a directory entry',
  [Reason.Table]: 'guest address of the first-stage entry',
  [Reason.Final]: 'guest address of the page',
};

function tableLines(
  { bench }: Simulation,
  walk: Miss | null,
  step: TableStep,
  word: bigint,
  head: (what: string) => string,
  read: readonly string[],
): string[] {
  const { stage, level, reason, inputHi, inputLo, words } = step;
  const format = bench.built.unit.architecture.formats[step.format]!;
  const low = format.indexShift[level]! + 3;
  const perTable = Math.log2(format.tableBytes / 8);
  const { levels, inputLg2 } = rootOf(walk, stage);
  const high = level === levels && inputLg2 > low ? inputLg2 - 1 : low + perTable - 1;
  const input = wordOf(inputHi, inputLo);
  const index = (input >> BigInt(low)) & ((1n << BigInt(high - low + 1)) - 1n);
  const name = stage === 1 ? 'first-stage' : 'second-stage';
  return [
    head(`${name} table, level ${level} (${format.source})`),
    `${INDENT}entry ${index}: bits ${high}:${low} of ${WHY[reason]} ${hex(input)}`,
    ...read,
    `${INDENT}${tableFields(format, word)}`,
    `${INDENT}${tableMeaning(format, level, words[1]!, words[0]!)}`,
  ];
}

function rootOf(walk: Miss | null, stage: 1 | 2): { levels: number; inputLg2: number } {
  if (walk === null) return { levels: 0, inputLg2: 0 };
  const { space } = walk;
  if (stage === 2 && space.stage === Stage.Nested)
    return { levels: space.secondLevels, inputLg2: space.secondInputLg2 };
  return space;
}

const COMPLETIONS: Readonly<Record<CompletionStatus, string>> = {
  success: 'completed without permissions',
  ur: 'completed as an unsupported request',
  ca: 'completed with an abort',
};

function resultLines(simulation: Simulation, answer: Answer, walk: Miss | null, steps: readonly WalkStep[]): string[] {
  const updates = steps.filter(({ kind }) => kind === 'update').length;
  const made = `${steps.length - updates} memory reads, ${updates} updates`;
  if (!answer.ok) {
    const name = simulation.kind.faultNames[answer.code] ?? 'no name';
    const reason = `${answer.code} (${hex(BigInt(answer.code))}): ${name}`;
    const lines = answer.status === 'success' ? [`no translation; ${reason}`] : [`fault ${reason}`];
    if (answer.status !== undefined) lines.push(`${INDENT}${COMPLETIONS[answer.status]}`);
    if (answer.address2 !== undefined) lines.push(`${INDENT}second address ${hex(answer.address2)}`);
    if (walk?.located === true) lines.push(`${INDENT}the request needs ${permissionNames(walk.walk.access)}`);
    lines.push(`${INDENT}${answer.silent === true ? 'no fault record is left' : 'recorded'}; ${made}`);
    return lines;
  }
  const lines = [`translated to ${hex(answer.pa)}`];
  if (answer.permissions !== undefined)
    lines.push(`${INDENT}completed with ${answer.permissions.toUpperCase().split('').join(' and ')}`);
  if (walk === null) return [...lines, `${INDENT}translation is off`];
  lines.push(`${INDENT}${spaceText(walk.space)}`);
  if (answer.size === undefined) lines.push(`${INDENT}nothing is translated; ${made}`);
  else {
    const { sizeLg2, permissions } = walk.walk;
    lines.push(`${INDENT}page of ${sizeName(sizeLg2)}, grants ${permissionNames(permissions)}; ${made}`);
  }
  return lines;
}

/** Indented columns, each as wide as its widest cell. */
function columns(rows: readonly (readonly string[])[]): string[] {
  const widths = (rows[0] ?? []).map((_, i) => Math.max(...rows.map((row) => row[i]!.length)));
  return rows.map((row) => `${INDENT}${row.map((cell, i) => cell.padEnd(widths[i]!)).join('  ')}`.trimEnd());
}
