/**
 * Compiles a `FormatDescription` into shifts, masks and one classification table, which is all the walk and the map/unmap
 * code ever see: the bits of an entry that matter, side by side, select a row with its kind, permissions and reserved bits.
 */
import { Access } from '../protocol/access.js';
import { findRuns, type Run, rangeOf, wordOf } from './bits.js';
import type { FormatDescription } from './description.js';
import { Permission, Row } from './row.js';
import { CompiledRule, naturalSize, selectingBits } from './rule.js';
import { Templates } from './templates.js';

export { EntryKind, Permission, Row, Size } from './row.js';

/** At most this many bits classify an entry. */
const SELECTOR_LIMIT = 13;

/** Collects the distinct rows. */
class RowTable {
  readonly words: number[] = [];
  private readonly known = new Map<string, number>();

  constructor(
    private readonly name: string,
    private readonly rules: readonly CompiledRule[],
  ) {}

  /** Offset of the row for an entry with these selecting bits. */
  rowFor(level: number, hi: number, lo: number): number {
    const { rules } = this;
    const index = rules.findIndex((rule) => rule.matches(level, hi, lo));
    const rule = rules[index];
    if (rule === undefined) throw new RangeError(`${this.name}: no rule for a level ${level} entry`);
    const key = `${index} ${level} ${rule.permissions(hi, lo)}`;
    let offset = this.known.get(key);
    if (offset === undefined) {
      offset = this.words.push(...rule.row(level, hi, lo)) - Row.Stride;
      this.known.set(key, offset);
    }
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
  /** Named bit fields of an entry, and the one that holds its address: for people. */
  readonly fields: FormatDescription['fields'];
  readonly addressField: string;
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

  /** The address is (entry & mask) << addressShift, and its upper half also holds (lo & carryMask) rotated left by carryShift. */
  readonly addressMaskHi: number;
  readonly addressMaskLo: number;
  readonly addressShift: number;
  /** 2^-addressShift: a product is faster than a quotient, and as exact. */
  readonly addressUnit: number;
  readonly carryMask: number;
  readonly carryShift: number;
  /** The part of `carryMask` that is a field of its own. */
  readonly topMask: number;
  readonly earlyPermissions: number;

  /** As a first stage: `Walk.intent` of the second-stage walks for its tables. */
  readonly tableIntent: number;
  readonly updatesAtOnce: boolean;

  /** By level: lowest input bit of the index, minus 3 so that the result is a byte offset. */
  readonly indexShift: Int32Array;
  /** Index mask times 8 of every table but the root. */
  readonly indexMask: number;
  readonly tableBytes: number;
  /** Input bits that must agree with each other besides those above the width: 1 if sign-extended; and what they may be if not 0. */
  readonly signBits: number;
  readonly otherTop: number;
  /** By table height: bits of the widest input address. */
  readonly inputWidths: Int32Array;

  /** By level: bytes one entry covers. */
  readonly span: Float64Array;
  /** What software writes. */
  readonly templates: Templates;

  constructor(d: FormatDescription) {
    this.name = d.name;
    this.source = d.source;
    this.fields = d.fields;
    this.addressField = d.address.field;
    this.granuleLg2 = d.granuleLg2;
    this.heights = d.heights;
    this.signExtended = d.signExtended;
    this.hostAddressWidth = d.hostAddressWidth;
    this.earlyPermissions = d.earlyPermissions;
    this.updatesAtOnce = d.updatesAtOnce === true;
    this.tableIntent = d.marksTables === true ? Permission.Write : 0;
    const top = Math.max(...d.heights);

    const addressMask = wordOf(d, { [d.address.field]: -1 });
    this.addressMaskHi = addressMask.hi;
    this.addressMaskLo = addressMask.lo;
    this.addressShift = d.address.lowestBit - rangeOf(d, d.address.field)[1];
    this.addressUnit = 1 / (1 << this.addressShift);
    this.topMask = d.addressTop === undefined ? 0 : wordOf(d, { [d.addressTop.field]: -1 }).lo;
    if (d.addressTop === undefined) {
      this.carryMask = addressMask.lo & ~(-1 >>> this.addressShift);
      this.carryShift = this.addressShift;
    } else {
      if (this.addressShift !== 0) throw new RangeError(`${d.name}: an address both shifted and in two fields`);
      this.carryMask = this.topMask;
      this.carryShift = d.addressTop.lowestBit - 32 - rangeOf(d, d.addressTop.field)[1];
    }

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
    if (this.selectorBits > SELECTOR_LIMIT) {
      throw new RangeError(`${d.name}: ${this.selectorBits} classifying bits, at most ${SELECTOR_LIMIT}`);
    }
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

    const rules = d.rules.map((rule) => new CompiledRule(d, rule));
    const rows = new RowTable(d.name, rules);
    this.rowOf = new Uint16Array((top + 1) << this.selectorBits);
    for (let level = 1; level <= top; level++) {
      for (let selector = 0; selector < 1 << this.selectorBits; selector++) {
        const part = (run: Run): number => ((selector >> run.position) & run.mask) << run.low;
        const row = rows.rowFor(level, part(highA) | part(highB), part(lowA) | part(lowB));
        this.rowOf[(level << this.selectorBits) | selector] = row;
      }
    }
    this.rows = Int32Array.from(rows.words);

    const byLevel = (value: (level: number) => number): number[] =>
      Array.from({ length: top + 1 }, (_, level) => (level === 0 ? 0 : value(level)));
    this.tableBytes = 8 << d.indexBits;
    this.indexMask = this.tableBytes - 8;
    this.indexShift = Int32Array.from(byLevel((level) => naturalSize(d, level) - 3));
    this.span = Float64Array.from(byLevel((level) => 2 ** naturalSize(d, level)));
    this.signBits = d.signExtended ? 1 : 0;
    this.otherTop = d.signExtended || d.upperHalf === true ? -1 : 0;
    this.inputWidths = Int32Array.from(
      byLevel((height) => Math.min(naturalSize(d, height + 1) + d.rootExtraBits, d.inputLimitLg2)),
    );
    this.templates = new Templates(d, rules, top);
  }

  /** Bits of the widest input address that tables of `height` levels translate. */
  inputWidth(height: number): number {
    return this.inputWidths[height]!;
  }

  /** Bytes of a root table of `height` levels for input addresses of `inputLg2` bits. */
  rootBytes(height: number, inputLg2: number): number {
    return 8 << Math.max(0, inputLg2 - this.indexShift[height]! - 3);
  }

  /** Software maps below this address (exclusive); of canonical addresses only the lower half. Cold. */
  mappableBytes(inputLg2: number): number {
    return 2 ** (inputLg2 - this.signBits);
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

  /** Upper and lower half of the address in an entry. Hot path. */
  addressHi(hi: number, lo: number): number {
    const carry = lo & this.carryMask;
    const rotated = (carry << this.carryShift) | (carry >>> (32 - this.carryShift));
    return ((hi & this.addressMaskHi) << this.addressShift) | rotated;
  }

  addressLo(lo: number): number {
    return (lo & this.addressMaskLo) << this.addressShift;
  }

  /** log2 of the size that the address field of a leaf encodes, 0 for a code that is reserved. */
  codedSize(row: number, addressHi: number, addressLo: number): number {
    const rows = this.rows;
    const invert = rows[row + Row.CodeInvert]!;
    const granule = this.granuleLg2;
    const low = (addressLo ^ invert) >>> granule;
    const high = addressHi ^ invert;
    const zeros = low !== 0 ? 31 - Math.clz32(low & -low) : 32 - granule + 31 - Math.clz32(high & -high);
    const size = granule + 1 + zeros;
    return size < rows[row + Row.LeastLg2]! || size > rows[row + Row.MostLg2]! ? 0 : size;
  }

  /** Index of the leaf templates for `access`; -1 if no present entry has it (VT-d second stage: neither R nor W). Cold. */
  permissionsFor(access: Access): number {
    const permissions = (access & (Access.Read | Access.Write | Access.Execute)) | Permission.User;
    return this.templates.granted[permissions]! < 0 ? -1 : permissions;
  }

  /** Address field of an entry as a double. Cold. */
  addressOf(hi: number, lo: number): number {
    return (this.addressHi(hi, lo) >>> 0) * 4294967296 + (this.addressLo(lo) >>> 0);
  }

  /** Upper and lower word of the address field for an address (a double). */
  fieldHi(address: number): number {
    return ((address * this.addressUnit) / 4294967296) & this.addressMaskHi;
  }

  fieldLo(address: number): number {
    const top = ((address / 4294967296) >>> this.carryShift) & this.topMask;
    return ((address * this.addressUnit) & this.addressMaskLo) | top;
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
