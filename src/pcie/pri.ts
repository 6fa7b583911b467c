/**
 * Page Request Interface of a device (PCI Express Base Specification 6.0, 10.4): asks for pages in groups, the last request of a group marked, with
 * at most so many requests without an answer as software has allocated (10.5.2.5), and hands answers on to those who wait. Pages are gathered into a group
 * until it is full or has waited long enough; those that find no credit are gathered meanwhile. A group has one PASID. An answer that
 * nobody waits for is counted (UPRGI); pages may be asked for before they are needed, in groups of their own, as long as there is credit. Response Failure stops the interface (10.4.2.2). Not modelled: resetting a stopped interface.
 */
import { Event } from '../kernel/event.js';
import { EventFifo } from '../kernel/fifo.js';
import type { Kernel } from '../kernel/kernel.js';
import { Access } from '../protocol/access.js';
import { Op } from '../protocol/op.js';
import {
  type MessageSink,
  PAGE_GROUPS,
  PageRequestBit,
  type PageRequestClient,
  type PageRequestSink,
  PageStatus,
} from '../protocol/page-request.js';
import type { StallClient } from '../protocol/stall.js';
import { TlpFlag } from '../protocol/tlp.js';
import { Histogram } from '../stats/histogram.js';
import { TimeAverage } from '../stats/time-average.js';
import type { PriSpec } from './spec.js';

/** Counters since the window began. */
export class PriCounters {
  /** Page requests sent; of them the last ones of their groups. */
  requests = 0;
  groups = 0;
  /** Accesses that joined the request for their page. */
  merged = 0;
  /** Pages that found every request allocated, or every group index, in use. */
  waits = 0;
  success = 0;
  invalid = 0;
  failure = 0;
  /** Answers for groups that nobody waits for. */
  unexpected = 0;
  stopMarkers = 0;
  /** Of the requests those for pages that nothing needed yet; accesses that came while one was under way. */
  prefetches = 0;
  prefetchLate = 0;
}

const CLASSES = 256;
const ASKED = 0;
const ANSWERED = 1;

/** A page that the device needs, from the miss until those who wait for it go on. */
class Page {
  context = -1;
  hi = 0;
  /** Of the page: 4 KiB aligned. */
  lo = 0;
  access = 0;
  /** Group that it is asked for in, -1 before. */
  group = -1;
  /** Nothing had needed it when it was asked for: its group has none that something needs. */
  ahead = false;
  /** Of whoever waits; their number. */
  readonly waiters: EventFifo = new EventFifo();
  client: StallClient | null = null;
  readonly times: Float64Array = new Float64Array(2);
}

export class Pri implements PageRequestSink {
  readonly counters = new PriCounters();
  /** From the first page that asks to its answer, by group, ps. */
  readonly latency = new Histogram();
  /** From a page being asked for while no other is, until all that are asked for meanwhile are answered, ps. */
  readonly busy = new Histogram();
  /** Requests without an answer. */
  readonly occupancy = new TimeAverage();
  /** Software has enabled the interface; a Response Failure, or `stop` of the device, ends that. */
  enabled: boolean;
  private readonly gathering: Page[] = [];
  /** Everything gathered is to go: its time is over. */
  private due = false;
  private timer = false;
  private readonly alarm = new Event();
  /** By group index: its pages, none where the index is free. */
  private readonly groups: Page[][] = Array.from({ length: PAGE_GROUPS }, () => []);
  /** Pages of all groups, in the order in which they were asked for. */
  private readonly sent: Page[] = [];
  /** Pages gathered or sent by the low bits of their number: most look-ups need not search. */
  private readonly classes = new Int32Array(CLASSES);
  private readonly freeGroups: number[] = Array.from({ length: PAGE_GROUPS }, (_, i) => PAGE_GROUPS - 1 - i);
  private readonly unused: Page[] = [];
  private readonly unusedMessages = new EventFifo();
  /** Answered with success, by the TLP record of the access that was first, null: none. For measurement. */
  private readonly retrying: (Page | null)[] = [];
  private outstanding = 0;
  /** Absolute ps; -1: no page is asked for. */
  private busySince = -1;
  /** PASIDs that software takes away, and that have requests without an answer. */
  private readonly stopping: number[] = [];

  constructor(
    private readonly kernel: Kernel,
    readonly index: number,
    private readonly spec: PriSpec,
    private readonly sink: MessageSink,
    private readonly client: PageRequestClient,
  ) {
    this.enabled = spec.enabled;
    this.alarm.unit = index;
  }

  request(tlp: Event, access: Access): boolean {
    if (!this.enabled || this.stopping.includes(tlp.context)) return false;
    const now = this.kernel.clock[0]!;
    const known = this.find(tlp, access);
    if (known !== null) {
      this.counters.merged++;
      if (known.ahead && known.waiters.length === 0) this.counters.prefetchLate++;
      known.waiters.push(tlp);
      return true;
    }
    const page = this.page(tlp.context, tlp.addressHi, tlp.addressLo & ~4095, access);
    page.times[ASKED] = now;
    page.waiters.push(tlp);
    // What nothing needs yet goes later.
    const place = this.gathering.findIndex(({ ahead }) => ahead);
    this.gathering.splice(place < 0 ? this.gathering.length : place, 0, page);
    if (this.room === 0) this.counters.waits++;
    this.pump();
    return true;
  }

  prefetch(pasid: number, hi: number, lo: number, access: Access): void {
    if (!this.enabled || this.stopping.includes(pasid)) return;
    if (this.freeGroups.length === 0 || this.outstanding + this.gathering.length >= this.spec.outstanding) return;
    const same = (page: Page): boolean => page.context === pasid && page.hi === hi && page.lo === lo;
    if (this.classes[classOf(lo)] !== 0 && (this.gathering.some(same) || this.sent.some(same))) return;
    const page = this.page(pasid, hi, lo, access);
    page.times[ASKED] = this.kernel.clock[0]!;
    page.ahead = true;
    this.gathering.push(page);
    this.counters.prefetches++;
    this.pump();
  }

  private page(context: number, hi: number, lo: number, access: Access): Page {
    const page = this.unused.pop() ?? new Page();
    page.context = context;
    page.hi = hi;
    page.lo = lo;
    page.access = access;
    page.group = -1;
    page.ahead = false;
    page.client = null;
    this.classes[classOf(lo)]!++;
    if (this.busySince < 0) this.busySince = this.kernel.clock[0]!;
    return page;
  }

  /** Requests that may be sent now. */
  private get room(): number {
    return this.freeGroups.length === 0 ? 0 : this.spec.outstanding - this.outstanding;
  }

  /** The page, asked for already with the same permission or more. */
  private find(tlp: Event, access: Access): Page | null {
    if (this.classes[classOf(tlp.addressLo)] === 0) return null;
    for (const page of this.gathering) {
      if (!samePage(page, tlp)) continue;
      page.access |= access;
      return page;
    }
    for (const page of this.sent) if (covers(page.access, access) && samePage(page, tlp)) return page;
    return null;
  }

  /** Sends groups as long as one is full or due, and there is room. */
  private pump(): void {
    const { gathering, spec } = this;
    while (gathering.length > 0) {
      const most = Math.min(spec.group, this.room);
      if (most === 0) return;
      let count = 1;
      const { context, ahead } = gathering[0]!;
      while (count < most && count < gathering.length) {
        const page = gathering[count]!;
        if (page.context !== context || page.ahead !== ahead) break;
        count++;
      }
      const complete = count === most || count < gathering.length;
      if (!complete && !this.due && spec.gather > 0) {
        this.startTimer();
        return;
      }
      this.send(count);
    }
    this.due = false;
  }

  private startTimer(): void {
    if (this.timer) return;
    this.timer = true;
    this.kernel.after(this.spec.gather, this.alarm, Op.PageGroupDue);
  }

  /** Op.PageGroupDue. */
  groupDue(): void {
    this.timer = false;
    this.due = this.gathering.length > 0;
    this.pump();
  }

  private send(count: number): void {
    const { counters, occupancy, kernel } = this;
    const group = this.freeGroups.pop()!;
    const pages = this.groups[group]!;
    for (let i = 0; i < count; i++) {
      const page = this.gathering[i]!;
      page.group = group;
      pages.push(page);
      this.sent.push(page);
      const last = i === count - 1 ? PageRequestBit.Last : 0;
      this.post(page.context, page.hi, page.lo, group, page.access | last);
    }
    this.gathering.copyWithin(0, count);
    this.gathering.length -= count;
    this.outstanding += count;
    occupancy.set(kernel.clock[0]!, this.outstanding);
    counters.requests += count;
    counters.groups++;
  }

  private post(context: number, hi: number, lo: number, group: number, bits: number): void {
    const message = this.unusedMessages.pop() ?? new Event();
    message.source = this.index;
    message.flags = TlpFlag.PageRequest;
    message.bytes = 0;
    message.context = context;
    message.addressHi = hi;
    message.addressLo = lo;
    message.parent = group;
    message.value = bits;
    this.sink.message(message, Op.PageRequestArrive);
  }

  /** The IOMMU has done with a message of the device. */
  recycle(message: Event): void {
    this.unusedMessages.push(message);
  }

  /** Op.PageResponse: a Page Request Group Response has arrived. */
  responded(group: number, code: number): void {
    const pages = this.groups[group]!;
    const { counters, occupancy, kernel } = this;
    if (pages.length === 0) {
      counters.unexpected++;
      return;
    }
    const now = kernel.clock[0]!;
    this.outstanding -= pages.length;
    occupancy.set(now, this.outstanding);
    let kept = 0;
    for (const page of this.sent) if (page.group !== group) this.sent[kept++] = page;
    this.sent.length = kept;
    this.latency.add(now - pages[0]!.times[ASKED]!);
    const status = code === PageStatus.Success || code === PageStatus.Invalid ? code : PageStatus.Failure;
    if (status === PageStatus.Success) counters.success++;
    else if (status === PageStatus.Invalid) counters.invalid++;
    else counters.failure++;
    for (const page of pages) this.end(page, status, now);
    pages.length = 0;
    this.freeGroups.push(group);
    if (status === PageStatus.Failure) this.disable(now);
    if (this.stopping.length > 0) for (const pasid of [...this.stopping]) this.finishStop(pasid);
    this.pump();
    this.settle(now);
  }

  /** Nothing may be asked for any more. */
  private settle(now: number): void {
    if (this.busySince < 0 || this.outstanding > 0 || this.gathering.length > 0) return;
    this.busy.add(now - this.busySince);
    this.busySince = -1;
  }

  private end(page: Page, status: PageStatus, now: number): void {
    page.times[ANSWERED] = now;
    this.classes[classOf(page.lo)]!--;
    const first = page.waiters.pop();
    if (first === null) {
      if (status === PageStatus.Success) this.client.pageAhead(page.context, page.hi, page.lo, page.access);
      this.forget(page, now);
      return;
    }
    // What is wrong with a page ahead may be that of another in its group: whoever has come to need this one asks for itself.
    const told = page.ahead && status === PageStatus.Invalid ? PageStatus.Success : status;
    const follows = status === PageStatus.Success && page.client !== null;
    if (follows) this.retries(first, page);
    this.client.pageAnswered(first, told);
    for (let tlp = page.waiters.pop(); tlp !== null; tlp = page.waiters.pop()) this.client.pageAnswered(tlp, told);
    if (!follows) this.forget(page, now);
  }

  private retries(tlp: Event, page: Page): void {
    while (this.retrying.length <= tlp.id) this.retrying.push(null);
    this.retrying[tlp.id] = page;
  }

  private forget(page: Page, now: number): void {
    const { client } = page;
    page.client = null;
    this.unused.push(page);
    client?.ended(page.times[ANSWERED]!, now);
  }

  proceeds(tlp: Event): void {
    const page = this.retrying[tlp.id] ?? null;
    if (page === null) return;
    this.retrying[tlp.id] = null;
    this.forget(page, this.kernel.clock[0]!);
  }

  /** What has not been asked for is an error now. */
  private disable(now: number): void {
    this.enabled = false;
    for (const page of this.gathering.splice(0)) this.end(page, PageStatus.Failure, now);
  }

  /**
   * The device stops using a PASID (10.4.1.2): pages not asked for are errors, and when the last answer has come a stop marker follows the last
   * request.
   */
  stop(pasid: number): void {
    const now = this.kernel.clock[0]!;
    this.stopping.push(pasid);
    const gone = this.gathering.filter(({ context }) => context === pasid);
    const kept = this.gathering.filter(({ context }) => context !== pasid);
    this.gathering.splice(0, this.gathering.length, ...kept);
    for (const page of gone) this.end(page, PageStatus.Invalid, now);
    this.finishStop(pasid);
    this.settle(now);
  }

  private finishStop(pasid: number): void {
    if (this.groups.some((pages) => pages.length > 0 && pages[0]!.context === pasid)) return;
    this.stopping.splice(this.stopping.indexOf(pasid), 1);
    this.counters.stopMarkers++;
    this.post(pasid, 0, 0, 0, PageRequestBit.Last);
  }

  /** See `PageRequestLog`. */
  askedAt(group: number, hi: number, lo: number): number {
    const page = this.pageOf(group, hi, lo);
    return page === null ? Number.NaN : page.times[ASKED]!;
  }

  follow(group: number, hi: number, lo: number, client: StallClient): void {
    const page = this.pageOf(group, hi, lo);
    if (page !== null) page.client = client;
  }

  private pageOf(group: number, hi: number, lo: number): Page | null {
    for (const page of this.groups[group]!) if (page.hi === hi && page.lo === lo) return page;
    return null;
  }

  resetCounters(now: number): void {
    Object.assign(this.counters, new PriCounters());
    this.latency.reset();
    this.busy.reset();
    this.occupancy.reset(now);
  }
}

/** Pages that may be written may be read. */
const covers = (asked: number, needed: number): boolean =>
  (needed & ~(asked | ((asked & Access.Write) !== 0 ? Access.Read : 0))) === 0;

const classOf = (lo: number): number => (lo >>> 12) & (CLASSES - 1);

function samePage(page: Page, tlp: Event): boolean {
  return page.context === tlp.context && page.lo === (tlp.addressLo & ~4095) && page.hi === tlp.addressHi;
}
