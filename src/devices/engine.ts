/**
 * A parametric DMA engine: takes DMAs from its sources in turn, starts at most one per issue interval, cuts each into TLPs
 * (Max_Read_Request_Size, Max_Payload_Size, never across 4 KiB) and keeps reads within its tags and read-byte budget. A DMA is done
 * when its last TLP is; its latency is decomposed along that TLP.
 * Not modelled: descriptor fetches and completion writes of a particular device.
 * Hot path: bench/end-to-end.
 */
import { Event } from '../kernel/event.js';
import type { Kernel } from '../kernel/kernel.js';
import type { Meter } from '../kernel/meter.js';
import { Access } from '../protocol/access.js';
import { Op } from '../protocol/op.js';
import type { TransactionPool } from '../protocol/pool.js';
import { type DeviceClient, DmaStatus } from '../protocol/queue.js';
import { Cause, TlpFlag, type TlpSink } from '../protocol/tlp.js';
import { Histogram } from '../stats/histogram.js';
import type { LatencyLedger } from '../stats/latency-ledger.js';
import type { Source } from './source.js';
import type { EngineSpec, IntervalRow, SlotRow } from './spec.js';

export interface EngineLimits {
  readonly maxPayload: number;
  readonly maxReadRequest: number;
  readonly tags: number;
}

function intervalFor(rows: readonly IntervalRow[], bytes: number): number {
  const { length } = rows;
  for (let i = 0; i < length; i++) if (bytes <= rows[i]!.size) return rows[i]!.interval;
  return length === 0 ? 0 : rows[length - 1]!.interval;
}

function slotsFor(rows: readonly SlotRow[], bytes: number): number {
  const { length } = rows;
  for (let i = 0; i < length; i++) if (bytes <= rows[i]!.size) return rows[i]!.slots;
  return length === 0 ? 0x7fffffff : rows[length - 1]!.slots;
}

/** A DMA in flight; its index is the slot. */
class Dma {
  /** TLPs not yet complete. */
  left = 0;
  bytes = 0;
  access: Access = Access.Read;
  status: DmaStatus = DmaStatus.Ok;
  tag = -1;
  /** Number of the source. */
  source = 0;
}

export class Engine {
  readonly readLatency = new Histogram();
  readonly writeLatency = new Histogram();
  readBytes = 0;
  writeBytes = 0;
  faults = 0;

  /** One event each for the issue gate, for open-loop arrivals and for credit wake-ups. */
  readonly gate = new Event();
  readonly arrival = new Event();
  readonly credit = new Event();
  private gateScheduled = false;
  private arrivalScheduled = false;
  private waitingForCredit = false;
  private sink: TlpSink | null = null;
  private client: DeviceClient | null = null;
  private readonly sources: Source[] = [];
  private turn = 0;
  /** Absolute ps. NaN first makes it a double field, which V8 updates in place. */
  private gateAt = Number.NaN;

  private readonly dmas: readonly Dma[];
  /** Start of each DMA, absolute ps. */
  private readonly start: Float64Array;
  private readonly freeSlots: Int32Array;
  private freeCount: number;
  // slots in order of issue, and the last TLP of those that are complete but not retired
  private readonly order: Int32Array;
  private orderHead = 0;
  private orderCount = 0;
  private readonly lastTlp: (Event | null)[];

  // the DMA being cut into TLPs, or -1
  private current = -1;
  private currentHi = 0;
  private currentLo = 0;
  private currentLeft = 0;
  private currentContext = -1;
  /** The current DMA counts as a read in flight. */
  private admitted = false;
  private held: Event | null = null;

  private tagsFree: number;
  private readsInFlight = 0;
  private readBytesFree: number;
  private readonly inOrder: boolean;

  constructor(
    private readonly kernel: Kernel,
    readonly index: number,
    private readonly spec: EngineSpec,
    private readonly limits: EngineLimits,
    private readonly pool: TransactionPool,
    private readonly ledger: LatencyLedger,
    private readonly meter: Meter,
  ) {
    this.gateAt = 0;
    const slots = spec.outstanding;
    this.start = new Float64Array(slots);
    this.dmas = Array.from({ length: slots }, () => new Dma());
    this.freeSlots = Int32Array.from({ length: slots }, (_, i) => slots - 1 - i);
    this.freeCount = slots;
    this.order = new Int32Array(slots);
    this.lastTlp = new Array<Event | null>(slots).fill(null);
    this.tagsFree = limits.tags;
    this.readBytesFree = spec.outstandingReadBytes;
    this.inOrder = spec.retire === 'in-order';
    this.gate.unit = index;
    this.arrival.unit = index;
    this.credit.unit = index;
  }

  /** `client` is told of posted DMAs that are done; an engine without posted work needs none. */
  connect(sink: TlpSink, client: DeviceClient | null): void {
    this.sink = sink;
    this.client = client;
  }

  addSource(source: Source): void {
    source.index = this.sources.length;
    this.sources.push(source);
  }

  /** Starts window work at time `now`. */
  begin(now: number): void {
    for (const source of this.sources) source.start(now);
    this.pump();
  }

  /** Op.DeviceIssue. */
  gateOpen(event: Event): void {
    if (event === this.gate) this.gateScheduled = false;
    else this.arrivalScheduled = false;
    this.pump();
  }

  /** Op.DeviceCredit. */
  creditReady(): void {
    this.waitingForCredit = false;
    this.pump();
  }

  /** Starts and continues DMAs until something is missing. */
  pump(): void {
    for (;;) {
      if (this.current >= 0 && !this.sendCurrent()) return;
      const source = this.choose();
      if (source === null) return;
      this.startDma(source);
    }
  }

  /** The next source in turn that has work and whose DMA may start now; null schedules what it waits for. */
  private choose(): Source | null {
    if (this.freeCount === 0) return null;
    const now = this.kernel.clock[0]!;
    const { gateAt } = this;
    const n = this.sources.length;
    for (let k = 0; k < n; k++) {
      let i = this.turn + k;
      if (i >= n) i -= n;
      const source = this.sources[i]!;
      if (!source.ready(now)) continue;
      if (gateAt > now) {
        if (!this.gateScheduled) {
          this.gateScheduled = true;
          this.kernel.after(gateAt - now, this.gate, Op.DeviceIssue);
        }
        return null;
      }
      this.turn = i + 1 === n ? 0 : i + 1;
      return source;
    }
    this.awaitArrival();
    return null;
  }

  /** Wakes at the first arrival of any source, one that is at its limit included: whatever frees it comes before the arrival then. */
  private awaitArrival(): void {
    if (this.arrivalScheduled === true) return;
    const now = this.kernel.clock[0]!;
    let at = -1;
    for (const source of this.sources) {
      const t = source.nextArrival(now);
      if (t >= 0 && (at < 0 || t < at)) at = t;
    }
    if (at < 0) return;
    this.arrivalScheduled = true;
    this.kernel.after(at - now, this.arrival, Op.DeviceIssue);
  }

  private startDma(source: Source): void {
    const now = this.kernel.clock[0]!;
    source.startAt = now;
    source.next();
    source.inFlight++;
    const slot = this.freeSlots[--this.freeCount]!;
    if (this.inOrder === true) {
      this.order[(this.orderHead + this.orderCount) % this.order.length] = slot;
      this.orderCount++;
    }
    this.start[slot] = source.startAt;
    const dma = this.dmas[slot]!;
    dma.left = 0;
    dma.bytes = source.bytes;
    dma.access = source.access;
    dma.status = DmaStatus.Ok;
    dma.tag = source.tag;
    dma.source = source.index;
    const rows = source.access === Access.Read ? this.spec.readInterval : this.spec.writeInterval;
    this.gateAt = now + intervalFor(rows, source.bytes);
    this.current = slot;
    this.admitted = source.access !== Access.Read;
    this.currentHi = source.addressHi;
    this.currentLo = source.addressLo;
    this.currentLeft = source.bytes;
    this.currentContext = source.context;
  }

  /** Sends TLPs of the current DMA; false when it has to wait. */
  private sendCurrent(): boolean {
    const slot = this.current;
    const dma = this.dmas[slot]!;
    const write = dma.access === Access.Write;
    if (this.admitted === false) {
      if (this.readsInFlight >= slotsFor(this.spec.readSlots, this.currentLeft)) return false;
      this.readsInFlight++;
      this.admitted = true;
    }
    while (this.currentLeft > 0) {
      const now = this.kernel.clock[0]!;
      let tlp = this.held;
      if (tlp === null) {
        const most = write ? this.limits.maxPayload : this.limits.maxReadRequest;
        const toPage = 4096 - (this.currentLo & 4095);
        let bytes = this.currentLeft < most ? this.currentLeft : most;
        if (bytes > toPage) bytes = toPage;
        if (!write && (this.tagsFree === 0 || this.readBytesFree < bytes)) return false;
        tlp = this.pool.take();
        if (tlp === null) return false;
        this.fill(tlp, slot, bytes, write, now);
      } else if (this.waitingForCredit === true) return false;
      else this.ledger.charge(tlp.id, Cause.Credits, now);
      if (!this.sink!.send(tlp)) {
        this.held = tlp;
        this.waitingForCredit = true;
        return false;
      }
      this.held = null;
      if (!write) {
        this.tagsFree--;
        this.readBytesFree -= tlp.bytes;
      }
      dma.left++;
      this.currentLeft -= tlp.bytes;
      const lo = this.currentLo;
      this.currentLo = (lo + tlp.bytes) | 0;
      if (this.currentLo >>> 0 < lo >>> 0) this.currentHi = (this.currentHi + 1) | 0;
    }
    this.current = -1;
    return true;
  }

  private fill(tlp: Event, slot: number, bytes: number, write: boolean, now: number): void {
    tlp.source = this.index;
    tlp.parent = slot;
    tlp.flags = write ? TlpFlag.Write : 0;
    tlp.bytes = bytes;
    tlp.addressHi = this.currentHi;
    tlp.addressLo = this.currentLo;
    tlp.context = this.currentContext;
    this.ledger.begin(tlp.id, this.start[slot]!, Cause.Device, now);
  }

  /** Op.DeviceDone: a read's data are complete in the device, or a write is globally visible. */
  done(tlp: Event): void {
    const slot = tlp.parent;
    if ((tlp.flags & TlpFlag.Settled) !== 0) {
      this.complete(tlp, slot);
      return;
    }
    if ((tlp.flags & TlpFlag.Write) === 0) {
      this.tagsFree++;
      this.readBytesFree += tlp.bytes;
    }
    const dma = this.dmas[slot]!;
    if ((tlp.flags & TlpFlag.Aborted) !== 0) dma.status = DmaStatus.Fault;
    const last = --dma.left === 0 && slot !== this.current;
    if (!last) {
      this.ledger.discard(tlp.id);
      this.pool.give(tlp);
      this.pump();
      return;
    }
    if (dma.access === Access.Read) this.readsInFlight--;
    else if (this.spec.writeOverhead > 0) {
      // The time of a read's end is part of its completion; a write is done a fixed time after it is visible.
      tlp.flags |= TlpFlag.Settled;
      this.ledger.chargeFor(tlp.id, Cause.Device, this.spec.writeOverhead);
      this.kernel.after(this.spec.writeOverhead, tlp, Op.DeviceDone);
      this.pump();
      return;
    }
    this.complete(tlp, slot);
  }

  /** The DMA is complete; `tlp` was its last. */
  private complete(tlp: Event, slot: number): void {
    if (this.inOrder === true) {
      this.lastTlp[slot] = tlp;
      this.retire();
    } else this.finish(tlp, slot);
    this.pump();
  }

  /** Frees the oldest places whose DMAs are complete. */
  private retire(): void {
    const now = this.kernel.clock[0]!;
    while (this.orderCount > 0) {
      const slot = this.order[this.orderHead]!;
      const tlp = this.lastTlp[slot];
      if (tlp === null || tlp === undefined) return;
      this.lastTlp[slot] = null;
      this.orderHead = this.orderHead + 1 === this.order.length ? 0 : this.orderHead + 1;
      this.orderCount--;
      this.ledger.charge(tlp.id, Cause.Retire, now);
      this.finish(tlp, slot);
    }
  }

  private finish(tlp: Event, slot: number): void {
    const latency = this.ledger.finish(tlp.id, this.kernel.clock[0]!, this.index);
    this.pool.give(tlp);
    const dma = this.dmas[slot]!;
    const source = this.sources[dma.source]!;
    source.inFlight--;
    this.freeSlots[this.freeCount++] = slot;
    if (dma.access === Access.Read) {
      this.readBytes += dma.bytes;
      this.readLatency.add(latency);
    } else {
      this.writeBytes += dma.bytes;
      this.writeLatency.add(latency);
    }
    const { status } = dma;
    if (status !== DmaStatus.Ok) this.faults++;
    if (source.posted === true) this.client!.completed(this.index, dma.tag, status);
    else this.meter.count();
  }

  /** Open-loop arrivals lost so far in this window. */
  lostArrivals(): number {
    let lost = 0;
    for (const source of this.sources) lost += source.lost;
    return lost;
  }

  resetCounters(): void {
    this.readLatency.reset();
    this.writeLatency.reset();
    this.readBytes = 0;
    this.writeBytes = 0;
    this.faults = 0;
    for (const source of this.sources) source.lost = 0;
  }
}
