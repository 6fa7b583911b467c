/**
 * A counted resource (walkers, tags, queue slots) with first-in first-out wake-up. A unit that is released while somebody
 * waits is handed over without becoming free, so that nobody can overtake.
 * Hot path: end-to-end benchmarks.
 */

import type { Event } from './event.js';
import { EventFifo } from './fifo.js';

export class Semaphore {
  private readonly waiters = new EventFifo();
  private available: number;

  /** `count`: units, an integer from 1 on. Throws RangeError. */
  constructor(readonly count: number) {
    if (!Number.isSafeInteger(count) || count < 1) throw new RangeError(`semaphore of ${count} units`);
    this.available = count;
  }

  get free(): number {
    return this.available;
  }

  get waiting(): number {
    return this.waiters.length;
  }

  /** Takes a unit if one is free. Never while others wait: then none is free. */
  tryAcquire(): boolean {
    if (this.available === 0) return false;
    this.available--;
    return true;
  }

  /** Queues an event whose `tryAcquire` was refused. Throws if a unit is free: the event would wait for nobody. */
  park(event: Event): void {
    if (this.available !== 0) throw new Error('parked at a semaphore that has a free unit');
    this.waiters.push(event);
  }

  /** Gives one unit back, or hands it to the longest waiter, which is returned and then owns it. */
  release(): Event | null {
    const waiter = this.waiters.pop();
    if (waiter === null) {
      if (this.available === this.count) throw new Error('semaphore released more often than acquired');
      this.available++;
    }
    return waiter;
  }
}
