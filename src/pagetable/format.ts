/**
 * Compiles a `FormatDescription` into shifts, masks and one classification table, which is all the walk and the map/unmap
 * code ever see: the bits of an entry that matter, side by side, select a row with its kind, permissions and reserved bits.
 */
import { Access } from '../protocol/access.js';
import { addBits, findRuns, hasValues, type Run, rangeOf, type Word, wordOf } from './bits.js';
import type { BitRange, EntryRule, FieldValues, FormatDescription, Grant } from './description.js';

/** The bits of an entry's permission set; the first three are `Access`. A request made with user privilege needs `User`. */
export const enum Permission {
  Read = 1,
  Write = 2,
  Execute = 4,
  User = 8,
  All = 15,
}

export const enum EntryKind {
  Absent,
  Table,
  Leaf,
}

/** Columns of `Format.rows`. */
export const enum Row {
  Kind,
  Permissions,
  /** Leaf: log2 of its size. */
  SizeLg2,
  ReservedHi,
  ReservedLo,
  UsedHi,
  UsedLo,
  WrittenHi,
  WrittenLo,
  Stride = 16,
}

/** log2 of what one entry at `level` covers. */
function naturalSize(d: FormatDescription, level: number): number {
  return d.granuleLg2 + (level - 1) * d.indexBits;
}

function covers(rule: EntryRule, level: number): boolean {
  return level >= rule.levels[0] && level <= rule.levels[1];
}

/** Bits of an entry that some rule or grant looks at. */
function selectingBits(d: FormatDescription): number[] {
  const bits: number[] = [];
  for (const rule of d.rules) {
    const grants = Object.values(rule.grants).filter((grant) => grant !== 'always');
    for (const name of [rule.when, ...grants].flatMap((values) => Object.keys(values))) {
      const [high, low] = rangeOf(d, name);
      for (let bit = low; bit <= high; bit++) bits.push(bit);
    }
  }
  return bits;
}

function ruleFor(d: FormatDescription, level: number, word: Word): EntryRule {
  const rule = d.rules.find((candidate) => covers(candidate, level) && hasValues(d, word, candidate.when));
  if (rule === undefined) throw new RangeError(`${d.name}: no rule for a level ${level} entry`);
  return rule;
}

function grantsOf(rule: EntryRule): readonly (readonly [Grant, Permission])[] {
  const { read, write, execute, user } = rule.grants;
  return [
    [read, Permission.Read],
    [write, Permission.Write],
    [execute, Permission.Execute],
    [user, Permission.User],
  ];
}

function grantedBy(d: FormatDescription, rule: EntryRule, word: Word): number {
  let permissions = 0;
  for (const [grant, bit] of grantsOf(rule)) {
    if (grant === 'always' || hasValues(d, word, grant)) permissions |= bit;
  }
  return permissions;
}

/** What software writes into a leaf: a permission that is not wanted has its (one-bit) fields the other way round. */
function leafValues(leaf: EntryRule, permissions: number): FieldValues {
  const values: Record<string, number> = { ...leaf.when, ...leaf.preset };
  if ((permissions & Permission.Write) !== 0) Object.assign(values, leaf.presetIfWritable);
  for (const [grant, bit] of grantsOf(leaf)) {
    if (grant === 'always') continue;
    for (const [name, value] of Object.entries(grant)) values[name] = (permissions & bit) !== 0 ? value : 1 - value;
  }
  return values;
}

/** Collects the distinct rows. */
class RowTable {
  readonly words: number[] = [];
  private readonly known = new Map<string, number>();

  constructor(private readonly d: FormatDescription) {}

  /** Offset of the row for an entry with these selecting bits. */
  rowFor(level: number, word: Word): number {
    const { d } = this;
    const rule = ruleFor(d, level, word);
    const reserved = { hi: 0, lo: 0 };
    const [top, low] = rangeOf(d, d.address.field);
    const aboveHost: BitRange = [top, d.hostAddressWidth - d.address.lowestBit + low];
    for (const range of [...rule.reserved, aboveHost]) addBits(reserved, range, -1);
    const used = wordOf(d, rule.setWhenUsed);
    const written = wordOf(d, rule.setWhenWritten);
    const kind = { absent: EntryKind.Absent, table: EntryKind.Table, leaf: EntryKind.Leaf }[rule.kind];
    const row = [
      ...[kind, grantedBy(d, rule, word), rule.kind === 'leaf' ? naturalSize(d, level) : 0],
      ...[reserved.hi, reserved.lo, used.hi, used.lo, written.hi, written.lo],
    ];
    while (row.length < Row.Stride) row.push(0);
    const key = row.join();
    const offset = this.known.get(key) ?? this.words.push(...row) - Row.Stride;
    this.known.set(key, offset);
    return offset;
  }
}

/**
 * A compiled format. Plain int32 fields and typed arrays; two formats differ in numbers only.
 * Hot path: read by every step of every walk.
 */
export class Format {
  readonly name: string;
  readonly source: string;
  readonly granuleLg2: number;
  readonly heights: readonly number[];
  readonly signExtended: boolean;
  readonly hostAddressWidth: number;

  /** Selector: four bit runs of the entry, side by side. `lowA` = (lo >>> shift & mask) << position, and so on. */
  readonly lowAShift: number;
  readonly lowAMask: number;
  readonly lowBShift: number;
  readonly lowBMask: number;
  readonly lowBPosition: number;
  readonly highAShift: number;
  readonly highAMask: number;
  readonly highAPosition: number;
  readonly highBShift: number;
  readonly highBMask: number;
  readonly highBPosition: number;
  readonly selectorBits: number;
  /** Row of `rows` (already multiplied by the stride) by level << selectorBits | selector. */
  readonly rowOf: Uint16Array;
  readonly rows: Int32Array;

  readonly addressMaskHi: number;
  readonly addressMaskLo: number;
  /** The address is (entry & mask) << addressShift. */
  readonly addressShift: number;
  readonly addressScale: number;
  readonly earlyPermissions: number;

  /** By level: lowest input bit of the index, minus 3 so that the result is a byte offset. */
  readonly indexShift: Int32Array;
  /** Index mask times 8, of a root table and of all others. */
  readonly rootMask: number;
  readonly indexMask: number;
  readonly tableBytes: number;
  readonly rootBytes: number;
  /** By table height: inputHi >> shift must be zero, or `otherTop`. */
  readonly inputShift: Int32Array;
  readonly otherTop: number;

  /** By level: bytes one entry covers. */
  readonly span: Float64Array;
  /** log2 of leaf sizes, largest first, and the level of each size. */
  readonly leafSizes: readonly number[];
  readonly levelOfSize: Int8Array;
  /** Leaf entry without address by (level << 4 | permissions): high and low word. */
  readonly leafHi: Int32Array;
  readonly leafLo: Int32Array;
  readonly tableHi: number;
  readonly tableLo: number;
  /** Permissions that a leaf written for a permission set grants, by set; -1 where the format cannot express the set. */
  readonly granted: Int8Array;

  constructor(d: FormatDescription) {
    this.name = d.name;
    this.source = d.source;
    this.granuleLg2 = d.granuleLg2;
    this.heights = d.heights;
    this.signExtended = d.signExtended;
    this.hostAddressWidth = d.hostAddressWidth;
    this.earlyPermissions = d.earlyPermissions;
    const top = Math.max(...d.heights);

    const addressMask = wordOf(d, { [d.address.field]: -1 });
    this.addressMaskHi = addressMask.hi;
    this.addressMaskLo = addressMask.lo;
    this.addressShift = d.address.lowestBit - rangeOf(d, d.address.field)[1];
    this.addressScale = 1 << this.addressShift;

    const selecting = selectingBits(d);
    const [lowA, lowB] = findRuns(
      selecting.filter((bit) => bit < 32),
      0,
    );
    const lowBits = lowA.width + lowB.width;
    const [highA, highB] = findRuns(
      selecting.filter((bit) => bit >= 32),
      lowBits,
    );
    this.selectorBits = lowBits + highA.width + highB.width;
    if (this.selectorBits > 12) throw new RangeError(`${d.name}: ${this.selectorBits} classifying bits, at most 12`);
    this.lowAShift = lowA.low;
    this.lowAMask = lowA.mask;
    this.lowBShift = lowB.low;
    this.lowBMask = lowB.mask;
    this.lowBPosition = lowB.position;
    this.highAShift = highA.low;
    this.highAMask = highA.mask;
    this.highAPosition = highA.position;
    this.highBShift = highB.low;
    this.highBMask = highB.mask;
    this.highBPosition = highB.position;

    const rows = new RowTable(d);
    this.rowOf = new Uint16Array((top + 1) << this.selectorBits);
    for (let level = 1; level <= top; level++) {
      for (let selector = 0; selector < 1 << this.selectorBits; selector++) {
        const part = (run: Run): number => ((selector >> run.position) & run.mask) << run.low;
        const word = { hi: part(highA) | part(highB), lo: part(lowA) | part(lowB) };
        this.rowOf[(level << this.selectorBits) | selector] = rows.rowFor(level, word);
      }
    }
    this.rows = Int32Array.from(rows.words);

    const byLevel = (value: (level: number) => number): number[] =>
      Array.from({ length: top + 1 }, (_, level) => (level === 0 ? 0 : value(level)));
    this.tableBytes = 8 << d.indexBits;
    this.rootBytes = this.tableBytes << d.rootExtraBits;
    this.indexMask = this.tableBytes - 8;
    this.rootMask = this.rootBytes - 8;
    this.indexShift = Int32Array.from(byLevel((level) => naturalSize(d, level) - 3));
    this.span = Float64Array.from(byLevel((level) => 2 ** naturalSize(d, level)));
    this.otherTop = d.signExtended ? -1 : 0;
    this.inputShift = Int32Array.from(
      byLevel((height) => {
        const width = Math.min(naturalSize(d, height + 1) + d.rootExtraBits, d.inputLimitLg2);
        return width - (d.signExtended ? 33 : 32);
      }),
    );

    this.levelOfSize = new Int8Array(64);
    this.leafHi = new Int32Array((top + 1) << 4);
    this.leafLo = new Int32Array((top + 1) << 4);
    this.granted = new Int8Array(16).fill(-1);
    for (let level = 1; level <= top; level++) {
      const leaf = d.rules.find((rule) => rule.kind === 'leaf' && covers(rule, level));
      if (leaf === undefined) continue;
      this.levelOfSize[naturalSize(d, level)] = level;
      for (let permissions = 0; permissions <= Permission.All; permissions++) {
        const word = wordOf(d, leafValues(leaf, permissions));
        this.leafHi[(level << 4) | permissions] = word.hi;
        this.leafLo[(level << 4) | permissions] = word.lo;
        if (level === 1 && ruleFor(d, 1, word).kind === 'leaf') this.granted[permissions] = grantedBy(d, leaf, word);
      }
    }
    this.leafSizes = Array.from({ length: 64 }, (_, i) => 63 - i).filter((size) => this.levelOfSize[size] !== 0);

    const table = d.rules.find((rule) => rule.kind === 'table');
    const tableWord = wordOf(d, table === undefined ? {} : { ...table.when, ...table.preset });
    this.tableHi = tableWord.hi;
    this.tableLo = tableWord.lo;
  }

  /** Bits of input address that tables of `height` levels translate. */
  inputWidth(height: number): number {
    return this.inputShift[height]! + (this.signExtended ? 33 : 32);
  }

  /** Software maps below this address (exclusive); of canonical addresses only the lower half. Cold. */
  mappableBytes(height: number): number {
    return 2 ** (this.inputWidth(height) - (this.signExtended ? 1 : 0));
  }

  /** Offset into `rows` for an entry of a table at `level`. Hot path. */
  classify(level: number, hi: number, lo: number): number {
    return this.rowOf[
      (level << this.selectorBits) |
        ((lo >>> this.lowAShift) & this.lowAMask) |
        (((lo >>> this.lowBShift) & this.lowBMask) << this.lowBPosition) |
        (((hi >>> this.highAShift) & this.highAMask) << this.highAPosition) |
        (((hi >>> this.highBShift) & this.highBMask) << this.highBPosition)
    ]!;
  }

  /** Index of the leaf templates for `access`; -1 if no present entry has it (VT-d second stage: neither R nor W). Cold. */
  permissionsFor(access: Access): number {
    const permissions = (access & (Access.Read | Access.Write | Access.Execute)) | Permission.User;
    return this.granted[permissions]! < 0 ? -1 : permissions;
  }

  /** Address field of an entry as a double. Cold. */
  addressOf(hi: number, lo: number): number {
    const field = ((hi & this.addressMaskHi) >>> 0) * 4294967296 + ((lo & this.addressMaskLo) >>> 0);
    return field * this.addressScale;
  }
}

/** Formats by description. They never change, and compiling one takes a millisecond: every machine of a sweep needs the same. */
const COMPILED = new Map<string, Format>();

/** Compiles a description. Throws RangeError for a field that is not declared or a level no rule covers. Cold. */
export function compileFormat(description: FormatDescription): Format {
  const key = JSON.stringify(description);
  const known = COMPILED.get(key);
  if (known !== undefined) return known;
  const format = new Format(description);
  COMPILED.set(key, format);
  return format;
}
