/**
 * From device id and PASID to an address space: one read of the device table entry, and for guest translation one read for each level
 * of the GCR3 table, which lies at host- or guest-physical addresses (specification 2.2.2 and 2.2.6). Device table entries and GCR3
 * entries are cached; those that block, or are not valid, never (NpCache = 0).
 * Which condition is which event follows the classes of 2.5 as VirtualBox DevIommuAmd.cpp has them.
 * Not modelled: translated requests, exclusion ranges, device table segments, SNP, the US and NX flags of events.
 */
import type { Event } from '../../../kernel/event.js';
import type { PhysicalMemory } from '../../../memory/physical.js';
import { Fault } from '../../../pagetable/fault.js';
import { type Format, Permission } from '../../../pagetable/format.js';
import { Access } from '../../../protocol/access.js';
import { AtsStatus } from '../../../protocol/ats.js';
import { TlpFlag } from '../../../protocol/tlp.js';
import { type AddressSpace, Stage } from '../../address-space.js';
import { type Architecture, Found } from '../../architecture.js';
import { ContextCaches, OwnProcess } from '../../contexts.js';
import type { Miss } from '../../miss.js';
import type { IommuSpec } from '../../spec.js';
import type { EventLog } from './event-log.js';
import {
  DEVICE_ENTRY_BYTES,
  DeviceTableEntry,
  deviceEntryOffset,
  EventCode,
  EventFlag,
  GCR3_ENTRY_BYTES,
  gcr3EntryOffset,
  gcr3EntryValid,
  NO_HOST_TABLE,
  pageFaultFlags,
  pasidLimit,
  pointerHi,
  pointerLo,
  RESERVED_MODE,
} from './format.js';
import type { Registers } from './registers.js';
import { FormatIndex, hostFormat } from './tables.js';

/** Kind of directory entry: `entry` of a miss. GCR3 entries are numbered by level, from 1. */
export const DEVICE_ENTRY = 0;

/** Bits of AddressSpace.flags, besides EventFlag bits of a fault. */
const enum SpaceFlag {
  /** DTE.SE. */
  SuppressAfterFirst = 1,
  /** DTE.V = 0: passes whatever it carries. */
  Untranslated = 2,
}

/** Words cached with a device table entry. */
const enum Word {
  Gcr3Hi,
  Gcr3Lo,
  /** Levels of the GCR3 table; 0: no guest translation. */
  Gcr3Levels,
  GuestLevels,
  /** DTE.SE: an I/O page fault has been reported since the entry was read. */
  Reported,
  Count,
}

const WORDS = new Int32Array(DEVICE_ENTRY_BYTES / 4);

export class Directory implements Architecture {
  readonly contexts: ContextCaches;
  readonly pageSizes: readonly number[] = [12, 21, 30];
  private readonly entry = new DeviceTableEntry();
  /** The device table entry of the lookup under way, as it is or would be cached. */
  private readonly words = new Int32Array(Word.Count);
  private readonly gcr3Levels: number;
  private readonly guestLevels: number;

  constructor(
    spec: IommuSpec,
    seed: number,
    name: string,
    private readonly physical: PhysicalMemory,
    private readonly registers: Registers,
    private readonly log: EventLog,
    /** By FormatIndex. */
    readonly formats: readonly Format[],
  ) {
    this.contexts = new ContextCaches(spec, seed, name, Word.Count);
    this.gcr3Levels = spec.processLevels;
    this.guestLevels = spec.stage === 'second' ? 5 : spec.levels;
  }

  start(m: Miss): Found {
    const { contexts, registers, words } = this;
    const { space } = m;
    space.suppressFaults = false;
    space.flags = 0;
    space.stage = Stage.PassThrough;
    space.did = 0;
    const cached = contexts.device.find(m.requester, 0, 0);
    if (cached >= 0) {
      space.copy(contexts.deviceSpace[cached]!);
      const at = Word.Count * cached;
      for (let i = 0; i < Word.Count; i++) words[i] = contexts.deviceWords[at + i]!;
      return this.fromDevice(m, contexts.ownProcess[cached]! >= 0);
    }
    const offset = deviceEntryOffset(m.requester);
    if (offset >= registers.deviceTableBytes) return refuse(m, EventCode.IoPageFault, 0);
    const lo = (registers.deviceTableLo >>> 0) + offset;
    return aim(m, DEVICE_ENTRY, registers.deviceTableHi + (lo > 0xffffffff ? 1 : 0), lo | 0, DEVICE_ENTRY_BYTES);
  }

  step(m: Miss): Found {
    return m.entry === DEVICE_ENTRY ? this.deviceEntry(m) : this.gcr3Entry(m);
  }

  private deviceEntry(m: Miss): Found {
    const { physical, entry: e, registers, contexts, words } = this;
    for (let i = 0; i < WORDS.length; i += 2) {
      physical.read(m.readHi, m.readLo + 4 * i);
      WORDS[i] = physical.wordLo;
      WORDS[i + 1] = physical.wordHi;
    }
    e.decode(WORDS);
    const guest = registers.guestTranslation && e.guestValid;
    if (e.valid) {
      if (e.reserved) return refuse(m, EventCode.IllegalDeviceTableEntry, 0);
      m.space.suppressFaults = e.suppressAll;
      if (!e.translationValid) return refuse(m, EventCode.IoPageFault, 0);
      const unknownGuest = e.gcr3LevelCode + 1 > this.gcr3Levels || e.guestLevelCode + 4 > this.guestLevels;
      if (guest && unknownGuest) return refuse(m, EventCode.IllegalDeviceTableEntry, 0);
      if (e.mode === RESERVED_MODE) {
        return refuse(m, EventCode.IoPageFault, EventFlag.Present | EventFlag.Reserved);
      }
    }
    this.describe(m.space, guest);
    const withoutPasid = guest && e.valid && e.guestWithoutPasid;
    if (!m.stale) {
      const own = withoutPasid ? 0 : OwnProcess.None;
      const cached = contexts.fillDevice(m.requester, m.space, own, words[Word.Gcr3Levels] !== 0);
      if (cached >= 0) contexts.deviceWords.set(words, Word.Count * cached);
    }
    return this.fromDevice(m, withoutPasid);
  }

  /** The space of the host side of the entry, and its words. */
  private describe(space: AddressSpace, guest: boolean): void {
    const { entry: e, words } = this;
    words.fill(0);
    space.did = e.domain;
    space.pasid = 0;
    space.grants = Permission.All;
    space.ats = e.valid && e.iotlb ? 1 : 0;
    if (!e.valid) {
      space.stage = Stage.PassThrough;
      space.flags = SpaceFlag.Untranslated;
      return;
    }
    space.stage = e.mode === NO_HOST_TABLE ? Stage.PassThrough : Stage.Second;
    space.flags = e.suppressAfterFirst ? SpaceFlag.SuppressAfterFirst : 0;
    if (!e.read) space.grants &= ~Permission.Read;
    if (!e.write) space.grants &= ~Permission.Write;
    space.format = hostFormat(e.accessDirty);
    space.levels = e.mode;
    space.inputLg2 = e.mode === NO_HOST_TABLE ? 0 : this.formats[space.format]!.inputWidth(e.mode);
    space.rootHi = e.hostRootHi;
    space.rootLo = e.hostRootLo;
    space.secondFormat = space.format;
    space.secondLevels = space.levels;
    space.secondInputLg2 = space.inputLg2;
    space.secondRootHi = space.rootHi;
    space.secondRootLo = space.rootLo;
    if (!guest) return;
    words[Word.Gcr3Hi] = e.gcr3RootHi;
    words[Word.Gcr3Lo] = e.gcr3RootLo;
    words[Word.Gcr3Levels] = e.gcr3LevelCode + 1;
    words[Word.GuestLevels] = e.guestLevelCode + 4;
  }

  /** The device table entry is known: space and words describe it. */
  private fromDevice(m: Miss, withoutPasid: boolean): Found {
    const { words, formats } = this;
    const { space } = m;
    if ((space.flags & SpaceFlag.Untranslated) !== 0) return Found.Located;
    const gcr3Levels = words[Word.Gcr3Levels]!;
    if (m.pasid >= 0 && gcr3Levels === 0) return refuse(m, EventCode.InvalidDeviceRequest, 0);
    if (m.pasid < 0 && !withoutPasid) return Found.Located;
    const fault = this.admit(m);
    if (fault !== 0) return refuse(m, fault, 0);
    if ((m.flags & TlpFlag.Translated) !== 0) return Found.Located;
    m.effectivePasid = Math.max(m.pasid, 0);
    if (m.effectivePasid >= pasidLimit(gcr3Levels)) return refuse(m, EventCode.IoPageFault, EventFlag.Present);
    space.stage = space.stage === Stage.PassThrough ? Stage.First : Stage.Nested;
    space.pasid = m.effectivePasid;
    space.format = FormatIndex.Guest;
    space.levels = words[Word.GuestLevels]!;
    space.inputLg2 = formats[FormatIndex.Guest]!.inputWidth(space.levels);
    return this.toGcr3(m, gcr3Levels, words[Word.Gcr3Hi]!, words[Word.Gcr3Lo]!);
  }

  /** Aims at the entry in the GCR3 table of `level` at hi:lo. */
  private toGcr3(m: Miss, level: number, hi: number, lo: number): Found {
    m.guest = this.registers.gcr3GuestPhysical && m.space.stage === Stage.Nested ? 1 : 0;
    return aim(m, level, hi, lo | gcr3EntryOffset(m.effectivePasid, level), GCR3_ENTRY_BYTES);
  }

  private gcr3Entry(m: Miss): Found {
    const { physical, contexts } = this;
    physical.read(m.readHi, m.readLo);
    const { wordHi, wordLo } = physical;
    if (!gcr3EntryValid(wordLo)) return refuse(m, EventCode.IoPageFault, 0);
    const [hi, lo] = [pointerHi(wordHi), pointerLo(wordLo)];
    if (m.entry > 1) return this.toGcr3(m, m.entry - 1, hi, lo);
    m.space.rootHi = hi;
    m.space.rootLo = lo;
    if (!m.stale) contexts.fillProcess(m.requester, m.effectivePasid, m.space);
    return Found.Located;
  }

  /** I, IR and IW of the device table entry. */
  admit(m: Miss): EventCode {
    const { space } = m;
    if ((m.flags & TlpFlag.Ats) !== 0) {
      if (space.ats === 0) return EventCode.InvalidDeviceRequest;
      if ((m.flags & TlpFlag.Translated) !== 0) return EventCode.None;
    }
    if (m.pasid < 0 && usesGuest(space)) space.format = FormatIndex.GuestFlat;
    if ((m.walk.access & ~space.grants) === 0) return EventCode.None;
    space.flags |= EventFlag.Present | EventFlag.Permission;
    return EventCode.IoPageFault;
  }

  /** Without privilege a request is a user's. Host tables grant execution and privilege to all. */
  required(flags: number): number {
    const access = (flags & TlpFlag.Write) !== 0 ? Access.Write : Access.Read;
    const atomic = (flags & TlpFlag.Atomic) !== 0 ? Access.Read : 0;
    const privileged = (flags & TlpFlag.Privileged) !== 0;
    const user = privileged ? Permission.Supervisor : Permission.User;
    const execute = privileged ? Permission.SupervisorExecute : Permission.Execute;
    return access | atomic | user | ((flags & TlpFlag.Execute) !== 0 ? execute : 0);
  }

  translationFault(m: Miss): EventCode {
    const fault = twoStages(m) ? m.two.fault : m.walk.fault;
    if (fault === Fault.TableAccess) return EventCode.PageTableHardwareError;
    m.space.flags |= pageFaultFlags(fault);
    return EventCode.IoPageFault;
  }

  accessFault(m: Miss): EventCode {
    return m.entry === DEVICE_ENTRY ? EventCode.DeviceTableHardwareError : EventCode.PageTableHardwareError;
  }

  /** Page faults say that there is no translation; a device that may not ask gets an unsupported request, a broken table a completer abort. */
  atsStatus({ fault }: Miss): AtsStatus {
    if (fault === EventCode.IoPageFault) return AtsStatus.Success;
    return fault === EventCode.InvalidDeviceRequest ? AtsStatus.UnsupportedRequest : AtsStatus.CompleterAbort;
  }

  refused(tlp: Event, requester: number, m: Miss): void {
    const { space, fault } = m;
    if (fault === EventCode.IoPageFault && this.silenced(requester, space)) return;
    const guest = m.pasid >= 0 || usesGuest(space);
    let flags = space.flags & ~(SpaceFlag.SuppressAfterFirst | SpaceFlag.Untranslated);
    if (guest) flags |= EventFlag.Guest;
    if ((tlp.flags & TlpFlag.Write) !== 0) flags |= EventFlag.Write;
    const tag = guest ? Math.max(m.pasid, 0) : space.did;
    const [hi, lo] = addressOf(fault, tlp, m);
    this.log.record(fault, flags, requester, tag, hi, lo);
  }

  /** DTE.SA, and DTE.SE after the first event since the entry was cached. */
  private silenced(requester: number, space: AddressSpace): boolean {
    if (space.suppressFaults) return true;
    if ((space.flags & SpaceFlag.SuppressAfterFirst) === 0) return false;
    const { contexts } = this;
    const cached = contexts.device.find(requester, 0, 0);
    if (cached < 0) return false;
    const at = Word.Count * cached + Word.Reported;
    const reported = contexts.deviceWords[at] !== 0;
    contexts.deviceWords[at] = 1;
    return reported;
  }
}

function usesGuest({ stage }: AddressSpace): boolean {
  return stage === Stage.First || stage === Stage.Nested;
}

/** The walk that ended was one of two stages, or of the host table for a GCR3 entry. */
function twoStages(m: Miss): boolean {
  return !m.located || m.space.stage === Stage.Nested;
}

/** Hardware errors name the physical address that could not be read, the other events that of the request. */
function addressOf(fault: number, tlp: Event, m: Miss): [hi: number, lo: number] {
  if (fault === EventCode.DeviceTableHardwareError) return [m.readHi, m.readLo];
  if (fault !== EventCode.PageTableHardwareError) return [tlp.addressHi, tlp.addressLo];
  if (m.located) return twoStages(m) ? [m.two.entryHi, m.two.entryLo] : [m.walk.entryHi, m.walk.entryLo];
  return m.two.fault === Fault.TableAccess && m.guest === 1 ? [m.two.entryHi, m.two.entryLo] : [m.readHi, m.readLo];
}

/** Aims the miss at its next entry. */
function aim(m: Miss, entry: number, hi: number, lo: number, bytes: number): Found {
  m.entry = entry;
  m.readHi = hi;
  m.readLo = lo;
  m.bytes = bytes;
  return Found.Read;
}

function refuse(m: Miss, fault: EventCode, flags: number): Found {
  m.fault = fault;
  m.space.flags |= flags;
  return Found.Refused;
}
