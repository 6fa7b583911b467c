/**
 * A root port: receive buffers (whose credits the link advertises), hand-over to the IOMMU in front of memory, and the return path
 * of completions. Without an IOMMU the address is physical and the request goes straight to memory.
 * Not modelled: peer-to-peer between ports, relaxed ordering, completion timeouts.
 * Hot path: bench/end-to-end.
 */
import { Event } from '../kernel/event.js';
import { EventFifo } from '../kernel/fifo.js';
import type { Kernel } from '../kernel/kernel.js';
import type { MemorySystem } from '../memory/system.js';
import type { AtsPort } from '../protocol/ats.js';
import { Op } from '../protocol/op.js';
import {
  type PageGroupObserver,
  PageRequestBit,
  type PageRequestReceiver,
  type PageResponsePort,
  type PageStatus,
} from '../protocol/page-request.js';
import { Cause, TlpFlag, type Translator } from '../protocol/tlp.js';
import type { LatencyLedger } from '../stats/latency-ledger.js';
import type { Link } from './link.js';

export class RootPort implements AtsPort, PageResponsePort {
  /** Where page requests go; null: nobody takes any. */
  pages: PageRequestReceiver | null = null;
  /** Watches page request groups. */
  observer: PageGroupObserver | null = null;
  private readonly unused = new EventFifo();

  constructor(
    private readonly kernel: Kernel,
    private readonly socket: number,
    private readonly memory: MemorySystem,
    private readonly link: Link,
    private readonly ledger: LatencyLedger,
    /** Fixed times the device adds after its completion, ps (read) and (write: none). */
    private readonly readOverheadPs: number,
    private readonly translator: Translator | null,
  ) {}

  /** Op.PortArrive: the last byte of a request has arrived. */
  arrive(tlp: Event): void {
    if (this.translator !== null) {
      this.translator.arrive(tlp);
      return;
    }
    tlp.outHi = tlp.addressHi;
    tlp.outLo = tlp.addressLo;
    this.forward(tlp);
  }

  /** The request leaves the receive buffer for memory; an aborted one, or one that no memory owns, goes no further. */
  forward(tlp: Event): void {
    this.link.returnCredits(tlp);
    if (!this.memory.owns(tlp.outHi, tlp.outLo)) tlp.flags |= TlpFlag.Aborted;
    const now = this.kernel.clock[0]!;
    if ((tlp.flags & TlpFlag.NoMemory) !== 0) {
      this.ledger.charge(tlp.id, Cause.Order, now);
      this.kernel.after(0, tlp, (tlp.flags & TlpFlag.TranslationRequest) !== 0 ? Op.AtsAnswer : Op.MemoryServed);
      return;
    }
    const delay =
      (tlp.flags & TlpFlag.Write) !== 0
        ? this.memory.deviceWrite(this.socket, tlp.outHi, tlp.outLo, tlp.bytes)
        : this.memory.deviceRead(this.socket, tlp.outHi, tlp.outLo, tlp.bytes);
    this.ledger.chargeBoth(tlp.id, Cause.Order, now, Cause.Memory, delay);
    this.kernel.after(delay, tlp, Op.MemoryServed);
  }

  /** Op.AtsAnswer: the answer of a translation request starts its way back. */
  answer(request: Event): void {
    this.translator!.served(request);
    this.link.answer(request);
  }

  /** Op.PageRequestArrive: the message goes to the IOMMU and frees its buffer. */
  pageRequest(message: Event): void {
    this.link.returnCredits(message);
    const { value } = message;
    if ((value & PageRequestBit.Last) !== 0 && (value & PageRequestBit.Access) !== 0) {
      this.observer?.groupAsked(message.source, message.parent, this.kernel.clock[0]!);
    }
    this.pages?.receive(message);
  }

  /** A Page Request Group Response starts its way to the device. */
  respond(device: number, group: number, status: PageStatus): void {
    this.observer?.groupAnswered(device, group, this.kernel.clock[0]!);
    const message = this.unused.pop() ?? new Event();
    message.source = device;
    message.parent = group;
    message.value = status;
    this.link.deliver(message, 0, Op.PageResponse);
  }

  /** The device has taken a response. */
  recycle(message: Event): void {
    this.unused.push(message);
  }

  message(event: Event, payload: number): void {
    this.link.deliver(event, payload, Op.AtcInvalidate);
  }

  returnCredits(tlp: Event): void {
    this.link.returnCredits(tlp);
  }

  /** Op.MemoryServed: a write is globally visible; the data of a read start their way back. True when the device is done with it now. */
  served(tlp: Event): boolean {
    this.translator?.served(tlp);
    if ((tlp.flags & TlpFlag.Write) !== 0) return true;
    this.link.complete(tlp, this.readOverheadPs);
    return false;
  }
}
