/**
 * One table walk for all formats, as two functions over a plain record: whoever owns time reads the word the record asks for
 * and hands it to `stepWalk`. Nothing is allocated, nothing is virtual, all fields are int32.
 * Hot path: bench `walk`.
 */
import type { PhysicalMemory } from '../memory/physical.js';
import { exclude } from './exclusion.js';
import { Fault } from './fault.js';
import { type Format, Permission, Row, Size } from './format.js';

export { Fault } from './fault.js';

/** What the walk wants next. */
export const enum Step {
  /** The word at entryHi:entryLo. */
  Read,
  /** Nothing: the translation is in the record. */
  Done,
  /** Nothing: see `fault`. */
  Fault,
  /** Two-stage walks only: the host address of guestHi:guestLo. */
  Translate,
}

export class Walk {
  /** Input byte address. Set by the caller. */
  inputHi = 0;
  inputLo = 0;
  /** What the request needs: `Permission` bits. 0: check nothing. */
  access = 0;
  /** What it may use later without needing it now (ATS): a leaf that grants Write to an intended write is marked dirty. */
  intent = 0;
  /** `Exclusion` bits: permissions that the leaf loses because of others. */
  exclusions = 0;

  /** Level of the entry to read next; of the leaf when done; of the offending entry after a fault (0: none was read). */
  level = 0;
  /** Address of the table that holds the entry to read next. After a step, together with `level` and `permissions`, what a
   *  paging-structure cache keeps for the entry just consumed. */
  tableHi = 0;
  tableLo = 0;
  /** Address of the entry to read next, or of the entry last consumed when done or at fault. */
  entryHi = 0;
  entryLo = 0;
  /** `Permission` bits granted by all entries so far, the one that denied the request included. */
  permissions = 0;
  /** Level of the entry consumed by the last step. */
  consumedLevel = 0;
  /** Entries consumed since start or resume. */
  reads = 0;

  /** 1 if hardware must update accessed or dirty state: a locked read-modify-write of the entry just consumed. */
  update = 0;
  updateHi = 0;
  updateLo = 0;
  /** The word to store there. */
  updateWordHi = 0;
  updateWordLo = 0;

  /** Translated byte address and log2 of the page size, when done. */
  outHi = 0;
  outLo = 0;
  sizeLg2 = 0;
  /** When done: 1 if a permitted write would still change the leaf (its dirty state is clean), and 1 if the leaf is global. */
  clean = 0;
  global = 0;
  /** When clean: the leaf as a write would leave it. */
  dirtyHi = 0;
  dirtyLo = 0;
  fault: Fault = Fault.None;
}

/** Points the cursor at the entry for the input address in the table of the cursor. */
function aim(format: Format, walk: Walk, mask: number): void {
  const shift = format.indexShift[walk.level]!;
  const index = shift < 32 ? (walk.inputLo >>> shift) | (walk.inputHi << (32 - shift)) : walk.inputHi >>> (shift - 32);
  walk.entryHi = walk.tableHi;
  walk.entryLo = walk.tableLo | (index & mask);
}

function begin(walk: Walk, permissions: number): void {
  walk.reads = 0;
  walk.update = 0;
  walk.fault = Fault.None;
  walk.permissions = permissions;
}

/** 0 if the input address bits from `bit` (below 32, or 64) up are all zero, -1 if they are all ones, else another value. */
function bitsFrom(walk: Walk, bit: number): number {
  if (bit === 64) return 0;
  const low = walk.inputLo >> bit;
  return walk.inputHi === low >> 31 ? low : 1;
}

/**
 * Starts a walk at a root table of `height` levels for input addresses of `inputLg2` (12 to 64) bits; the root's index is all of
 * them that the levels below leave. Returns Step.Read, or Step.Fault if the input address is not legal.
 */
export function startWalk(
  format: Format,
  walk: Walk,
  rootHi: number,
  rootLo: number,
  height: number,
  inputLg2: number,
): Step {
  begin(walk, Permission.All);
  const bit = inputLg2 - format.signBits;
  // Shift counts are modulo 32: from bit 32 on it is the upper half that is shifted.
  const top = (bit & 32) !== 0 ? walk.inputHi >> bit : bitsFrom(walk, bit);
  if (top !== 0 && top !== format.otherTop) {
    walk.level = 0;
    walk.fault = format.signBits === 0 ? Fault.AddressWidth : Fault.NonCanonical;
    return Step.Fault;
  }
  walk.level = height;
  walk.tableHi = rootHi;
  walk.tableLo = rootLo;
  const indexBits = inputLg2 - 3 - format.indexShift[height]!;
  aim(format, walk, indexBits > 0 ? (8 << indexBits) - 8 : 0);
  return Step.Read;
}

/**
 * Continues from a table below the root that a paging-structure cache knew, with the permissions gathered above it.
 * The input address is not checked again: a cache holds no entry for an illegal one.
 */
export function resumeWalk(
  format: Format,
  walk: Walk,
  tableHi: number,
  tableLo: number,
  level: number,
  permissions: number,
): Step {
  begin(walk, permissions);
  walk.level = level;
  walk.tableHi = tableHi;
  walk.tableLo = tableLo;
  aim(format, walk, format.indexMask);
  return Step.Read;
}

function fail(walk: Walk, fault: Fault): Step {
  walk.fault = fault;
  return Step.Fault;
}

/** What a request lacks that misses these permissions. */
export function denied(missing: number): Fault {
  if ((missing & (Permission.User | Permission.Supervisor)) !== 0) return Fault.Privilege;
  if ((missing & Permission.Write) !== 0) return Fault.WriteDenied;
  if ((missing & Permission.Read) !== 0) return Fault.ReadDenied;
  return Fault.ExecuteDenied;
}

/** A bit that must be zero is set. */
function reservedFault(rows: Int32Array, row: number, hi: number, lo: number): Fault {
  const otherHi = hi & rows[row + Row.ReservedHi]! & ~rows[row + Row.WidthHi]!;
  const otherLo = lo & rows[row + Row.ReservedLo]! & ~rows[row + Row.WidthLo]!;
  return (otherHi | otherLo) !== 0 ? Fault.Reserved : Fault.OutputSize;
}

/** A leaf denies access; an accessed flag that may not be set comes first. */
function leafDenied(rows: Int32Array, row: number, lo: number, missing: number): Fault {
  const fault = rows[row + Row.UpdateFault]! as Fault;
  return (rows[row + Row.Used]! & ~lo) !== 0 && fault !== Fault.None ? fault : denied(missing);
}

/** Whether the input address has bits set that belong to levels which the table entry skips. */
function skipsBits(rows: Int32Array, row: number, walk: Walk): boolean {
  return ((walk.inputHi & rows[row + Row.SkipHi]!) | (walk.inputLo & rows[row + Row.SkipLo]!)) !== 0;
}

/** Consumes the word read at entryHi:entryLo. If `update` is 1 afterwards the caller also stores the update word. */
export function stepWalk(format: Format, walk: Walk, hi: number, lo: number): Step {
  const rows = format.rows;
  const row = format.classify(walk.level, hi, lo);
  walk.reads = (walk.reads + 1) | 0;
  walk.update = 0;
  walk.consumedLevel = walk.level;
  let sizeLg2 = rows[row + Row.SizeLg2]!;
  if (sizeLg2 === Size.None) return fail(walk, rows[row + Row.Fault]! as Fault);

  let permissions = walk.permissions & rows[row + Row.Permissions]!;
  let missing = walk.access & ~permissions;
  if ((missing & format.earlyPermissions) !== 0) {
    walk.permissions = permissions;
    return fail(walk, denied(missing & format.earlyPermissions));
  }
  if (((hi & rows[row + Row.ReservedHi]!) | (lo & rows[row + Row.ReservedLo]!)) !== 0) {
    return fail(walk, reservedFault(rows, row, hi, lo));
  }
  const addressHi = format.addressHi(hi, lo);
  const addressLo = format.addressLo(lo);
  let word = lo | rows[row + Row.Used]!;
  if (sizeLg2 === Size.Table) {
    // The common case is a branch, not a number out of the row: the next address does not have to wait for the row.
    let next = (walk.level - 1) | 0;
    if (rows[row + Row.Skipped]! !== 0) {
      if (skipsBits(rows, row, walk)) return fail(walk, Fault.SkippedBits);
      next = (next - rows[row + Row.Skipped]!) | 0;
    }
    if (word !== lo && !update(rows, row, walk, hi, word)) return Step.Fault;
    walk.permissions = permissions;
    walk.level = next;
    walk.tableHi = addressHi;
    walk.tableLo = addressLo;
    aim(format, walk, format.indexMask);
    return Step.Read;
  }

  let offsetLg2 = rows[row + Row.OffsetLg2]!;
  if (sizeLg2 === Size.Coded) {
    sizeLg2 = format.codedSize(row, addressHi, addressLo);
    if (sizeLg2 === 0) return fail(walk, Fault.Reserved);
    offsetLg2 = sizeLg2;
  }
  if (walk.exclusions !== 0) {
    permissions = exclude(walk.exclusions, permissions);
    missing = walk.access & ~permissions;
  }
  if (missing !== 0) return fail(walk, leafDenied(rows, row, lo, missing));
  const dirtyMask = rows[row + Row.DirtyMask]!;
  const dirtyValue = rows[row + Row.DirtyValue]!;
  if (((walk.access | walk.intent) & permissions & Permission.Write) !== 0) word = (word & ~dirtyMask) | dirtyValue;
  if (word !== lo && !update(rows, row, walk, hi, word)) return Step.Fault;
  walk.permissions = permissions;
  walk.clean = (word & dirtyMask) !== dirtyValue && (permissions & Permission.Write) !== 0 ? 1 : 0;
  walk.dirtyHi = hi;
  walk.dirtyLo = (word & ~dirtyMask) | dirtyValue;
  walk.global = (lo & rows[row + Row.GlobalMask]!) === rows[row + Row.GlobalValue]! ? 1 : 0;
  const offsetLo = offsetLg2 < 32 ? (1 << offsetLg2) - 1 : -1;
  const offsetHi = offsetLg2 < 32 ? 0 : (1 << (offsetLg2 - 32)) - 1;
  walk.sizeLg2 = sizeLg2;
  walk.outHi = (addressHi & ~offsetHi) | (walk.inputHi & offsetHi);
  walk.outLo = (addressLo & ~offsetLo) | (walk.inputLo & offsetLo);
  return Step.Done;
}

/** Asks for an update of the entry just consumed, or fails where hardware may not make it. */
function update(rows: Int32Array, row: number, walk: Walk, hi: number, word: number): boolean {
  const fault = rows[row + Row.UpdateFault]! as Fault;
  if (fault !== Fault.None) {
    walk.fault = fault;
    return false;
  }
  walk.update = 1;
  walk.updateHi = walk.entryHi;
  walk.updateLo = walk.entryLo;
  walk.updateWordHi = hi;
  walk.updateWordLo = word;
  return true;
}

/** The read that the walk waits for failed. */
export function refuseWalk(walk: Walk): Step {
  return fail(walk, Fault.TableAccess);
}

/** A whole walk at once, accessed and dirty updates included, in no time: for software look-ups, tools and tests. */
export function runWalk(
  format: Format,
  walk: Walk,
  memory: PhysicalMemory,
  rootHi: number,
  rootLo: number,
  height: number,
  inputLg2: number = format.inputWidth(height),
): Step {
  let step = startWalk(format, walk, rootHi, rootLo, height, inputLg2);
  while (step === Step.Read) {
    memory.read(walk.entryHi, walk.entryLo);
    step = stepWalk(format, walk, memory.wordHi, memory.wordLo);
    if (walk.update === 1) memory.write(walk.updateHi, walk.updateLo, walk.updateWordHi, walk.updateWordLo);
  }
  return step;
}
