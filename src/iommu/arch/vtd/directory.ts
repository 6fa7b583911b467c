/**
 * From requester id and PASID to an address space: root table, context table and, in scalable mode, PASID directory and PASID table,
 * each read from simulated memory, with the context cache and the PASID cache in front (VT-d specification, chapters 3 and 9).
 * Cold, legacy mode reads 2 lines and scalable mode 4. Entries that are not present are never cached (CAP.CM = 0).
 * Not modelled: nested translation (PGTT 011b), translated requests, page requests.
 */
import type { PhysicalMemory } from '../../../memory/physical.js';
import { Permission } from '../../../pagetable/format.js';
import type { Access } from '../../../protocol/access.js';
import { AddressSpace, Stage } from '../../address-space.js';
import { SetAssociativeCache } from '../../cache.js';
import { type Miss, Phase } from '../../miss.js';
import type { IommuSpec } from '../../spec.js';
import * as format from './format.js';
import { FaultReason, Granularity, PasidCacheGranularity, PasidType, TableMode, TranslationType } from './format.js';
import type { Registers } from './registers.js';

const WORDS = new Int32Array(16);

export class Directory {
  readonly contextCache: SetAssociativeCache;
  readonly pasidCache: SetAssociativeCache;
  /** Legacy mode: address space of each context cache entry. */
  private readonly contextSpace: readonly AddressSpace[];
  /** Scalable mode: dwords 0 to 2 of each cached context entry. */
  private readonly contextDwords: Int32Array;
  private readonly pasidSpace: readonly AddressSpace[];
  private readonly untranslated = new AddressSpace();
  private readonly above: number;
  private readonly sagaw: number;
  /** Highest table: first-stage tables of five levels need CAP.FS5LP. */
  private readonly levels: number;

  constructor(
    spec: IommuSpec,
    seed: number,
    name: string,
    private readonly physical: PhysicalMemory,
    private readonly registers: Registers,
  ) {
    this.contextCache = new SetAssociativeCache(spec.contextCache, seed, `${name}/context`);
    this.pasidCache = new SetAssociativeCache(spec.pasidCache, seed, `${name}/pasid`);
    this.contextSpace = Array.from({ length: spec.contextCache.entries }, () => new AddressSpace());
    this.contextDwords = new Int32Array(3 * spec.contextCache.entries);
    this.pasidSpace = Array.from({ length: spec.pasidCache.entries }, () => new AddressSpace());
    this.untranslated.stage = Stage.PassThrough;
    this.above = format.aboveAddressWidth(spec.hostAddressWidth);
    let sagaw = 0;
    for (let levels = 3; levels <= spec.levels; levels++) sagaw |= 1 << (levels - 2);
    this.sagaw = sagaw;
    this.levels = spec.levels;
  }

  /**
   * The address space of a request (`pasid` -1: without PASID) if the caches know it. `count`: as a lookup of a request; a walk
   * that asks again does not count. Hot path.
   */
  find(requester: number, pasid: number, count: boolean): AddressSpace | null {
    const { registers, contextCache, pasidCache } = this;
    if (registers.translation === false) return this.untranslated;
    if (registers.scalable === false) {
      if (pasid >= 0) return null;
      const entry = count ? contextCache.lookup(requester, 0, 0) : contextCache.touch(requester, 0, 0);
      return entry < 0 ? null : this.contextSpace[entry]!;
    }
    const context = count ? contextCache.lookup(requester, 0, 0) : contextCache.touch(requester, 0, 0);
    if (context < 0) return null;
    const effective = pasid >= 0 ? pasid : format.requesterPasid(this.contextDwords[3 * context + 2]!);
    if (pasid >= 0 && !format.pasidEnabled(this.contextDwords[3 * context]!)) return null;
    const entry = count ? pasidCache.lookup(effective, requester, 0) : pasidCache.touch(effective, requester, 0);
    return entry < 0 ? null : this.pasidSpace[entry]!;
  }

  /** Aims the miss at the first directory entry to read. False: it cannot be translated, `fault` says why. */
  start(m: Miss): boolean {
    const { registers } = this;
    m.suppressFaults = false;
    if (!registers.scalable && m.pasid >= 0) {
      m.fault = FaultReason.PasidRequestInLegacyMode;
      return false;
    }
    const cached = registers.scalable ? this.contextCache.find(m.requester, 0, 0) : -1;
    if (cached >= 0) {
      const at = 3 * cached;
      const [d0, d1, d2] = [this.contextDwords[at]!, this.contextDwords[at + 1]!, this.contextDwords[at + 2]!];
      m.suppressFaults = format.faultsSuppressed(d0);
      return !this.toDirectory(m, d0, d1, d2);
    }
    const mode = registers.scalable ? TableMode.Scalable : TableMode.Legacy;
    m.phase = Phase.Root;
    m.readHi = registers.rootHi;
    m.readLo = registers.rootLo | format.rootEntryOffset(mode, m.requester);
    return true;
  }

  /** Consumes the entry that has been read. True when the address space is known or `fault` is set; false: one more read. */
  step(m: Miss): boolean {
    switch (m.phase) {
      case Phase.Root:
        return this.rootEntry(m);
      case Phase.Context:
        return this.registers.scalable ? this.scalableContext(m) : this.legacyContext(m);
      case Phase.PasidDirectory:
        return this.directoryEntry(m);
      default:
        return this.pasidEntry(m);
    }
  }

  /** Reads `qwords` from where the miss points, into WORDS. */
  private read(m: Miss, qwords: number): void {
    const { physical } = this;
    for (let i = 0; i < qwords; i++) {
      physical.read(m.readHi, m.readLo + 8 * i);
      WORDS[2 * i] = physical.wordLo;
      WORDS[2 * i + 1] = physical.wordHi;
    }
  }

  private rootEntry(m: Miss): boolean {
    const mode = this.registers.scalable ? TableMode.Scalable : TableMode.Legacy;
    this.read(m, mode === TableMode.Legacy ? 2 : 1);
    m.fault = format.checkRootEntry(mode, WORDS[0]!, WORDS[1]!, WORDS[2]!, WORDS[3]!, this.above);
    if (m.fault !== FaultReason.None) return true;
    m.phase = Phase.Context;
    m.readHi = WORDS[1]!;
    m.readLo = format.pointerLo(WORDS[0]!) | format.contextEntryOffset(mode, m.requester);
    return false;
  }

  private legacyContext(m: Miss): boolean {
    this.read(m, 2);
    const [d0, d1, d2, d3] = [WORDS[0]!, WORDS[1]!, WORDS[2]!, WORDS[3]!];
    m.suppressFaults = format.faultsSuppressed(d0);
    m.fault = format.checkLegacyContext(d0, d1, d2, d3, this.above, this.sagaw, true);
    if (m.fault !== FaultReason.None) return true;
    const passThrough = format.translationType(d0) === TranslationType.PassThrough;
    const { space } = m;
    space.stage = passThrough ? Stage.PassThrough : Stage.Second;
    space.suppressFaults = m.suppressFaults;
    space.did = format.contextDomain(d2);
    space.pasid = 0;
    space.levels = format.contextLevels(d2);
    space.rootHi = d1;
    space.rootLo = format.pointerLo(d0);
    const entry = m.stale ? -1 : this.contextCache.fill(m.requester, 0, 0);
    if (entry >= 0) this.contextSpace[entry]!.copy(space);
    return true;
  }

  private scalableContext(m: Miss): boolean {
    this.read(m, 4);
    const [d0, d1, d2, d3] = [WORDS[0]!, WORDS[1]!, WORDS[2]!, WORDS[3]!];
    const rest = WORDS[4]! | WORDS[5]! | WORDS[6]! | WORDS[7]!;
    m.suppressFaults = format.faultsSuppressed(d0);
    m.fault = format.checkScalableContext(d0, d1, d2, d3, rest, this.above);
    if (m.fault !== FaultReason.None) return true;
    const entry = m.stale ? -1 : this.contextCache.fill(m.requester, 0, 0);
    if (entry >= 0) {
      this.contextDwords[3 * entry] = d0;
      this.contextDwords[3 * entry + 1] = d1;
      this.contextDwords[3 * entry + 2] = d2;
    }
    return this.toDirectory(m, d0, d1, d2);
  }

  /** Aims at the PASID directory entry. True: refused. */
  private toDirectory(m: Miss, d0: number, d1: number, d2: number): boolean {
    if (m.pasid >= 0 && !format.pasidEnabled(d0)) m.fault = FaultReason.PasidDisabled;
    const pasid = m.pasid >= 0 ? m.pasid : format.requesterPasid(d2);
    if (m.fault === 0 && pasid >= format.pasidLimit(d0)) {
      m.fault = m.pasid >= 0 ? FaultReason.PasidTooLarge : FaultReason.RequesterPasid;
    }
    if (m.fault !== 0) return true;
    m.effectivePasid = pasid;
    m.phase = Phase.PasidDirectory;
    // A directory may be larger than a page: the offset is added, with carry.
    const lo = format.pointerLo(d0) + format.directoryEntryOffset(pasid);
    m.readLo = lo | 0;
    m.readHi = (d1 + ((format.pointerLo(d0) >>> 0) + format.directoryEntryOffset(pasid) > 0xffffffff ? 1 : 0)) | 0;
    return false;
  }

  private directoryEntry(m: Miss): boolean {
    this.read(m, 1);
    m.suppressFaults ||= format.faultsSuppressed(WORDS[0]!);
    m.fault = format.checkDirectoryEntry(WORDS[0]!, WORDS[1]!, this.above);
    if (m.fault !== FaultReason.None) return true;
    m.phase = Phase.PasidEntry;
    m.readHi = WORDS[1]!;
    m.readLo = format.pointerLo(WORDS[0]!) | format.pasidEntryOffset(m.effectivePasid);
    return false;
  }

  private pasidEntry(m: Miss): boolean {
    this.read(m, 8);
    const [d0, d1, d2, d4, d5] = [WORDS[0]!, WORDS[1]!, WORDS[2]!, WORDS[4]!, WORDS[5]!];
    m.suppressFaults ||= format.faultsSuppressed(d0);
    m.fault = format.checkPasidEntry(d0, d1, d4, this.above, this.sagaw);
    const type = format.pasidType(d0);
    const tooHigh = type === PasidType.FirstStage && format.firstStageLevels(d4) > this.levels;
    if (m.fault === FaultReason.None && (tooHigh || type === PasidType.Nested)) m.fault = FaultReason.PasidInvalid;
    if (m.fault !== FaultReason.None) return true;
    const { space } = m;
    const first = type === PasidType.FirstStage;
    space.stage = first ? Stage.First : type === PasidType.SecondStage ? Stage.Second : Stage.PassThrough;
    space.suppressFaults = m.suppressFaults;
    space.did = format.pasidDomain(d2);
    space.pasid = first ? m.effectivePasid : 0;
    space.levels = first ? format.firstStageLevels(d4) : format.secondStageLevels(d0);
    space.rootHi = first ? d5 : d1;
    space.rootLo = format.pointerLo(first ? d4 : d0);
    const entry = m.stale ? -1 : this.pasidCache.fill(m.effectivePasid, m.requester, 0);
    if (entry >= 0) this.pasidSpace[entry]!.copy(space);
    return true;
  }

  /** Permissions a walk has to find for a request: DMA without PASID privilege is a user request. */
  requiredAccess(access: Access): number {
    return access | Permission.User;
  }

  /** Fault reason of a walk that ended in `walk.fault`. */
  translationFault(m: Miss): FaultReason {
    const { space, walk } = m;
    const stage = !this.registers.scalable
      ? format.Stage.LegacySecond
      : space.stage === Stage.First
        ? format.Stage.ScalableFirst
        : format.Stage.ScalableSecond;
    return format.faultReason(stage, walk.fault, walk.access, walk.level === space.levels);
  }

  /** An entry of the directory lies outside memory: fault reason by phase. */
  accessFault(phase: Phase): FaultReason {
    const { scalable } = this.registers;
    switch (phase) {
      case Phase.Root:
        return scalable ? FaultReason.ScalableRootAccess : FaultReason.RootAccess;
      case Phase.Context:
        return scalable ? FaultReason.ScalableContextAccess : FaultReason.ContextAccess;
      case Phase.PasidDirectory:
        return FaultReason.PasidDirectoryAccess;
      default:
        return FaultReason.PasidAccess;
    }
  }

  /** Context-cache invalidate descriptor (6.5.2.1). In scalable mode hardware ignores the domain: what is not device-selective is global. */
  invalidateContext(granularity: number, did: number, source: number, functionMask: number): void {
    const cache = this.contextCache;
    // FM: 01b ignores function bit 2, 10b bits 2:1, 11b all three.
    const mask = [0, 4, 6, 7][functionMask]!;
    for (let entry = 0; entry < cache.entries; entry++) {
      if (cache.valid[entry] === 0) continue;
      const keep =
        granularity === Granularity.Selective
          ? ((cache.k0[entry]! ^ source) & ~mask & 0xffff) !== 0
          : granularity === Granularity.Domain && !this.registers.scalable && this.contextSpace[entry]!.did !== did;
      if (!keep) cache.invalidate(entry);
    }
  }

  /** PASID-cache invalidate descriptor (6.5.2.2). */
  invalidatePasid(granularity: number, did: number, pasid: number): void {
    const cache = this.pasidCache;
    for (let entry = 0; entry < cache.entries; entry++) {
      if (cache.valid[entry] === 0) continue;
      const sameDomain = this.pasidSpace[entry]!.did === did;
      const drop =
        granularity === PasidCacheGranularity.Global ||
        (sameDomain && (granularity === PasidCacheGranularity.Domain || cache.k0[entry] === pasid));
      if (drop) cache.invalidate(entry);
    }
  }

  resetCounters(): void {
    this.contextCache.resetCounters();
    this.pasidCache.resetCounters();
  }
}
