/**
 * The TLP records of one device: built once, reused for ever. The slot number, unique in the machine, indexes per-transaction typed arrays.
 * A device that finds the pool empty waits, as one whose retry buffer is full.
 */
import { Event } from '../kernel/event.js';

export class TransactionPool {
  private free: Event | null = null;
  readonly size: number;
  available: number;

  constructor(size: number, firstId = 0) {
    this.size = size;
    this.available = size;
    for (let id = firstId + size - 1; id >= firstId; id--) {
      const event = new Event();
      event.id = id;
      event.next = this.free;
      this.free = event;
    }
  }

  take(): Event | null {
    const event = this.free;
    if (event === null) return null;
    this.free = event.next;
    event.next = null;
    this.available--;
    return event;
  }

  give(event: Event): void {
    event.next = this.free;
    this.free = event;
    this.available++;
  }
}
