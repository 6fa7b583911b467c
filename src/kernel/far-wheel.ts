/**
 * Events beyond the ring of the event queue: a timing wheel over absolute time, 32 slots a level, first-in first-out lists.
 * Its position is where the ring ends. Time is handed to the ring in chunks of 2^chunkLg2 ps; an event sits at the level of
 * the highest 5-bit digit in which its chunk differs from the position, and comes down when the position enters its slot.
 * Events of equal time are always in the same list, in order of scheduling, so the order is that of a heap keyed by
 * (absolute time, sequence), at a constant cost per event.
 * Lists run through the node array of the queue: nodes[h | 1] is the next handle, 0 ends a list.
 * Hot path when many long timers are pending: bench/queue.mjs, rows `mixed`.
 */

const DIGIT_BITS = 5;
const SLOTS = 1 << DIGIT_BITS;
/** Chunk numbers are split into 30 low bits (6 digits) and the rest. */
const LOW_BITS = 30;
const LOW_LEVELS = LOW_BITS / DIGIT_BITS;
const LOW_RANGE = 2 ** LOW_BITS;
/** Enough for 53 bits. */
const LEVELS = 11;

export class FarWheel {
  /** Events in here. */
  length = 0;
  /** Absolute due time by handle / 2, ps. */
  private times = new Float64Array(0);
  private chunkPs = 1;
  private perChunk = 1;
  /** Chunk number of the position. */
  private low = 0;
  private high = 0;
  private readonly heads = new Int32Array(LEVELS * SLOTS);
  private readonly tails = new Int32Array(LEVELS * SLOTS);
  private readonly bits = new Int32Array(LEVELS);

  /** First instant that has not been handed to the ring, absolute ps. */
  positionPs(): number {
    return (this.high * LOW_RANGE + this.low) * this.chunkPs;
  }

  /** Makes room for handles below `nodes`. */
  grow(nodes: number): void {
    const times = new Float64Array(nodes >> 1);
    times.set(this.times);
    this.times = times;
  }

  /** Sets chunk size and position (a multiple of it) of an empty wheel. */
  shape(chunkLg2: number, positionPs: number): void {
    this.chunkPs = 2 ** chunkLg2;
    this.perChunk = 1 / this.chunkPs;
    this.moveTo(positionPs * this.perChunk);
  }

  /** Adds the event of a node; its time must not be before the position. */
  push(nodes: Int32Array, handle: number, timePs: number): void {
    this.times[handle >> 1] = timePs;
    this.length++;
    this.place(nodes, handle);
  }

  /** Absolute due time of the event of a node in here. */
  timeOf(handle: number): number {
    return this.times[handle >> 1]!;
  }

  /**
   * Removes and returns the list of the chunk at the position (0 = none) and moves the position to the next chunk. The caller,
   * who walks the list anyway, takes its events off `length`.
   */
  take(nodes: Int32Array): number {
    const slot = this.low & (SLOTS - 1);
    const list = this.unlink(0, slot);
    this.skip(1);
    if (slot === SLOTS - 1) this.descend(nodes);
    return list;
  }

  /** Moves the position over chunks that are known to be empty; crossing a level is the caller's affair. */
  skip(chunks: number): void {
    const low = this.low + chunks;
    this.low = low & (LOW_RANGE - 1);
    if (low >= LOW_RANGE) this.high++;
  }

  /**
   * Moves the position to the first chunk that is not empty. The wheel must not be empty. Its first list holds the earliest
   * event; placed anew from there, a crowd comes down at once instead of level by level.
   */
  seek(nodes: Int32Array): void {
    const bits = this.bits;
    let level = 0;
    while (bits[level] === 0) level++;
    const x = bits[level]!;
    const list = this.unlink(level, 31 - Math.clz32(x & -x));
    let earliest = this.times[list >> 1]!;
    for (let h = nodes[list | 1]!; h !== 0; h = nodes[h | 1]!) {
      const time = this.times[h >> 1]!;
      if (time < earliest) earliest = time;
    }
    this.moveTo(Math.floor(earliest * this.perChunk));
    this.replace(nodes, list);
  }

  /** Empties the wheel into `out`, from its start; events of equal time keep their order. */
  drain(nodes: Int32Array, out: Int32Array): void {
    let n = 0;
    for (let level = 0; level < LEVELS; level++) {
      while (this.bits[level] !== 0) {
        const slot = 31 - Math.clz32(this.bits[level]!);
        for (let h = this.unlink(level, slot); h !== 0; h = nodes[h | 1]!) out[n++] = h;
      }
    }
    this.length = 0;
  }

  private moveTo(chunk: number): void {
    this.high = Math.floor(chunk / LOW_RANGE);
    this.low = chunk - this.high * LOW_RANGE;
  }

  private place(nodes: Int32Array, handle: number): void {
    const chunk = Math.floor(this.times[handle >> 1]! * this.perChunk);
    const high = Math.floor(chunk / LOW_RANGE);
    const low = (chunk - high * LOW_RANGE) | 0;
    let level: number;
    let slot: number;
    if (high === this.high) {
      level = digitOf(low ^ this.low);
      slot = (low >> (level * DIGIT_BITS)) & (SLOTS - 1);
    } else {
      level = digitOf(high ^ this.high);
      slot = (high >> (level * DIGIT_BITS)) & (SLOTS - 1);
      level += LOW_LEVELS;
    }
    const index = level * SLOTS + slot;
    const bit = 1 << slot;
    nodes[handle | 1] = 0;
    if ((this.bits[level]! & bit) === 0) {
      this.bits[level]! |= bit;
      this.heads[index] = handle;
    } else {
      nodes[this.tails[index]! | 1] = handle;
    }
    this.tails[index] = handle;
  }

  /** The position has entered new slots above level 0: their events come down. */
  private descend(nodes: Int32Array): void {
    let level = 1;
    let digits = this.low >> DIGIT_BITS;
    while (level < LEVELS) {
      if (level === LOW_LEVELS) digits = this.high;
      const slot = digits & (SLOTS - 1);
      if ((this.bits[level]! & (1 << slot)) !== 0) this.replace(nodes, this.unlink(level, slot));
      if (slot !== 0) return;
      digits >>= DIGIT_BITS;
      level++;
    }
  }

  private replace(nodes: Int32Array, list: number): void {
    let h = list;
    while (h !== 0) {
      const next = nodes[h | 1]!;
      this.place(nodes, h);
      h = next;
    }
  }

  private unlink(level: number, slot: number): number {
    const bit = 1 << slot;
    if ((this.bits[level]! & bit) === 0) return 0;
    this.bits[level]! &= ~bit;
    return this.heads[level * SLOTS + slot]!;
  }
}

/** Highest 5-bit digit that is not zero; 0 for zero. */
function digitOf(x: number): number {
  return ((31 - Math.clz32(x | 1)) / DIGIT_BITS) | 0;
}
