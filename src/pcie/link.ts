/**
 * One PCI Express link between a device and its root port: two directions, each a FIFO server (serialisation) followed by a fixed
 * flight time, and flow-control credits for requests (PCI Express Base Specification 6.0, 2.6 and 4.2). Line code and transfer
 * rate give the raw rate; acknowledgements and flow-control updates take a fixed share of it.
 * Not modelled: replay after CRC errors, several virtual channels, lane power states.
 * Hot path: bench/end-to-end.
 */
import type { Event } from '../kernel/event.js';
import { EventFifo } from '../kernel/fifo.js';
import type { Kernel } from '../kernel/kernel.js';
import { FifoServer } from '../kernel/server.js';
import { Op } from '../protocol/op.js';
import type { MessageSink } from '../protocol/page-request.js';
import { Cause, type CreditReturn, TlpFlag, type TlpSink } from '../protocol/tlp.js';
import type { LatencyLedger } from '../stats/latency-ledger.js';
import type { MetricDef, Registry } from '../stats/registry.js';
import { CreditPool } from './credits.js';
import type { LinkSpec, PortSpec } from './spec.js';

/** Transfer rate in gigatransfers/s and line code efficiency by generation (4.2.2: 8b/10b, then 128b/130b; generation 6 not offered). */
const RATE: readonly { gt: number; payload: number; coded: number }[] = [
  { gt: 0, payload: 0, coded: 1 },
  { gt: 2.5e9, payload: 8, coded: 10 },
  { gt: 5e9, payload: 8, coded: 10 },
  { gt: 8e9, payload: 128, coded: 130 },
  { gt: 16e9, payload: 128, coded: 130 },
  { gt: 32e9, payload: 128, coded: 130 },
];

/** Femtoseconds per byte of one direction, the DLLP share taken off. */
export function femtosecondsPerByte(spec: LinkSpec): number {
  const rate = RATE[spec.generation]!;
  const bits = (rate.gt * spec.width * rate.payload) / rate.coded;
  return Math.round((8e15 / bits) * (1e6 / (1e6 - spec.dllpShare)));
}

/** No request or completion carries more. */
const LARGEST_REQUEST = 4096;

export const LINK_METRICS: readonly MetricDef[] = [
  {
    name: 'link.up.utilisation',
    unit: 'ratio',
    sentence: 'Share of time the direction towards the root port was transmitting.',
    formula: 'busy time / window',
  },
  {
    name: 'link.down.utilisation',
    unit: 'ratio',
    sentence: 'Share of time the direction towards the device was transmitting.',
    formula: 'busy time / window',
  },
  {
    name: 'link.up.bytes',
    unit: 'bytes',
    sentence: 'Bytes sent towards the root port, packet overhead included.',
    formula: 'sum over TLPs of overhead + payload',
  },
  {
    name: 'link.down.bytes',
    unit: 'bytes',
    sentence: 'Bytes sent towards the device, packet overhead included.',
    formula: 'sum over completions of overhead + payload',
  },
  {
    name: 'link.credit_stalls',
    unit: 'count',
    sentence: 'Times a request found no flow-control credit and had to wait.',
    formula: 'count',
  },
];

/** Who hears of what the link brings: the engine of the device, or its device TLB. */
export interface LinkClient {
  /** Event of the wake-up after a refusal, and its op. */
  readonly wake: Event;
  readonly credit: Op;
  /** Op of a read whose data are complete. */
  readonly done: Op;
}

export class Link implements TlpSink, CreditReturn, MessageSink {
  private readonly up = new FifoServer();
  private readonly down = new FifoServer();
  /** Messages without credit. */
  private readonly messages = new EventFifo();
  private readonly posted: CreditPool;
  private readonly nonPosted: CreditPool;
  /** Transmission time by bytes on the wire, ps, and bytes on the wire by payload of a completion. */
  private readonly transmission: Int32Array;
  private readonly completion: Int32Array;
  private blocked = 0; // 0 no, 1 waiting for any return, 2 wake-up event under way
  // NaN first makes these double fields, which V8 updates in place; a field that begins as 0 would be an int32 and change later.
  private upBytes = Number.NaN;
  private downBytes = Number.NaN;
  private stalls = 0;
  private windowStart = Number.NaN;

  constructor(
    private readonly kernel: Kernel,
    private readonly unit: number,
    private readonly spec: LinkSpec,
    port: PortSpec,
    private readonly ledger: LatencyLedger,
    private readonly client: LinkClient,
  ) {
    this.upBytes = 0;
    this.downBytes = 0;
    this.windowStart = 0;
    const { maxPayload, requestOverhead, completionOverhead } = spec;
    this.completion = new Int32Array(LARGEST_REQUEST + 1);
    for (let bytes = 0; bytes <= LARGEST_REQUEST; bytes++) {
      this.completion[bytes] = Math.max(1, Math.ceil(bytes / maxPayload)) * completionOverhead + bytes;
    }
    const most = Math.max(this.completion[LARGEST_REQUEST]!, requestOverhead + LARGEST_REQUEST);
    const femto = femtosecondsPerByte(spec);
    this.transmission = new Int32Array(most + 1);
    for (let bytes = 0; bytes <= most; bytes++) this.transmission[bytes] = Math.floor((bytes * femto + 500) / 1000);
    this.posted = new CreditPool(port.postedHeaders, port.postedData, port.creditReturn);
    this.nonPosted = new CreditPool(port.nonPostedHeaders, 1 << 30, port.creditReturn);
  }

  send(tlp: Event): boolean {
    const now = this.kernel.clock[0]!;
    const write = tlp.flags & TlpFlag.Write;
    const units = write !== 0 ? (tlp.bytes + 15) >> 4 : 0;
    const pool = write !== 0 ? this.posted : this.nonPosted;
    if (!pool.take(now, units)) {
      this.stalls++;
      this.awaitCredit(pool);
      return false;
    }
    const bytes = this.spec.requestOverhead + (write !== 0 ? tlp.bytes : 0);
    const service = this.transmission[bytes]!;
    const end = this.up.book(now, service) + service;
    this.upBytes += bytes;
    this.ledger.chargeFor(tlp.id, Cause.LinkUp, end + this.spec.latency);
    tlp.unit = this.unit;
    this.kernel.relay(end, this.spec.latency, tlp, Op.PortArrive);
    return true;
  }

  /** The receive buffer of `tlp` at the root port is free. */
  returnCredits(tlp: Event): void {
    const now = this.kernel.clock[0]!;
    const write = tlp.flags & (TlpFlag.Write | TlpFlag.PageRequest);
    const pool = write !== 0 ? this.posted : this.nonPosted;
    pool.give(now, write !== 0 ? (tlp.bytes + 15) >> 4 : 0);
    if (this.blocked === 1) this.awaitCredit(pool);
  }

  /**
   * Data of a read has left memory: completions of at most Max_Payload_Size travel to the device. `overheadPs` is the device's
   * own time after the last byte.
   */
  complete(tlp: Event, overheadPs: number): void {
    const now = this.kernel.clock[0]!;
    const bytes = this.completion[(tlp.flags & TlpFlag.Aborted) !== 0 ? 0 : tlp.bytes]!;
    const service = this.transmission[bytes]!;
    const end = this.down.book(now, service) + service;
    this.downBytes += bytes;
    this.ledger.chargeForBoth(tlp.id, Cause.LinkDown, end + this.spec.latency, Cause.Device, overheadPs);
    this.kernel.relay(end, this.spec.latency + overheadPs, tlp, this.client.done);
  }

  /** The answer of a translation request travels to the device: a completion with the translation, or one without data (`bytes` 0). */
  answer(request: Event): void {
    const now = this.kernel.clock[0]!;
    const bytes = this.completion[request.bytes]!;
    const service = this.transmission[bytes]!;
    const end = this.down.book(now, service) + service;
    this.downBytes += bytes;
    this.ledger.chargeFor(request.id, Cause.LinkDown, end + this.spec.latency);
    this.kernel.relay(end, this.spec.latency, request, Op.AtcAnswer);
  }

  /** A message without data that takes the buffer of a posted request; `op` when its last byte has arrived. Without credit it waits. */
  message(message: Event, op: Op): void {
    message.opAfter = op;
    if (this.messages.length > 0 || !this.sendMessage(message)) this.messages.push(message);
  }

  private sendMessage(message: Event): boolean {
    const now = this.kernel.clock[0]!;
    if (!this.posted.take(now, 0)) {
      this.stalls++;
      this.awaitCredit(this.posted);
      return false;
    }
    const bytes = this.spec.requestOverhead;
    const service = this.transmission[bytes]!;
    const end = this.up.book(now, service) + service;
    this.upBytes += bytes;
    this.kernel.after(end + this.spec.latency, message, message.opAfter);
    return true;
  }

  /** A request of a processor with `bytes` of data travels to the device; flow control towards the device is not modelled. */
  deliver(event: Event, bytes: number, op: number): void {
    this.travel(this.down, event, this.spec.requestOverhead + bytes, op);
    this.downBytes += this.spec.requestOverhead + bytes;
  }

  /** The device's completion without data, of a processor's request, travels to the root port. */
  acknowledge(event: Event, op: number): void {
    this.travel(this.up, event, this.spec.completionOverhead, op);
    this.upBytes += this.spec.completionOverhead;
  }

  private travel(direction: FifoServer, event: Event, bytes: number, op: number): void {
    const service = this.transmission[bytes]!;
    const end = direction.book(this.kernel.clock[0]!, service) + service;
    this.kernel.relay(end, this.spec.latency, event, op);
  }

  /** The device's wake-up event has fired. */
  woken(): void {
    this.blocked = 0;
    for (let message = this.messages.peek(); message !== null; message = this.messages.peek()) {
      if (!this.sendMessage(message)) return;
      this.messages.pop();
    }
  }

  private awaitCredit(pool: CreditPool): void {
    if (this.blocked === 2) return;
    const now = this.kernel.clock[0]!;
    const due = pool.nextDue();
    if (due < 0) {
      this.blocked = 1;
      return;
    }
    this.blocked = 2;
    this.kernel.after(due > now ? due - now : 0, this.client.wake, this.client.credit);
  }

  registerMetrics(registry: Registry, component: string): void {
    registry.gauge(component, 'link.up.utilisation', (now) =>
      now > this.windowStart ? this.up.busyPs(now) / (now - this.windowStart) : 0,
    );
    registry.gauge(component, 'link.down.utilisation', (now) =>
      now > this.windowStart ? this.down.busyPs(now) / (now - this.windowStart) : 0,
    );
    registry.gauge(component, 'link.up.bytes', () => this.upBytes);
    registry.gauge(component, 'link.down.bytes', () => this.downBytes);
    registry.gauge(component, 'link.credit_stalls', () => this.stalls);
    registry.onReset((now) => {
      this.upBytes = 0;
      this.downBytes = 0;
      this.stalls = 0;
      this.windowStart = now;
      this.up.reset(now);
      this.down.reset(now);
    });
  }
}
