/** Entries as text: raw words, named fields, and what a page-table entry does. */
import type { EntryField, EntryLayout } from '../../iommu/entry-layout.js';
import { wordOf } from '../vectors/bench.js';
import { EntryKind, type Format, Permission, Row } from '../../pagetable/format.js';

/** The 64-bit words of an entry given as dwords. */
export function wordsOf(dwords: Int32Array): bigint[] {
  return Array.from({ length: dwords.length / 2 }, (_, i) => {
    return wordOf(dwords[2 * i + 1]!, dwords[2 * i]!);
  });
}

/** 0x and groups of four digits, as an address is read. */
export function hex(value: bigint): string {
  const digits = value.toString(16);
  return `0x${digits.replace(/\B(?=(?:[0-9a-f]{4})+$)/g, '_')}`;
}

/** A number: decimal below ten, hexadecimal from there on. */
export function short(value: bigint | number): string {
  return value < 10 ? `${value}` : hex(BigInt(value));
}

/** A word with all its digits. */
export function rawWord(word: bigint): string {
  return `0x${word.toString(16).padStart(16, '0')}`;
}

/** Bits `high` to `low` of an entry of any size. */
function bitsOf(words: readonly bigint[], high: number, low: number): bigint {
  const all = words.reduce((sum, word, i) => sum | (word << BigInt(64 * i)), 0n);
  return (all >> BigInt(low)) & ((1n << BigInt(high - low + 1)) - 1n);
}

export interface DecodedField {
  readonly name: string;
  /** `63:12`, or `0`. */
  readonly bits: string;
  readonly value: string;
  readonly meaning: string;
}

export function decodeEntry(layout: EntryLayout, words: readonly bigint[]): DecodedField[] {
  return layout.fields.map((field) => {
    const { name, high, low, meaning } = field;
    return { name, bits: range(high, low), value: fieldValue(field, bitsOf(words, high, low)), meaning };
  });
}

function range(high: number, low: number): string {
  return high === low ? `${low}` : `${high}:${low}`;
}

function fieldValue({ low, values, address }: EntryField, bits: bigint): string {
  if (address === true) return hex(bits << BigInt(low % 64));
  const text = short(bits);
  const name = values?.[Number(bits)];
  return name === undefined ? text : `${text} (${name})`;
}

/** Fields of a page-table entry in one line; the address field is shown in place. */
export function tableFields(format: Format, word: bigint): string {
  const ascending = Object.entries(format.fields).sort(([, a], [, b]) => a[1] - b[1]);
  return ascending
    .map(([name, [high, low]]) => {
      const bits = bitsOf([word], high, low);
      if (name !== format.addressField) return `${name}=${short(bits)}`;
      const hi = Number(word >> 32n) | 0;
      const lo = Number(word & 0xffffffffn) | 0;
      return `${name}=${hex(addressOf(format, hi, lo))}`;
    })
    .join(' ');
}

export function addressOf(format: Format, hi: number, lo: number): bigint {
  return wordOf(format.addressHi(hi, lo), format.addressLo(lo));
}

const NAMES: readonly (readonly [Permission, string])[] = [
  [Permission.Read, 'read'],
  [Permission.Write, 'write'],
  [Permission.Execute, 'execute'],
  [Permission.User, 'user'],
  [Permission.Supervisor, 'supervisor'],
  [Permission.SupervisorExecute, 'supervisor-execute'],
];

export function permissionNames(permissions: number): string {
  const names = NAMES.filter(([bit]) => (permissions & bit) !== 0).map(([, name]) => name);
  return names.length === 0 ? 'nothing' : names.join(' ');
}

/** What a page-table entry is, and grants. */
export function tableMeaning(format: Format, level: number, hi: number, lo: number): string {
  const row = format.classify(level, hi, lo);
  const { rows } = format;
  const grants = permissionNames(rows[row + Row.Permissions]!);
  const reserved = wordOf(hi & rows[row + Row.ReservedHi]!, lo & rows[row + Row.ReservedLo]!);
  if (reserved !== 0n) return `reserved bits that are set: ${bitNumbers(reserved)}`;
  switch (rows[row + Row.Kind]! as EntryKind) {
    case EntryKind.Absent:
      return 'not present';
    case EntryKind.Refused:
      return 'not a legal entry at this level';
    case EntryKind.Table:
      return `points to a level ${level - 1 - rows[row + Row.Skipped]!} table at ${hex(addressOf(format, hi, lo))}; grants ${grants}`;
    case EntryKind.Leaf:
      return `maps a page; grants ${grants}`;
  }
}

function bitNumbers(word: bigint): string {
  const bits = Array.from({ length: 64 }, (_, i) => 63 - i).filter((bit) => ((word >> BigInt(bit)) & 1n) === 1n);
  return bits.join(', ');
}

/** `4 KiB`. */
export function sizeName(lg2: number): string {
  const units = ['bytes', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB', 'EiB'];
  const unit = Math.floor(lg2 / 10);
  return `${2 ** (lg2 - 10 * unit)} ${units[unit]}`;
}
