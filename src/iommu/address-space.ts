/**
 * What directory structures say about one (requester, PASID): which tables translate it and under which tags results are cached.
 * Plain int32 fields; caches and misses hold their own instance and copy.
 */
import { Permission } from '../pagetable/format.js';

/** Kind of a translation: part of the tag of whatever is cached of it. */
export const enum Stage {
  Second = 0,
  First = 1,
  PassThrough = 2,
  /** First stage over second stage. */
  Nested = 3,
}

export class AddressSpace {
  /** Domain id, VMID or GSCID, 16 bits: tag of cached translations. */
  did = 0;
  /**
   * PASID, ASID or PSCID, 20 bits: tag of first-stage and nested translations; 0 for second-stage and pass-through ones, which are
   * shared by all PASIDs of a domain.
   */
  pasid = 0;
  stage: Stage = Stage.Second;
  /** Number of the table, where an input space has several (POWER windows, DART TTBRs): part of the tag of cached table entries. */
  tableNumber = 0;
  /** First or only stage: index into the unit's formats, table levels, width of legal input addresses, root. Guest-physical root when nested. */
  format = 0;
  levels = 0;
  inputLg2 = 0;
  rootHi = 0;
  rootLo = 0;
  /** Second stage of a nested space, and of directory pointers that are guest-physical. */
  secondFormat = 0;
  secondLevels = 0;
  secondInputLg2 = 0;
  secondRootHi = 0;
  secondRootLo = 0;
  /** Number of a window of final addresses that another table translates (`Interception`); 0: none. */
  window = 0;
  /** The same of the upper half of an input space that has two roots (Arm TTB1). */
  upperFormat = 0;
  upperLevels = 0;
  upperInputLg2 = 0;
  upperRootHi = 0;
  upperRootLo = 0;
  /** Pass-through: bits 63:32 of an input address that send it to the walkers, which refuse it. */
  aboveHi = 0;
  /** Permissions that the directory leaves of what the tables grant. */
  grants: number = Permission.All;
  /** An entry on the way to it asks that faults leave no record. */
  suppressFaults = false;
  /** Not 0: the directory lets the device ask for translations and use them (ATS); further bits are the architecture's. */
  ats = 0;
  /** Bits of the architecture's own. */
  flags = 0;

  copy(from: AddressSpace): void {
    this.did = from.did;
    this.pasid = from.pasid;
    this.stage = from.stage;
    this.tableNumber = from.tableNumber;
    this.format = from.format;
    this.levels = from.levels;
    this.inputLg2 = from.inputLg2;
    this.rootHi = from.rootHi;
    this.rootLo = from.rootLo;
    this.secondFormat = from.secondFormat;
    this.secondLevels = from.secondLevels;
    this.secondInputLg2 = from.secondInputLg2;
    this.secondRootHi = from.secondRootHi;
    this.secondRootLo = from.secondRootLo;
    this.window = from.window;
    this.upperFormat = from.upperFormat;
    this.upperLevels = from.upperLevels;
    this.upperInputLg2 = from.upperInputLg2;
    this.upperRootHi = from.upperRootHi;
    this.upperRootLo = from.upperRootLo;
    this.aboveHi = from.aboveHi;
    this.grants = from.grants;
    this.suppressFaults = from.suppressFaults;
    this.ats = from.ats;
    this.flags = from.flags;
  }
}
