/**
 * 64-bit words built from named bit fields, as pairs of int32, and the bit runs that make up a format's selector. Set-up code only.
 */
import type { BitRange, FieldValues, FormatDescription } from './description.js';

export interface Word {
  hi: number;
  lo: number;
}

export function addBits(word: Word, [high, low]: BitRange, value: number): void {
  for (let bit = low; bit <= high; bit++) {
    if (Math.floor(value / 2 ** (bit - low)) % 2 === 0) continue;
    if (bit < 32) word.lo |= 1 << bit;
    else word.hi |= 1 << (bit - 32);
  }
}

/** A contiguous run of one half-word that goes into the selector at `position`. */
export interface Run {
  readonly low: number;
  readonly mask: number;
  readonly position: number;
  readonly width: number;
}

/** Up to two runs in each half-word that together cover `bits`; bits between may come along and are ignored by the rules. */
export function findRuns(bits: readonly number[], start: number): [Run, Run] {
  const sorted = [...new Set(bits)].sort((a, b) => a - b);
  const spans: [number, number][] = [];
  for (const bit of sorted) {
    const last = spans.at(-1);
    if (last !== undefined && last[1] === bit - 1) last[1] = bit;
    else spans.push([bit, bit]);
  }
  while (spans.length > 2) {
    let closest = 1;
    for (let i = 2; i < spans.length; i++) {
      if (spans[i]![0] - spans[i - 1]![1] < spans[closest]![0] - spans[closest - 1]![1]) closest = i;
    }
    spans[closest - 1]![1] = spans[closest]![1];
    spans.splice(closest, 1);
  }
  let position = start;
  const next = (i: number): Run => {
    const span = spans[i];
    const width = span === undefined ? 0 : span[1] - span[0] + 1;
    const run = { low: (span?.[0] ?? 0) % 32, mask: (1 << width) - 1, position, width };
    position += width;
    return run;
  };
  return [next(0), next(1)];
}

/** The word whose fields have these values and which is zero elsewhere. Throws RangeError for a field that is not declared. */
export function wordOf(d: FormatDescription, values: FieldValues): Word {
  const word = { hi: 0, lo: 0 };
  for (const [name, value] of Object.entries(values)) addBits(word, rangeOf(d, name), value);
  return word;
}

export function rangeOf(d: FormatDescription, name: string): BitRange {
  const range = d.fields[name];
  if (range === undefined) throw new RangeError(`${d.name}: no field ${name}`);
  return range;
}

/** Whether every field named has the value given. */
export function hasValues(d: FormatDescription, word: Word, values: FieldValues): boolean {
  return Object.entries(values).every(([name, value]) => {
    const all = wordOf(d, { [name]: -1 });
    const wanted = wordOf(d, { [name]: value });
    return (word.hi & all.hi) === wanted.hi && (word.lo & all.lo) === wanted.lo;
  });
}
