/**
 * The page request queue of a VT-d unit (VT-d specification 7.4, 11.4.11): descriptors of 32 bytes, offsets in PQH_REG and PQT_REG, PRS_REG with its
 * bits PPR (requests are pending: an event when it is set) and PRO (overflow), both cleared by writing ones. Requests in legacy mode, and of
 * devices whose context entry has PRE clear, are recorded as faults and answered Invalid Request. Not modelled: private data of requests.
 */
import type { Event } from '../../../kernel/event.js';
import type { PhysicalMemory } from '../../../memory/physical.js';
import type { MemorySystem } from '../../../memory/system.js';
import { Access } from '../../../protocol/access.js';
import { PageRequestBit, PageStatus } from '../../../protocol/page-request.js';
import type { StoreWatch } from '../../../protocol/watch.js';
import type { PageRequestQueue, PageRequestRules } from '../../page-request-queue.js';
import { CONTEXT_DWORDS, type Directory } from './directory.js';
import type { FaultLog } from './fault-log.js';
import * as format from './format.js';
import { AddressType, FaultReason, PageRequestStatus, Register, RequestType, TableMode } from './format.js';
import type { Registers } from './registers.js';

export class PageRequests implements PageRequestRules {
  readonly recordLg2 = format.PAGE_REQUEST_LG2;
  readonly answersLost = true;
  delayPs = 0;
  /** PRS_REG. */
  status = 0;
  /** PECTL_REG.IM. */
  private masked = true;
  private watch: StoreWatch | null = null;

  constructor(
    private readonly unit: number,
    readonly queue: PageRequestQueue,
    private readonly directory: Directory,
    private readonly registers: Registers,
    private readonly faults: FaultLog,
    private readonly memory: MemorySystem,
    private readonly physical: PhysicalMemory,
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
      case Register.PageRequestAddress: {
        const entriesLg2 = format.pageRequestQueueLg2(lo);
        queue.setUp(hi, format.pointerLo(lo), entriesLg2, 2 ** entriesLg2 - 1);
        break;
      }
      case Register.PageRequestHead:
        queue.consume(lo >>> format.PAGE_REQUEST_LG2, queue.entriesLg2);
        break;
      case Register.PageRequestStatus:
        this.status &= ~lo;
        queue.overflow = (this.status & PageRequestStatus.Overflow) !== 0;
        this.tell();
        break;
      case Register.PageRequestEventControl:
        this.masked = (lo & format.EVENT_MASKED) !== 0;
        break;
      default:
        break;
    }
  }

  encode(words: Int32Array, requester: number, message: Event): void {
    const { context, value, parent, addressHi, addressLo } = message;
    format.encodePageRequest(words, requester, context, value, parent, addressHi, addressLo);
  }

  refuses(requester: number, message: Event): number {
    this.delayPs = 0;
    if (this.queue.capacity === 0) return PageStatus.Invalid;
    const fault = this.faultOf(requester);
    if (fault === FaultReason.None) return -1;
    const { context, value, addressHi, addressLo } = message;
    const access = (value & PageRequestBit.Write) !== 0 ? Access.Write : Access.Read;
    const type = AddressType.Untranslated;
    this.faults.record(fault, requester, context, addressHi, addressLo, access, type, RequestType.PageRequest);
    return PageStatus.Invalid;
  }

  /** Reads root and context entry unless the context cache has them. */
  private faultOf(requester: number): FaultReason {
    const { registers, directory, physical } = this;
    if (!registers.scalable) return FaultReason.PageRequestInLegacyMode;
    const { contexts } = directory;
    const cached = contexts.device.find(requester, 0, 0);
    if (cached >= 0) return reasonOf(contexts.deviceWords[CONTEXT_DWORDS * cached]!);
    this.read(registers.rootHi, registers.rootLo | format.rootEntryOffset(TableMode.Scalable, requester));
    const [lo, hi] = [physical.wordLo, physical.wordHi];
    if ((lo & 1) === 0) return FaultReason.ScalableRootNotPresent;
    this.read(hi, format.pointerLo(lo) | format.contextEntryOffset(TableMode.Scalable, requester));
    return reasonOf(physical.wordLo);
  }

  private read(hi: number, lo: number): void {
    this.delayPs += this.memory.walkerRead(this.socket, hi, lo, true);
    this.physical.read(hi, lo);
  }

  recorded(): void {
    const { queue, watch, unit } = this;
    const slot = queue.visible & ((1 << queue.entriesLg2) - 1);
    watch?.changed?.(unit, Register.PageRequestTail, 0, slot << format.PAGE_REQUEST_LG2);
    if ((this.status & PageRequestStatus.Pending) !== 0) return;
    this.status |= PageRequestStatus.Pending;
    this.tell();
    if (this.masked) return;
    queue.counters.interrupts++;
    watch?.pagesRequested?.(unit);
  }

  overflown(): void {
    this.status |= PageRequestStatus.Overflow;
    this.tell();
  }

  private tell(): void {
    this.watch?.changed?.(this.unit, Register.PageRequestStatus, 0, this.status);
  }
}

function reasonOf(context: number): FaultReason {
  if ((context & 1) === 0) return FaultReason.ScalableContextNotPresent;
  return format.pageRequestsEnabled(context) ? FaultReason.None : FaultReason.PageRequestDisabled;
}
