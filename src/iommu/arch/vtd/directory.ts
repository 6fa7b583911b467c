/**
 * From requester id and PASID to an address space: root table, context table and, in scalable mode, PASID directory and PASID table,
 * each read from simulated memory, with the context cache and the PASID cache in front (VT-d specification, chapters 3 and 9).
 * Cold, legacy mode reads 2 lines and scalable mode 4. Entries that are not present are never cached (CAP.CM = 0).
 * Not modelled: translated requests, page requests.
 */
import type { Event } from '../../../kernel/event.js';
import type { PhysicalMemory } from '../../../memory/physical.js';
import { type Format, Permission } from '../../../pagetable/format.js';
import { Access } from '../../../protocol/access.js';
import { TlpFlag } from '../../../protocol/tlp.js';
import { AddressSpace, Stage } from '../../address-space.js';
import { type Architecture, Found } from '../../architecture.js';
import { ContextCaches, OwnProcess } from '../../contexts.js';
import type { Miss } from '../../miss.js';
import type { IommuSpec } from '../../spec.js';
import type { FaultLog } from './fault-log.js';
import * as format from './format.js';
import { FaultReason, Granularity, PasidCacheGranularity, PasidType, TableMode, TranslationType } from './format.js';
import type { Registers } from './registers.js';
import { FormatIndex } from './tables.js';

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
const CONTEXT_DWORDS = 3;
const WORDS = new Int32Array(16);

export class Directory implements Architecture {
  readonly contexts: ContextCaches;
  readonly pageSizes: readonly number[] = [12, 21, 30];
  private readonly above: number;
  private readonly sagaw: number;
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
    /** By FormatIndex. */
    readonly formats: readonly Format[],
  ) {
    this.contexts = new ContextCaches(spec, seed, name, CONTEXT_DWORDS);
    this.above = format.aboveAddressWidth(spec.hostAddressWidth);
    let sagaw = 0;
    for (let levels = 3; levels <= Math.max(spec.levels, spec.secondLevels); levels++) sagaw |= 1 << (levels - 2);
    this.sagaw = sagaw;
    this.levels = spec.levels;
  }

  start(m: Miss): Found {
    const { registers } = this;
    m.space.suppressFaults = false;
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
    const [lo, hi] = [WORDS[half]!, WORDS[half + 1]!];
    const fault = format.checkRootEntry(mode, lo, hi, WORDS[2]!, WORDS[3]!, this.above);
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
    const passThrough = format.translationType(d0) === TranslationType.PassThrough;
    space.stage = passThrough ? Stage.PassThrough : Stage.Second;
    space.did = format.contextDomain(d2);
    space.pasid = 0;
    this.tables(space, FormatIndex.Second, format.contextLevels(d2), d1, format.pointerLo(d0));
    if (!m.stale) this.contexts.fillDevice(m.requester, space, OwnProcess.None, false);
    return Found.Located;
  }

  /** Sets the tables of the first or only stage. */
  private tables(space: AddressSpace, index: FormatIndex, levels: number, rootHi: number, rootLo: number): void {
    space.format = index;
    space.levels = levels;
    space.inputLg2 = this.formats[index]!.inputWidth(levels);
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
      const own = format.requesterPasid(d2);
      const entry = contexts.fillDevice(m.requester, scratch, own, format.pasidEnabled(d0));
      if (entry >= 0) contexts.deviceWords.set([d0, d1, d2], CONTEXT_DWORDS * entry);
    }
    return this.toDirectory(m, d0, d1, d2);
  }

  /** Aims at the PASID directory entry. */
  private toDirectory(m: Miss, d0: number, d1: number, d2: number): Found {
    if (m.pasid >= 0 && !format.pasidEnabled(d0)) return refuse(m, FaultReason.PasidDisabled);
    const pasid = m.pasid >= 0 ? m.pasid : format.requesterPasid(d2);
    if (pasid >= format.pasidLimit(d0)) {
      return refuse(m, m.pasid >= 0 ? FaultReason.PasidTooLarge : FaultReason.RequesterPasid);
    }
    m.effectivePasid = pasid;
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
    const [d0, d1, d2, d4, d5] = [WORDS[0]!, WORDS[1]!, WORDS[2]!, WORDS[4]!, WORDS[5]!];
    const { space } = m;
    space.suppressFaults ||= format.faultsSuppressed(d0);
    const fault = format.checkPasidEntry(d0, d1, d4, this.above, this.sagaw);
    if (fault !== FaultReason.None) return refuse(m, fault);
    const type = format.pasidType(d0);
    const first = type === PasidType.FirstStage || type === PasidType.Nested;
    if (first && format.firstStageLevels(d4) > this.levels) return refuse(m, FaultReason.PasidInvalid);
    space.did = format.pasidDomain(d2);
    space.pasid = first ? m.effectivePasid : 0;
    const secondLevels = format.secondStageLevels(d0);
    if (first) {
      space.stage = type === PasidType.Nested ? Stage.Nested : Stage.First;
      this.tables(space, FormatIndex.First, format.firstStageLevels(d4), d5, format.pointerLo(d4));
      space.secondFormat = FormatIndex.Second;
      space.secondLevels = secondLevels;
      space.secondInputLg2 = type === PasidType.Nested ? this.formats[FormatIndex.Second]!.inputWidth(secondLevels) : 0;
      space.secondRootHi = d1;
      space.secondRootLo = format.pointerLo(d0);
    } else {
      space.stage = type === PasidType.SecondStage ? Stage.Second : Stage.PassThrough;
      this.tables(space, FormatIndex.Second, secondLevels, d1, format.pointerLo(d0));
    }
    if (!m.stale) this.contexts.fillProcess(m.requester, m.effectivePasid, space);
    return Found.Located;
  }

  admit(): number {
    return 0;
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
    if (space.stage === Stage.Nested && two.faultStage === 2) {
      return format.faultReason(
        format.Stage.ScalableSecond,
        two.fault,
        two.second.access,
        two.second.level === space.secondLevels,
      );
    }
    const stage = !this.registers.scalable
      ? format.Stage.LegacySecond
      : space.stage === Stage.Second
        ? format.Stage.ScalableSecond
        : format.Stage.ScalableFirst;
    return format.faultReason(stage, walk.fault, walk.access, walk.level === space.levels);
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

  refused(tlp: Event, requester: number, m: Miss): void {
    if (m.space.suppressFaults && format.isQualified(m.fault)) return;
    const access = (tlp.flags & TlpFlag.Write) !== 0 ? Access.Write : Access.Read;
    this.faults.record(m.fault, requester, tlp.context, tlp.addressHi, tlp.addressLo, access);
  }

  /** Context-cache invalidate descriptor (6.5.2.1). In scalable mode hardware ignores the domain: what is not device-selective is global. */
  invalidateContext(granularity: number, did: number, source: number, functionMask: number): void {
    // FM: 01b ignores function bit 2, 10b bits 2:1, 11b all three.
    const mask = [0, 4, 6, 7][functionMask]!;
    const { contexts } = this;
    contexts.dropDevices((entry) => {
      if (granularity === Granularity.Selective) {
        return ((contexts.requesterOfDevice(entry) ^ source) & ~mask & 0xffff) === 0;
      }
      const byDomain = granularity === Granularity.Domain && !this.registers.scalable;
      return !byDomain || contexts.deviceSpace[entry]!.did === did;
    });
  }

  /** PASID-cache invalidate descriptor (6.5.2.2). */
  invalidatePasid(granularity: number, did: number, pasid: number): void {
    const { contexts } = this;
    contexts.dropProcesses((entry) => {
      if (granularity === PasidCacheGranularity.Global) return true;
      const sameDomain = contexts.processSpace[entry]!.did === did;
      return sameDomain && (granularity === PasidCacheGranularity.Domain || contexts.pasidOfProcess(entry) === pasid);
    });
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
