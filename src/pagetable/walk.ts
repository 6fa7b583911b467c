/**
 * One table walk for all formats, as two functions over a plain record: whoever owns time reads the word the record asks for
 * and hands it to `stepWalk`. Nothing is allocated, nothing is virtual, all fields are int32.
 * A two-stage walk adds a second set of cursor fields (level, table, entry, permissions) to this record; it does not exist yet.
 * Hot path: bench `walk`.
 */
import type { PhysicalMemory } from '../memory/physical.js';
import { EntryKind, type Format, Permission, Row } from './format.js';

/** What the walk wants next. */
export const enum Step {
  /** The word at entryHi:entryLo. */
  Read,
  /** Nothing: the translation is in the record. */
  Done,
  /** Nothing: see `fault`. */
  Fault,
  Translate,
}

/** Why a walk ended without a translation; an architecture maps it to its codes. */
export const enum Fault {
  None,
  /** Entry not present. */
  NotPresent,
  /** Reserved bit set, page size not allowed at this level, address above the host address width. */
  Reserved,
  ReadDenied,
  WriteDenied,
  ExecuteDenied,
  /** User-privilege request to a supervisor page. */
  Privilege,
  /** Input address above the width of the table. */
  AddressWidth,
  /** Input address not sign-extended. */
  NonCanonical,
  /** Memory refused the read of an entry (`refuseWalk`). */
  TableAccess,
}

export class Walk {
  /** Input byte address. Set by the caller. */
  inputHi = 0;
  inputLo = 0;
  /** What the request needs: `Access` bits, and Permission.User for a request without supervisor privilege. 0: check nothing. */
  access = 0;

  /** Level of the entry to read next; of the leaf when done; of the offending entry after a fault (0: none was read). */
  level = 0;
  /** Address of the table that holds the entry to read next. After a step, together with `level` and `permissions`, what a
   *  paging-structure cache keeps for the entry just consumed. */
  tableHi = 0;
  tableLo = 0;
  /** Address of the entry to read next, or of the entry last consumed when done or at fault. */
  entryHi = 0;
  entryLo = 0;
  /** `Permission` bits granted by all entries so far. */
  permissions = 0;
  /** Level of the entry consumed by the last step. */
  consumedLevel = 0;
  /** Entries consumed since start or resume. */
  reads = 0;

  /** 1 if hardware must set accessed or dirty bits: a locked read-modify-write of the entry just consumed. */
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
  fault: Fault = Fault.None;
  clean = 0;
  global = 0;
}

/** Points the cursor at the entry for the input address in the table of the cursor. */
function aim(format: Format, walk: Walk, mask: number): void {
  const shift = format.indexShift[walk.level]!;
  const index = shift < 32 ? (walk.inputLo >>> shift) | (walk.inputHi << (32 - shift)) : walk.inputHi >>> (shift - 32);
  walk.entryHi = walk.tableHi;
  walk.entryLo = walk.tableLo | (index & mask);
}

/**
 * Starts a walk at a root table of `height` levels. Returns Step.Read, or Step.Fault if the input address is not legal.
 */
export function startWalk(
  format: Format,
  walk: Walk,
  rootHi: number,
  rootLo: number,
  height: number,
  _inputLg2: number,
): Step {
  walk.reads = 0;
  walk.update = 0;
  walk.fault = Fault.None;
  walk.permissions = Permission.All;
  const top = walk.inputHi >> format.inputShift[height]!;
  if (top !== 0 && top !== format.otherTop) {
    walk.level = 0;
    walk.fault = format.otherTop === 0 ? Fault.AddressWidth : Fault.NonCanonical;
    return Step.Fault;
  }
  walk.level = height;
  walk.tableHi = rootHi;
  walk.tableLo = rootLo;
  aim(format, walk, format.rootMask);
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
  walk.reads = 0;
  walk.update = 0;
  walk.fault = Fault.None;
  walk.permissions = permissions;
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

function denied(missing: number): Fault {
  if ((missing & Permission.User) !== 0) return Fault.Privilege;
  if ((missing & Permission.Write) !== 0) return Fault.WriteDenied;
  if ((missing & Permission.Read) !== 0) return Fault.ReadDenied;
  return Fault.ExecuteDenied;
}

/** Consumes the word read at entryHi:entryLo. If `update` is 1 afterwards the caller also stores the update word. */
export function stepWalk(format: Format, walk: Walk, hi: number, lo: number): Step {
  const rows = format.rows;
  const row = format.classify(walk.level, hi, lo);
  const kind = rows[row + Row.Kind]!;
  walk.reads = (walk.reads + 1) | 0;
  walk.update = 0;
  walk.consumedLevel = walk.level;
  if (kind === EntryKind.Absent) return fail(walk, Fault.NotPresent);

  const permissions = walk.permissions & rows[row + Row.Permissions]!;
  const missing = walk.access & ~permissions;
  if ((missing & format.earlyPermissions) !== 0) return fail(walk, denied(missing & format.earlyPermissions));
  if (((hi & rows[row + Row.ReservedHi]!) | (lo & rows[row + Row.ReservedLo]!)) !== 0) {
    return fail(walk, Fault.Reserved);
  }
  if (missing !== 0 && kind === EntryKind.Leaf) return fail(walk, denied(missing));
  walk.permissions = permissions;

  let setHi = rows[row + Row.UsedHi]!;
  let setLo = rows[row + Row.UsedLo]!;
  if ((walk.access & Permission.Write) !== 0) {
    setHi |= rows[row + Row.WrittenHi]!;
    setLo |= rows[row + Row.WrittenLo]!;
  }
  if (((setHi & ~hi) | (setLo & ~lo)) !== 0) {
    walk.update = 1;
    walk.updateHi = walk.entryHi;
    walk.updateLo = walk.entryLo;
    walk.updateWordHi = hi | setHi;
    walk.updateWordLo = lo | setLo;
  }

  const shift = format.addressShift;
  const fieldHi = hi & format.addressMaskHi;
  const fieldLo = lo & format.addressMaskLo;
  const addressHi = (fieldHi << shift) | ((fieldLo >>> 1) >>> (31 - shift));
  const addressLo = fieldLo << shift;
  if (kind === EntryKind.Leaf) {
    const sizeLg2 = rows[row + Row.SizeLg2]!;
    const offsetLo = sizeLg2 < 32 ? (1 << sizeLg2) - 1 : -1;
    const offsetHi = sizeLg2 < 32 ? 0 : (1 << (sizeLg2 - 32)) - 1;
    walk.sizeLg2 = sizeLg2;
    walk.clean = ((rows[row + Row.WrittenHi]! & ~hi) | (rows[row + Row.WrittenLo]! & ~lo)) !== 0 ? 1 : 0;
    walk.outHi = (addressHi & ~offsetHi) | (walk.inputHi & offsetHi);
    walk.outLo = (addressLo & ~offsetLo) | (walk.inputLo & offsetLo);
    return Step.Done;
  }
  walk.level = (walk.level - 1) | 0;
  walk.tableHi = addressHi;
  walk.tableLo = addressLo;
  aim(format, walk, format.indexMask);
  return Step.Read;
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
): Step {
  let step = startWalk(format, walk, rootHi, rootLo, height, 0);
  while (step === Step.Read) {
    memory.read(walk.entryHi, walk.entryLo);
    step = stepWalk(format, walk, memory.wordHi, memory.wordLo);
    if (walk.update === 1) memory.write(walk.updateHi, walk.updateLo, walk.updateWordHi, walk.updateWordLo);
  }
  return step;
}
