/**
 * Page-table walks in BigInt, one function per entry format, written from the specifications and as far from the compiled formats as
 * possible: no tables, no masks, no shared code. Slow; the reference that random words are compared with.
 */
import { Permission } from '../format.js';
import { Fault } from '../walk.js';

export interface Request {
  readonly input: bigint;
  /** Permission bits needed, and those that may be used later. */
  readonly need: number;
  readonly intent: number;
}

/** What one entry says: the walk fails, goes on at a table, or is over. `word` is what the entry becomes. */
export type Verdict =
  | { readonly fault: Fault }
  | { readonly table: bigint; readonly level: number; readonly granted: number; readonly word: bigint }
  | {
      readonly out: bigint;
      readonly sizeLg2: number;
      readonly granted: number;
      readonly word: bigint;
      readonly clean: boolean;
      readonly global: boolean;
    };

/** `granted`: permissions of the entries above. */
export type NaiveEntry = (word: bigint, level: number, request: Request, granted: number) => Verdict;

export interface NaiveFormat {
  readonly granuleLg2: number;
  readonly indexBits: number;
  readonly signExtended: boolean;
  /** Bits above the width may all be ones. */
  readonly upperHalf?: boolean;
  readonly entry: NaiveEntry;
}

export function bits(word: bigint, high: number, low: number): bigint {
  return (word >> BigInt(low)) & ((1n << BigInt(high - low + 1)) - 1n);
}

export function bit(word: bigint, at: number): boolean {
  return bits(word, at, at) === 1n;
}

/** The page at `address` (its low bits are ignored) with the low `sizeLg2` bits of the input. */
export function within(address: bigint, sizeLg2: number, input: bigint): bigint {
  const offset = (1n << BigInt(sizeLg2)) - 1n;
  return (address & ~offset) | (input & offset);
}

export function setBits(...conditions: readonly (readonly [Permission, boolean])[]): number {
  return conditions.reduce((set, [permission, holds]) => (holds ? set | permission : set), 0);
}

/** The fault of a request that lacks permissions, or null. */
export function refusal(need: number, granted: number): Fault | null {
  const lacks = (permission: Permission): boolean => (need & permission) !== 0 && (granted & permission) === 0;
  if (lacks(Permission.User) || lacks(Permission.Supervisor)) return Fault.Privilege;
  if (lacks(Permission.Write)) return Fault.WriteDenied;
  if (lacks(Permission.Read)) return Fault.ReadDenied;
  if (lacks(Permission.Execute) || lacks(Permission.SupervisorExecute)) return Fault.ExecuteDenied;
  return null;
}

/** Whether this request makes a page that grants `granted` dirty. */
export function dirties(request: Request, granted: number): boolean {
  return ((request.need | request.intent) & granted & Permission.Write) !== 0;
}

export interface NaiveRead {
  readonly address: bigint;
  readonly level: number;
  readonly before: bigint;
  readonly after: bigint;
}

export interface NaiveResult {
  readonly reads: readonly NaiveRead[];
  readonly fault: Fault;
  readonly out: bigint;
  readonly sizeLg2: number;
  readonly granted: number;
  readonly clean: boolean;
  readonly global: boolean;
}

const FAILED = { out: 0n, sizeLg2: 0, granted: 0, clean: false, global: false };

/** Walks from `root`; `load` gives the word at an address, `store` takes its accessed and dirty updates. */
export function naiveWalk(
  format: NaiveFormat,
  request: Request,
  root: bigint,
  height: number,
  inputLg2: number,
  load: (address: bigint, level: number) => bigint,
  store: (address: bigint, word: bigint) => void = () => {},
): NaiveResult {
  const { input } = request;
  const reads: NaiveRead[] = [];
  if (format.signExtended) {
    const extended = BigInt.asUintN(64, BigInt.asIntN(inputLg2, input));
    if (extended !== input) return { ...FAILED, reads, fault: Fault.NonCanonical };
  } else if (!zerosAbove(input, inputLg2) && !(format.upperHalf === true && zerosAbove(~input, inputLg2)))
    return { ...FAILED, reads, fault: Fault.AddressWidth };
  let table = root;
  let level = height;
  let granted: number = Permission.All;
  for (;;) {
    const low = format.granuleLg2 + (level - 1) * format.indexBits;
    const top = level === height ? inputLg2 : low + format.indexBits;
    const index = top > low ? bits(input, Math.min(top, 64) - 1, low) : 0n;
    const address = table | (index * 8n);
    const before = load(address, level);
    const verdict = format.entry(before, level, request, granted);
    if ('fault' in verdict) {
      reads.push({ address, level, before, after: before });
      return { ...FAILED, reads, fault: verdict.fault };
    }
    reads.push({ address, level, before, after: verdict.word });
    if (verdict.word !== before) store(address, verdict.word);
    granted = verdict.granted;
    if ('out' in verdict) return { ...verdict, reads, fault: Fault.None };
    table = verdict.table;
    level = verdict.level;
  }
}

function zerosAbove(input: bigint, lg2: number): boolean {
  return BigInt.asUintN(64, input) >> BigInt(lg2) === 0n;
}
