/**
 * A plain AMD-Vi walker, written from the specification (AMD I/O Virtualization Technology (IOMMU) Specification 48882: device
 * table 2.2.2, host tables 2.2.3, guest tables 2.2.6, events 2.5) and independent of the simulator's own walk, which is held
 * against it. Caches are cold: each answer starts with the read of the device table entry.
 * Which condition raises which event follows the classes of 2.5 as VirtualBox DevIommuAmd.cpp has them: everything a table walk
 * finds, an entry with V=1 TV=0, a reserved Mode, a device id or a PASID out of range are IO_PAGE_FAULT; other malformed device
 * table entries are ILLEGAL_DEV_TABLE_ENTRY; a PASID for a device without guest translation is INVALID_DEVICE_REQUEST.
 * Devices with DTE.I may ask for translations, which are answered with what DTE and tables permit, and use them; of others both are INVALID_DEVICE_REQUEST. What
 * translation requests change in accessed and dirty bits is not modelled, nor are interrupts, exclusion ranges, device table segments, SNP, DTE.SE (suppress after the first event).
 */
import type { Answer, CompletionStatus, Responder, Vector, VectorAccess } from '../vectors/vector.js';
import { type GuestNeed, type GuestTables, lookUpGcr3, walkGuest } from './amdvi-guest.js';
import { EventCode, type HostTable, type Refused, refuse, walkHost } from './amdvi-host.js';
import { LoggedMemory } from './amdvi-memory.js';
import { lettersOf } from './permission-letters.js';

/** An answer with what a census counts. */
export interface Explained {
  readonly answer: Answer;
  /** Why it was refused, or how it was translated; a closed set of phrases. */
  readonly reason: string;
}

/** A translation before it becomes an answer. */
interface Translated {
  readonly ok: true;
  readonly address: bigint;
  readonly sizeLg2: number | undefined;
  readonly readable: boolean;
  readonly writable: boolean;
  readonly executable: boolean;
  readonly reason: string;
}

interface Registers {
  readonly enabled: boolean;
  readonly guestTranslation: boolean;
  readonly gcr3IsGuestPhysical: boolean;
  readonly deviceTable: bigint;
  readonly deviceTableBytes: bigint;
}

interface DeviceTableEntry {
  readonly valid: boolean;
  readonly translationValid: boolean;
  readonly reserved: boolean;
  readonly host: HostTable;
  readonly read: boolean;
  readonly write: boolean;
  /** undefined: GV = 0. */
  readonly guest: (GuestTables & { readonly withoutPasid: boolean; readonly reserved: boolean }) | undefined;
  /** DTE.I. */
  readonly ats: boolean;
  /** DTE.SA. */
  readonly suppressesFaults: boolean;
}

/** How a translation request is completed that an ordinary one would have been refused for. */
const STATUSES: Readonly<Record<EventCode, CompletionStatus>> = {
  [EventCode.IllegalDeviceTableEntry]: 'ca',
  [EventCode.IoPageFault]: 'success',
  [EventCode.InvalidDeviceRequest]: 'ur',
};

const DEVICE_TABLE_BASE = 0x00;
const CONTROL = 0x18;
const ENTRY_BYTES = 32n;
const ADDRESS = 0x000f_ffff_ffff_f000n;
/** 6:2 and 63 of the first quadword; the second has none left, the others matter to interrupts. */
const RESERVED_FIRST = 0x8000_0000_0000_007cn;

const field = (word: bigint, high: number, low: number): bigint =>
  (word >> BigInt(low)) & ((1n << BigInt(high - low + 1)) - 1n);
const bit = (word: bigint, at: number): boolean => field(word, at, at) === 1n;

function registersOf(vector: Vector): Registers {
  const value = (offset: number): bigint => vector.registers.findLast((r) => r.offset === offset)?.value ?? 0n;
  const control = value(CONTROL);
  const base = value(DEVICE_TABLE_BASE);
  return {
    enabled: bit(control, 0),
    guestTranslation: bit(control, 16),
    gcr3IsGuestPhysical: bit(control, 58),
    deviceTable: base & ADDRESS,
    deviceTableBytes: (field(base, 8, 0) + 1n) * 4096n,
  };
}

function decode(words: readonly bigint[], registers: Registers): DeviceTableEntry {
  const [first, second, third] = words as [bigint, bigint, bigint];
  const had = Number(field(first, 8, 7));
  const levels = Number(field(third, 55, 54));
  const glx = Number(field(first, 57, 56));
  return {
    valid: bit(first, 0),
    translationValid: bit(first, 1),
    reserved: (first & RESERVED_FIRST) !== 0n,
    host: {
      mode: Number(field(first, 11, 9)),
      root: first & ADDRESS,
      setsAccessed: had === 1 || had === 3,
      setsDirty: had === 3,
    },
    read: bit(first, 61),
    write: bit(first, 62),
    guest:
      registers.guestTranslation && bit(first, 55)
        ? {
            gcr3Root: (field(first, 60, 58) << 12n) | (field(second, 31, 16) << 15n) | (field(second, 63, 43) << 31n),
            gcr3Levels: glx + 1,
            gcr3IsGuestPhysical: registers.gcr3IsGuestPhysical,
            levels: levels + 4,
            withoutPasid: bit(first, 54),
            reserved: glx === 3 || levels > 1,
          }
        : undefined,
    ats: bit(second, 32),
    suppressesFaults: bit(second, 34),
  };
}

function needOf(access: VectorAccess): GuestNeed {
  const privileged = access.pasid !== null && access.privileged === true;
  if (access.at === 'ats') return { read: false, write: false, execute: false, privileged };
  return {
    read: access.kind !== 'w',
    write: access.kind === 'w' || access.kind === 'rw',
    execute: access.kind === 'x',
    privileged: access.privileged === true,
  };
}

/** What the device table entry alone decides: a refusal, or nothing. */
function checkEntry(entry: DeviceTableEntry, access: VectorAccess, need: GuestNeed): Refused | undefined {
  const illegal = EventCode.IllegalDeviceTableEntry;
  if (entry.reserved) return refuse('device table entry: reserved bit', 0, illegal);
  if (!entry.translationValid) return refuse('device table entry: TV = 0');
  if (entry.guest?.reserved === true) return refuse('device table entry: guest levels', 0, illegal);
  if (access.pasid !== null && entry.guest === undefined) {
    return refuse('PASID without guest translation', 0, EventCode.InvalidDeviceRequest);
  }
  if (access.at !== undefined && !entry.ats) return refuse('no ATS', 0, EventCode.InvalidDeviceRequest);
  if (access.at === 'translated') return undefined;
  if (need.read && !entry.read) return refuse('device table entry: read denied');
  if (need.write && !entry.write) return refuse('device table entry: write denied');
  if (entry.host.mode === 7) return refuse('device table entry: Mode 7');
  return undefined;
}

function translateHost(
  memory: LoggedMemory,
  host: HostTable,
  access: VectorAccess,
  need: GuestNeed,
): Translated | Refused {
  const page = walkHost(memory, host, access.iova, need);
  if (!page.ok) return page;
  const { address, sizeLg2, readable, writable } = page;
  if (sizeLg2 === undefined)
    return { ok: true, address, sizeLg2, readable, writable, executable: true, reason: 'Mode 0' };
  const how = `Mode ${host.mode}${page.skipped ? ', levels skipped' : ''}, page 2^${sizeLg2} at level ${page.level}`;
  return { ok: true, address, sizeLg2, readable, writable, executable: true, reason: how };
}

function translateGuest(
  memory: LoggedMemory,
  host: HostTable,
  guest: GuestTables,
  access: VectorAccess,
  need: GuestNeed,
): Translated | Refused {
  const pasid = access.pasid ?? 0;
  const gcr3 = lookUpGcr3(memory, host, guest, pasid);
  if (!gcr3.ok) return gcr3;
  const inner = walkGuest(memory, host, guest, gcr3.root, access.iova, need);
  if (!inner.ok) return inner;
  const outer = walkHost(memory, host, inner.address, need);
  if (!outer.ok) return { ...outer, reason: `${outer.reason} (of the guest's page, by the host)` };
  const who = access.pasid === null ? 'no PASID' : 'PASID';
  const tables = `${guest.levels}-level guest table, ${guest.gcr3Levels}-level GCR3`;
  const nested = host.mode === 0 ? '' : `, Mode ${host.mode}`;
  return {
    ok: true,
    address: outer.address,
    sizeLg2: Math.min(inner.sizeLg2, outer.sizeLg2 ?? inner.sizeLg2),
    readable: outer.readable,
    writable: inner.writable && outer.writable,
    executable: inner.executable,
    reason: `${tables}${nested}, ${who}, guest page 2^${inner.sizeLg2}`,
  };
}

class Machine {
  private readonly memory: LoggedMemory;
  private readonly registers: Registers;

  constructor(vector: Vector) {
    if (vector.architecture !== 'amdvi') throw new RangeError(`not an AMD-Vi vector: ${vector.architecture}`);
    this.memory = new LoggedMemory(vector.words);
    this.registers = registersOf(vector);
  }

  explain(access: VectorAccess): Explained {
    const { outcome, silent } = this.translate(access);
    const accesses = this.memory.takeLog();
    if (!outcome.ok) {
      const reason = outcome.level === 0 ? outcome.reason : `${outcome.reason}, level ${outcome.level}`;
      const record = silent && outcome.code === EventCode.IoPageFault ? { silent } : {};
      const { code } = outcome;
      if (access.at !== 'ats') return { answer: { accesses, ok: false, code, ...record }, reason };
      const status = STATUSES[code];
      return { answer: { accesses, ok: false, code, ...(status === 'success' && { silent: true }), status }, reason };
    }
    const size = outcome.sizeLg2 === undefined ? {} : { size: 1n << BigInt(outcome.sizeLg2) };
    const answer = { accesses, ok: true, pa: outcome.address, ...size } as const;
    if (access.at !== 'ats') return { answer, reason: outcome.reason };
    const { readable, writable } = outcome;
    if (!readable && !writable) {
      const none = { accesses, ok: false, code: EventCode.IoPageFault, silent: true, status: 'success' } as const;
      return { answer: none, reason: 'neither read nor write granted' };
    }
    const execute = outcome.executable && readable && access.kind === 'x' && access.pasid !== null;
    const permissions = lettersOf({ read: readable, write: writable, execute });
    return { answer: { ...answer, permissions }, reason: outcome.reason };
  }

  private translate(access: VectorAccess): { outcome: Translated | Refused; silent: boolean } {
    const { enabled, deviceTable, deviceTableBytes } = this.registers;
    const untranslated = (reason: string): Translated => ({
      ok: true,
      address: access.iova,
      sizeLg2: undefined,
      readable: true,
      writable: true,
      executable: true,
      reason,
    });
    if (!enabled) return { outcome: untranslated('IOMMU off'), silent: false };
    const offset = BigInt(access.rid) * ENTRY_BYTES;
    if (offset >= deviceTableBytes) return { outcome: refuse('device id past the table'), silent: false };
    const entry = decode(this.memory.readWords(deviceTable + offset, 4), this.registers);
    if (!entry.valid) {
      const ats = access.at !== undefined;
      return {
        outcome: ats ? refuse('no ATS', 0, EventCode.InvalidDeviceRequest) : untranslated('V = 0'),
        silent: false,
      };
    }

    const need = needOf(access);
    const { guest, host } = entry;
    const usesGuest = guest !== undefined && (access.pasid !== null || guest.withoutPasid);
    const refused = checkEntry(entry, access, need);
    const silent = entry.suppressesFaults;
    if (refused !== undefined) return { outcome: refused, silent };
    if (access.at === 'translated') return { outcome: untranslated('translated by the device'), silent };
    const outcome = usesGuest
      ? translateGuest(this.memory, host, guest, access, need)
      : translateHost(this.memory, host, access, need);
    if (access.at !== 'ats' || !outcome.ok) return { outcome, silent };
    const granted = { readable: outcome.readable && entry.read, writable: outcome.writable && entry.write };
    return { outcome: { ...outcome, ...granted }, silent };
  }
}

/** Answers with a reason each: what a census of a generator counts. */
export function explainAmdvi(vector: Vector): Explained[] {
  const machine = new Machine(vector);
  return vector.accesses.map((access) => machine.explain(access));
}

export const amdviReference: Responder = {
  answer: (vector) => explainAmdvi(vector).map(({ answer }) => answer),
};
