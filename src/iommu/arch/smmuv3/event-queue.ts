/**
 * Event queue (Arm IHI 0070G 3.5, 7.2): records of 32 bytes that hardware appends to a ring in memory. What finds the ring full, or
 * the queue disabled, is lost, but for records of stalled transactions, which wait for room; the first record lost to a full ring toggles
 * the overflow flag. With interrupts enabled (IRQ_CTRL) software sees a record, and gets a message if the queue was empty, when memory has
 * taken it; without, words are visible at once. Not modelled: merged events (STE.MEV), aborted writes (EVTQ_ABT), other interrupts.
 */
import { Event } from '../../../kernel/event.js';
import { EventFifo } from '../../../kernel/fifo.js';
import type { Kernel } from '../../../kernel/kernel.js';
import type { PhysicalMemory } from '../../../memory/physical.js';
import type { MemorySystem } from '../../../memory/system.js';
import { Op } from '../../../protocol/op.js';
import type { StoreWatch } from '../../../protocol/watch.js';
import { FaultCounters } from '../../fault-counters.js';
import { EVENT_LG2, EVENT_WORDS, encodeEvent, type EventRecord, OVERFLOW_FLAG, PAGE_1, Register } from './format.js';

/** A record of a stall that waits for room, and where the time of its arrival in memory is to be noted. */
interface Pending {
  readonly record: EventRecord;
  readonly times: Float64Array;
  readonly slot: number;
}

export class EventQueue {
  readonly counters = new FaultCounters();
  /** CR0.EVTQEN. */
  enabled = false;
  /** IRQ_CTRL.EVENTQ_IRQEN. */
  interrupts = false;
  hi = 0;
  lo = 0;
  entriesLg2 = 0;
  /** EVTQ_PROD, EVTQ_CONS: index, wrap bit above it, overflow flag and its acknowledgement in bit 31. */
  producer = 0;
  consumer = 0;
  /** Records whose write memory has taken: producer index. */
  private visible = 0;
  private pending: Pending[] = [];
  private readonly words = new Int32Array(EVENT_WORDS);
  private readonly unused = new EventFifo();
  /** [0] when memory takes the latest record, absolute ps. */
  private readonly latest = new Float64Array(1);
  private watch: StoreWatch | null = null;

  constructor(
    private readonly unit: number,
    private readonly kernel: Kernel,
    private readonly memory: MemorySystem,
    private readonly physical: PhysicalMemory,
    private readonly socket: number,
  ) {}

  connect(watch: StoreWatch): void {
    this.watch = watch;
  }

  record(event: EventRecord): void {
    const { counters } = this;
    counters.count(event.code);
    if (!this.enabled) {
      counters.lost++;
      return;
    }
    if (this.full) {
      if (((this.producer ^ this.consumer) & OVERFLOW_FLAG) === 0) this.producer ^= OVERFLOW_FLAG;
      counters.lost++;
      return;
    }
    this.write(event);
  }

  /** The record of a stall, which is not lost. Its time of arrival in memory goes to `times[slot]`. */
  report(record: EventRecord, times: Float64Array, slot: number): void {
    this.counters.count(record.code);
    if (this.pending.length === 0 && this.enabled && !this.full) times[slot] = this.write(record);
    else this.pending.push({ record, times, slot });
  }

  /** The stall has ended before its record was written. */
  forget(record: EventRecord): void {
    if (this.pending.length > 0) this.pending = this.pending.filter((other) => other.record !== record);
  }

  /** There may be room. */
  flush(): void {
    while (this.pending.length > 0 && this.enabled && !this.full) {
      const { record, times, slot } = this.pending.shift()!;
      times[slot] = this.write(record);
    }
  }

  private get full(): boolean {
    const wrap = 1 << this.entriesLg2;
    return ((this.producer ^ this.consumer) & (2 * wrap - 1)) === wrap;
  }

  /** Returns when memory has taken the record, absolute ps. */
  private write(event: EventRecord): number {
    const { words, physical, latest, kernel } = this;
    const wrap = 1 << this.entriesLg2;
    const indices = 2 * wrap - 1;
    const lo = (this.lo + ((this.producer & (wrap - 1)) << EVENT_LG2)) | 0;
    encodeEvent(words, event);
    physical.writeWords(this.hi, lo, words, 0, EVENT_WORDS);
    const delay = this.memory.hardwareWrite(this.socket, this.hi, lo, 4 * EVENT_WORDS);
    this.producer = (this.producer & OVERFLOW_FLAG) | ((this.producer + 1) & indices);
    const now = kernel.clock[0]!;
    latest[0] = Math.max(now + delay, latest[0]!);
    if (!this.interrupts) return latest[0];
    const message = this.unused.pop() ?? new Event();
    message.unit = this.unit;
    kernel.after(latest[0] - now, message, Op.EventRecorded);
    return latest[0];
  }

  /** Op.EventRecorded: software can see one more record. */
  recorded(message: Event): void {
    this.unused.push(message);
    const indices = 2 * (1 << this.entriesLg2) - 1;
    const wasEmpty = ((this.visible ^ this.consumer) & indices) === 0;
    this.visible = (this.visible + 1) & indices;
    const { watch } = this;
    watch?.changed?.(
      this.unit,
      PAGE_1 + Register.EventQueueProducer,
      0,
      this.visible | (this.producer & OVERFLOW_FLAG),
    );
    if (wasEmpty) watch?.interrupted?.(this.unit);
  }

  /** IRQ_CTRL: from now on software is told. It has seen what there is. */
  enableInterrupts(on: boolean): void {
    if (on && !this.interrupts) this.visible = this.producer & (2 * (1 << this.entriesLg2) - 1);
    this.interrupts = on;
  }
}
