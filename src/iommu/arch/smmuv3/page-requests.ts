/**
 * The PRI queue of an SMMUv3 unit (Arm IHI 0070G chapter 8): entries of 16 bytes, a producer index with wrap bit and overflow flag, which software
 * acknowledges in the consumer register. A message tells of a queue that was empty. While the queue is off, requests are answered Response
 * Failure. Not modelled: PRIQ_ABT errors, PASIDs in automatic answers (STE.PPAR), merging.
 */
import type { Event } from '../../../kernel/event.js';
import { PageStatus } from '../../../protocol/page-request.js';
import type { StoreWatch } from '../../../protocol/watch.js';
import type { PageRequestQueue, PageRequestRules } from '../../page-request-queue.js';
import * as format from './format.js';
import { OVERFLOW_FLAG, PAGE_1, Register } from './format.js';

export class PageRequests implements PageRequestRules {
  readonly recordLg2 = format.PAGE_REQUEST_LG2;
  readonly answersLost = true;
  readonly delayPs = 0;
  /** CR0.PRIQEN, IRQ_CTRL.PRIQ_IRQEN. */
  enabled = false;
  interrupts = false;
  /** Overflow flag of the producer register, and its acknowledgement in that of the consumer. */
  private overflowFlag = 0;
  private acknowledged = 0;
  private watch: StoreWatch | null = null;

  constructor(
    private readonly unit: number,
    readonly queue: PageRequestQueue,
  ) {
    queue.rules = this;
  }

  connect(watch: StoreWatch): void {
    this.watch = watch;
  }

  /** PRIQ_BASE. */
  setUp(hi: number, lo: number): void {
    const entriesLg2 = format.queueSizeLg2(lo);
    this.queue.setUp(format.queueBaseHi(hi), format.queueBaseLo(lo), entriesLg2, 2 ** entriesLg2);
    this.overflowFlag = 0;
    this.acknowledged = 0;
  }

  /** PRIQ_CONS. */
  consumed(value: number): void {
    const { queue } = this;
    queue.consume(value & ~OVERFLOW_FLAG, queue.entriesLg2 + 1);
    this.acknowledged = value & OVERFLOW_FLAG;
    queue.overflow = this.acknowledged !== this.overflowFlag;
  }

  encode(words: Int32Array, requester: number, message: Event): void {
    const { context, value, parent, addressHi, addressLo } = message;
    format.encodePageRequest(words, requester, context, value, parent, addressHi, addressLo);
  }

  refuses(): number {
    return this.enabled && this.queue.capacity > 0 ? -1 : PageStatus.Failure;
  }

  recorded(wasEmpty: boolean): void {
    const { queue, watch, unit } = this;
    this.tell();
    if (!wasEmpty || !this.interrupts) return;
    queue.counters.interrupts++;
    watch?.pagesRequested?.(unit);
  }

  overflown(): void {
    this.overflowFlag ^= OVERFLOW_FLAG;
    this.tell();
  }

  private tell(): void {
    const { queue, watch, unit } = this;
    const index = queue.visible & ((2 << queue.entriesLg2) - 1);
    watch?.changed?.(unit, PAGE_1 + Register.PageRequestQueueProducer, 0, index | this.overflowFlag);
  }
}
