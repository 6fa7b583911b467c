/** Entry rules as masks, and the rows they compile to: at most a few hundred distinct ones for a format. Set-up code only. */
import { addBits, rangeOf, type Word, wordOf } from './bits.js';
import type { BitRange, EntryRule, FieldValues, FormatDescription, Grant } from './description.js';
import { Fault } from './fault.js';
import { EntryKind, Permission, Row, Size } from './row.js';

/** Fields that must have given values, as a mask and the value under it. */
class Pattern {
  private readonly mask: Word;
  private readonly value: Word;

  constructor(d: FormatDescription, values: FieldValues) {
    this.mask = wordOf(d, Object.fromEntries(Object.keys(values).map((name) => [name, -1])));
    this.value = wordOf(d, values);
  }

  matches(hi: number, lo: number): boolean {
    return (hi & this.mask.hi) === this.value.hi && (lo & this.mask.lo) === this.value.lo;
  }
}

/** The patterns of a grant; null stands for `always`. */
export function alternatives(grant: Grant): readonly FieldValues[] | null {
  if (grant === 'always') return null;
  if (grant === 'never') return [];
  return Array.isArray(grant) ? (grant as readonly FieldValues[]) : [grant as FieldValues];
}

/** Grants by permission bit, in the order in which software's choices override each other. */
export function grantsOf(rule: EntryRule): readonly (readonly [Permission, Grant])[] {
  const { read, write, execute, user, supervisor, supervisorExecute } = rule.grants;
  return [
    [Permission.SupervisorExecute, supervisorExecute],
    [Permission.Supervisor, supervisor],
    [Permission.Read, read],
    [Permission.Write, write],
    [Permission.Execute, execute],
    [Permission.User, user],
  ];
}

/** Bits of an entry that some rule or grant looks at. */
export function selectingBits(d: FormatDescription): number[] {
  const names = new Set<string>();
  for (const rule of d.rules) {
    const patterns = grantsOf(rule).flatMap(([, grant]) => alternatives(grant) ?? []);
    for (const values of [rule.when, ...patterns]) for (const name of Object.keys(values)) names.add(name);
  }
  const bits: number[] = [];
  for (const name of names) {
    const [high, low] = rangeOf(d, name);
    for (let bit = low; bit <= high; bit++) bits.push(bit);
  }
  return bits;
}

/** log2 of what one entry at `level` covers. */
export function naturalSize(d: FormatDescription, level: number): number {
  return d.granuleLg2 + (level - 1) * d.indexBits;
}

const KINDS = {
  absent: EntryKind.Absent,
  refused: EntryKind.Refused,
  table: EntryKind.Table,
  leaf: EntryKind.Leaf,
} as const;

const FAULTS = { reserved: Fault.Reserved, level: Fault.Level, 'not-present': Fault.NotPresent } as const;

export class CompiledRule {
  private readonly when: Pattern;
  private readonly grants: readonly (readonly [Permission, readonly Pattern[] | null])[];
  /** By level: the row without its permissions. */
  private readonly rows: readonly number[][];

  constructor(
    d: FormatDescription,
    readonly rule: EntryRule,
  ) {
    this.when = new Pattern(d, rule.when);
    this.grants = grantsOf(rule).map(([bit, grant]) => {
      return [bit, alternatives(grant)?.map((values) => new Pattern(d, values)) ?? null];
    });
    const levels = Array.from({ length: rule.levels[1] + 1 }, (_, level) => level);
    this.rows = levels.map((level) => (level < rule.levels[0] ? [] : rowOf(d, rule, level)));
  }

  covers(level: number): boolean {
    return level >= this.rule.levels[0] && level <= this.rule.levels[1];
  }

  matches(level: number, hi: number, lo: number): boolean {
    return this.covers(level) && this.when.matches(hi, lo);
  }

  permissions(hi: number, lo: number): number {
    let permissions = 0;
    for (const [bit, patterns] of this.grants) {
      if (patterns === null || patterns.some((pattern) => pattern.matches(hi, lo))) permissions |= bit;
    }
    return permissions;
  }

  row(level: number, hi: number, lo: number): number[] {
    const row = this.rows[level]!.slice();
    row[Row.Permissions] = this.permissions(hi, lo);
    return row;
  }
}

/** Entry bits that hold address bits from `width` on. */
function aboveWidth(d: FormatDescription): Word {
  const word = { hi: 0, lo: 0 };
  for (const part of d.addressTop === undefined ? [d.address] : [d.address, d.addressTop]) {
    const [high, low] = rangeOf(d, part.field);
    const above: BitRange = [high, Math.max(low, d.hostAddressWidth - part.lowestBit + low)];
    addBits(word, above, -1);
  }
  return word;
}

/** Input address bits from `low` up to but not including `high`. */
function inputBits(low: number, high: number): Word {
  const word = { hi: 0, lo: 0 };
  addBits(word, [Math.min(high, 64) - 1, low], -1);
  return word;
}

/** Accessed, dirty and global bits are all in the lower half of an entry. */
function lowWord(d: FormatDescription, values: FieldValues): number {
  const word = wordOf(d, values);
  if (word.hi !== 0) throw new RangeError(`${d.name}: ${Object.keys(values).join(', ')} must be in bits 31:0`);
  return word.lo;
}

function rowOf(d: FormatDescription, rule: EntryRule, level: number): number[] {
  const row = new Array<number>(Row.Stride).fill(0);
  const put = (column: Row, word: Word): void => {
    row[column] = word.hi;
    row[column + 1] = word.lo;
  };
  row[Row.Kind] = KINDS[rule.kind];
  row[Row.Fault] = rule.kind === 'refused' ? FAULTS[rule.fault ?? 'reserved'] : Fault.NotPresent;
  row[Row.SizeLg2] = Size.None;
  if (rule.kind === 'absent' || rule.kind === 'refused') return row;

  const above = d.beyondWidth === 'unchecked' ? { hi: 0, lo: 0 } : aboveWidth(d);
  const named = { hi: 0, lo: 0 };
  for (const range of rule.reserved) addBits(named, range, -1);
  put(Row.ReservedHi, { hi: above.hi | named.hi, lo: above.lo | named.lo });
  if (d.beyondWidth === 'output-size') put(Row.WidthHi, { hi: above.hi & ~named.hi, lo: above.lo & ~named.lo });
  row[Row.Used] = lowWord(d, rule.setWhenUsed);
  row[Row.UpdateFault] = d.updates === 'fault' ? Fault.AccessFlag : Fault.None;

  const natural = naturalSize(d, level);
  if (rule.kind === 'table') {
    const next = rule.nextLevel ?? level - 1;
    row[Row.SizeLg2] = Size.Table;
    row[Row.Skipped] = level - 1 - next;
    put(Row.SkipHi, inputBits(naturalSize(d, next + 1), natural));
    return row;
  }
  row[Row.DirtyMask] = lowWord(d, Object.fromEntries(Object.keys(rule.dirty).map((name) => [name, -1])));
  row[Row.DirtyValue] = lowWord(d, rule.dirty);
  row[Row.OffsetLg2] = natural;
  row[Row.SizeLg2] = natural + (rule.contiguousLg2 ?? 0);
  if (rule.sizeCode !== undefined) {
    row[Row.SizeLg2] = Size.Coded;
    row[Row.CodeInvert] = rule.sizeCode.form === 'ones' ? -1 : 0;
    row[Row.LeastLg2] = rule.sizeCode.least;
    row[Row.MostLg2] = rule.sizeCode.most;
  }
  if (d.global === undefined) row[Row.GlobalValue] = -1;
  else {
    row[Row.GlobalMask] = lowWord(d, { [d.global.field]: -1 });
    row[Row.GlobalValue] = lowWord(d, { [d.global.field]: d.global.value });
  }
  return row;
}
