/**
 * Translation requests that a device may have under way (PCI Express Base Specification 6.0, 10.2.3): one for a page, with the DMA requests that
 * wait for its answer. An invalidation makes answers worthless that may be older (10.3.3).
 * Hot path where it is on: bench/end-to-end.
 */
import { Event } from '../kernel/event.js';
import { EventFifo } from '../kernel/fifo.js';
import { TlpFlag } from '../protocol/tlp.js';
import { sameRegion } from './device-tlb.js';

const PAGE_CLASSES = 256;

/** A page whose translation the device has asked for; its event is the request. */
export class TranslationRequest {
  active = false;
  /** An invalidation of the page has come since it was sent; or one of other pages that its answer may cover. */
  stale = false;
  narrow = false;
  /** Nobody waited when it was sent; and its page has been asked for. */
  ahead = false;
  afterPage = false;
  pageHi = 0;
  pageLo = 0;
  readonly event: Event;
  readonly waiters: EventFifo = new EventFifo();

  constructor(slot: number, device: number, number: number) {
    this.event = new Event();
    this.event.id = slot;
    this.event.parent = number;
    this.event.source = device;
  }
}

/** Pages are numbered in the smallest translation unit, of 2^`unitLg2` bytes. */
export class TranslationRequests {
  private readonly all: readonly TranslationRequest[];
  private readonly free: Int32Array;
  /** How many may be sent yet. */
  freeCount: number;
  /** Requests under way by the low bits of their page number: most misses need not search. */
  private readonly classes = new Int32Array(PAGE_CLASSES);

  /** `firstSlot`: ledger slot of the first of `count` requests of `device`. */
  constructor(
    count: number,
    private readonly unitLg2: number,
    firstSlot: number,
    device: number,
  ) {
    this.all = Array.from({ length: count }, (_, i) => new TranslationRequest(firstSlot + i, device, i));
    this.free = Int32Array.from({ length: count }, (_, i) => count - 1 - i);
    this.freeCount = count;
  }

  /** The request that `event` is. */
  of(event: Event): TranslationRequest {
    return this.all[event.parent]!;
  }

  /** The request under way that will answer an access to the page, or null. */
  find(pasid: number, pageHi: number, pageLo: number, write: boolean): TranslationRequest | null {
    if (this.classes[pageLo & (PAGE_CLASSES - 1)] === 0) return null;
    for (const request of this.all) {
      const { active, event } = request;
      if (!active || request.pageLo !== pageLo || request.pageHi !== pageHi || event.context !== pasid) continue;
      // One that says it will not write may be answered without the permission to.
      if (!write || (event.flags & TlpFlag.NoWrite) === 0) return request;
    }
    return null;
  }

  /** Takes a free one, if `freeCount` is not 0. */
  begin(pageHi: number, pageLo: number, pasid: number, write: boolean, ahead: boolean): TranslationRequest {
    const request = this.all[this.free[--this.freeCount]!]!;
    const { event } = request;
    const shift = this.unitLg2;
    request.active = true;
    request.narrow = false;
    request.ahead = ahead;
    request.afterPage = false;
    request.pageHi = pageHi;
    request.pageLo = pageLo;
    this.classes[pageLo & (PAGE_CLASSES - 1)]!++;
    event.flags = write ? TlpFlag.TranslationRequest : TlpFlag.TranslationRequest | TlpFlag.NoWrite;
    event.context = pasid;
    event.addressHi = (pageHi << shift) | (pageLo >>> (32 - shift));
    event.addressLo = pageLo << shift;
    return request;
  }

  /** It has been answered; its fields stay until it is taken again. */
  end(request: TranslationRequest): void {
    request.active = false;
    this.classes[request.pageLo & (PAGE_CLASSES - 1)]!--;
    this.free[this.freeCount++] = request.event.parent;
  }

  /** An invalidation of 2^`sizeLg2` bytes at hi:lo has come; answers cover at most 2^`largestLg2` bytes. `pasid` counts unless it is of `every` PASID. */
  invalidate(pasid: number, every: boolean, hi: number, lo: number, sizeLg2: number, largestLg2: number): void {
    const unit = this.unitLg2;
    const largest = Math.max(sizeLg2, largestLg2);
    for (const request of this.all) {
      if (!request.active || (!every && request.event.context !== pasid)) continue;
      const { addressHi, addressLo } = request.event;
      if (sameRegion(addressHi, addressLo, hi, lo, sizeLg2 > unit ? sizeLg2 : unit)) request.stale = true;
      else if (sameRegion(addressHi, addressLo, hi, lo, largest)) request.narrow = true;
    }
  }
}
