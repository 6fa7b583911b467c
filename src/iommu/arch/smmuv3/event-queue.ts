/**
 * Event queue (Arm IHI 0070G 3.5, 7.2): records of 32 bytes that hardware appends to a ring in memory. What finds the ring full, or
 * the queue disabled, is lost; the first record lost to a full ring toggles the overflow flag. Words are visible at once, their memory
 * traffic is accounted for. Not modelled: interrupts, merged events (STE.MEV), stalled transactions, aborted writes (EVTQ_ABT).
 */
import type { PhysicalMemory } from '../../../memory/physical.js';
import type { MemorySystem } from '../../../memory/system.js';
import { FaultCounters } from '../../fault-counters.js';
import { EVENT_LG2, EVENT_WORDS, encodeEvent, type EventRecord, OVERFLOW_FLAG } from './format.js';

export class EventQueue {
  readonly counters = new FaultCounters();
  /** CR0.EVTQEN. */
  enabled = false;
  hi = 0;
  lo = 0;
  entriesLg2 = 0;
  /** EVTQ_PROD, EVTQ_CONS: index, wrap bit above it, overflow flag and its acknowledgement in bit 31. */
  producer = 0;
  consumer = 0;
  private readonly words = new Int32Array(EVENT_WORDS);

  constructor(
    private readonly memory: MemorySystem,
    private readonly physical: PhysicalMemory,
    private readonly socket: number,
  ) {}

  record(event: EventRecord): void {
    const { counters, words, physical, entriesLg2 } = this;
    counters.count(event.code);
    if (!this.enabled) {
      counters.lost++;
      return;
    }
    const wrap = 1 << entriesLg2;
    const indices = 2 * wrap - 1;
    if (((this.producer ^ this.consumer) & indices) === wrap) {
      if (((this.producer ^ this.consumer) & OVERFLOW_FLAG) === 0) this.producer ^= OVERFLOW_FLAG;
      counters.lost++;
      return;
    }
    const lo = (this.lo + ((this.producer & (wrap - 1)) << EVENT_LG2)) | 0;
    encodeEvent(words, event);
    for (let i = 0; i < EVENT_WORDS; i += 2) physical.write(this.hi, (lo + 4 * i) | 0, words[i + 1]!, words[i]!);
    this.memory.hardwareWrite(this.socket, this.hi, lo, 4 * EVENT_WORDS);
    this.producer = (this.producer & OVERFLOW_FLAG) | ((this.producer + 1) & indices);
  }
}
