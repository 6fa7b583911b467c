/**
 * The event log (specification 2.5): a ring in memory of 16-byte entries that software empties. When no entry is free the event is
 * lost, the overflow bit is set and logging stops until software clears the bit and enables the log again. Linux reads events in an
 * interrupt thread, which is not modelled: its log fills up, and what tells are the counts.
 */
import type { PhysicalMemory } from '../../../memory/physical.js';
import type { MemorySystem } from '../../../memory/system.js';
import { FaultCounters } from '../../fault-counters.js';
import { ENTRY_LG2, type EventCode, encodeEvent, StatusBit } from './format.js';

export class EventLog {
  readonly counters = new FaultCounters();
  hi = 0;
  lo = 0;
  entriesLg2 = 0;
  /** Next entry that software reads, and that hardware writes. */
  head = 0;
  tail = 0;
  /** StatusBit values about the log. */
  status = 0;
  private readonly words = new Int32Array(4);

  constructor(
    private readonly memory: MemorySystem,
    private readonly physical: PhysicalMemory,
    private readonly socket: number,
  ) {}

  /** EventLogEn has been set. It restarts a log whose overflow has been cleared. */
  enable(): void {
    if ((this.status & StatusBit.EventOverflow) === 0) this.status |= StatusBit.EventLogRunning;
  }

  disable(): void {
    this.status &= ~StatusBit.EventLogRunning;
  }

  /** An event of a request or command; `flags` are EventFlag bits. Counted whether or not there is room for it. */
  record(code: EventCode, flags: number, device: number, tag: number, hi: number, lo: number): void {
    this.counters.count(code);
    if ((this.status & StatusBit.EventLogRunning) === 0) {
      this.counters.lost++;
      return;
    }
    const next = (this.tail + 1) & (2 ** this.entriesLg2 - 1);
    if (next === this.head) {
      this.counters.lost++;
      this.status = (this.status | StatusBit.EventOverflow) & ~StatusBit.EventLogRunning;
      return;
    }
    const { words } = this;
    encodeEvent(words, code, flags, device, tag, hi, lo);
    const at = (this.lo + (this.tail << ENTRY_LG2)) | 0;
    this.memory.hardwareWrite(this.socket, this.hi, at, 1 << ENTRY_LG2);
    this.physical.write(this.hi, at, words[1]!, words[0]!);
    this.physical.write(this.hi, at + 8, words[3]!, words[2]!);
    this.tail = next;
    this.status |= StatusBit.EventInterrupt;
  }
}
