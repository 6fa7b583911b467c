/**
 * The simulated clock and the schedule. Events become due in order of time and, at equal times, in order of scheduling.
 * The kernel carries op numbers without knowing what they mean: the loop that calls `next` dispatches them.
 * Hot path: bench/queue.mjs.
 */

import type { Event } from './event.js';
import type { Meter } from './meter.js';
import { EventQueue } from './queue.js';

/** Longest latency that `relay` takes, ps: it is kept in an int32 field. */
const LONGEST_RELAY_PS = 0x7fffffff;

export class Kernel {
  /** Plain mode, the oracle for event elision: `relay` schedules both halves of a stage as events. */
  everyEvent = false;
  /** [0] = now, absolute picoseconds. */
  readonly clock: Float64Array;
  private readonly queue = new EventQueue();

  /**
   * `relayOp`: op of the event between the two halves of a relay; its dispatch must call `relayed`. `meter`: the window of the loop that
   * calls `next`; null = nobody may `pass`.
   */
  constructor(
    readonly relayOp: number = -1,
    private readonly meter: Meter | null = null,
  ) {
    this.clock = this.queue.clock;
  }

  /** Events scheduled and not yet returned by `next`. */
  get pending(): number {
    return this.queue.size;
  }

  /** Events returned by `next` so far, and those that `pass` stood for. */
  get dispatched(): number {
    return this.queue.popped + this.queue.passed;
  }

  /** Those that `pass` stood for: they have cost no turn of the queue. */
  get passed(): number {
    return this.queue.passed;
  }

  /**
   * Makes `event` due with `op` in `delayPs` picoseconds: any integer from zero on. Throws RangeError otherwise.
   * An event must not be scheduled again before `next` has returned it.
   */
  after(delayPs: number, event: Event, op: number): void {
    event.op = op;
    this.queue.push(delayPs, event);
  }

  /**
   * Leaves a first-in first-out stage that ends service in `serviceEndPs`, then takes `latencyPs` (less than 2^31) of flight:
   * `event` becomes due with `op` after the sum of both. In every-event mode the end of service is an event of its own.
   */
  relay(serviceEndPs: number, latencyPs: number, event: Event, op: number): void {
    if (!(latencyPs <= LONGEST_RELAY_PS)) refuseRelay(latencyPs);
    if (this.everyEvent === true) {
      event.opAfter = op;
      event.delayAfter = latencyPs;
      this.after(serviceEndPs, event, this.relayOp);
    } else {
      this.after(serviceEndPs + latencyPs, event, op);
    }
  }

  /** Second half of a relay: to be called when the event comes back with `relayOp`. */
  relayed(event: Event): void {
    this.after(event.delayAfter, event, event.opAfter);
  }

  /**
   * Instead of `after` with the same delay, at the end of what a dispatched event does: true if that event would be the next anyway; then
   * `delayPs` have passed and the caller goes on as its dispatch would. Whoever the call returns to must not use the time any more. Always
   * false in every-event mode, and when the window is over.
   */
  pass(delayPs: number): boolean {
    if (this.everyEvent === true || this.meter === null || this.meter.open === false) return false;
    return this.queue.pass(delayPs);
  }

  /** The next event due, with the clock moved to its time; null when nothing is pending. */
  next(): Event | null {
    return this.queue.pop();
  }
}

/** Apart from `relay`: V8 turns the number into text before it looks at the condition. */
function refuseRelay(latencyPs: number): never {
  throw new RangeError(`latency of a relay is 2^31 ps or more: ${latencyPs}`);
}
