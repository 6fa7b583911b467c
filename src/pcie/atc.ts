/**
 * Address Translation Cache of a device (PCI Express Base Specification 6.0, 10.1.2 and 10.2): between the device's engine and its link. A DMA that hits
 * goes out as a translated request; a miss sends a translation request over the link and holds the DMA until the answer is there. DMAs that hit
 * overtake those that wait. A device that is refused translations goes on without. An invalidation is answered when no read uses what it removed.
 * Not modelled: untranslated-access-only translations (the U field), several translations in a completion, a device's own ordering of writes.
 * Hot path: bench/end-to-end.
 */
import type { Event } from '../kernel/event.js';
import { EventFifo } from '../kernel/fifo.js';
import type { Kernel } from '../kernel/kernel.js';
import { FifoServer } from '../kernel/server.js';
import { Access } from '../protocol/access.js';
import { type AtcClient, AtsStatus, TRANSLATION_BYTES } from '../protocol/ats.js';
import { Op } from '../protocol/op.js';
import { type PageRequestClient, type PageRequestSink, PageStatus } from '../protocol/page-request.js';
import { Cause, TlpFlag, type TlpSink } from '../protocol/tlp.js';
import { Histogram } from '../stats/histogram.js';
import type { LatencyLedger } from '../stats/latency-ledger.js';
import { DeviceTlb } from './device-tlb.js';
import type { Link } from './link.js';
import { type Fetch, Prefetcher } from './prefetcher.js';
import { ReadDrains } from './read-drains.js';
import type { AtsSpec } from './spec.js';
import { type TranslationRequest, TranslationRequests } from './translation-requests.js';

/** Counters of a device TLB since the window began. */
export class AtcCounters {
  requests = 0;
  prefetches = 0;
  /** Pages asked for ahead that a DMA request needed before the answer was there. */
  prefetchLate = 0;
  merged = 0;
  /** DMAs that found every translation request taken. */
  stalls = 0;
  /** Answers: no translation, and neither that nor a translation. */
  empty = 0;
  refused = 0;
  /** DMA requests that ended without permission, and those sent untranslated. */
  denied = 0;
  untranslated = 0;
  /** Translation requests whose answer an invalidation made worthless, and which were made again. */
  repeated = 0;
  /** Invalidations, entries they removed, and reads under way that they waited for. */
  invalidations = 0;
  removed = 0;
  drained = 0;
}

export interface AtcSurroundings {
  readonly kernel: Kernel;
  readonly link: Link;
  readonly device: AtcClient;
  readonly ledger: LatencyLedger;
  /** First of `spec.outstanding` ledger slots of translation requests, and the group that these are counted in. */
  readonly firstSlot: number;
  readonly group: number;
  /** TLP records of the device: `[firstTlp, firstTlp + tlps)`. */
  readonly firstTlp: number;
  readonly tlps: number;
  readonly seed: number;
  readonly name: string;
}

export class Atc implements TlpSink, PageRequestClient {
  readonly tlb: DeviceTlb;
  readonly counters = new AtcCounters();
  /** Of translation requests, from the miss to the answer. */
  readonly requestLatency = new Histogram();
  private readonly kernel: Kernel;
  private readonly link: Link;
  private readonly device: AtcClient;
  private readonly ledger: LatencyLedger;
  readonly group: number;
  private readonly pipeline = new FifoServer();
  private readonly requests: TranslationRequests;
  private readonly drains: ReadDrains;
  /** log2 of the smallest translation unit. */
  private readonly unitLg2: number;
  private readonly largestLg2: number;
  /** Missed, but no request is free. */
  private readonly parked = new EventFifo();
  /** Joined a request whose answer does not help. */
  private readonly again = new EventFifo();
  /** On the way to the link, in this order. */
  private readonly output = new EventFifo();
  /** DMA requests between engine and link. */
  private holding = 0;
  /** The engine has been refused and waits. */
  private owesCredit = false;
  /** Asks for pages that have no translation; null: the device has no way to. */
  pages: PageRequestSink | null = null;
  /** Works on invalidations, one after the other. */
  private readonly inspector = new FifoServer();
  /** The device has been told that it may not ask for translations. */
  private disabled = false;
  /** Null: the device asks for what it needs. */
  private readonly prefetcher: Prefetcher | null;

  constructor(
    private readonly index: number,
    private readonly spec: AtsSpec,
    surroundings: AtcSurroundings,
  ) {
    const { kernel, link, device, ledger, firstSlot, group, firstTlp, tlps, seed, name } = surroundings;
    this.kernel = kernel;
    this.link = link;
    this.device = device;
    this.ledger = ledger;
    this.group = group;
    this.largestLg2 = Math.log2(spec.largestPage);
    this.tlb = new DeviceTlb(spec, this.largestLg2, seed, `${name}/device-tlb`);
    this.unitLg2 = Math.log2(spec.stu);
    this.requests = new TranslationRequests(spec.outstanding, this.unitLg2, firstSlot, index);
    this.drains = new ReadDrains(firstTlp, tlps, (message) => this.complete(message));
    const { prefetch } = spec;
    const fetch: Fetch = (pasid, page, write) => this.fetchAhead(pasid, page, write);
    this.prefetcher = prefetch.distance === 0 ? null : new Prefetcher(prefetch, fetch);
  }

  /** A request of the engine enters the lookup pipeline, if there is room. */
  send(tlp: Event): boolean {
    if (this.holding === this.spec.queue) {
      this.owesCredit = true;
      return false;
    }
    this.holding++;
    const { interval, latency } = this.spec;
    const start = this.pipeline.book(this.kernel.clock[0]!, interval);
    this.ledger.chargeFor(tlp.id, Cause.DeviceTlb, start + latency);
    tlp.unit = this.index;
    this.kernel.relay(start, latency, tlp, Op.AtcLookup);
    return true;
  }

  /** Op.AtcLookup. */
  lookup(tlp: Event): void {
    if (this.disabled === true) {
      this.sendUntranslated(tlp);
      return;
    }
    const { cache } = this.tlb;
    cache.lookups++;
    const { context, addressHi, addressLo, flags } = tlp;
    if (this.tryHit(tlp)) cache.hits++;
    else this.miss(tlp);
    if (this.prefetcher === null) return;
    const page = Math.floor(((addressHi >>> 0) * 2 ** 32 + (addressLo >>> 0)) / this.spec.stu);
    this.prefetcher.saw(context, page, (flags & TlpFlag.Write) !== 0);
  }

  private tryHit(tlp: Event): boolean {
    const { tlb } = this;
    if (!tlb.lookup(tlp.context, tlp.addressHi, tlp.addressLo, accessOf(tlp))) return false;
    this.sendTranslated(tlp, tlb.outHi, tlb.outLo);
    return true;
  }

  private sendTranslated(tlp: Event, hi: number, lo: number): void {
    if ((tlp.flags & TlpFlag.Resumed) !== 0) this.proceeds(tlp);
    tlp.flags |= TlpFlag.Translated;
    tlp.outHi = hi;
    tlp.outLo = lo;
    if ((tlp.flags & TlpFlag.Write) === 0) this.drains.begin(tlp);
    this.leave(tlp);
  }

  private sendUntranslated(tlp: Event): void {
    if ((tlp.flags & TlpFlag.Resumed) !== 0) this.proceeds(tlp);
    this.counters.untranslated++;
    this.leave(tlp);
  }

  /** A DMA request goes to the link. */
  private leave(tlp: Event): void {
    this.push(tlp);
    this.departed();
  }

  /** There is room for one more. */
  private departed(): void {
    this.holding--;
    if (this.owesCredit === false) return;
    this.owesCredit = false;
    this.device.creditReady();
  }

  private push(event: Event): void {
    if (this.output.length > 0 || !this.link.send(event)) this.output.push(event);
  }

  /** Op.AtcCredit: the link takes requests again. */
  creditReady(): void {
    const now = this.kernel.clock[0]!;
    for (let event = this.output.peek(); event !== null; event = this.output.peek()) {
      // Nobody asks where the time of a message goes.
      if ((event.flags & TlpFlag.InvalidateCompletion) === 0) this.ledger.charge(event.id, Cause.Credits, now);
      if (!this.link.send(event)) return;
      this.output.pop();
    }
  }

  private miss(tlp: Event): void {
    const shift = this.unitLg2;
    const pageLo = (tlp.addressLo >>> shift) | (tlp.addressHi << (32 - shift));
    const pageHi = tlp.addressHi >>> shift;
    const write = (tlp.flags & TlpFlag.Write) !== 0;
    const same = this.requests.find(tlp.context, pageHi, pageLo, write);
    if (same !== null) {
      this.counters.merged++;
      if (same.ahead && same.waiters.length === 0) this.counters.prefetchLate++;
      same.waiters.push(tlp);
      return;
    }
    if (this.requests.freeCount === 0) {
      this.counters.stalls++;
      this.parked.push(tlp);
      return;
    }
    const request = this.requests.begin(pageHi, pageLo, tlp.context, write, false);
    request.waiters.push(tlp);
    this.ask(request.event);
    for (let i = 1; i <= this.spec.ahead && this.requests.freeCount > 0; i++) this.prefetch(request, i, write);
  }

  private ask(event: Event): void {
    this.counters.requests++;
    event.bytes = TRANSLATION_BYTES;
    // What the way there has set before, if it is asked again.
    event.flags &= TlpFlag.TranslationRequest | TlpFlag.NoWrite;
    this.ledger.start(event.id, this.kernel.clock[0]!);
    this.push(event);
  }

  /** Asks for the page `distance` after that of a request, unless it is there or has been asked for. */
  private prefetch({ event, pageHi, pageLo }: TranslationRequest, distance: number, write: boolean): void {
    const lo = (pageLo + distance) | 0;
    const hi = lo >>> 0 < distance ? (pageHi + 1) | 0 : pageHi;
    const shift = this.unitLg2;
    const { context } = event;
    if (this.tlb.holds(context, (hi << shift) | (lo >>> (32 - shift)), lo << shift)) return;
    if (this.requests.find(context, hi, lo, write) !== null) return;
    this.counters.prefetches++;
    this.ask(this.requests.begin(hi, lo, context, write, true).event);
  }

  /** Asks for a page of a stream that the device follows; misses keep half of the requests for themselves. */
  private fetchAhead(pasid: number, page: number, write: boolean): boolean {
    const shift = this.unitLg2;
    const pageHi = Math.floor(page / 2 ** 32);
    const pageLo = page | 0;
    const needed = write ? Access.Write : Access.Read;
    if (this.tlb.holds(pasid, (pageHi << shift) | (pageLo >>> (32 - shift)), pageLo << shift, needed)) return true;
    if (this.requests.find(pasid, pageHi, pageLo, write) !== null) return true;
    if (2 * this.requests.freeCount <= this.spec.outstanding) return false;
    this.counters.prefetches++;
    this.ask(this.requests.begin(pageHi, pageLo, pasid, write, true).event);
    return true;
  }

  /** The page of a translation that was asked for ahead is there: it is asked for again, once. */
  pageAhead(pasid: number, hi: number, lo: number, access: Access): void {
    if (this.disabled || this.requests.freeCount === 0) return;
    const shift = this.unitLg2;
    const pageLo = (lo >>> shift) | (hi << (32 - shift));
    const pageHi = hi >>> shift;
    const write = (access & Access.Write) !== 0;
    if (
      this.tlb.holds(pasid, hi, lo, access & (Access.Read | Access.Write)) ||
      this.requests.find(pasid, pageHi, pageLo, write) !== null
    )
      return;
    const request = this.requests.begin(pageHi, pageLo, pasid, write, true);
    request.afterPage = true;
    this.ask(request.event);
  }

  /** A translation that was asked for ahead, and that nothing has waited for, is not there, or does not permit what it was asked for. */
  private askForPageAhead({ afterPage }: TranslationRequest, { flags, context, addressHi, addressLo }: Event): void {
    if (this.pages === null || afterPage || !this.spec.prefetch.pageRequests) return;
    const access = (flags & TlpFlag.NoWrite) !== 0 ? Access.Read : Access.Write;
    this.pages.prefetch(context, addressHi, addressLo & ~4095, access);
  }

  /** Op.AtcAnswer: the answer of a translation request is there, for those who wait and, if it is a translation, for later ones. */
  answered(event: Event): void {
    const now = this.kernel.clock[0]!;
    const { counters } = this;
    const request = this.requests.of(event);
    if (request.stale) {
      this.repeat(request);
      return;
    }
    const { bytes, value, level, outHi, outLo, context, addressHi, addressLo } = event;
    this.requestLatency.add(this.ledger.finish(event.id, now, this.group));
    this.requests.end(request);
    const refused = bytes === 0;
    const permission = refused ? Access.None : value & (Access.Read | Access.Write);
    if (refused) {
      counters.refused++;
      if (value === AtsStatus.UnsupportedRequest) this.disabled = true;
    } else if (permission === Access.None) counters.empty++;
    else {
      // What was asked for is good; the rest of a larger page may not be.
      const sizeLg2 = request.narrow ? this.unitLg2 : level;
      const unused = request.ahead && request.waiters.length === 0;
      this.tlb.fill(context, addressHi, addressLo, outHi, outLo, sizeLg2, permission, unused);
    }
    const wanted = (event.flags & TlpFlag.NoWrite) !== 0 ? Access.Read : Access.Write;
    if (request.ahead && request.waiters.length === 0 && !refused && (permission & wanted) === 0) {
      this.askForPageAhead(request, event);
    }
    const offsetMask = this.spec.stu - 1;
    let cause = request.ahead ? Cause.WalkMerged : Cause.TranslationRequest;
    for (let tlp = request.waiters.pop(); tlp !== null; tlp = request.waiters.pop()) {
      const joined = cause === Cause.WalkMerged;
      this.ledger.charge(tlp.id, cause, now);
      if ((tlp.flags & TlpFlag.Resumed) !== 0) this.proceeds(tlp);
      cause = Cause.WalkMerged;
      const needed = accessOf(tlp);
      if (refused) this.sendUntranslated(tlp);
      else if ((permission & needed) !== needed) {
        // One that joined may follow a map made since: it asks for itself, unless software is asked for the page anyway.
        if (joined && (request.ahead || this.pages === null)) this.again.push(tlp);
        else this.askForPage(tlp, needed);
      } else this.sendTranslated(tlp, outHi, outLo | (tlp.addressLo & offsetMask));
    }
    for (let tlp = this.again.pop(); tlp !== null; tlp = this.again.pop()) this.miss(tlp);
    this.retryParked();
  }

  /** The answer may be older than the invalidation: the device must not use it. */
  private repeat(request: TranslationRequest): void {
    const { event } = request;
    request.stale = false;
    request.narrow = false;
    this.counters.repeated++;
    this.requestLatency.add(this.ledger.finish(event.id, this.kernel.clock[0]!, this.group));
    this.ask(event);
  }

  private retryParked(): void {
    const now = this.kernel.clock[0]!;
    while (this.requests.freeCount > 0 || this.disabled) {
      const tlp = this.parked.pop();
      if (tlp === null) return;
      this.ledger.charge(tlp.id, Cause.TranslationRequest, now);
      if (this.disabled) this.sendUntranslated(tlp);
      else if (!this.tryHit(tlp)) this.miss(tlp);
    }
  }

  /** There is no translation that permits the access: software may bring one about, or it is an error. */
  private askForPage(tlp: Event, needed: Access): void {
    if (this.pages === null || !this.pages.request(tlp, needed)) this.deny(tlp);
  }

  pageAnswered(tlp: Event, status: PageStatus): void {
    this.ledger.charge(tlp.id, Cause.PageRequest, this.kernel.clock[0]!);
    if (status !== PageStatus.Success) {
      this.deny(tlp);
      return;
    }
    tlp.flags |= TlpFlag.Resumed;
    if (this.disabled) this.sendUntranslated(tlp);
    else if (!this.tryHit(tlp)) this.miss(tlp);
  }

  /** A request that had waited for its page goes on, or asks again. */
  private proceeds(tlp: Event): void {
    tlp.flags &= ~TlpFlag.Resumed;
    this.pages!.proceeds(tlp);
  }

  /** The device may not access the page: it ends the request as one that has failed. */
  private deny(tlp: Event): void {
    this.counters.denied++;
    tlp.flags |= TlpFlag.Aborted;
    this.device.done(tlp);
    this.departed();
  }

  /** Op.AtcDone: the data of a read are complete. */
  done(tlp: Event): void {
    this.drains.end(tlp);
    this.device.done(tlp);
  }

  /** Op.AtcInvalidate: an Invalidate Request has arrived. */
  invalidate(event: Event): void {
    if (!this.spec.answers) return;
    const { invalidation } = this.spec;
    const start = this.inspector.book(this.kernel.clock[0]!, invalidation);
    this.kernel.relay(start, invalidation, event, Op.AtcForget);
  }

  /**
   * Op.AtcForget: entries go; what translation requests under way will bring is not used; reads that used an entry are waited for. Writes
   * have left, or will before the answer does.
   */
  forget(event: Event): void {
    const { context, state, addressHi: hi, addressLo: lo, level: sizeLg2 } = event;
    const { counters } = this;
    const everyPasid = state === 1;
    counters.invalidations++;
    counters.removed += this.tlb.invalidate(context, everyPasid, hi, lo, sizeLg2);
    this.requests.invalidate(context, everyPasid, hi, lo, sizeLg2, this.largestLg2);
    counters.drained += this.drains.await(event, everyPasid);
  }

  /** Nothing uses what was removed any more: the device answers. */
  private complete(event: Event): void {
    event.flags = TlpFlag.Write | TlpFlag.InvalidateCompletion;
    event.bytes = 0;
    this.push(event);
  }

  resetCounters(): void {
    Object.assign(this.counters, new AtcCounters());
    this.requestLatency.reset();
    this.tlb.resetCounters();
  }
}

function accessOf(tlp: Event): Access {
  return (tlp.flags & TlpFlag.Write) !== 0 ? Access.Write : Access.Read;
}
