/**
 * The bounded transaction queue in front of translation. Requests enter in order of arrival, are looked up while they wait, and
 * leave in order: a hit waits behind an older miss, and at most `depth` requests of a class are looked up ahead of it. What does
 * not fit stays in the receive buffer (ingress), whose credits are then missing to the device. A translation request takes a place, but
 * is answered when it is translated: nothing orders it with reads (PCI Express Base Specification 6.0, 2.4.1), and its answer goes to no memory.
 * Hot path: bench/end-to-end.
 */
import type { Event } from '../kernel/event.js';
import { EventFifo } from '../kernel/fifo.js';
import { TlpFlag } from '../protocol/tlp.js';
import { TimeAverage } from '../stats/time-average.js';
import type { TransactionQueueSpec } from './spec.js';

/** `Event.state` of a queued request. */
export const enum Progress {
  Pending,
  Translated,
  /** Kept in its place until it can be dealt with. */
  Held,
  /** Kept elsewhere until software has resolved its fault: it has left its place. */
  Parked,
}

class Lane {
  count = 0;
  readonly ingress = new EventFifo();
  private readonly ring: (Event | null)[];
  private readonly mask: number;
  private head = 0;
  private length = 0;

  constructor(
    readonly depth: number,
    readonly ordered: boolean,
  ) {
    let size = 1;
    while (size < depth) size *= 2;
    this.ring = new Array<Event | null>(size).fill(null);
    this.mask = size - 1;
  }

  append(tlp: Event): void {
    this.ring[(this.head + this.length) & this.mask] = tlp;
    this.length++;
  }

  /** The oldest request if it may leave. */
  ready(): Event | null {
    if (this.length === 0) return null;
    const tlp = this.ring[this.head]!;
    return tlp.state === Progress.Translated ? tlp : null;
  }

  /** Calls `visit` for each translated request that waits behind one that is held, oldest first. */
  behindHeld(visit: (tlp: Event) => void): void {
    let held = false;
    for (let i = 0; i < this.length; i++) {
      const tlp = this.ring[(this.head + i) & this.mask]!;
      if (tlp.state === Progress.Held) held = true;
      else if (held && tlp.state === Progress.Translated) visit(tlp);
    }
  }

  /** Removes a request wherever it stands; true: the oldest one. */
  remove(tlp: Event): boolean {
    let at = 0;
    while (this.ring[(this.head + at) & this.mask] !== tlp) at++;
    for (let i = at; i > 0; i--) this.ring[(this.head + i) & this.mask] = this.ring[(this.head + i - 1) & this.mask]!;
    this.removeHead();
    return at === 0;
  }

  removeHead(): void {
    this.ring[this.head] = null;
    this.head = (this.head + 1) & this.mask;
    this.length--;
  }
}

function isOrdered(lane: Lane, tlp: Event): boolean {
  return lane.ordered === true && (tlp.flags & TlpFlag.TranslationRequest) === 0;
}

export class TransactionQueue {
  private readonly nonPosted: Lane;
  private readonly posted: Lane;
  readonly occupancy = new TimeAverage();
  /** Requests that found the queue full. */
  stalls = 0;

  /** `clock[0]` is the current time, ps. */
  constructor(
    spec: TransactionQueueSpec,
    private readonly clock: Float64Array,
  ) {
    if (spec.order === 'all') {
      this.nonPosted = new Lane(spec.postedDepth + spec.nonPostedDepth, true);
      this.posted = this.nonPosted;
    } else {
      this.nonPosted = new Lane(spec.nonPostedDepth, spec.order === 'class');
      this.posted = new Lane(spec.postedDepth, spec.order !== 'none');
    }
  }

  private lane(tlp: Event): Lane {
    return (tlp.flags & TlpFlag.Write) !== 0 ? this.posted : this.nonPosted;
  }

  /** True when the request is in the queue now; false: it waits at the ingress and `admit` will return it. */
  enter(tlp: Event): boolean {
    const lane = this.lane(tlp);
    if (lane.count === lane.depth || lane.ingress.length > 0) {
      this.stalls++;
      lane.ingress.push(tlp);
      return false;
    }
    this.occupancy.add(this.clock[0]!, 1);
    this.take(lane, tlp);
    return true;
  }

  private take(lane: Lane, tlp: Event): void {
    lane.count++;
    tlp.state = Progress.Pending;
    if (isOrdered(lane, tlp)) lane.append(tlp);
  }

  /** Calls `visit` for each translated request that cannot leave before software has resolved the fault of another. */
  behindHeld(visit: (tlp: Event) => void): void {
    this.posted.behindHeld(visit);
    if (this.nonPosted !== this.posted) this.nonPosted.behindHeld(visit);
  }

  /** Marks `tlp` translated and returns the request that may leave now, or null. Call `leave` for it. */
  translated(tlp: Event): Event | null {
    tlp.state = Progress.Translated;
    const lane = this.lane(tlp);
    return isOrdered(lane, tlp) ? lane.ready() : tlp;
  }

  /**
   * `tlp`, as returned by `translated` or `leave`, leaves the queue. Returns the next one that may leave, or null. Call `admit` at the
   * same instant.
   */
  leave(tlp: Event): Event | null {
    const lane = this.lane(tlp);
    lane.count--;
    if (!isOrdered(lane, tlp)) return null;
    lane.removeHead();
    return lane.ready();
  }

  /** `tlp`, not translated, gives up its place and its turn. Returns the one that may leave now, or null. Call `admit` at the same instant. */
  park(tlp: Event): Event | null {
    tlp.state = Progress.Parked;
    const lane = this.lane(tlp);
    lane.count--;
    return isOrdered(lane, tlp) && lane.remove(tlp) ? lane.ready() : null;
  }

  /** A request that enters from the ingress in the place of `tlp`, which has just left, or null. */
  admit(tlp: Event): Event | null {
    const lane = this.lane(tlp);
    const next = lane.ingress.pop();
    if (next === null) this.occupancy.add(this.clock[0]!, -1);
    else this.take(lane, next);
    return next;
  }
}
