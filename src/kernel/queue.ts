/**
 * The event queue: a two-rung ladder, first-in first-out among equal times. A ring of buckets holds the near future as
 * unsorted stacks; the bucket that becomes current is sorted into a list (or, over-full, into a FineRung); whatever the
 * ring does not reach waits in a FarWheel and moves over as soon as the ring reaches it, before anything later is added.
 * Ticks are picoseconds modulo 2^32; the absolute time is a double in `clock`. Bucket width and ring size follow from
 * the sequence of events alone, so that results never depend on the machine.
 * Events sit in numbered nodes, so that ordering them touches two int32 words each and no object.
 * Hot path: bench/queue.mjs.
 */

import { Event } from './event.js';
import { FarWheel } from './far-wheel.js';
import { FineRung, WIDEST_LG2 } from './fine-rung.js';

/** Delays of 2^30 ps or more always go to the far wheel. */
const HORIZON_LG2 = 30;
/** The ring grows at its end by eighths of its span. */
const CHUNKS_LG2 = 3;
/** Pops between two looks at the shape of the ring. */
const WINDOW = 16384;
/** Empty words of the bucket bitmap that may be skipped in one window before it is cut short. */
const SKIP_LIMIT = 1 << 16;
/** Width of a bucket in mean gaps between events. */
const BUCKET_GAPS = 4;
/** List steps after which an over-full bucket is handed to the fine rung: one insertion, one sort. */
const INSERT_LIMIT = 32;
const SORT_LIMIT = 256;
const MOST_BUCKETS = 1 << 21;
/** Pending events from which memory latency counts, and what is then loaded ahead: buckets, and events in each. */
const WARM_SIZE = 1 << 14;
const WARM_BUCKETS_LG2 = 3;
const WARM_BUCKETS = 1 << WARM_BUCKETS_LG2;
const WARM_DEPTH = 8;
/** Stands for the event of no node. */
const NOBODY = new Event();

export class EventQueue {
  /** [0] = now, absolute ps: the time of the event returned last. */
  readonly clock: Float64Array = new Float64Array(1);

  /** Node h (even, from 2; 0 = none): [h] = tick, [h + 1], written [h | 1] since that cannot overflow, = next node. */
  private nodes = new Int32Array(2);
  /** The event of node h at h / 2. An event keeps its node: what has been scheduled once will be again. */
  private readonly events: Event[] = [NOBODY];

  private time = 0;
  /** First tick of the current bucket, log2 of its width. Tick t belongs in bucket (t >> widthLg2) of the ring. */
  private base = 0;
  private widthLg2 = 10;
  private buckets = 0;
  private heads = new Int32Array(0);
  private bits = new Int32Array(0);
  /** Ticks from `base` to the end of the last bucket; the ring takes ticks up to `limit`, which grows in chunks. */
  private span = 0;
  private limit = 0;
  /** Value of `base` from which the ring can take another chunk. */
  private extendAt = 0;
  private chunkLg2 = 0;
  /** Events in the ring, without the current bucket. */
  private near = 0;
  /** Sorted list of the current bucket; while the fine rung is open, the list of the present tick only. */
  private current = 0;
  private tail = 0;
  private readonly fine = new FineRung();
  private readonly far = new FarWheel();
  private readonly warming = new Int32Array(WARM_BUCKETS);
  private warmed = -1;
  /** Keeps loads alive whose only purpose is to be early. */
  protected seen = 0;

  /** Events pending at the start of the window plus those added since. */
  private pushed = 0;
  private untilTune = WINDOW;
  private window = WINDOW;
  private beyond = 0;
  private skipped = 0;
  /** [0] = pops up to the last window, [1] = start of the window plus idle time jumped over since, [2] = pops at the last change of shape. */
  private readonly totals = new Float64Array(3);

  constructor() {
    this.totals[2] = Number.NEGATIVE_INFINITY;
    this.shape(1024, 10);
  }

  /** Events returned so far. */
  get popped(): number {
    return this.totals[0]! + this.window - this.untilTune;
  }

  /** Times that `pass` has moved the clock. */
  passed = 0;

  /** Number of events pending. */
  get size(): number {
    return this.pushed - this.window + this.untilTune;
  }

  /** Makes `event` due `delayPs` (an integer, zero or more) after now. An event may be pending once only, and never in another queue. */
  push(delayPs: number, event: Event): void {
    const delay = delayPs | 0;
    if (delay !== delayPs || delay >>> HORIZON_LG2 !== 0) {
      this.pushFar(delayPs, event);
      return;
    }
    const h = event.node !== 0 ? event.node : this.adopt(event);
    const t = (this.time + delay) | 0;
    this.pushed++;
    this.nodes[h] = t;
    if (((t - this.base) | 0) >>> this.widthLg2 === 0) {
      this.insert(t, h);
    } else if (((t - this.limit) | 0) < 0) {
      this.stack(t, h);
    } else {
      this.beyond++;
      this.far.push(this.nodes, h, this.clock[0]! + delay);
    }
  }

  /** Removes and returns the earliest event and moves the clock to its time; null when nothing is pending. */
  pop(): Event | null {
    let h = this.current;
    if (h === 0) {
      h = this.advance();
      if (h === 0) return null;
    }
    const nodes = this.nodes;
    const t = nodes[h]!;
    this.current = nodes[h | 1]!;
    this.clock[0]! += (t - this.time) | 0;
    this.time = t;
    if (--this.untilTune === 0) this.tune();
    return this.events[h >> 1]!;
  }

  /**
   * Moves the clock on by `delayPs` as if an event pushed with that delay had been popped, if that event would come next and the ring reaches
   * it; else returns false and changes nothing. May refuse when it would take long to find out.
   */
  pass(delayPs: number): boolean {
    const delay = delayPs | 0;
    if (delay !== delayPs || delay >>> HORIZON_LG2 !== 0) return false;
    const t = (this.time + delay) | 0;
    const current = this.current;
    if (current !== 0) {
      if (((this.nodes[current]! - t) | 0) <= 0) return false;
    } else if (this.fine.active === true || ((t - this.limit) | 0) >= 0 || !this.clear(t)) return false;
    this.clock[0]! += delay;
    this.time = t;
    this.passed++;
    return true;
  }

  /** Whether the buckets behind the current one, up to that of tick `t`, are empty; only looks at a few. */
  private clear(t: number): boolean {
    const count = ((t - this.base) | 0) >>> this.widthLg2;
    if (this.near === 0 || count === 0) return true;
    const from = ((this.base >> this.widthLg2) + 1) & (this.buckets - 1);
    const shift = from & 31;
    const ahead = (from + 32) & (this.buckets - 1);
    // The bits of the next 32 buckets.
    const bits = this.bits;
    const next = (bits[from >> 5]! >>> shift) | (shift === 0 ? 0 : bits[ahead >> 5]! << (32 - shift));
    if (count > 32) return false;
    return count === 32 ? next === 0 : (next & ((1 << count) - 1)) === 0;
  }

  private pushFar(delayPs: number, event: Event): void {
    const at = this.clock[0]! + delayPs;
    if (!(delayPs >= 0 && Number.isSafeInteger(delayPs) && Number.isSafeInteger(at))) {
      refuse(delayPs);
    }
    const h = event.node !== 0 ? event.node : this.adopt(event);
    this.pushed++;
    this.nodes[h] = at | 0;
    this.far.push(this.nodes, h, at);
  }

  /** Gives an event that is scheduled for the first time its node. */
  private adopt(event: Event): number {
    const h = 2 * this.events.length;
    this.events.push(event);
    if (h === this.nodes.length) this.grow();
    event.node = h;
    return h;
  }

  /** Adds to a bucket of the ring other than the current one. */
  private stack(t: number, h: number): void {
    const bucket = (t >> this.widthLg2) & (this.buckets - 1);
    const heads = this.heads;
    const head = heads[bucket]!;
    this.near++;
    this.nodes[h | 1] = head;
    heads[bucket] = h;
    if (head === 0) this.bits[bucket >> 5]! |= 1 << (bucket & 31);
  }

  /** Adds to the current bucket, behind events of the same tick. */
  private insert(t: number, h: number): void {
    const nodes = this.nodes;
    const current = this.current;
    if (this.fine.active === true) {
      if (current !== 0 && nodes[current] === t) this.append(h);
      else this.fine.add(nodes, h);
      return;
    }
    if (current === 0) {
      nodes[h | 1] = 0;
      this.current = h;
      this.tail = h;
    } else if (((t - nodes[this.tail]!) | 0) >= 0) {
      this.append(h);
    } else if (((t - nodes[current]!) | 0) < 0) {
      nodes[h | 1] = current;
      this.current = h;
    } else {
      let before = current;
      let after = nodes[before | 1]!;
      let steps = 0;
      while (((t - nodes[after]!) | 0) >= 0) {
        before = after;
        after = nodes[after | 1]!;
        if (++steps === INSERT_LIMIT) {
          this.fine.open(this.base, this.widthLg2, this.time);
          this.current = 0;
          this.refine(current);
          this.fine.add(nodes, h);
          return;
        }
      }
      nodes[before | 1] = h;
      nodes[h | 1] = after;
    }
  }

  private append(h: number): void {
    this.nodes[this.tail | 1] = h;
    this.nodes[h | 1] = 0;
    this.tail = h;
  }

  /** Moves a list, in its order, to the fine rung. */
  private refine(list: number): void {
    const nodes = this.nodes;
    let h = list;
    while (h !== 0) {
      const next = nodes[h | 1]!;
      this.fine.add(nodes, h);
      h = next;
    }
  }

  /** The current bucket is used up: makes the next one current and returns its first node, or 0. */
  private advance(): number {
    if (this.fine.active === true) {
      const h = this.fine.take(this.nodes);
      this.tail = this.fine.tail;
      if (h !== 0) return h;
    }
    if (this.near === 0) {
      if (this.far.length === 0) return 0;
      this.jump();
    }
    const bits = this.bits;
    const mask = this.buckets - 1;
    const from = ((this.base >> this.widthLg2) + 1) & mask;
    let word = from >> 5;
    let x = bits[word]! & (-1 << (from & 31));
    if (x === 0) {
      do {
        word = (word + 1) & (mask >> 5);
        x = bits[word]!;
        this.skipped++;
      } while (x === 0);
      if (this.skipped > SKIP_LIMIT) this.cutWindow();
    }
    const bucket = (word << 5) + 31 - Math.clz32(x & -x);
    this.base = (this.base + ((((bucket - from) & mask) + 1) << this.widthLg2)) | 0;
    if (((this.base - this.extendAt) | 0) >= 0) this.extend();
    if (this.size > WARM_SIZE && bucket >> WARM_BUCKETS_LG2 !== this.warmed) this.warm(bucket);
    return this.sort(bucket);
  }

  /**
   * Loads nodes and events of the next few buckets side by side. Lists are chains of dependent loads, and with a million events
   * pending each misses the caches; eight chains at once, without a branch, overlap their misses.
   */
  private warm(bucket: number): void {
    const nodes = this.nodes;
    const events = this.events;
    const at = this.warming;
    const first = bucket & -WARM_BUCKETS;
    this.warmed = first >> WARM_BUCKETS_LG2;
    for (let i = 0; i < WARM_BUCKETS; i++) at[i] = this.heads[first + i]!;
    let seen = 0;
    for (let depth = 0; depth < WARM_DEPTH; depth++) {
      for (let i = 0; i < WARM_BUCKETS; i++) {
        const h = at[i]!;
        seen ^= events[h >> 1]!.op;
        at[i] = nodes[h | 1]!;
      }
    }
    this.seen = seen;
  }

  /**
   * Nothing is near: moves the ring to just before the first far event. Idle time costs nothing, and does not count when the
   * ring is tuned.
   */
  private jump(): void {
    this.far.seek(this.nodes);
    const at = this.far.positionPs();
    this.totals[1]! += at - this.clock[0]!;
    this.clock[0] = at;
    this.time = at | 0;
    this.base = (this.time - (1 << this.widthLg2)) | 0;
    this.limit = this.time;
    this.extend();
  }

  /** Takes over from the far wheel what lies in the chunks that the ring now reaches. */
  private extend(): void {
    const nodes = this.nodes;
    const far = this.far;
    const chunks = ((((this.base + this.span) | 0) - this.limit) | 0) >>> this.chunkLg2;
    this.limit = (this.limit + (chunks << this.chunkLg2)) | 0;
    this.extendAt = (((this.limit - this.span) | 0) + (1 << this.chunkLg2)) | 0;
    for (let i = 0; i < chunks; i++) {
      if (far.length === 0) {
        far.skip(chunks - i);
        return;
      }
      let h = far.take(nodes);
      while (h !== 0) {
        const next = nodes[h | 1]!;
        far.length--;
        this.stack(nodes[h]!, h);
        h = next;
      }
    }
  }

  /** Turns the stack of the current bucket into a list in order of time; equal ticks come out in order of scheduling. */
  private sort(bucket: number): number {
    const nodes = this.nodes;
    let h = this.heads[bucket]!;
    this.heads[bucket] = 0;
    this.bits[bucket >> 5]! &= ~(1 << (bucket & 31));
    let near = this.near - 1;
    let steps = 0;
    let list = h;
    let tail = h;
    let next = nodes[h | 1]!;
    nodes[h | 1] = 0;
    while (next !== 0) {
      h = next;
      next = nodes[h | 1]!;
      near--;
      const t = nodes[h]!;
      if (((t - nodes[list]!) | 0) <= 0) {
        nodes[h | 1] = list;
        list = h;
        continue;
      }
      let before = list;
      let after = nodes[before | 1]!;
      while (after !== 0 && ((t - nodes[after]!) | 0) > 0) {
        before = after;
        after = nodes[after | 1]!;
        steps++;
      }
      nodes[before | 1] = h;
      nodes[h | 1] = after;
      if (after === 0) tail = h;
      if (steps > SORT_LIMIT) {
        this.near = near;
        return this.spill(next, list);
      }
    }
    this.near = near;
    this.tail = tail;
    return list;
  }

  /** Gives up sorting: the rest of the stack (scheduled earlier, latest first), then the sorted part, to the fine rung. */
  private spill(stack: number, sorted: number): number {
    const nodes = this.nodes;
    let h = stack;
    let list = 0;
    while (h !== 0) {
      const next = nodes[h | 1]!;
      nodes[h | 1] = list;
      list = h;
      h = next;
      this.near--;
    }
    this.fine.open(this.base, this.widthLg2, this.base);
    this.refine(list);
    this.refine(sorted);
    const first = this.fine.take(nodes);
    this.tail = this.fine.tail;
    return first;
  }

  /** Ends the window early: the buckets are far too narrow for what is going on. */
  private cutWindow(): void {
    this.skipped = 0;
    if (this.untilTune > 1 && this.window - this.untilTune >= 64) {
      this.window -= this.untilTune - 1;
      this.untilTune = 1;
    }
  }

  /** Bucket width from the mean gap between events, ring size from what missed the ring. */
  private tune(): void {
    const width = (BUCKET_GAPS * (this.clock[0]! - this.totals[1]!)) / this.window;
    const beyond = (this.beyond * WINDOW) / this.window;
    this.totals[0]! += this.window;
    this.pushed -= this.window;
    this.totals[1] = this.clock[0]!;
    this.window = WINDOW;
    this.untilTune = WINDOW;
    this.beyond = 0;
    this.skipped = 0;
    let widthLg2 = 0;
    while (2 ** widthLg2 < width && widthLg2 < WIDEST_LG2) widthLg2++;
    const limit = 1 << (HORIZON_LG2 - widthLg2);
    let buckets = this.buckets;
    if (beyond > WINDOW / 16) {
      buckets *= 2;
      while (buckets < this.size) buckets *= 2;
      buckets = Math.min(buckets, MOST_BUCKETS);
    }
    buckets = Math.min(buckets, limit);
    // Too wide costs more than too narrow.
    if (this.widthLg2 - widthLg2 < 2 && widthLg2 - this.widthLg2 < 3) {
      if (buckets <= this.buckets) return;
      widthLg2 = this.widthLg2;
      buckets = Math.min(buckets, 1 << (HORIZON_LG2 - widthLg2));
    }
    // A change of shape touches everything pending: not more often than pays.
    if (this.totals[0]! - this.totals[2]! < this.size + buckets) return;
    this.totals[2] = this.totals[0]!;
    this.reshape(buckets, widthLg2);
  }

  private shape(buckets: number, widthLg2: number): void {
    if (buckets !== this.buckets) {
      this.buckets = buckets;
      this.heads = new Int32Array(buckets);
      this.bits = new Int32Array(buckets >> 5);
    }
    this.widthLg2 = widthLg2;
    this.span = buckets << widthLg2;
    this.chunkLg2 = 31 - Math.clz32(this.span) - CHUNKS_LG2;
    this.base = (this.time >> widthLg2) << widthLg2;
    const basePs = this.clock[0]! + ((this.base - this.time) | 0);
    const chunkPs = 1 << this.chunkLg2;
    const limitPs = Math.floor((basePs + this.span) / chunkPs) * chunkPs;
    this.limit = limitPs | 0;
    this.extendAt = (((this.limit - this.span) | 0) + chunkPs) | 0;
    this.far.shape(this.chunkLg2, limitPs);
    this.near = 0;
    this.current = 0;
  }

  private reshape(buckets: number, widthLg2: number): void {
    const nodes = this.nodes;
    const far = this.far;
    const nearby = this.drain();
    const distant = new Int32Array(far.length);
    far.drain(nodes, distant);
    this.shape(buckets, widthLg2);
    for (let i = 0; i < nearby.length; i++) {
      const h = nearby[i]!;
      this.settle(h, this.clock[0]! + ((nodes[h]! - this.time) | 0));
    }
    // No far event has the time of a near one.
    for (let i = 0; i < distant.length; i++) this.settle(distant[i]!, far.timeOf(distant[i]!));
  }

  private settle(h: number, timePs: number): void {
    const t = this.nodes[h]!;
    if (timePs >= this.far.positionPs()) {
      this.far.push(this.nodes, h, timePs);
      return;
    }
    if (((t - this.base) | 0) >>> this.widthLg2 === 0) this.insert(t, h);
    else this.stack(t, h);
  }

  /** Empties the current bucket and the ring; events of equal time keep their order of scheduling. */
  private drain(): Int32Array {
    const nodes = this.nodes;
    const all = new Int32Array(this.size - this.far.length);
    let n = 0;
    let list = this.current;
    do {
      for (let h = list; h !== 0; h = nodes[h | 1]!) all[n++] = h;
      list = this.fine.active ? this.fine.take(nodes) : 0;
    } while (list !== 0);
    for (let k = 1; k < this.buckets; k++) {
      const bucket = ((this.base >> this.widthLg2) + k) & (this.buckets - 1);
      const first = n;
      for (let h = this.heads[bucket]!; h !== 0; h = nodes[h | 1]!) all[n++] = h;
      if (n - first > 1) all.subarray(first, n).reverse();
      this.heads[bucket] = 0;
    }
    this.bits.fill(0);
    return all;
  }

  private grow(): void {
    const nodes = new Int32Array(Math.max(256, 2 * this.nodes.length));
    nodes.set(this.nodes);
    this.nodes = nodes;
    this.far.grow(nodes.length);
  }
}

/** Apart from `pushFar`: V8 turns the number into text before it looks at the condition. */
function refuse(delayPs: number): never {
  throw new RangeError(`delay must be an integer number of picoseconds, zero or more: ${delayPs}`);
}
