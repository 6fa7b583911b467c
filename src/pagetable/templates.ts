/** What software writes: leaf and table entries without their address. Set-up code only. */
import { rangeOf, wordOf } from './bits.js';
import type { EntryRule, FieldValues, FormatDescription } from './description.js';
import { Permission } from './row.js';
import { alternatives, type CompiledRule, grantsOf, naturalSize } from './rule.js';

/** Permission sets that software chooses from: R, W, X and User; the others follow from them. */
export const SETS = 16;

/** A permission that is not wanted has its (one-bit) fields the other way round. */
function leafValues(rule: EntryRule, permissions: number): FieldValues {
  const values: Record<string, number> = { ...rule.when, ...rule.preset };
  const execute = (permissions & Permission.Execute) !== 0;
  const wanted = permissions | Permission.Supervisor | (execute ? Permission.SupervisorExecute : 0);
  for (const [bit, grant] of grantsOf(rule)) {
    const first = alternatives(grant)?.[0] ?? {};
    for (const [name, value] of Object.entries(first)) values[name] = (wanted & bit) !== 0 ? value : 1 - value;
  }
  if ((permissions & Permission.Write) !== 0) Object.assign(values, rule.presetIfWritable);
  return values;
}

/** Address bits that encode a size: low ones, or a single one, just below half of it. */
function codeOf(rule: EntryRule, granuleLg2: number, sizeLg2: number): number {
  if (rule.sizeCode === undefined) return 0;
  const marker = 2 ** (sizeLg2 - 1);
  return rule.sizeCode.form === 'napot' ? marker : marker - 2 ** granuleLg2;
}

export class Templates {
  /** log2 of leaf sizes, largest first; the level of each size (0: no such leaf), and log2 of the entries one leaf takes. */
  readonly leafSizes: readonly number[];
  readonly levelOfSize = new Int8Array(64);
  readonly slotsLg2 = new Int8Array(64);
  /** By size: address increment from one entry of a leaf to the next; 0 where all are identical. */
  readonly slotStep = new Float64Array(64);
  /** By (size << 4 | permissions): high and low word of a leaf entry, size code included. */
  readonly leafHi = new Int32Array(64 * SETS);
  readonly leafLo = new Int32Array(64 * SETS);
  /** By level: high and low word of a table entry. */
  readonly tableHi: Int32Array;
  readonly tableLo: Int32Array;
  /** Permissions that a leaf written for a permission set grants, by set; -1 where the format cannot express the set. */
  readonly granted = new Int8Array(SETS).fill(-1);

  constructor(d: FormatDescription, rules: readonly CompiledRule[], top: number) {
    const shift = d.address.lowestBit - rangeOf(d, d.address.field)[1];
    this.tableHi = new Int32Array(top + 1);
    this.tableLo = new Int32Array(top + 1);
    for (let level = 1; level <= top; level++) {
      for (const compiled of rules) if (compiled.covers(level)) this.add(d, compiled.rule, level, 2 ** shift);
    }
    this.leafSizes = Array.from({ length: 64 }, (_, i) => 63 - i).filter((size) => this.levelOfSize[size] !== 0);
    const smallest = this.leafSizes.at(-1) ?? 0;
    const level = this.levelOfSize[smallest]!;
    for (let set = 0; set < SETS; set++) {
      const [hi, lo] = [this.leafHi[smallest * SETS + set]!, this.leafLo[smallest * SETS + set]!];
      const written = rules.find((rule) => rule.matches(level, hi, lo));
      if (written?.rule.kind === 'leaf') this.granted[set] = written.permissions(hi, lo);
    }
  }

  private add(d: FormatDescription, rule: EntryRule, level: number, scale: number): void {
    if (rule.kind === 'table' && (rule.nextLevel ?? level - 1) === level - 1 && this.tableLo[level] === 0) {
      const word = wordOf(d, { ...rule.when, ...rule.preset });
      this.tableHi[level] = word.hi;
      this.tableLo[level] = word.lo;
    }
    if (rule.kind !== 'leaf') return;
    const natural = naturalSize(d, level);
    const { sizeCode } = rule;
    const whole = natural + (rule.contiguousLg2 ?? 0);
    const words = Array.from({ length: SETS }, (_, set) => wordOf(d, leafValues(rule, set)));
    for (let size = sizeCode?.least ?? whole; size <= (sizeCode?.most ?? whole); size++) {
      if (this.levelOfSize[size] !== 0 || d.avoidedSizes?.includes(size) === true) continue;
      this.levelOfSize[size] = level;
      this.slotsLg2[size] = size - natural;
      this.slotStep[size] = sizeCode === undefined ? 2 ** natural : 0;
      const code = codeOf(rule, d.granuleLg2, size) / scale;
      for (const [set, word] of words.entries()) {
        this.leafHi[size * SETS + set] = word.hi | ((code / 4294967296) | 0);
        this.leafLo[size * SETS + set] = word.lo | code;
      }
    }
  }
}
