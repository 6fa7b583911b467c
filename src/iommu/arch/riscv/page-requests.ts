/**
 * The page-request queue of a RISC-V IOMMU (specification, "Page-Request-Queue"): records of 16 bytes, pqcsr with its enable bits and the sticky
 * overflow pqof, ipsr.pip. Requests that are not queued are answered: Response Failure while the queue or the unit is off or has no device context,
 * Invalid Request in Bare mode and for devices without EN_PRI, Success when the only reason is an overflow. Not modelled: pqmf, the PASID in
 * automatic answers (PRPR).
 */
import type { Event } from '../../../kernel/event.js';
import type { MemorySystem } from '../../../memory/system.js';
import { PageStatus } from '../../../protocol/page-request.js';
import type { StoreWatch } from '../../../protocol/watch.js';
import { Found } from '../../architecture.js';
import { Miss } from '../../miss.js';
import type { PageRequestQueue, PageRequestRules } from '../../page-request-queue.js';
import { type Directory, MAY_ASK } from './directory.js';
import * as format from './format.js';
import { DirectoryMode, InterruptPending, QueueControl, Register } from './format.js';
import type { Registers } from './registers.js';

export class PageRequests implements PageRequestRules {
  readonly recordLg2 = format.PAGE_REQUEST_LG2;
  readonly answersLost = true;
  delayPs = 0;
  /** pqcsr. */
  private control = 0;
  /** ipsr.pip. */
  private pending = false;
  private watch: StoreWatch | null = null;
  /** For reading a device context that no cache has. */
  private readonly search = new Miss(0);

  constructor(
    private readonly unit: number,
    readonly queue: PageRequestQueue,
    private readonly directory: Directory,
    private readonly registers: Registers,
    private readonly memory: MemorySystem,
    private readonly socket: number,
  ) {
    queue.rules = this;
  }

  connect(watch: StoreWatch): void {
    this.watch = watch;
  }

  /** A register is written; those that are not of the queue ignore it. */
  write(offset: number, hi: number, lo: number): void {
    const { queue } = this;
    switch (offset as Register) {
      case Register.PageRequestQueueBase: {
        const entriesLg2 = format.queueEntriesLg2(lo);
        queue.setUp(format.pointerHi(hi, lo), format.pointerLo(lo), entriesLg2, 2 ** entriesLg2 - 1);
        break;
      }
      case Register.PageRequestQueueHead:
        queue.consume(lo, queue.entriesLg2);
        break;
      case Register.PageRequestQueueControl:
        this.control =
          (lo & (QueueControl.Enable | QueueControl.InterruptEnable)) | (this.control & ~lo & QueueControl.Overflow);
        queue.overflow = (this.control & QueueControl.Overflow) !== 0;
        this.tell();
        break;
      case Register.InterruptPending:
        if ((lo & InterruptPending.PageRequestQueue) !== 0) this.pending = false;
        break;
      default:
        break;
    }
  }

  encode(words: Int32Array, requester: number, message: Event): void {
    const { context, value, parent, addressHi, addressLo } = message;
    format.encodePageRequest(words, requester, context, value, parent, addressHi, addressLo);
  }

  refuses(requester: number): number {
    this.delayPs = 0;
    const { mode } = this.registers;
    if ((this.control & QueueControl.Enable) === 0 || mode === DirectoryMode.Off) return PageStatus.Failure;
    if (mode === DirectoryMode.Bare) return PageStatus.Invalid;
    const { contexts } = this.directory;
    const cached = contexts.device.find(requester, 0, 0);
    const ats = cached >= 0 ? contexts.deviceSpace[cached]!.ats : this.read(requester);
    if (ats < 0) return PageStatus.Failure;
    return (ats & MAY_ASK) === 0 ? PageStatus.Invalid : -1;
  }

  /** What the device context in memory says of ATS; -1: there is none. */
  private read(requester: number): number {
    const { directory, search: m, memory, socket } = this;
    m.requester = requester;
    m.pasid = -1;
    m.space.ats = -1;
    let found = directory.start(m);
    while (found === Found.Read && m.space.ats < 0) {
      this.delayPs += memory.walkerRead(socket, m.readHi, m.readLo, true);
      found = directory.step(m);
    }
    return m.space.ats;
  }

  recorded(): void {
    const { queue, watch, unit } = this;
    const index = queue.visible & ((1 << queue.entriesLg2) - 1);
    watch?.changed?.(unit, Register.PageRequestQueueTail, 0, index);
    this.interrupt();
  }

  overflown(): void {
    this.control |= QueueControl.Overflow;
    this.tell();
    this.interrupt();
  }

  private interrupt(): void {
    if (this.pending || (this.control & QueueControl.InterruptEnable) === 0) return;
    this.pending = true;
    this.queue.counters.interrupts++;
    this.watch?.pagesRequested?.(this.unit);
  }

  private tell(): void {
    this.watch?.changed?.(this.unit, Register.PageRequestQueueControl, 0, this.control);
  }
}
