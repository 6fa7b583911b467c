/**
 * What differs between architectures as the unit sees it: how an address space is found in memory, what a request needs, which code a
 * fault gets, and what the unit's registers and command queue do. One object of each per unit; none of it is called for a
 * request that hits, nor once per table level.
 */
import type { Event } from '../kernel/event.js';
import type { Format } from '../pagetable/format.js';
import type { AtsStatus, DeviceWait } from '../protocol/ats.js';
import type { StallLog } from '../protocol/stall.js';
import type { StoreWatch } from '../protocol/watch.js';
import type { CommandCounters } from './command-counters.js';
import type { ContextCaches } from './contexts.js';
import type { FaultCounters } from './fault-counters.js';
import type { Miss } from './miss.js';
import type { PageRequestQueue } from './page-request-queue.js';
import type { StallCounters } from './stall-counters.js';
import type { Translations } from './translations.js';

/** How the search for an address space goes on. */
export const enum Found {
  /** The entry of `bytes` at readHi:readLo of the miss is to be read next (a guest-physical address if `guest` is 1). */
  Read,
  /** The miss has its space. */
  Located,
  /** The request cannot be translated: `fault` of the miss says why. */
  Refused,
}

/** Guest-physical addresses that are translated by another table than the second stage (RISC-V MSI page table). */
export interface Interception {
  /** hi:lo, which the second stage would translate, is in the window of the space: aims the miss at the one entry to read. */
  aim(m: Miss, hi: number, lo: number): boolean;
  /** Consumes the entry: sets the output, size and permissions of m.walk, or returns a fault code. */
  consume(m: Miss): number;
}

export interface Architecture {
  readonly contexts: ContextCaches;
  /** What `format` of an address space indexes. May grow while directory entries are read. */
  readonly formats: readonly Format[];
  /** Leaf sizes that the IOTLB can hold, log2 of bytes, ascending; a leaf between two of them is held as the smaller. */
  readonly pageSizes: readonly number[];
  /** For spaces with a `window`. */
  readonly interception?: Interception;

  /** Begins the search in memory; device contexts that are cached need not be read again. */
  start(m: Miss): Found;
  /** Consumes the entry at readHi:readLo, which memory has served. */
  step(m: Miss): Found;
  /** The space is known: last word before its tables are walked. Returns a fault code or 0; may change the space and walk input of the miss. */
  admit(m: Miss): number;
  /** The tables gave the address walk.outHi:outLo of the miss: last word on it, for architectures with addresses that are no memory. A fault code or 0. */
  output?(m: Miss): number;
  /** Permission bits that a request needs; asked for requests that are not plain reads or writes without privilege. */
  required(flags: number): number;
  /** Fault code of a walk that ended without a translation: m.two.fault, and for single-stage spaces m.walk.fault. */
  translationFault(m: Miss): number;
  /** Fault code when a directory entry lies outside memory. */
  accessFault(m: Miss): number;
  /** How a translation request that has faulted is answered; absent where there is no ATS. A success says that there is no translation. */
  atsStatus?(m: Miss): AtsStatus;
  /** The translation of m goes into the caches: so may what its last read brought besides. */
  alsoCached?(m: Miss, translations: Translations): void;
  /**
   * The request of m has faulted: true if the unit holds it until software says what becomes of it. It ends with `IommuUnit.retry` or
   * `IommuUnit.terminate`.
   */
  stall?(tlp: Event, requester: number, m: Miss): boolean;
  /** A request that was held goes on, translated or refused. */
  proceeds?(tlp: Event): void;
  /** A request was refused: counts and records the fault. The miss still holds what led to it. */
  refused(tlp: Event, requester: number, m: Miss): void;
}

/** A unit as software sees it: registers and command queue. */
export interface Hardware {
  readonly commands: CommandCounters;
  readonly faults: FaultCounters;
  /** Where faults can stall. */
  readonly stalls?: StallCounters;
  readonly stallLog?: StallLog;
  /** Where devices may ask for pages. */
  readonly pages?: PageRequestQueue;
  /** Where devices can hold the command queue up. */
  readonly deviceWait?: DeviceWait;
  /** Op.MmioWrite. The event goes back to its owner. */
  registerWrite(event: Event): void;
  /** Op.InvalidationStep. */
  step(): void;
  /** Op.EventRecorded. The event goes back to its owner. */
  recorded?(event: Event): void;
  /** Who polls for words that the unit writes, and takes its interrupts. */
  connect(watch: StoreWatch): void;
}
