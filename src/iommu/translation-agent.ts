/**
 * The Translation Agent of a unit for devices with a TLB of their own (PCI Express Base Specification 6.0, 10.1.1): answers translation
 * requests, which are looked up, walked and queued as any other request is, and lets requests that are translated already pass when the
 * directory entry of their device allows it. The latter do not enter the transaction queue: they need the entry and nothing else.
 * Not modelled: second-stage translation of translated requests (VT-d none, SMMUv3 split-stage ATS, RISC-V T2GPA).
 * Hot path: bench/end-to-end.
 */
import type { Event } from '../kernel/event.js';
import { EventFifo } from '../kernel/fifo.js';
import { FifoServer } from '../kernel/server.js';
import { Permission } from '../pagetable/format.js';
import { Access } from '../protocol/access.js';
import { type AtsEndpoint, AtsStatus } from '../protocol/ats.js';
import { Op } from '../protocol/op.js';
import { Cause, type Forwarder, TlpFlag, type Translator } from '../protocol/tlp.js';
import { Stage } from './address-space.js';
import { DeviceInvalidations } from './device-invalidations.js';
import type { Miss } from './miss.js';
import type { FirstLook, IommuUnit } from './unit.js';

/** What passes the unit without its transaction queue, in the order of arrival. */
const IN_ORDER = TlpFlag.Translated | TlpFlag.InvalidateCompletion;

/** Counters since the window began. */
export class AgentCounters {
  /** Translation requests, those answered from the IOTLB, with no translation, and with an error. */
  requests = 0;
  hits = 0;
  empty = 0;
  refused = 0;
  /** Translated requests, and those of them that were not allowed. */
  translated = 0;
  blocked = 0;
}

/** The privilege that a page has to be open to. */
export function modeOf(flags: number): Permission {
  return (flags & TlpFlag.Privileged) !== 0 ? Permission.Supervisor : Permission.User;
}

export class TranslationAgent implements Translator, FirstLook {
  readonly counters = new AgentCounters();
  readonly invalidations: DeviceInvalidations;
  private readonly pipeline = new FifoServer();
  private readonly checkPs: number;
  /** log2 of the part of a pass-through space that one answer covers. */
  private readonly passThroughLg2: number;
  private forwarders: readonly Forwarder[] = [];
  /** By device: translated requests whose directory entry is being looked for; answers to invalidations that must not overtake them. */
  private readonly searching: number[] = [];
  private readonly answers: EventFifo[] = [];

  constructor(private readonly unit: IommuUnit) {
    const { contextCache, pasidCache, processLevels, mode, largestPage } = unit.spec;
    const process = mode !== 'legacy' && processLevels > 0 && pasidCache.enabled ? pasidCache.latency : 0;
    this.checkPs = Math.max(contextCache.enabled ? contextCache.latency : 0, process);
    this.passThroughLg2 = Math.log2(largestPage);
    const { kernel, index, spec } = unit;
    this.invalidations = new DeviceInvalidations(kernel, index, spec.invalidation.deviceTimeout);
  }

  /** A device that keeps translations; the unit is connected to it. */
  add(endpoint: AtsEndpoint): void {
    const { device } = endpoint;
    while (this.searching.length <= device) {
      this.searching.push(0);
      this.answers.push(new EventFifo());
    }
    this.invalidations.add(endpoint, this.unit.requesters[device]!);
  }

  /** Where translated requests go, by device number. */
  connect(forwarders: readonly Forwarder[]): void {
    this.forwarders = forwarders;
  }

  /** A request of a device with ATS has arrived. */
  arrive(tlp: Event): void {
    const { unit } = this;
    if ((tlp.flags & IN_ORDER) === 0) {
      unit.arrive(tlp);
      return;
    }
    tlp.unit = unit.index;
    const now = unit.kernel.clock[0]!;
    const start = this.pipeline.book(now, unit.spec.queue.interval);
    if ((tlp.flags & TlpFlag.Translated) !== 0) {
      unit.ledger.chargeBoth(tlp.id, Cause.Ingress, now, Cause.Lookup, start + this.checkPs);
    }
    unit.kernel.relay(start, this.checkPs, tlp, Op.AtsCheck);
  }

  /** Memory has served a request, or an answer leaves. Translated requests are drained by their device. */
  served(tlp: Event): void {
    if ((tlp.flags & TlpFlag.Translated) === 0) this.unit.served(tlp);
  }

  /** Op.AtsCheck: a translated request, or the answer to an invalidation, which follows the writes before it. */
  check(tlp: Event): void {
    const { unit, searching } = this;
    if ((tlp.flags & TlpFlag.InvalidateCompletion) !== 0) {
      if (searching[tlp.source]! > 0) this.answers[tlp.source]!.push(tlp);
      else this.invalidations.answered(tlp);
      return;
    }
    this.counters.translated++;
    const space = unit.architecture.contexts.find(unit.requesters[tlp.source]!, tlp.context, true);
    if (space === null || space.ats === 0) {
      searching[tlp.source]!++;
      unit.walkers.miss(tlp);
    } else this.pass(tlp);
  }

  /** A translated request goes on. */
  private pass(tlp: Event): void {
    this.unit.report(tlp, this.unit.kernel.clock[0]!);
    this.forwarders[tlp.source]!.forward(tlp);
  }

  /** The directory entry of a translated request is known, or known not to be there. */
  private searched(device: number): void {
    const left = this.searching[device]! - 1;
    this.searching[device] = left;
    if (left > 0) return;
    const answers = this.answers[device]!;
    for (let answer = answers.pop(); answer !== null; answer = answers.pop()) this.invalidations.answered(answer);
  }

  /** Result of the lookup pipeline: translation requests are answered from the IOTLB, or go to the walkers. */
  takes(tlp: Event): boolean {
    if ((tlp.flags & TlpFlag.TranslationRequest) === 0) return false;
    const { unit, counters } = this;
    const { translations } = unit;
    counters.requests++;
    const space = unit.architecture.contexts.find(unit.requesters[tlp.source]!, tlp.context, true);
    if (space === null || space.ats === 0) unit.walkers.miss(tlp);
    else if (space.stage === Stage.PassThrough) {
      // What is refused altogether may be so for a reason that the walkers find again.
      const closed = (space.grants & (Permission.Read | Permission.Write)) === 0;
      if (closed || (tlp.addressHi & space.aboveHi) !== 0) unit.walkers.miss(tlp);
      else this.answer(tlp, tlp.addressHi, tlp.addressLo, this.passThroughLg2, space.grants);
    } else if (translations.lookup(space, tlp.addressHi, tlp.addressLo, this.neededBy(tlp.flags))) {
      counters.hits++;
      const { outHi, outLo, outSizeLg2 } = translations;
      this.answer(tlp, outHi, outLo, outSizeLg2, translations.foundPermissions);
    } else unit.walkers.miss(tlp);
    return true;
  }

  /** What a cached translation has to permit to answer a request: one for writes may have to mark the page dirty first. */
  neededBy(flags: number): number {
    return ((flags & TlpFlag.NoWrite) !== 0 ? Access.Read : Access.Write) | modeOf(flags);
  }

  /** The walkers have found what a request of a device with ATS asks for, hi:lo in a page of 2^sizeLg2 bytes, or its directory entry. */
  walked(tlp: Event, hi: number, lo: number, sizeLg2: number, passThrough: boolean, permissions: number): void {
    if ((tlp.flags & TlpFlag.Translated) !== 0) {
      this.pass(tlp);
      this.searched(tlp.source);
    } else this.answer(tlp, hi, lo, passThrough ? this.passThroughLg2 : sizeLg2, permissions);
  }

  /** The request of m has faulted. What a page table denies is no error of a translation request: the answer is that there is none. */
  refuse(tlp: Event, m: Miss): void {
    const { unit, counters } = this;
    const { architecture } = unit;
    if ((tlp.flags & TlpFlag.Translated) !== 0) {
      counters.blocked++;
      unit.counters.aborted++;
      tlp.flags |= TlpFlag.Aborted;
      architecture.refused(tlp, m.requester, m);
      this.forwarders[tlp.source]!.forward(tlp);
      this.searched(tlp.source);
      return;
    }
    const status = architecture.atsStatus!(m);
    if (status === AtsStatus.Success) {
      this.answer(tlp, 0, 0, this.passThroughLg2, 0);
      return;
    }
    counters.refused++;
    architecture.refused(tlp, m.requester, m);
    tlp.bytes = 0;
    tlp.value = status;
    unit.ready(tlp);
  }

  /** Exe of a completion: asked for, and granted with permission to read. */
  private execution({ flags }: Event, permissions: number): Access {
    if ((flags & TlpFlag.Execute) === 0 || (permissions & Access.Read) === 0) return Access.None;
    const needed = this.unit.architecture.required(flags) & (Permission.Execute | Permission.SupervisorExecute);
    return (permissions & needed) === needed ? Access.Execute : Access.None;
  }

  private answer(tlp: Event, hi: number, lo: number, sizeLg2: number, permissions: number): void {
    const granted = (permissions & (Access.Read | Access.Write)) | this.execution(tlp, permissions);
    if (granted === 0) this.counters.empty++;
    tlp.outHi = hi;
    tlp.outLo = lo;
    tlp.level = sizeLg2;
    tlp.value = granted;
    this.unit.ready(tlp);
  }

  resetCounters(): void {
    Object.assign(this.counters, new AgentCounters());
    this.invalidations.resetCounters();
  }
}
