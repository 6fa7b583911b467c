/**
 * The current bucket of the event queue when it is over-full: two radix rungs that end at single ticks. The bucket is cut
 * into at most 512 slices, the current slice into at most 512 ticks, each a first-in first-out list, so that every event
 * costs a constant amount of work whatever the pattern of ties and bursts.
 * Lists run through the node array of the queue: nodes[h] is the tick, nodes[h | 1] the next handle, 0 ends a list.
 * Hot path in bursts: bench/queue.mjs, rows `ties` and `burst`.
 */

const SLICES_LG2 = 9;
const SLICES = 1 << SLICES_LG2;

/** Widest bucket, log2 of ticks, that two rungs resolve to single ticks. */
export const WIDEST_LG2: number = 2 * SLICES_LG2;

export class FineRung {
  active = false;
  /** Last node of the list that `take` has just returned. */
  tail = 0;

  private base = 0;
  private shift = 0;
  private tickMask = 0;
  private slice = 0;
  private tick = 0;
  private readonly sliceHeads = new Int32Array(SLICES);
  private readonly sliceTails = new Int32Array(SLICES);
  private readonly sliceBits = new Int32Array(SLICES >> 5);
  private readonly tickHeads = new Int32Array(SLICES);
  private readonly tickTails = new Int32Array(SLICES);
  private readonly tickBits = new Int32Array(SLICES >> 5);

  /** Opens for the bucket of 2^widthLg2 ticks from `base`; nothing earlier than tick `from` will be added. */
  open(base: number, widthLg2: number, from: number): void {
    this.active = true;
    this.base = base;
    this.shift = widthLg2 > SLICES_LG2 ? widthLg2 - SLICES_LG2 : 0;
    this.tickMask = (1 << this.shift) - 1;
    const offset = (from - base) | 0;
    this.slice = offset >>> this.shift;
    this.tick = offset & this.tickMask;
  }

  add(nodes: Int32Array, handle: number): void {
    const offset = (nodes[handle]! - this.base) | 0;
    const slice = offset >>> this.shift;
    nodes[handle | 1] = 0;
    if (slice === this.slice)
      append(nodes, this.tickHeads, this.tickTails, this.tickBits, offset & this.tickMask, handle);
    else append(nodes, this.sliceHeads, this.sliceTails, this.sliceBits, slice, handle);
  }

  /** Removes and returns the list of all events of the earliest tick, or returns 0 and closes when nothing is left. */
  take(nodes: Int32Array): number {
    let tick = firstFrom(this.tickBits, this.tick);
    while (tick < 0) {
      const slice = firstFrom(this.sliceBits, this.slice + 1);
      if (slice < 0) {
        this.active = false;
        return 0;
      }
      this.slice = slice;
      this.tick = 0;
      this.spread(nodes, slice);
      tick = firstFrom(this.tickBits, 0);
    }
    this.tick = tick;
    this.tickBits[tick >> 5]! &= ~(1 << (tick & 31));
    this.tail = this.tickTails[tick]!;
    return this.tickHeads[tick]!;
  }

  /** Distributes a slice over its ticks, in order of scheduling. */
  private spread(nodes: Int32Array, slice: number): void {
    this.sliceBits[slice >> 5]! &= ~(1 << (slice & 31));
    let handle = this.sliceHeads[slice]!;
    while (handle !== 0) {
      const next = nodes[handle | 1]!;
      const tick = (nodes[handle]! - this.base) & this.tickMask;
      nodes[handle | 1] = 0;
      append(nodes, this.tickHeads, this.tickTails, this.tickBits, tick, handle);
      handle = next;
    }
  }
}

function append(
  nodes: Int32Array,
  heads: Int32Array,
  tails: Int32Array,
  bits: Int32Array,
  index: number,
  handle: number,
): void {
  const word = index >> 5;
  const bit = 1 << (index & 31);
  if ((bits[word]! & bit) === 0) {
    bits[word]! |= bit;
    heads[index] = handle;
  } else {
    nodes[tails[index]! | 1] = handle;
  }
  tails[index] = handle;
}

/** Index of the first set bit at or after `from`, or -1. */
function firstFrom(bits: Int32Array, from: number): number {
  let word = from >> 5;
  if (word >= bits.length) return -1;
  let x = bits[word]! & (-1 << (from & 31));
  while (x === 0) {
    if (++word === bits.length) return -1;
    x = bits[word]!;
  }
  return (word << 5) + 31 - Math.clz32(x & -x);
}
