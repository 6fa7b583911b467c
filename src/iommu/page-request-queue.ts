/**
 * Page requests at an IOMMU (PCI Express Base Specification 6.0, 10.4; each architecture's chapter on its queue): messages become records of a
 * ring in memory, in order of arrival. A full ring is an overflow: from then on, until software has dealt with it, nothing is queued, and the last
 * request of each group is answered at once with success, so that its device asks again. What differs between architectures (records,
 * registers, what is refused before it is queued) is a `PageRequestRules` object.
 */
import { Event } from '../kernel/event.js';
import { EventFifo } from '../kernel/fifo.js';
import type { PhysicalMemory } from '../memory/physical.js';
import type { MemorySystem } from '../memory/system.js';
import { Op } from '../protocol/op.js';
import {
  PageRequestBit,
  type PageRequestReceiver,
  type PageResponsePort,
  PageStatus,
} from '../protocol/page-request.js';
import { TimeAverage } from '../stats/time-average.js';
import type { IommuUnit } from './unit.js';

/** Since the window began. */
export class PageRequestCounters {
  requests = 0;
  /** Of them in the ring. */
  queued = 0;
  overflows = 0;
  /** Answers of the hardware itself, and requests that were neither queued nor answered because others of their group followed. */
  success = 0;
  invalid = 0;
  failure = 0;
  dropped = 0;
  /** Answers of software. */
  responses = 0;
  interrupts = 0;
  /** Records that software has not taken. */
  readonly occupancy: TimeAverage = new TimeAverage();

  reset(now: number): void {
    const { occupancy } = this;
    occupancy.reset(now);
    Object.assign(this, new PageRequestCounters(), { occupancy });
  }
}

/** What an architecture makes of it. */
export interface PageRequestRules {
  /** log2 of the bytes of a record. */
  readonly recordLg2: number;
  /** Fills a record. */
  encode(words: Int32Array, requester: number, message: Event): void;
  /** The answer of a message that is not to be queued, or -1. */
  refuses(requester: number, message: Event): number;
  /** The last requests of groups that an overflow loses are answered. */
  readonly answersLost: boolean;
  /** Time that `refuses` took for reading directories, ps. */
  readonly delayPs: number;
  /** Software can see one more record. */
  recorded(wasEmpty: boolean): void;
  /** An overflow has begun. */
  overflown(): void;
}

export class PageRequestQueue implements PageRequestReceiver {
  readonly counters = new PageRequestCounters();
  hi = 0;
  lo = 0;
  /** Records that the ring holds; 0 before software has set it up. */
  capacity = 0;
  entriesLg2 = 0;
  /** Records written and taken, and written ones that memory has taken, since the ring was set up. */
  produced = 0;
  consumed = 0;
  visible = 0;
  /** An overflow lasts. */
  overflow = false;
  rules: PageRequestRules | null = null;
  private readonly words = new Int32Array(8);
  private readonly unused = new EventFifo();
  /** [0] when memory takes the latest record, absolute ps. */
  private readonly latest = new Float64Array(1);
  /** By slot, when memory took its record, absolute ps. */
  private times = new Float64Array(0);
  private ports: readonly PageResponsePort[] = [];
  private readonly devices = new Map<number, number>();

  constructor(
    private readonly unit: IommuUnit,
    private readonly memory: MemorySystem,
    private readonly physical: PhysicalMemory,
    private readonly socket: number,
  ) {}

  /** Ports by device number. */
  connect(ports: readonly PageResponsePort[]): void {
    this.ports = ports;
    this.unit.requesters.forEach((requester, device) => {
      this.devices.set(requester, device);
    });
  }

  /** Software has set up a ring of 2^entriesLg2 records, `capacity` of them usable. */
  setUp(hi: number, lo: number, entriesLg2: number, capacity: number): void {
    this.hi = hi;
    this.lo = lo;
    this.entriesLg2 = entriesLg2;
    this.capacity = capacity;
    this.times = new Float64Array(2 ** entriesLg2);
    this.restart();
  }

  /** Empty, from its first slot on. */
  restart(): void {
    this.produced = 0;
    this.consumed = 0;
    this.visible = 0;
    this.overflow = false;
  }

  receive(message: Event): void {
    const { counters, rules, unit } = this;
    counters.requests++;
    const requester = unit.requesters[message.source]!;
    const status = rules!.refuses(requester, message);
    if (status >= 0) this.answer(message, status);
    else if (this.overflow) this.lost(message);
    else if (this.produced - this.consumed === this.capacity) {
      this.overflow = true;
      counters.overflows++;
      rules!.overflown();
      this.lost(message);
    } else this.write(requester, message);
  }

  /** A request that the overflow has lost: its device asks again if it is told to. */
  private lost(message: Event): void {
    if (this.rules!.answersLost) this.answer(message, PageStatus.Success);
    else this.counters.dropped++;
  }

  /** Hardware answers the last request of a group; nobody answers the others, nor stop markers. */
  private answer(message: Event, status: PageStatus): void {
    const { counters } = this;
    const { value } = message;
    if ((value & PageRequestBit.Last) === 0 || (value & PageRequestBit.Access) === 0) {
      counters.dropped++;
      return;
    }
    if (status === PageStatus.Success) counters.success++;
    else if (status === PageStatus.Invalid) counters.invalid++;
    else counters.failure++;
    this.ports[message.source]!.respond(message.source, message.parent, status);
  }

  /** Software answers a group. A requester that is no device of the unit is ignored. */
  respond(requester: number, group: number, status: PageStatus): void {
    const device = this.devices.get(requester);
    if (device === undefined) return;
    this.counters.responses++;
    this.ports[device]!.respond(device, group, status);
  }

  private write(requester: number, message: Event): void {
    const { words, physical, latest, unit, counters } = this;
    const { kernel } = unit;
    const { recordLg2, delayPs } = this.rules!;
    const slot = this.produced & ((1 << this.entriesLg2) - 1);
    const lo = (this.lo + (slot << recordLg2)) | 0;
    for (let i = 0; i < words.length; i++) words[i] = 0;
    this.rules!.encode(words, requester, message);
    const bytes = 1 << recordLg2;
    physical.writeWords(this.hi, lo, words, 0, bytes >> 2);
    const now = kernel.clock[0]!;
    const delay = delayPs + this.memory.hardwareWrite(this.socket, this.hi, lo, bytes);
    this.produced++;
    counters.queued++;
    counters.occupancy.set(now, this.produced - this.consumed);
    latest[0] = Math.max(now + delay, latest[0]!);
    this.times[slot] = latest[0];
    const event = this.unused.pop() ?? new Event();
    event.unit = unit.index;
    kernel.after(latest[0] - now, event, Op.PageRecorded);
  }

  /** Op.PageRecorded. */
  recorded(event: Event): void {
    this.unused.push(event);
    const wasEmpty = this.visible <= this.consumed;
    this.visible++;
    this.rules!.recorded(wasEmpty);
  }

  /** Software has moved its index to `index`, modulo 2^bits. */
  consume(index: number, bits: number): void {
    this.consumed += (index - this.consumed) & ((1 << bits) - 1);
    this.counters.occupancy.set(this.unit.kernel.clock[0]!, this.produced - this.consumed);
  }

  /** Time until memory has taken every record, ps. */
  get settling(): number {
    return Math.max(0, this.latest[0]! - this.unit.kernel.clock[0]!);
  }

  /** When the record in the slot was in memory, absolute ps. */
  recordedAt(slot: number): number {
    return this.times[slot]!;
  }
}
