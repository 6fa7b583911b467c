// Hot path (bench: bench/memory.mjs)
/**
 * Simulated physical memory: sparse 64-bit words, kept in lines of 64 bytes that exist from the first store of a non-zero value on.
 *
 * An extendible hash of line addresses: some bits of a line's hash choose a segment, others a slot in it, linear probing stays within the
 * segment, and a segment that is full splits in two, so growing touches one segment at a time. Slot i owns line i of its segment: keys are dense
 * for probing, and a host CPU can fetch key and line at once. Lines at one 256-byte offset in each of eight frames in a row are neighbours: tables of
 * a process or device mostly lie so, and walks of a million of them miss the host's caches less.
 * Not modelled here: timing (system.ts), the size of memory (frames.ts bounds what is handed out), byte enables.
 */

import { ArrayLoan } from './array-store.js';

const SLOTS_LG2 = 13;
const SLOTS = 1 << SLOTS_LG2;
/** log2 of the lines that are neighbours: four of a frame, in eight frames. Their hash chooses an aligned block of so many slots. */
const GROUP_LG2 = 5;
const BLOCKS_LG2 = SLOTS_LG2 - GROUP_LG2;
const HOME_SHIFT = 32 - BLOCKS_LG2;
const SLOT_MASK = SLOTS - 1;
/**
 * Slots in use at which a segment splits: keys are eight to a host cache line, so long probes are cheap, and half-empty segments are not. A line
 * that is not there, as at the first walk to a page, takes 57 steps then; at 15/16 it was 128.
 */
const SEGMENT_LIMIT = (SLOTS * 29) / 32;
const LINE_WORDS = 16;

/** Segment: two key words a slot (line address bits 31:0; bits 63:32 with USED), then the lines, then slots in use, then hash bits it stands for. */
const LINES = 2 * SLOTS;
const IN_USE = LINES + LINE_WORDS * SLOTS;
const DEPTH = IN_USE + 1;
const SEGMENT_WORDS = IN_USE + 2;
const USED = 1 << 31;

export class PhysicalMemory {
  /** The word that `read` found: bits 63:32 and 31:0 as int32. */
  wordHi = 0;
  wordLo = 0;
  private directory: Int32Array[];
  private shift = 31;
  private segments = 2;
  private live = 0;
  /** The segment that is being split; kept, so that splitting leaves no garbage. */
  private readonly scratch: Int32Array;

  constructor(private readonly arrays: ArrayLoan = new ArrayLoan()) {
    this.directory = [this.newSegment(1), this.newSegment(1)];
    this.scratch = this.newSegment(0);
  }

  /** Lines that exist. */
  get lines(): number {
    return this.live;
  }

  /** Bytes of host memory held. */
  get bytes(): number {
    return 4 * (this.segments + 1) * SEGMENT_WORDS + 8 * this.directory.length;
  }

  /** Reads the 64-bit word at the byte address (8-aligned; lower bits are ignored) into wordHi and wordLo. Absent memory reads as 0. */
  read(hi: number, lo: number): void {
    const low = (hi << 26) | (lo >>> 6);
    const high = USED | (hi >>> 6);
    const hash = mix(low, high);
    const segment = this.directory[(hash << BLOCKS_LG2) >>> this.shift]!;
    let slot = homeOf(hash, low);
    for (;;) {
      const found = segment[2 * slot + 1]!;
      if (found === high && segment[2 * slot] === low) {
        const at = LINES + slot * LINE_WORDS + ((lo >>> 2) & 14);
        this.wordLo = segment[at]!;
        this.wordHi = segment[at + 1]!;
        return;
      }
      if (found === 0) break;
      slot = (slot + 1) & SLOT_MASK;
    }
    this.wordLo = 0;
    this.wordHi = 0;
  }

  /** Reads the 64-byte line of the byte address into the first 16 words of `out`, the lower half of each 64-bit word first. */
  readLine(hi: number, lo: number, out: Int32Array): void {
    const low = (hi << 26) | (lo >>> 6);
    const high = USED | (hi >>> 6);
    const hash = mix(low, high);
    const segment = this.directory[(hash << BLOCKS_LG2) >>> this.shift]!;
    const slot = probe(segment, hash, low, high);
    const at = LINES + slot * LINE_WORDS;
    // The line of a free slot is all zeroes.
    for (let i = 0; i < LINE_WORDS; i++) out[i] = segment[at + i]!;
  }

  /** Stores 32 bits at the byte address (4-aligned; lower bits are ignored), as `write` does. */
  writeHalf(hi: number, lo: number, value: number): void {
    const low = (hi << 26) | (lo >>> 6);
    const high = USED | (hi >>> 6);
    const hash = mix(low, high);
    const segment = this.directory[(hash << BLOCKS_LG2) >>> this.shift]!;
    const slot = probe(segment, hash, low, high);
    if (segment[2 * slot + 1] === 0) this.write(hi, lo, (lo & 4) === 0 ? 0 : value, (lo & 4) === 0 ? value : 0);
    else segment[LINES + slot * LINE_WORDS + ((lo >>> 2) & 15)] = value;
  }

  /** Stores `value` in each of `count` 32-bit words from the byte address (4-aligned) on. */
  fillHalves(hi: number, lo: number, count: number, value: number): void {
    let upper = hi;
    let address = lo;
    let left = count;
    while (left > 0) {
      const rest = LINE_WORDS - ((address >>> 2) & 15);
      const here = left < rest ? left : rest;
      const low = (upper << 26) | (address >>> 6);
      const high = USED | (upper >>> 6);
      const hash = mix(low, high);
      const segment = this.directory[(hash << BLOCKS_LG2) >>> this.shift]!;
      const slot = probe(segment, hash, low, high);
      if (segment[2 * slot + 1] === 0) {
        for (let i = 0; i < here; i++) this.writeHalf(upper, address + 4 * i, value);
      } else {
        const at = LINES + slot * LINE_WORDS + ((address >>> 2) & 15);
        for (let i = 0; i < here; i++) segment[at + i] = value;
      }
      address = (address + 4 * here) | 0;
      if (address === 0) upper++;
      left -= here;
    }
  }

  /**
   * Stores `count` 32-bit words of `words`, those from index `from` on, at the byte address: whole 64-bit words of one line, the lower half of
   * each first.
   */
  writeWords(hi: number, lo: number, words: Int32Array, from: number, count: number): void {
    const low = (hi << 26) | (lo >>> 6);
    const high = USED | (hi >>> 6);
    const hash = mix(low, high);
    const segment = this.directory[(hash << BLOCKS_LG2) >>> this.shift]!;
    const slot = probe(segment, hash, low, high);
    if (segment[2 * slot + 1] === 0) {
      for (let i = 0; i < count; i += 2) this.write(hi, lo + 4 * i, words[from + i + 1]!, words[from + i]!);
      return;
    }
    const at = LINES + slot * LINE_WORDS + ((lo >>> 2) & 14);
    for (let i = 0; i < count; i++) segment[at + i] = words[from + i]!;
  }

  /** Stores a 64-bit word at the byte address (8-aligned; lower bits are ignored). Storing 0 where nothing exists allocates nothing. */
  write(hi: number, lo: number, valueHi: number, valueLo: number): void {
    const low = (hi << 26) | (lo >>> 6);
    const high = USED | (hi >>> 6);
    const hash = mix(low, high);
    let segment = this.directory[(hash << BLOCKS_LG2) >>> this.shift]!;
    let slot = probe(segment, hash, low, high);
    if (segment[2 * slot + 1] === 0) {
      if ((valueHi | valueLo) === 0) return;
      while (segment[IN_USE]! >= SEGMENT_LIMIT) {
        this.split(hash);
        segment = this.directory[(hash << BLOCKS_LG2) >>> this.shift]!;
        slot = probe(segment, hash, low, high);
      }
      occupy(segment, slot, low, high);
      this.live++;
    }
    const at = LINES + slot * LINE_WORDS + ((lo >>> 2) & 14);
    segment[at] = valueLo;
    segment[at + 1] = valueHi;
  }

  /** Zeroes the 4 KiB page that contains the address and gives its lines back. */
  clearPage(hi: number, lo: number): void {
    const first = (hi << 26) | ((lo >>> 12) << 6);
    const high = USED | (hi >>> 6);
    for (let group = 0; group < 64; group += 4) {
      const hash = mix(first | group, high);
      const segment = this.directory[(hash << BLOCKS_LG2) >>> this.shift]!;
      for (let line = group; line < group + 4; line++) this.remove(segment, hash, first | line, high);
    }
  }

  /** Visits the address of every line that exists, in an order that depends on the lines alone. Cold. */
  forEachLine(visit: (hi: number, lo: number) => void): void {
    let last: Int32Array | null = null;
    for (const segment of this.directory) {
      if (segment === last) continue;
      last = segment;
      for (let slot = 0; slot < SLOTS; slot++) {
        const high = segment[2 * slot + 1]!;
        if (high === 0) continue;
        const low = segment[2 * slot]!;
        visit(((high & ~USED) << 6) | (low >>> 26), low << 6);
      }
    }
  }

  private remove(segment: Int32Array, hash: number, low: number, high: number): void {
    let hole = probe(segment, hash, low, high);
    if (segment[2 * hole + 1] === 0) return;
    // Lines behind the hole move up unless that took them in front of their home, so that no probe meets a gap.
    for (let slot = (hole + 1) & SLOT_MASK; segment[2 * slot + 1] !== 0; slot = (slot + 1) & SLOT_MASK) {
      const slotLow = segment[2 * slot]!;
      const home = homeOf(mix(slotLow, segment[2 * slot + 1]!), slotLow);
      if (((slot - home) & SLOT_MASK) < ((slot - hole) & SLOT_MASK)) continue;
      moveLine(segment, slot, segment, hole);
      hole = slot;
    }
    segment[2 * hole] = 0;
    segment[2 * hole + 1] = 0;
    const at = LINES + hole * LINE_WORDS;
    segment.fill(0, at, at + LINE_WORDS);
    segment[IN_USE] = segment[IN_USE]! - 1;
    this.live--;
  }

  /** Splits the segment of `hash` by one more bit of the hash; the directory doubles when it resolves too few bits. */
  private split(hash: number): void {
    const old = this.directory[(hash << BLOCKS_LG2) >>> this.shift]!;
    const depth = old[DEPTH]! + 1;
    if (32 - this.shift < depth) {
      this.directory = this.directory.flatMap((segment) => [segment, segment]);
      this.shift--;
    }
    const scratch = this.scratch;
    const upper = this.newSegment(depth);
    scratch.set(old);
    old.fill(0);
    old[DEPTH] = depth;
    for (let slot = 0; slot < SLOTS; slot++) {
      const high = scratch[2 * slot + 1]!;
      if (high === 0) continue;
      const low = scratch[2 * slot]!;
      const lineHash = mix(low, high);
      const target = (lineHash >>> (HOME_SHIFT - depth)) & 1 ? upper : old;
      moveLine(scratch, slot, target, probe(target, lineHash, low, high));
      target[IN_USE] = target[IN_USE]! + 1;
    }
    this.segments++;
    const bit = 32 - this.shift - depth;
    for (let i = 0; i < this.directory.length; i++) {
      if (this.directory[i] === old && (i >>> bit) & 1) this.directory[i] = upper;
    }
  }

  private newSegment(depth: number): Int32Array {
    const segment = this.arrays.take(SEGMENT_WORDS);
    segment[DEPTH] = depth;
    return segment;
  }
}

/** Slot of a line, or the free slot it would take. */
function probe(segment: Int32Array, hash: number, low: number, high: number): number {
  let slot = homeOf(hash, low);
  for (;;) {
    const found = segment[2 * slot + 1]!;
    if (found === 0 || (found === high && segment[2 * slot] === low)) return slot;
    slot = (slot + 1) & SLOT_MASK;
  }
}

function occupy(segment: Int32Array, slot: number, low: number, high: number): void {
  segment[2 * slot] = low;
  segment[2 * slot + 1] = high;
  segment[IN_USE] = segment[IN_USE]! + 1;
}

function moveLine(from: Int32Array, slot: number, to: Int32Array, free: number): void {
  to[2 * free] = from[2 * slot]!;
  to[2 * free + 1] = from[2 * slot + 1]!;
  const source = LINES + slot * LINE_WORDS;
  const target = LINES + free * LINE_WORDS;
  for (let i = 0; i < LINE_WORDS; i++) to[target + i] = from[source + i]!;
}

/**
 * Hash of a line's group, Fibonacci style: only its top bits are good. They choose the block, and the bits below them the segment, so that groups in
 * a row fill all blocks evenly. Bits of a line address that are not in it: 1:0, the line of four; 8:6, the frame of eight.
 */
function mix(low: number, high: number): number {
  const group = ((low >>> 9) << 4) | ((low >>> 2) & 15);
  return (Math.imul(group, 0x9e3779b1) + Math.imul(high, 0x85ebca6b)) | 0;
}

function homeOf(hash: number, low: number): number {
  return ((hash >>> HOME_SHIFT) << GROUP_LG2) | (low & 3) | ((low >>> 4) & 28);
}
