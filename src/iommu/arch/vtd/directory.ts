/**
 * From requester id and PASID to an address space: root table, context table and, in scalable mode, PASID directory and PASID table,
 * each read from simulated memory, with the context cache and the PASID cache in front (VT-d specification, chapters 3 and 9).
 * Cold, legacy mode reads 2 lines and scalable mode 4. Entries that are not present are never cached (CAP.CM = 0). The unit has RID_PASID
 * and RID_PRIV (ECAP.RPS), supervisor requests (SRS) and no execute requests (ERS, which rev. 5 has dropped).
 * Not modelled: abort-DMA mode; of the interrupt address range, hits in a larger page that covers it.
 */
import type { Event } from '../../../kernel/event.js';
import type { PhysicalMemory } from '../../../memory/physical.js';
import { type Format, Permission } from '../../../pagetable/format.js';
import { Target } from '../../../pagetable/two-stage.js';
import { Fault } from '../../../pagetable/walk.js';
import { Access } from '../../../protocol/access.js';
import { AtsStatus } from '../../../protocol/ats.js';
import { TlpFlag } from '../../../protocol/tlp.js';
import { AddressSpace, Stage } from '../../address-space.js';
import { type Architecture, Found } from '../../architecture.js';
import { ContextCaches, OwnProcess } from '../../contexts.js';
import type { Miss } from '../../miss.js';
import type { IommuSpec } from '../../spec.js';
import type { FaultLog } from './fault-log.js';
import * as format from './format.js';
import {
  AddressType,
  FaultReason,
  Granularity,
  PasidCacheGranularity,
  PasidType,
  TableMode,
  TranslationType,
} from './format.js';
import type { Registers } from './registers.js';
import { FirstVariant, SecondVariant, type Tables } from './tables.js';

/** Kind of directory entry: `entry` of a miss. */
export const enum Entry {
  Root,
  Context,
  PasidDirectory,
  Pasid,
}

/** Bytes of the entries as hardware reads them: a root entry with both halves. */
const ROOT_BYTES = 16;
const LEGACY_CONTEXT_BYTES = 16;
const SCALABLE_CONTEXT_BYTES = 32;
const DIRECTORY_BYTES = 8;
const PASID_BYTES = 64;

/** Dwords of a scalable-mode context entry that are cached. */
export const CONTEXT_DWORDS = 3;
const WORDS = new Int32Array(16);

/**
 * Added to the PASID under which the PASID cache keeps the entry of requests without PASID: requests with that PASID are refused
 * (SCT.9), and must not find it.
 */
const WITHOUT_PASID = 1 << 20;
/** Added to the PASID tag of translations that hold only for privileged requests. Commands that name the PASID reach them too. */
const PRIVILEGED_TAG = 1 << 30;

/** `flags` of an address space. */
const enum SpaceFlag {
  /** SRE. */
  SupervisorRequests = 1,
  /** Requests without PASID, of a device whose RID_PRIV is set. */
  RequesterPrivileged = 2,
  /** SSADE of a nested space. */
  SecondFlags = 4,
  /** WPE clear: privileged writes go through tables of another format, whose number is in bits 31:8. */
  Unprotected = 8,
}
const UNPROTECTED_FORMAT = 8;

export class Directory implements Architecture {
  readonly contexts: ContextCaches;
  readonly pageSizes: readonly number[] = [12, 21, 30];
  readonly formats: readonly Format[];
  /** Walks set accessed and dirty flags whatever PWSNP says: an emulator's. */
  alwaysUpdates = false;
  private readonly above: number;
  private readonly sagaw: number;
  private readonly scalable: boolean;
  /** ECAP.NEST. */
  private readonly nesting: boolean;
  /** Highest table: first-stage tables of five levels need CAP.FS5LP. */
  private readonly levels: number;
  private readonly scratch = new AddressSpace();

  constructor(
    spec: IommuSpec,
    seed: number,
    name: string,
    private readonly physical: PhysicalMemory,
    private readonly registers: Registers,
    private readonly faults: FaultLog,
    readonly tables: Tables,
  ) {
    this.formats = tables.formats;
    this.contexts = new ContextCaches(spec, seed, name, CONTEXT_DWORDS);
    this.scalable = spec.mode === 'scalable';
    this.nesting = spec.secondLevels > 0;
    this.above = format.aboveAddressWidth(spec.hostAddressWidth);
    let sagaw = 0;
    for (let levels = 3; levels <= Math.max(spec.levels, spec.secondLevels); levels++) sagaw |= 1 << (levels - 2);
    this.sagaw = sagaw;
    this.levels = spec.levels;
  }

  start(m: Miss): Found {
    const { registers } = this;
    m.space.suppressFaults = false;
    if (registers.modeInvalid || (registers.scalable && !this.scalable)) return refuse(m, FaultReason.RootTablePointer);
    if (!registers.scalable && m.pasid >= 0) return refuse(m, FaultReason.PasidRequestInLegacyMode);
    const cached = registers.scalable ? this.contexts.device.find(m.requester, 0, 0) : -1;
    if (cached >= 0) {
      const [d0, d1, d2] = this.contexts.deviceWords.subarray(CONTEXT_DWORDS * cached) as unknown as number[];
      m.space.suppressFaults = format.faultsSuppressed(d0!);
      return this.toDirectory(m, d0!, d1!, d2!);
    }
    const mode = registers.scalable ? TableMode.Scalable : TableMode.Legacy;
    const offset = format.rootEntryOffset(mode, m.requester) & -ROOT_BYTES;
    return aim(m, Entry.Root, registers.rootHi, registers.rootLo | offset, ROOT_BYTES);
  }

  step(m: Miss): Found {
    switch (m.entry as Entry) {
      case Entry.Root:
        return this.rootEntry(m);
      case Entry.Context:
        return this.registers.scalable ? this.scalableContext(m) : this.legacyContext(m);
      case Entry.PasidDirectory:
        return this.directoryEntry(m);
      default:
        return this.pasidEntry(m);
    }
  }

  /** Reads the entry that the miss points at into WORDS. */
  private read(m: Miss): void {
    const { physical } = this;
    for (let i = 0; 8 * i < m.bytes; i++) {
      physical.read(m.readHi, m.readLo + 8 * i);
      WORDS[2 * i] = physical.wordLo;
      WORDS[2 * i + 1] = physical.wordHi;
    }
  }

  private rootEntry(m: Miss): Found {
    const mode = this.registers.scalable ? TableMode.Scalable : TableMode.Legacy;
    this.read(m);
    // Scalable mode: the half for the upper or lower devices of the bus.
    const half = (format.rootEntryOffset(mode, m.requester) % ROOT_BYTES) / 4;
    const [lo, hi, otherLo, otherHi] = [WORDS[half]!, WORDS[half + 1]!, WORDS[2 - half]!, WORDS[3 - half]!];
    const fault = format.checkRootEntry(mode, lo, hi, otherLo, otherHi, this.above);
    if (fault !== FaultReason.None) return refuse(m, fault);
    const bytes = mode === TableMode.Scalable ? SCALABLE_CONTEXT_BYTES : LEGACY_CONTEXT_BYTES;
    return aim(m, Entry.Context, hi, format.pointerLo(lo) | format.contextEntryOffset(mode, m.requester), bytes);
  }

  private legacyContext(m: Miss): Found {
    this.read(m);
    const [d0, d1, d2, d3] = [WORDS[0]!, WORDS[1]!, WORDS[2]!, WORDS[3]!];
    const { space } = m;
    space.suppressFaults = format.faultsSuppressed(d0);
    const fault = format.checkLegacyContext(d0, d1, d2, d3, this.above, this.sagaw, true);
    if (fault !== FaultReason.None) return refuse(m, fault);
    const type = format.translationType(d0);
    const passThrough = type === TranslationType.PassThrough;
    space.ats = type === TranslationType.DeviceTlb ? 1 : 0;
    space.stage = passThrough ? Stage.PassThrough : Stage.Second;
    space.aboveHi = this.above;
    space.did = format.contextDomain(d2);
    space.pasid = 0;
    space.flags = 0;
    space.grants = Permission.All;
    this.only(space, this.tables.second(0), format.contextLevels(d2), d1, format.pointerLo(d0));
    if (!m.stale) this.contexts.fillDevice(m.requester, space, OwnProcess.None, false);
    return Found.Located;
  }

  /** Sets the tables of the first or only stage. */
  private only(space: AddressSpace, number: number, levels: number, rootHi: number, rootLo: number): void {
    space.format = number;
    space.levels = levels;
    space.inputLg2 = this.formats[number]!.inputWidth(levels);
    space.rootHi = rootHi;
    space.rootLo = rootLo;
  }

  private scalableContext(m: Miss): Found {
    this.read(m);
    const [d0, d1, d2, d3] = [WORDS[0]!, WORDS[1]!, WORDS[2]!, WORDS[3]!];
    const rest = WORDS[4]! | WORDS[5]! | WORDS[6]! | WORDS[7]!;
    m.space.suppressFaults = format.faultsSuppressed(d0);
    const fault = format.checkScalableContext(d0, d1, d2, d3, rest, this.above);
    if (fault !== FaultReason.None) return refuse(m, fault);
    if (!m.stale) {
      const { contexts, scratch } = this;
      const own = format.requesterPasid(d2) | WITHOUT_PASID;
      const entry = contexts.fillDevice(m.requester, scratch, own, format.pasidEnabled(d0));
      if (entry >= 0) contexts.deviceWords.set([d0, d1, d2], CONTEXT_DWORDS * entry);
    }
    return this.toDirectory(m, d0, d1, d2);
  }

  /** Aims at the PASID directory entry. */
  private toDirectory(m: Miss, d0: number, d1: number, d2: number): Found {
    if ((m.flags & TlpFlag.Ats) !== 0 && !format.deviceTlbEnabled(d0)) return refuse(m, FaultReason.DeviceTlbDisabled);
    if (m.pasid >= 0 && !format.pasidEnabled(d0)) return refuse(m, FaultReason.PasidDisabled);
    const own = format.requesterPasid(d2);
    if (m.pasid >= format.pasidLimit(d0)) return refuse(m, FaultReason.PasidTooLarge);
    if (m.pasid === own) return refuse(m, FaultReason.RequesterPasid);
    const pasid = m.pasid >= 0 ? m.pasid : own;
    m.effectivePasid = pasid;
    m.space.ats = format.deviceTlbEnabled(d0) ? 1 : 0;
    m.space.flags = m.pasid < 0 && format.requesterPrivileged(d2) ? SpaceFlag.RequesterPrivileged : 0;
    // A directory may be larger than a page: the offset is added, with carry.
    const lo = (format.pointerLo(d0) >>> 0) + format.directoryEntryOffset(pasid);
    return aim(m, Entry.PasidDirectory, (d1 + (lo > 0xffffffff ? 1 : 0)) | 0, lo | 0, DIRECTORY_BYTES);
  }

  private directoryEntry(m: Miss): Found {
    this.read(m);
    m.space.suppressFaults ||= format.faultsSuppressed(WORDS[0]!);
    const fault = format.checkDirectoryEntry(WORDS[0]!, WORDS[1]!, this.above);
    if (fault !== FaultReason.None) return refuse(m, fault);
    const lo = format.pointerLo(WORDS[0]!) | format.pasidEntryOffset(m.effectivePasid);
    return aim(m, Entry.Pasid, WORDS[1]!, lo, PASID_BYTES);
  }

  private pasidEntry(m: Miss): Found {
    this.read(m);
    const { space, effectivePasid } = m;
    space.suppressFaults ||= format.faultsSuppressed(WORDS[0]!);
    const fault = format.checkPasidEntry(WORDS, this.above, this.sagaw, this.levels, this.nesting);
    if (fault !== FaultReason.None) return refuse(m, fault);
    space.did = format.pasidDomain(WORDS[2]!);
    const supervisor = format.supervisorAllowed(WORDS[4]!);
    // What every request is refused must not be found in the IOTLB. Only a PASID prefix can ask to execute.
    space.grants =
      Permission.All & ~(m.pasid >= 0 ? Permission.Execute : 0) & ~(supervisor ? 0 : Permission.Supervisor);
    if (supervisor) space.flags |= SpaceFlag.SupervisorRequests;
    space.aboveHi = this.above;
    const type = format.pasidType(WORDS[0]!);
    if (type === PasidType.FirstStage || type === PasidType.Nested) this.firstStage(m, type === PasidType.Nested);
    else {
      space.stage = type === PasidType.SecondStage ? Stage.Second : Stage.PassThrough;
      space.pasid = 0;
      const [d0, d1] = [WORDS[0]!, WORDS[1]!];
      this.only(space, this.secondFormat(), format.secondStageLevels(d0), d1, format.pointerLo(d0));
    }
    const key = m.pasid >= 0 ? effectivePasid : effectivePasid | WITHOUT_PASID;
    const refusesAll = !supervisor && (space.flags & SpaceFlag.RequesterPrivileged) !== 0;
    if (!m.stale && !refusesAll) this.contexts.fillProcess(m.requester, key, space);
    return Found.Located;
  }

  /** Hardware cannot set flags in the tables of the PASID entry in WORDS. */
  private get noUpdates(): boolean {
    return !this.alwaysUpdates && !format.walksSnoop(WORDS[2]!);
  }

  private secondFormat(): number {
    if (!format.secondStageAccessedDirty(WORDS[0]!)) return this.tables.second(0);
    return this.tables.second(SecondVariant.AccessedDirty | (this.noUpdates ? SecondVariant.NoUpdates : 0));
  }

  /** First stage, or both, of the PASID entry in WORDS. */
  private firstStage(m: Miss, nested: boolean): void {
    const { space } = m;
    const [d0, d1, d4, d5] = [WORDS[0]!, WORDS[1]!, WORDS[4]!, WORDS[5]!];
    const secondLevels = nested ? format.secondStageLevels(d0) : 0;
    let variant = secondLevels * FirstVariant.SecondLevels;
    if (format.extendedAccessed(d4)) variant |= FirstVariant.ExtendedAccessed;
    if (this.noUpdates) variant |= FirstVariant.NoUpdates;
    const unprotected = !format.writeProtected(d4);
    const privileged = unprotected ? FirstVariant.Unprotected : FirstVariant.Privileged;
    space.pasid = m.effectivePasid;
    space.stage = nested ? Stage.Nested : Stage.First;
    if ((space.flags & SpaceFlag.RequesterPrivileged) !== 0) {
      variant |= privileged;
      space.pasid |= PRIVILEGED_TAG;
    } else if (unprotected && format.supervisorAllowed(d4)) {
      space.flags |= SpaceFlag.Unprotected | (this.tables.first(variant | privileged) << UNPROTECTED_FORMAT);
    }
    this.only(space, this.tables.first(variant), format.firstStageLevels(d4), d5, format.pointerLo(d4));
    if (!nested) return;
    if (format.secondStageAccessedDirty(d0)) space.flags |= SpaceFlag.SecondFlags;
    space.secondFormat = this.secondFormat();
    space.secondLevels = secondLevels;
    space.secondInputLg2 = this.formats[space.secondFormat]!.inputWidth(secondLevels);
    space.secondRootHi = d1;
    space.secondRootLo = format.pointerLo(d0);
  }

  /** What depends on the request: its privilege (7.1.3, SPT.5, SPT.6), and the address of one that passes through (3.9). */
  admit(m: Miss): number {
    const { space, two } = m;
    if ((m.flags & TlpFlag.Ats) !== 0) {
      if (space.ats === 0) return this.withoutDeviceTlb(m);
      if ((m.flags & TlpFlag.Translated) !== 0) return 0;
    }
    if (!this.registers.scalable) return space.stage === Stage.PassThrough ? this.passes(m) : 0;
    if (m.pasid >= 0 && (m.flags & TlpFlag.Execute) !== 0) return FaultReason.ExecuteRequestDisabled;
    const prefixed = m.pasid >= 0 && (m.flags & TlpFlag.Privileged) !== 0;
    const privileged = prefixed || (space.flags & SpaceFlag.RequesterPrivileged) !== 0;
    if (privileged && (space.flags & SpaceFlag.SupervisorRequests) === 0) return FaultReason.SupervisorRequestDisabled;
    if (space.stage === Stage.PassThrough) return this.passes(m);
    if (prefixed && (m.flags & TlpFlag.Write) !== 0 && (space.flags & SpaceFlag.Unprotected) !== 0) {
      space.format = space.flags >>> UNPROTECTED_FORMAT;
      space.pasid |= PRIVILEGED_TAG;
    }
    if (space.stage === Stage.Nested) {
      // With second-stage flags every access to a first-stage entry is a write (3.8.1). The flags of a first-stage leaf are set last.
      const write = (space.flags & SpaceFlag.SecondFlags) !== 0 ? Permission.Write : 0;
      two.tableAccess = Permission.Read | Permission.User | write;
      two.leafLast = 1;
    }
    return 0;
  }

  /** The context entry refuses it: FPD of what comes after does not count. */
  private withoutDeviceTlb(m: Miss): FaultReason {
    if (!this.registers.scalable) return FaultReason.TranslationTypeBlocked;
    const { device, deviceWords } = this.contexts;
    const cached = device.find(m.requester, 0, 0);
    if (cached >= 0) m.space.suppressFaults = format.faultsSuppressed(deviceWords[CONTEXT_DWORDS * cached]!);
    return FaultReason.DeviceTlbDisabled;
  }

  private passes(m: Miss): FaultReason {
    const { scalable } = this.registers;
    const { inputHi, inputLo } = m.walk;
    if ((inputHi & this.above) !== 0) {
      return scalable ? FaultReason.AddressBeyondMaximum : FaultReason.AddressBeyondWidth;
    }
    return this.outside(inputHi, inputLo);
  }

  /** Output in the interrupt address range, FEEx_xxxxh, is blocked (3.15). */
  private outside(hi: number, lo: number): FaultReason {
    if (hi !== 0 || lo >>> 20 !== 0xfee) return FaultReason.None;
    return this.registers.scalable ? FaultReason.ScalableInterruptAddress : FaultReason.InterruptAddress;
  }

  output(m: Miss): number {
    return this.outside(m.walk.outHi, m.walk.outLo);
  }

  /** DMA without PASID privilege is a user request. */
  required(flags: number): number {
    const access = (flags & TlpFlag.Write) !== 0 ? Access.Write : Access.Read;
    const atomic = (flags & TlpFlag.Atomic) !== 0 ? Access.Read : 0;
    const user = (flags & TlpFlag.Privileged) !== 0 ? Permission.Supervisor : Permission.User;
    return access | atomic | user | ((flags & TlpFlag.Execute) !== 0 ? Permission.Execute : 0);
  }

  translationFault(m: Miss): FaultReason {
    const { space, walk, two } = m;
    if (space.stage !== Stage.Nested) {
      const stage = !this.registers.scalable
        ? format.Stage.LegacySecond
        : space.stage === Stage.Second
          ? format.Stage.ScalableSecond
          : format.Stage.ScalableFirst;
      return format.faultReason(stage, walk.fault, walk.access, walk.permissions, walk.level === space.levels);
    }
    const { fault, second } = two;
    const atRoot = walk.level === space.levels;
    if (two.faultStage === 1) return format.faultReason(format.Stage.ScalableFirst, fault, walk.access, 0, atRoot);
    if (two.target === Target.Final || fault === Fault.TableAccess) {
      const atSecondRoot = second.level === space.secondLevels;
      return format.faultReason(format.Stage.ScalableSecond, fault, second.access, second.permissions, atSecondRoot);
    }
    return format.faultReason(format.Stage.ScalableSecondForTable, fault, second.access, second.permissions, atRoot);
  }

  accessFault(m: Miss): FaultReason {
    const { scalable } = this.registers;
    switch (m.entry as Entry) {
      case Entry.Root:
        return scalable ? FaultReason.ScalableRootAccess : FaultReason.RootAccess;
      case Entry.Context:
        return scalable ? FaultReason.ScalableContextAccess : FaultReason.ContextAccess;
      case Entry.PasidDirectory:
        return FaultReason.PasidDirectoryAccess;
      default:
        return FaultReason.PasidAccess;
    }
  }

  /**
   * A device whose entry refuses translations, or has none, may not ask (unsupported request); one that names a PASID without an entry, or
   * meets a structure that cannot be read, gets an error for that request (7.1.3). What tables deny is no error.
   */
  atsStatus({ fault, located }: Miss): AtsStatus {
    if (format.isAccessError(fault)) return AtsStatus.CompleterAbort;
    if (fault === FaultReason.DeviceTlbDisabled || fault === FaultReason.TranslationTypeBlocked) {
      return AtsStatus.UnsupportedRequest;
    }
    if (located) return AtsStatus.Success;
    return fault >= FaultReason.PasidDisabled ? AtsStatus.CompleterAbort : AtsStatus.UnsupportedRequest;
  }

  refused(tlp: Event, requester: number, m: Miss): void {
    if (m.space.suppressFaults && format.isQualified(m.fault)) return;
    const access = (tlp.flags & TlpFlag.Write) !== 0 ? Access.Write : Access.Read;
    const translated = (tlp.flags & TlpFlag.Translated) !== 0;
    const asks = (tlp.flags & TlpFlag.TranslationRequest) !== 0;
    const type = translated ? AddressType.Translated : asks ? AddressType.TranslationRequest : AddressType.Untranslated;
    const [hi, lo] = translated ? [tlp.outHi, tlp.outLo] : [tlp.addressHi, tlp.addressLo];
    this.faults.record(m.fault, requester, tlp.context, hi, lo, access, type);
  }

  /** Context-cache invalidate descriptor (6.5.2.1). In scalable mode hardware ignores the domain: what is not device-selective is global. */
  invalidateContext(granularity: number, did: number, source: number, functionMask: number): void {
    // FM: 01b ignores function bit 2, 10b bits 2:1, 11b all three.
    const mask = [0, 4, 6, 7][functionMask]!;
    const { contexts } = this;
    if (granularity === Granularity.Selective) {
      for (let f = 0; f < 8; f++) if ((f & ~mask) === 0) contexts.dropDevice(((source & ~mask) | f) & 0xffff);
    } else if (granularity === Granularity.Domain && !this.registers.scalable) contexts.dropDevicesIn(did);
    else contexts.dropDevices();
  }

  /** PASID-cache invalidate descriptor (6.5.2.2). */
  invalidatePasid(granularity: number, did: number, pasid: number): void {
    const { contexts } = this;
    if (granularity === PasidCacheGranularity.Global) contexts.dropProcesses();
    else {
      contexts.dropProcessesIn(did, (entry) => {
        const samePasid = (contexts.pasidOfProcess(entry) & ~WITHOUT_PASID) === pasid;
        return granularity === PasidCacheGranularity.Domain || samePasid;
      });
    }
  }
}

/** Aims the miss at its next entry. */
function aim(m: Miss, entry: Entry, hi: number, lo: number, bytes: number): Found {
  m.entry = entry;
  m.readHi = hi;
  m.readLo = lo;
  m.bytes = bytes;
  return Found.Read;
}

function refuse(m: Miss, fault: FaultReason): Found {
  m.fault = fault;
  return Found.Refused;
}
