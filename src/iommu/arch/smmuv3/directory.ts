/**
 * From StreamID and SubstreamID to an address space: stream table, stream table entry, context descriptor table and context
 * descriptor, each read from simulated memory, with caches of STEs and CDs in front (Arm IHI 0070G 3.3, 5.1 to 5.4, 16.2.1). Where a
 * stream has stage 2, context descriptor tables lie at guest-physical addresses. Invalid and ILLEGAL STEs and CDs are cached as well,
 * as the specification allows: software invalidates after it makes one valid. Level 1 descriptors are not cached.
 * Not modelled: STE.CONT, StreamWorld EL2 without CR2.E2H, the VMS.
 */
import type { Event } from '../../../kernel/event.js';
import type { PhysicalMemory } from '../../../memory/physical.js';
import { type Format, Permission } from '../../../pagetable/format.js';
import { Target } from '../../../pagetable/two-stage.js';
import { Fault } from '../../../pagetable/walk.js';
import { AtsStatus } from '../../../protocol/ats.js';
import { TlpFlag } from '../../../protocol/tlp.js';
import { AddressSpace, Stage } from '../../address-space.js';
import { type Architecture, Found } from '../../architecture.js';
import { ContextCaches, OwnProcess } from '../../contexts.js';
import { type Miss, Phase } from '../../miss.js';
import type { IommuSpec } from '../../spec.js';
import { decodeContext, exclusionsOf, SpaceFlag } from './context.js';
import type { EventQueue } from './event-queue.js';
import type { Features } from './features.js';
import * as format from './format.js';
import { DefaultSubstream, EventClass, EventCode, EventRecord } from './format.js';
import { fits, Formats } from './formats.js';
import type { Registers } from './registers.js';
import type { Stalls } from './stalls.js';
import { Stream } from './stream.js';

/** Kind of directory entry: `entry` of a miss. */
export const enum Entry {
  /** Level 1 stream descriptor, level 1 context descriptor. */
  StreamPointer,
  Stream,
  ContextPointer,
  Context,
}

/** The CD of requests without SubstreamID is cached under a number of its own: SubstreamID 0 may be forbidden all the same (S1DSS). */
export const NO_SUBSTREAM: number = 1 << 20;
/** Tag of translations of StreamWorld EL2-E2H, beside the ASID: they have no VMID. */
export const EL2_TAG: number = 1 << 16;

const POINTER_BYTES = 8;
const ENTRY_BYTES = 64;

export class Directory implements Architecture {
  readonly contexts: ContextCaches;
  readonly formats: readonly Format[];
  /** Pages, blocks and contiguous groups of the three granules. */
  readonly pageSizes: readonly number[] = [12, 14, 16, 21, 25, 29, 30, 34, 42];
  /** A context descriptor with TBI has been read: addresses with different top bytes may mean the same page. */
  ignoresTopBytes = false;
  private readonly known = new Formats();
  private readonly stream: Stream;
  private readonly words = new Int32Array(16);
  private readonly record = new EventRecord();
  private readonly scratch = new AddressSpace();

  constructor(
    spec: IommuSpec,
    seed: number,
    name: string,
    private readonly physical: PhysicalMemory,
    private readonly registers: Registers,
    readonly events: EventQueue,
    readonly stalls: Stalls,
    readonly features: Features,
  ) {
    this.contexts = new ContextCaches(spec, seed, name, format.STE_DWORDS);
    this.formats = this.known.list;
    this.stream = new Stream(features, this.known);
  }

  start(m: Miss): Found {
    const { registers, contexts } = this;
    m.space.flags = 0;
    if (!registers.enabled) return refuse(m, EventCode.Silent);
    const cached = contexts.device.find(m.requester, 0, 0);
    if (cached >= 0) {
      const from = format.STE_DWORDS * cached;
      return this.useStream(m, contexts.deviceWords.subarray(from, from + format.STE_DWORDS));
    }
    const { streamHi, streamLo, streamsLg2, split } = registers;
    if (m.requester >= 2 ** streamsLg2) return refuse(m, EventCode.C_BAD_STREAMID);
    if (split === 0) return aim(m, Entry.Stream, streamHi, streamLo, m.requester << format.STE_LG2, ENTRY_BYTES);
    const offset = (m.requester >>> split) << format.POINTER_LG2;
    return aim(m, Entry.StreamPointer, streamHi, streamLo, offset, POINTER_BYTES);
  }

  step(m: Miss): Found {
    this.read(m);
    switch (m.entry as Entry) {
      case Entry.StreamPointer:
        return this.streamPointer(m);
      case Entry.Stream:
        return this.streamEntry(m);
      case Entry.ContextPointer:
        return this.contextPointer(m);
      default:
        return this.contextEntry(m);
    }
  }

  /** Reads the entry that the miss points at. */
  private read(m: Miss): void {
    const { physical, words } = this;
    for (let i = 0; 8 * i < m.bytes; i++) {
      physical.read(m.readHi, m.readLo + 8 * i);
      words[2 * i] = physical.wordLo;
      words[2 * i + 1] = physical.wordHi;
    }
  }

  private streamPointer(m: Miss): Found {
    const [lo, hi] = [this.words[0]!, this.words[1]!];
    const { split } = this.registers;
    const span = format.streamSpanLg2(lo, split);
    const index = m.requester & (2 ** split - 1);
    if (span < 0 || index >= 2 ** span) return refuse(m, EventCode.C_BAD_STREAMID);
    const table = format.alignedLo(lo, span + format.STE_LG2);
    return aim(m, Entry.Stream, format.pointerHi(hi), table, index << format.STE_LG2, ENTRY_BYTES);
  }

  private streamEntry(m: Miss): Found {
    const { contexts, stream, words } = this;
    stream.decode(words);
    if (!m.stale) {
      this.withoutStage1(this.scratch);
      const entry = contexts.fillDevice(m.requester, this.scratch, this.ownProcess(), this.takesSubstreams());
      if (entry >= 0) contexts.deviceWords.set(words.subarray(0, format.STE_DWORDS), format.STE_DWORDS * entry);
    }
    return this.located(m);
  }

  /** The stream table entry is `words`. */
  private useStream(m: Miss, words: Int32Array): Found {
    this.stream.decode(words);
    return this.located(m);
  }

  private ownProcess(): number {
    const { legal, aborts, stage1, contextsLg2, defaultSubstream } = this.stream;
    if (!legal || aborts) return OwnProcess.Unknown;
    if (!stage1) return OwnProcess.None;
    if (contextsLg2 === 0 || defaultSubstream === DefaultSubstream.UseContext0) return NO_SUBSTREAM;
    return defaultSubstream === DefaultSubstream.Bypass ? OwnProcess.None : OwnProcess.Unknown;
  }

  private takesSubstreams(): boolean {
    const { legal, aborts, stage1, contextsLg2 } = this.stream;
    return legal && !aborts && stage1 && contextsLg2 > 0;
  }

  /** Goes on from a decoded stream table entry (5.2: Config, S1CDMax, S1DSS). */
  private located(m: Miss): Found {
    const { stream } = this;
    const { stage1, contextsLg2, defaultSubstream } = stream;
    if (!stream.legal) return refuse(m, EventCode.C_BAD_STE);
    if (stream.aborts) return refuse(m, EventCode.Silent);
    if ((m.flags & TlpFlag.Ats) !== 0) {
      if (!stream.ats) return refuse(m, forbidden(m));
      if ((m.flags & TlpFlag.Translated) !== 0) {
        // The stream table entry is all that is asked (3.9.1.3); without PASIDTT a PASID means nothing here.
        this.withoutStage1(m.space);
        return Found.Located;
      }
    }
    if (m.pasid >= 0) {
      if (!stage1 || contextsLg2 === 0 || m.pasid >= 2 ** contextsLg2) return refuse(m, EventCode.C_BAD_SUBSTREAMID);
      if (m.pasid === 0 && defaultSubstream === DefaultSubstream.UseContext0) {
        return refuse(m, EventCode.F_STREAM_DISABLED);
      }
      m.effectivePasid = m.pasid;
      return this.toContext(m, m.pasid);
    }
    const own = this.ownProcess();
    if (own === OwnProcess.Unknown) return refuse(m, EventCode.F_STREAM_DISABLED);
    if (own === OwnProcess.None) {
      this.withoutStage1(m.space);
      return Found.Located;
    }
    m.effectivePasid = NO_SUBSTREAM;
    return this.toContext(m, 0);
  }

  /** Stage 2 alone, or nothing. */
  private withoutStage1(space: AddressSpace): void {
    const { stream } = this;
    space.stage = stream.stage2 ? Stage.Second : Stage.PassThrough;
    space.did = stream.vmid;
    space.pasid = 0;
    space.format = stream.format;
    space.levels = stream.levels;
    space.inputLg2 = stream.inputLg2;
    space.rootHi = stream.rootHi;
    space.rootLo = stream.rootLo;
    space.flags = stream.recordsStage2 ? 0 : SpaceFlag.SilentStage2;
    space.ats = stream.ats ? 1 : 0;
    space.grants = Permission.All;
    space.aboveHi = -1 << (this.features.outputLg2 - 32);
  }

  /** Aims at a context descriptor, or at the level 1 descriptor on the way to it. */
  private toContext(m: Miss, index: number): Found {
    const { stream, contexts } = this;
    const { space } = m;
    const known = contexts.process.find(m.effectivePasid, m.requester, 0);
    if (known >= 0) {
      space.copy(contexts.processSpace[known]!);
      return Found.Located;
    }
    space.stage = stream.stage2 ? Stage.Nested : Stage.First;
    space.did = stream.vmid;
    space.pasid = stream.el2 ? EL2_TAG : 0;
    space.ats = stream.ats ? 1 : 0;
    space.grants = Permission.All;
    space.flags = stream.recordsStage2 ? 0 : SpaceFlag.SilentStage2;
    if (stream.leafLg2 === 10) space.flags |= SpaceFlag.LargeLeaf;
    if (stream.stallDisabled) space.flags |= SpaceFlag.StallDisabled;
    space.secondFormat = stream.format;
    space.secondLevels = stream.levels;
    space.secondInputLg2 = stream.inputLg2;
    space.secondRootHi = stream.rootHi;
    space.secondRootLo = stream.rootLo;
    const { contextHi, contextLo, leafLg2 } = stream;
    m.guest = stream.stage2 ? 1 : 0;
    if (leafLg2 < 0) return aim(m, Entry.Context, contextHi, contextLo, index * ENTRY_BYTES, ENTRY_BYTES);
    return aim(m, Entry.ContextPointer, contextHi, contextLo, (index >>> leafLg2) * POINTER_BYTES, POINTER_BYTES);
  }

  private contextPointer(m: Miss): Found {
    const [lo, hi] = [this.words[0]!, this.words[1]!];
    const leafHi = format.pointerHi(hi);
    if ((lo & 1) === 0 || !fits(leafHi, this.features.outputLg2)) return refuse(m, EventCode.C_BAD_SUBSTREAMID);
    const index = m.effectivePasid === NO_SUBSTREAM ? 0 : m.effectivePasid;
    const inner = index & ((m.space.flags & SpaceFlag.LargeLeaf) !== 0 ? 1023 : 63);
    m.guest = m.space.stage === Stage.Nested ? 1 : 0;
    return aim(m, Entry.Context, leafHi, lo & ~0xfff, inner * ENTRY_BYTES, ENTRY_BYTES);
  }

  private contextEntry(m: Miss): Found {
    const { words, features, known, contexts } = this;
    const { space } = m;
    const legal = decodeContext(words, features, known, space);
    if (!legal) {
      // No cached translation may answer for it.
      space.flags |= SpaceFlag.Illegal;
      space.stage = Stage.PassThrough;
      space.grants = 0;
    }
    space.pasid |= format.contextAsid(words[1]!);
    if ((space.flags & (SpaceFlag.IgnoreTopByte0 | SpaceFlag.IgnoreTopByte1)) !== 0) this.ignoresTopBytes = true;
    if (!m.stale) contexts.fillProcess(m.requester, m.effectivePasid, space);
    return Found.Located;
  }

  /** The input address: which half it is in, how wide it may be (3.4, 3.4.1; DDI 0487 D8.2). */
  admit(m: Miss): number {
    const { space, walk } = m;
    m.two.faultStage = 0;
    walk.exclusions = 0;
    if ((m.flags & TlpFlag.Ats) !== 0 && space.ats === 0) return forbidden(m);
    if ((space.flags & SpaceFlag.Illegal) !== 0) return EventCode.C_BAD_CD;
    if ((m.flags & TlpFlag.Translated) !== 0) return 0;
    if (space.stage === Stage.Second || space.stage === Stage.PassThrough) {
      return fits(m.inputHi, this.features.outputLg2) ? 0 : EventCode.F_ADDR_SIZE;
    }
    const upper = (m.inputHi & (1 << 23)) !== 0;
    if (upper) useUpperHalf(space);
    if (space.levels === 0) return EventCode.F_TRANSLATION;
    const ignores = upper ? SpaceFlag.IgnoreTopByte1 : SpaceFlag.IgnoreTopByte0;
    if ((space.flags & ignores) !== 0) walk.inputHi = (m.inputHi << 8) >> 8;
    walk.exclusions = exclusionsOf(space.flags);
    return 0;
  }

  required(flags: number): number {
    const privileged = (flags & TlpFlag.Privileged) !== 0;
    // An instruction fetch asks for nothing else: pages may be executable and neither readable nor open to data accesses.
    if ((flags & TlpFlag.Execute) !== 0) return privileged ? Permission.SupervisorExecute : Permission.Execute;
    const access = (flags & TlpFlag.Write) !== 0 ? Permission.Write : Permission.Read;
    const atomic = (flags & TlpFlag.Atomic) !== 0 ? Permission.Read : 0;
    return access | atomic | (privileged ? Permission.Supervisor : Permission.User);
  }

  translationFault(m: Miss): EventCode {
    const { space, walk, two } = m;
    const twoStages = m.phase === Phase.Pointer || space.stage === Stage.Nested;
    if (!twoStages) two.faultStage = space.stage === Stage.Second ? 2 : 1;
    switch (twoStages ? two.fault : walk.fault) {
      case Fault.OutputSize:
        return EventCode.F_ADDR_SIZE;
      case Fault.AccessFlag:
        return EventCode.F_ACCESS;
      case Fault.TableAccess:
        return EventCode.F_WALK_EABT;
      case Fault.ReadDenied:
      case Fault.WriteDenied:
      case Fault.ExecuteDenied:
      case Fault.Privilege:
        return EventCode.F_PERMISSION;
      default:
        return EventCode.F_TRANSLATION;
    }
  }

  accessFault(m: Miss): EventCode {
    const stream = m.entry === Entry.StreamPointer || m.entry === Entry.Stream;
    return stream ? EventCode.F_STE_FETCH : EventCode.F_CD_FETCH;
  }

  /**
   * 3.9.1.2: faults of the stages of translation say that there is no translation; errors of configuration are completer aborts; where ATS is off, and of a stream
   * that aborts, the request is unsupported.
   */
  atsStatus(m: Miss): AtsStatus {
    switch (m.fault as EventCode) {
      case EventCode.F_TRANSLATION:
      case EventCode.F_ADDR_SIZE:
      case EventCode.F_ACCESS:
      case EventCode.F_PERMISSION:
        return AtsStatus.Success;
      case EventCode.Silent:
      case EventCode.F_BAD_ATS_TREQ:
        return AtsStatus.UnsupportedRequest;
      default:
        return AtsStatus.CompleterAbort;
    }
  }

  refused(tlp: Event, requester: number, m: Miss): void {
    const code = m.fault as EventCode;
    if (code === EventCode.Silent || !this.isRecorded(m)) return;
    this.describe(this.record, tlp, requester, m);
    this.events.record(this.record);
  }

  /** Faults of the stages of translation stall where CD.S says so (3.12.2); whether CD.R is set does not matter then. */
  stall(tlp: Event, requester: number, m: Miss): boolean {
    const code = m.fault as EventCode;
    if ((m.space.flags & SpaceFlag.Stalls) === 0 || !m.located || isStage2(m)) return false;
    if (code < EventCode.F_TRANSLATION || code > EventCode.F_PERMISSION) return false;
    const record = this.stalls.add(tlp, requester);
    if (record !== null) {
      this.describe(record, tlp, requester, m);
      this.stalls.report(record);
    }
    return true;
  }

  proceeds(tlp: Event): void {
    this.stalls.proceeds(tlp);
  }

  private describe(r: EventRecord, tlp: Event, requester: number, m: Miss): void {
    const code = m.fault as EventCode;
    const stage2 = isStage2(m);
    r.code = code;
    r.sid = requester;
    r.ssid = tlp.context;
    r.read = (tlp.flags & TlpFlag.Write) === 0;
    r.execute = (tlp.flags & TlpFlag.Execute) !== 0;
    r.privileged = (tlp.flags & TlpFlag.Privileged) !== 0;
    r.stage2 = stage2;
    r.eventClass = classOf(m);
    r.inputHi = tlp.addressHi;
    r.inputLo = tlp.addressLo;
    r.addressHi = stage2 ? guestHi(m) : 0;
    r.addressLo = stage2 ? guestLo(m) & ~0xfff : 0;
    if (code === EventCode.F_STE_FETCH || code === EventCode.F_CD_FETCH) {
      r.addressHi = m.readHi;
      r.addressLo = m.readLo;
    }
  }

  private isRecorded(m: Miss): boolean {
    const code = m.fault as EventCode;
    // Others only with CR2.REC_CFG_ATS, which this unit does not have (IDR0.ATSRECERR = 0).
    if ((m.flags & TlpFlag.Ats) !== 0) return code === forbidden(m);
    if (code === EventCode.C_BAD_STREAMID) return this.registers.recordsInvalidStreams;
    if (code < EventCode.F_TRANSLATION) return true;
    return (m.space.flags & (isStage2(m) ? SpaceFlag.SilentStage2 : SpaceFlag.SilentStage1)) === 0;
  }
}

/** The event of a translation request, or of a translated one, of a stream that has no ATS. */
function forbidden({ flags }: Miss): EventCode {
  return (flags & TlpFlag.TranslationRequest) !== 0 ? EventCode.F_BAD_ATS_TREQ : EventCode.F_TRANSL_FORBIDDEN;
}

/** The walk of a miss that is refused failed in stage 2. */
export function isStage2(m: Miss): boolean {
  return m.fault >= EventCode.F_WALK_EABT && m.fault <= EventCode.F_PERMISSION && m.two.faultStage === 2;
}

/** What a table walk was for when it failed. */
function classOf(m: Miss): EventClass {
  if (m.fault < EventCode.F_WALK_EABT) return EventClass.CD;
  if (!m.located) return EventClass.CD;
  const table = m.space.stage === Stage.Nested && isStage2(m) && m.two.target === Target.Table;
  return table || m.fault === EventCode.F_WALK_EABT ? EventClass.TT : EventClass.IN;
}

/** Addresses with bit 55 set are translated by TTB1. */
function useUpperHalf(space: AddressSpace): void {
  space.format = space.upperFormat;
  space.levels = space.upperLevels;
  space.inputLg2 = space.upperInputLg2;
  space.rootHi = space.upperRootHi;
  space.rootLo = space.upperRootLo;
}

/** Aims the miss at the entry at an offset in a table. */
function aim(m: Miss, entry: Entry, hi: number, lo: number, offset: number, bytes: number): Found {
  m.entry = entry;
  m.readHi = hi;
  m.readLo = lo | offset | 0;
  m.bytes = bytes;
  return Found.Read;
}

function refuse(m: Miss, fault: EventCode): Found {
  m.fault = fault;
  return Found.Refused;
}

/** IPA of a stage 2 fault. */
export function guestHi(m: Miss): number {
  return m.located && m.space.stage === Stage.Second ? m.inputHi : m.two.guestHi;
}

export function guestLo(m: Miss): number {
  return m.located && m.space.stage === Stage.Second ? m.inputLo : m.two.guestLo;
}
