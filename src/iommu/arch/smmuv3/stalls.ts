/**
 * The stall model (Arm IHI 0070G 3.12.2): a transaction that faults is kept, with a tag (STAG), until software resumes or terminates it by
 * command. It is kept beside the transaction queue: others pass it, those of its stream too. At most SMMU_IDR5.STALL_MAX at a time; one that
 * finds every place taken waits in the queue, with all that is ordered behind it, and is looked up again when a place is free.
 * One that faults on a page for which a transaction of its stream and SubstreamID is stalled already waits for that one, without a record, and
 * is looked up again with it. Records of stalls are never lost: they wait for room in the event queue. Not modelled: stalls of stage 2,
 * terminated reads that return zeros (TERM_MODEL 1).
 */
import type { Event } from '../../../kernel/event.js';
import { EventFifo } from '../../../kernel/fifo.js';
import type { StallClient, StallLog } from '../../../protocol/stall.js';
import { StallCounters } from '../../stall-counters.js';
import type { IommuUnit } from '../../unit.js';
import type { EventQueue } from './event-queue.js';
import { EventRecord } from './format.js';

const FAULTED = 0;
const RECORDED = 1;
const RESUMED = 2;

/** A transaction from its fault until it goes on. */
class Stall {
  tlp: Event | null = null;
  /** -1: no tag yet, or no longer. */
  tag = -1;
  sid = 0;
  client: StallClient | null = null;
  /** Transactions to the same page that faulted meanwhile. */
  readonly joined: EventFifo = new EventFifo();
  /** Absolute ps. */
  readonly times: Float64Array = new Float64Array(3);
  readonly record: EventRecord = new EventRecord();
}

export class Stalls implements StallLog {
  readonly counters = new StallCounters();
  /** By tag. */
  private readonly slots: (Stall | null)[];
  private taken = 0;
  /** Transactions that found every place taken. */
  private readonly waiting = new EventFifo();
  /** Stalls that wait for a place, or whose transaction is being looked up again, by TLP record; null: none. */
  private readonly open: (Stall | null)[] = [];
  private readonly unused: Stall[] = [];
  private unit: IommuUnit | null = null;

  constructor(
    /** STALL_MAX; 0: faults terminate transactions. */
    readonly most: number,
    private readonly events: EventQueue,
  ) {
    this.slots = new Array<Stall | null>(most).fill(null);
  }

  connect(unit: IommuUnit): void {
    this.unit = unit;
  }

  /** The transaction faults. Returns its record, to be filled in for `report`; null: none is due, or not yet. */
  add(tlp: Event, sid: number): EventRecord | null {
    const { unit } = this;
    const now = unit!.kernel.clock[0]!;
    const stall = this.stallOf(tlp, now);
    const again = stall.tlp !== null;
    stall.tlp = tlp;
    stall.sid = sid;
    const same = this.stalledOn(tlp, sid);
    if (same !== null) {
      this.counters.merged++;
      this.keep(tlp, stall);
      same.joined.push(tlp);
      unit!.park(tlp);
      return null;
    }
    const tag = this.taken === this.most || (this.waiting.length > 0 && !again) ? -1 : this.slots.indexOf(null);
    if (tag < 0) {
      if (!again) this.counters.waits++;
      this.keep(tlp, stall);
      this.waiting.push(tlp);
      unit!.hold(tlp);
      return null;
    }
    this.slots[tag] = stall;
    stall.tag = tag;
    this.taken++;
    this.counters.stalls++;
    this.counters.occupancy.set(now, this.taken);
    stall.record.stall = true;
    stall.record.tag = tag;
    return stall.record;
  }

  /** The record goes to the event queue, and its transaction out of the way of others. */
  report(record: EventRecord): void {
    const { times, tlp } = this.slots[record.tag]!;
    this.events.report(record, times, RECORDED);
    this.unit!.park(tlp!);
  }

  private openOf(tlp: Event): Stall | null {
    return this.open[tlp.id] ?? null;
  }

  private keep(tlp: Event, stall: Stall): void {
    while (this.open.length <= tlp.id) this.open.push(null);
    this.open[tlp.id] = stall;
  }

  private stalledOn(tlp: Event, sid: number): Stall | null {
    const page = tlp.addressLo >>> 12;
    if (this.taken === 0) return null;
    for (const stall of this.slots) {
      if (stall === null || stall.sid !== sid) continue;
      const other = stall.tlp!;
      if (other.context !== tlp.context || other.addressHi !== tlp.addressHi) continue;
      if (other.addressLo >>> 12 === page) return stall;
    }
    return null;
  }

  /** The stall of a transaction that waited for a place; else a new one, and an earlier one of the transaction is over. */
  private stallOf(tlp: Event, now: number): Stall {
    const known = this.openOf(tlp);
    if (known !== null) {
      if (known.times[RESUMED]! < 0) {
        this.open[tlp.id] = null;
        return known;
      }
      this.end(tlp, known, now);
    }
    const stall = this.unused.pop() ?? new Stall();
    stall.tlp = null;
    stall.client = null;
    stall.times[FAULTED] = now;
    stall.times[RECORDED] = Number.POSITIVE_INFINITY;
    stall.times[RESUMED] = -1;
    return stall;
  }

  /** CMD_RESUME. A tag that is not in use, or is another stream's, is ignored. */
  resume(sid: number, tag: number, retry: boolean): void {
    const stall = this.slots[tag];
    if (stall === undefined || stall === null || stall.sid !== sid) return;
    this.release(stall, retry);
    for (let tlp = stall.joined.pop(); tlp !== null; tlp = stall.joined.pop()) this.unit!.retry(tlp);
    this.admit();
  }

  /** CMD_STALL_TERM: all stalled transactions of the stream end, those that wait for a place included. */
  terminate(sid: number): void {
    const { unit, waiting, slots } = this;
    const all: Event[] = [];
    for (let tlp = waiting.pop(); tlp !== null; tlp = waiting.pop()) all.push(tlp);
    const gone: Event[] = [];
    for (const tlp of all) {
      if (this.openOf(tlp)!.sid === sid) gone.push(tlp);
      else waiting.push(tlp);
    }
    for (const stall of [...slots]) {
      if (stall === null || stall.sid !== sid) continue;
      for (let tlp = stall.joined.pop(); tlp !== null; tlp = stall.joined.pop()) gone.push(tlp);
      this.release(stall, false);
    }
    for (const tlp of gone) unit!.terminate(tlp);
    this.admit();
  }

  private release(stall: Stall, retry: boolean): void {
    const { unit, counters } = this;
    const now = unit!.kernel.clock[0]!;
    this.slots[stall.tag] = null;
    stall.tag = -1;
    this.taken--;
    counters.occupancy.set(now, this.taken);
    this.events.forget(stall.record);
    const tlp = stall.tlp!;
    stall.times[RESUMED] = now;
    this.keep(tlp, stall);
    if (retry) {
      counters.retried++;
      unit!.retry(tlp);
    } else {
      counters.terminated++;
      unit!.terminate(tlp);
    }
  }

  /** A place is free: the transaction that has waited longest is looked up again. It may not need the place by now. */
  private admit(): void {
    if (this.taken === this.most) return;
    const tlp = this.waiting.pop();
    if (tlp !== null) this.unit!.retry(tlp);
  }

  /** A transaction that had been held goes on, translated or refused. */
  proceeds(tlp: Event): void {
    const stall = this.openOf(tlp);
    if (stall === null) return;
    const waited = stall.times[RESUMED]! < 0;
    this.end(tlp, stall, this.unit!.kernel.clock[0]!);
    if (waited) this.admit();
  }

  private end(tlp: Event, stall: Stall, now: number): void {
    this.open[tlp.id] = null;
    const { client } = stall;
    stall.client = null;
    stall.tlp = null;
    this.unused.push(stall);
    client?.ended(stall.times[RESUMED]!, now);
  }

  faultedAt(tag: number): number {
    return this.slots[tag]!.times[FAULTED]!;
  }

  recordedAt(tag: number): number {
    return this.slots[tag]!.times[RECORDED]!;
  }

  follow(tag: number, client: StallClient): void {
    this.slots[tag]!.client = client;
  }
}
