/**
 * Where an engine gets its DMAs from: one class for all kinds of work, so that the issue loop stays monomorphic.
 * Window: random or sequential blocks of a window that stays mapped, closed loop (keep `outstanding` in flight) or open loop
 * (exponential arrivals, queued without bound). Posted: buffers handed over by a driver, first in first out.
 */
import type { RandomStream } from '../kernel/random.js';
import { Access } from '../protocol/access.js';

/** Numbers of a posted DMA. */
const POSTED = 6;

export interface WindowWork {
  readonly base: number;
  readonly window: number;
  readonly size: number;
  /** Percent of reads. */
  readonly reads: number;
  readonly sequential: boolean;
  /** DMAs in flight. */
  readonly outstanding: number;
  /** Mean time between arrivals, ps; 0 = closed loop. */
  readonly interarrival: number;
  readonly pasid: number;
}

export class Source {
  /** The DMA that `next` has produced. */
  addressHi = 0;
  addressLo = 0;
  bytes = 0;
  access: Access = Access.Read;
  tag = -1;
  context = -1;
  inFlight = 0;
  /** Position among the sources of its engine. */
  index = 0;
  readonly limit: number;
  /** Work comes from a driver, which is told when it is done. */
  readonly posted: boolean;
  /** Open loop: arrivals not yet issued; arrival times wait in a ring. */
  private readonly arrivals: Float64Array;
  private arrivalHead = 0;
  private arrivalCount = 0;
  /** Start of the DMA that `next` has produced, absolute ps. NaN first makes it a double field, which V8 updates in place. */
  startAt = Number.NaN;
  /** Open loop: the next arrival, absolute ps. */
  private arrivalAt = Number.NaN;

  private position = 0;
  private readonly blocks: number;
  /** Posted work: ring of hi, lo, bytes, access, tag, PASID. */
  private ring: Int32Array;
  private head = 0;
  private count = 0;

  constructor(
    private readonly work: WindowWork | null,
    private readonly random: RandomStream,
    limit: number,
  ) {
    this.startAt = 0;
    this.arrivalAt = 0;
    this.posted = work === null;
    this.limit = work === null ? limit : Math.min(limit, work.outstanding);
    this.blocks = work === null ? 0 : Math.floor(work.window / work.size);
    this.arrivals = new Float64Array(work !== null && work.interarrival > 0 ? 1024 : 0);
    this.ring = new Int32Array(work === null ? 64 * POSTED : 0);
    if (work !== null) this.context = work.pasid;
  }

  /** Schedules the first arrival of an open loop. */
  start(now: number): void {
    if (this.work !== null && this.work.interarrival > 0) {
      this.arrivalAt = now + this.random.exponential(this.work.interarrival);
    }
  }

  /** Time of the first arrival after `now`, or -1 (closed loop, posted work). */
  nextArrival(now: number): number {
    if (this.arrivals.length === 0) return -1;
    this.collect(now);
    return this.arrivalAt;
  }

  /** Accounts arrivals up to `now`. A full backlog loses arrivals: see `lost`. */
  private collect(now: number): void {
    const work = this.work!;
    while (this.arrivalAt <= now) {
      if (this.arrivalCount < this.arrivals.length) {
        this.arrivals[(this.arrivalHead + this.arrivalCount) & (this.arrivals.length - 1)] = this.arrivalAt;
        this.arrivalCount++;
      } else this.lost++;
      this.arrivalAt = this.arrivalAt + this.random.exponential(work.interarrival);
    }
  }
  /** Open-loop arrivals that found 1024 others waiting. */
  lost = 0;

  post(addressHi: number, addressLo: number, bytes: number, access: Access, tag: number, pasid = -1): void {
    const capacity = this.ring.length / POSTED;
    if (this.count === capacity) {
      const bigger = new Int32Array(this.ring.length * 2);
      for (let k = 0; k < this.count; k++) {
        const from = ((this.head + k) % capacity) * POSTED;
        bigger.set(this.ring.subarray(from, from + POSTED), k * POSTED);
      }
      this.ring = bigger;
      this.head = 0;
    }
    const at = ((this.head + this.count) % (this.ring.length / POSTED)) * POSTED;
    this.ring[at] = addressHi;
    this.ring[at + 1] = addressLo;
    this.ring[at + 2] = bytes;
    this.ring[at + 3] = access;
    this.ring[at + 4] = tag;
    this.ring[at + 5] = pasid;
    this.count++;
  }

  /** True when a DMA may start now as far as this source is concerned. */
  ready(now: number): boolean {
    if (this.inFlight >= this.limit) return false;
    if (this.work === null) return this.count > 0;
    if (this.arrivals.length === 0) return true;
    this.collect(now);
    return this.arrivalCount > 0;
  }

  /** Produces the next DMA into the fields of this object; the caller has put its start into `startAt`. Call only when `ready`. */
  next(): void {
    const work = this.work;
    if (work === null) {
      const at = this.head * POSTED;
      this.addressHi = this.ring[at]!;
      this.addressLo = this.ring[at + 1]!;
      this.bytes = this.ring[at + 2]!;
      this.access = this.ring[at + 3]! as Access;
      this.tag = this.ring[at + 4]!;
      this.context = this.ring[at + 5]!;
      this.head = (this.head + 1) % (this.ring.length / POSTED);
      this.count--;
      return;
    }
    let block: number;
    if (work.sequential) {
      block = this.position;
      this.position = block + 1 === this.blocks ? 0 : block + 1;
    } else block = this.random.below(this.blocks);
    const address = work.base + block * work.size;
    this.addressHi = (address / 4294967296) | 0;
    this.addressLo = address | 0;
    this.bytes = work.size;
    this.access =
      work.reads === 100 || (work.reads > 0 && this.random.below(100) < work.reads) ? Access.Read : Access.Write;
    if (this.arrivals.length > 0) {
      this.startAt = this.arrivals[this.arrivalHead]!;
      this.arrivalHead = (this.arrivalHead + 1) & (this.arrivals.length - 1);
      this.arrivalCount--;
    }
  }
}
