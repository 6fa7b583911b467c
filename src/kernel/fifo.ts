/**
 * First-in first-out list of parked events, linked through `event.next`. An event can stand in one such list at a time.
 * Hot path: end-to-end benchmarks.
 */

import type { Event } from './event.js';

export class EventFifo {
  private head: Event | null = null;
  private tail: Event | null = null;
  length = 0;

  push(event: Event): void {
    event.next = null;
    if (this.tail === null) this.head = event;
    else this.tail.next = event;
    this.tail = event;
    this.length++;
  }

  /** Removes and returns the event that has waited longest, or null. */
  pop(): Event | null {
    const event = this.head;
    if (event === null) return null;
    this.head = event.next;
    if (this.head === null) this.tail = null;
    event.next = null;
    this.length--;
    return event;
  }

  peek(): Event | null {
    return this.head;
  }
}
