/**
 * Fault queue (RISC-V IOMMU specification, "Fault/Event-Queue"): a ring of 32-byte records in memory. A fault that finds the ring full
 * is lost and sets fqcsr.fqof; until software clears that, all later ones are lost too. A disabled queue loses every fault.
 * Not modelled: interrupts, memory faults of the queue itself. Software that reads records moves fqh.
 */
import type { PhysicalMemory } from '../../../memory/physical.js';
import type { MemorySystem } from '../../../memory/system.js';
import { FaultCounters } from '../../fault-counters.js';
import {
  encodeFaultRecord,
  FAULT_RECORD_LG2,
  type FaultRecord,
  pointerHi,
  pointerLo,
  queueEntriesLg2,
} from './format.js';

export class FaultQueue {
  readonly counters = new FaultCounters();
  enabled = false;
  overflow = false;
  /** In records. */
  head = 0;
  tail = 0;
  private hi = 0;
  private lo = 0;
  private entries = 2;
  private readonly words = new Int32Array(8);

  constructor(
    private readonly memory: MemorySystem,
    private readonly physical: PhysicalMemory,
    private readonly socket: number,
  ) {}

  /** fqb. */
  setBase(hi: number, lo: number): void {
    this.hi = pointerHi(hi, lo);
    this.lo = pointerLo(lo);
    this.entries = 2 ** queueEntriesLg2(lo);
    this.tail = 0;
  }

  report(record: FaultRecord): void {
    this.counters.count(record.cause);
    const next = (this.tail + 1) % this.entries;
    if (this.enabled && next === this.head) this.overflow = true;
    if (!this.enabled || this.overflow) {
      this.counters.lost++;
      return;
    }
    const { words, physical, hi } = this;
    encodeFaultRecord(words, record);
    const lo = (this.lo + (this.tail << FAULT_RECORD_LG2)) | 0;
    for (let i = 0; i < words.length; i += 2) physical.write(hi, (lo + 4 * i) | 0, words[i + 1]!, words[i]!);
    // Nobody waits for the write: what it costs is the memory's bandwidth.
    this.memory.hardwareWrite(this.socket, hi, lo, 1 << FAULT_RECORD_LG2);
    this.tail = next;
  }
}
