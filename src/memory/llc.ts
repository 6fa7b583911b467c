// Hot path (bench: bench/memory.mjs)
/**
 * Tags of the last-level cache of one socket as inbound I/O sees it: set-associative, 64-byte lines, true LRU, any number of sets.
 * Device writes allocate only in the first `ddioWays` ways of a set (Intel Data Direct I/O) and update a line in place wherever it is; device reads never
 * allocate; CPU stores and coherent table walks use all ways. Set = line number modulo number of sets: contiguous windows spread evenly, as
 * they do under the undisclosed slice hash of real parts; a share of lines (`scatter`) goes elsewhere. Not modelled: inner caches, other users of the LLC, partial-line fills.
 */
import { ArrayLoan } from './array-store.js';
import type { LlcSpec } from './spec.js';

const VALID = 1 << 31;
const DIRTY = 1 << 30;
/** Bits of a line number that a way's word holds: enough for the first 64 GiB. */
const LINE_BITS = DIRTY - 1;
/** Unused words before the first set. Large arrays begin 16 bytes into a page (glibc); with these, sets fill whole lines of a host CPU's cache. */
const PADDING = 28;

/**
 * One Int32Array; a set is [VALID | DIRTY | line number 29:0 of each way][last use of each way]: a look-up touches two lines of the host
 * CPU's cache, and most of its time is that of fetching them. Bits of line numbers from 30 on are kept apart, from the first line that has
 * any. Uses are numbered modulo 2^32 over the whole cache. Untouched parts cost no host memory until they are written.
 */
export class Llc {
  readonly sets: number;
  /** After deviceWrite or coherentRead: whether a dirty line was evicted, and its byte address. */
  evictedDirty = false;
  evictedHi = 0;
  evictedLo = 0;
  readonly ways: number;
  private readonly ddioWays: number;
  private readonly stride: number;
  /** Number of sets - 1 if that is a power of two and no line is scattered, else -1. */
  private readonly setMask: number;
  private readonly state: Int32Array;
  private uses = 0;
  /** Keeps loads alive whose only purpose is to be early. */
  protected seen = 0;
  /** Line number from bit 30 on, by set and way; none: all zero. */
  private uppers: Int32Array | null = null;
  private readonly reciprocal: number;
  /** Lines whose hash, as 31 bits, is below this are scattered. */
  private readonly scattered: number;

  /** Throws RangeError for a size that is not a whole number of sets, or more DDIO ways than ways. */
  constructor(
    spec: LlcSpec,
    private readonly arrays: ArrayLoan = new ArrayLoan(),
  ) {
    this.sets = spec.size / (spec.ways * 64);
    if (!Number.isInteger(this.sets) || this.sets < 1) {
      throw new RangeError(`LLC of ${spec.size} bytes is not a whole number of sets of ${spec.ways} ways of 64 bytes`);
    }
    if (spec.ddioWays < 0 || spec.ddioWays > spec.ways) {
      throw new RangeError(`LLC has ${spec.ways} ways; ${spec.ddioWays} cannot be given to device writes`);
    }
    this.ways = spec.ways;
    this.ddioWays = spec.ddioWays;
    this.stride = 2 * spec.ways;
    this.state = arrays.take(PADDING + this.sets * this.stride).subarray(PADDING);
    this.reciprocal = 1 / this.sets;
    this.scattered = Math.floor((spec.scatter / 1e6) * 2 ** 31);
    this.setMask = this.scattered === 0 && (this.sets & (this.sets - 1)) === 0 ? this.sets - 1 : -1;
  }

  /** The line will be looked up soon. Host time only: its set is loaded into the host CPU's cache meanwhile. */
  expect(hi: number, lo: number): void {
    const base = this.setOf(hi, lo);
    this.seen = this.state[base]! ^ this.state[base + this.ways]!;
  }

  /** A device reads the line; true on a hit. */
  deviceRead(hi: number, lo: number): boolean {
    const at = this.find(this.setOf(hi, lo), hi, lo);
    if (at < 0) return false;
    this.state[at + this.ways] = this.uses = (this.uses + 1) | 0;
    return true;
  }

  /** A device (or the IOMMU) writes the line; true on a hit. Without DDIO ways the line leaves the cache and false is returned. */
  deviceWrite(hi: number, lo: number): boolean {
    if (this.ddioWays !== 0) return this.access(hi, lo, this.ddioWays, DIRTY);
    this.evictedDirty = false;
    this.invalidate(hi, lo);
    return false;
  }

  /** A walker reads the line through the cache, which keeps it; true on a hit. */
  coherentRead(hi: number, lo: number): boolean {
    return this.access(hi, lo, this.ways, 0);
  }

  /** A CPU stores to the line; true on a hit. */
  cpuWrite(hi: number, lo: number): boolean {
    return this.access(hi, lo, this.ways, DIRTY);
  }

  /** Drops the line; true when it was there and dirty. */
  invalidate(hi: number, lo: number): boolean {
    const at = this.find(this.setOf(hi, lo), hi, lo);
    if (at < 0) return false;
    const dirty = (this.state[at]! & DIRTY) !== 0;
    this.state[at] = 0;
    return dirty;
  }

  /** Whether the line is cached; changes nothing. */
  contains(hi: number, lo: number): boolean {
    return this.find(this.setOf(hi, lo), hi, lo) >= 0;
  }

  /** Drops everything. */
  clear(): void {
    this.state.fill(0);
  }

  private access(hi: number, lo: number, allowed: number, dirty: number): boolean {
    const base = this.setOf(hi, lo);
    const { state, ways } = this;
    this.evictedDirty = false;
    let at = this.find(base, hi, lo);
    if (at >= 0) {
      if (dirty !== 0) state[at]! |= dirty;
      state[at + ways] = this.uses = (this.uses + 1) | 0;
      return true;
    }
    at = this.victim(base, allowed);
    const old = state[at]!;
    if ((old & DIRTY) !== 0) {
      this.evictedDirty = true;
      this.evictedHi = ((old & LINE_BITS) >>> 26) | (this.upperAt(at) << 4);
      this.evictedLo = old << 6;
    }
    state[at] = VALID | dirty | lowerOf(hi, lo);
    state[at + ways] = this.uses = (this.uses + 1) | 0;
    if (this.uppers !== null || hi >>> 4 !== 0) this.setUpper(at, hi >>> 4);
    return false;
  }

  private upperAt(at: number): number {
    return this.uppers === null ? 0 : this.uppers[at]!;
  }

  private setUpper(at: number, upper: number): void {
    this.uppers ??= this.arrays.take(this.state.length);
    this.uppers[at] = upper;
  }

  /** Exact remainder without a division: for line numbers below 2^46 the estimated quotient is right or one too small. */
  private setOf(hi: number, lo: number): number {
    if (this.setMask >= 0) return (((hi << 26) | (lo >>> 6)) & this.setMask) * this.stride;
    let line = hi * 67108864 + (lo >>> 6);
    if (this.scattered > 0) {
      const hash = mix((hi << 26) | (lo >>> 6), hi >>> 6);
      if (hash >>> 1 < this.scattered) line = mix(hash, 0x9e3779b9) >>> 0;
    }
    let set = line - Math.floor(line * this.reciprocal) * this.sets;
    if (set >= this.sets) set -= this.sets;
    return (set * this.stride) | 0;
  }

  /** Index of the way that holds the line in the set at `base`, or -1. Lines sit in the highest ways first: see `victim`. */
  private find(base: number, hi: number, lo: number): number {
    const { state, uppers } = this;
    const word = VALID | lowerOf(hi, lo);
    for (let at = base + this.ways - 1; at >= base; at--) {
      if ((state[at]! & ~DIRTY) === word && (uppers === null ? hi >>> 4 === 0 : uppers[at] === hi >>> 4)) return at;
    }
    return -1;
  }

  /** A free way if there is one, the highest first (so that CPU lines fill the DDIO ways last), else the least recently used of the first `allowed`. */
  private victim(base: number, allowed: number): number {
    const { state, uses, ways } = this;
    let oldest = base + allowed - 1;
    let age = 0;
    for (let at = oldest; at >= base; at--) {
      if (state[at] === 0) return at;
      const unused = (uses - state[at + ways]!) >>> 0;
      if (unused > age) {
        age = unused;
        oldest = at;
      }
    }
    return oldest;
  }
}

/** Bits 29:0 of the number of the line that contains the address. */
function lowerOf(hi: number, lo: number): number {
  return ((hi << 26) | (lo >>> 6)) & LINE_BITS;
}

/** Integer hash of two words (the finaliser of MurmurHash3 over their combination). */
function mix(a: number, b: number): number {
  let h = a ^ Math.imul(b, 0x9e3779b1);
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return h ^ (h >>> 16);
}
