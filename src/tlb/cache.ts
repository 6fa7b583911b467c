/**
 * A set-associative cache of translations or directory entries: keys of three int32 words, values kept by the owner in arrays
 * indexed by the entry number. Any power-of-two number of sets, any associativity; structures of more than 16 ways find
 * entries through a small hash index instead of comparing every way, which changes host time only.
 * Hot path: bench/cache.
 */
import { RandomStream } from '../kernel/random.js';
import type { StructureSpec } from './spec.js';

const SCAN_WAYS = 16;

/** Replacement as a number: a comparison of strings costs a call. */
const enum Policy {
  Lru,
  Plru,
  Fifo,
  Random,
}

const POLICIES = { lru: Policy.Lru, plru: Policy.Plru, fifo: Policy.Fifo, random: Policy.Random } as const;

export class SetAssociativeCache {
  readonly entries: number;
  readonly enabled: boolean;
  readonly latency: number;
  lookups = 0;
  hits = 0;
  fills = 0;
  evictions = 0;
  invalidated = 0;
  /** Valid entries now. */
  occupancy = 0;
  /** Second and third key word of the entry that the last evicting `fill` replaced. */
  victimKey1 = 0;
  victimKey2 = 0;
  /** Entries filled since `clearLog`, for who keeps an index of them: `log` from `logFree` on; 0 means that any may have been. */
  log: Int32Array = new Int32Array(0);
  logFree = 0;

  private readonly ways: number;
  private readonly setMask: number;
  private readonly policy: Policy;
  /** Key words; `valid` is the entry's generation bit. */
  readonly k0: Int32Array;
  readonly k1: Int32Array;
  readonly k2: Int32Array;
  readonly valid: Uint8Array;
  /** LRU and FIFO: last use or fill, compared modulo 2^32. PLRU: tree bits of the set at [set]. */
  private readonly stamp: Int32Array;
  private readonly tree: Int32Array;
  private clock = 0;
  private readonly random: RandomStream | null;
  /** Hash index: entry + 1, or 0. Only for structures searched by hash. */
  private readonly index: Int32Array | null;
  private readonly indexMask: number;

  /** Throws RangeError for an impossible geometry; workload files are checked before. */
  constructor(spec: StructureSpec, seed: number, name: string) {
    const sets = spec.entries / spec.ways;
    if (!Number.isInteger(sets) || sets < 1 || (sets & (sets - 1)) !== 0) {
      throw new RangeError(
        `${name}: ${spec.entries} entries in ${spec.ways} ways is not a power-of-two number of sets`,
      );
    }
    this.entries = spec.entries;
    this.enabled = spec.enabled;
    this.latency = spec.latency;
    this.ways = spec.ways;
    this.setMask = sets - 1;
    this.policy = POLICIES[spec.replacement];
    this.k0 = new Int32Array(spec.entries);
    this.k1 = new Int32Array(spec.entries);
    this.k2 = new Int32Array(spec.entries);
    this.valid = new Uint8Array(spec.entries);
    this.stamp = new Int32Array(spec.entries);
    this.tree = new Int32Array(spec.replacement === 'plru' ? sets * Math.ceil(spec.ways / 32) : 0);
    this.random = spec.replacement === 'random' ? new RandomStream(seed, `${name}/replacement`) : null;
    if (spec.ways > SCAN_WAYS) {
      let size = 4;
      while (size < 4 * spec.entries) size *= 2;
      this.index = new Int32Array(size);
      this.indexMask = size - 1;
    } else {
      this.index = null;
      this.indexMask = 0;
    }
  }

  private static hash(a: number, b: number, c: number): number {
    let h = Math.imul(a ^ Math.imul(b, 0x85ebca6b) ^ Math.imul(c, 0x9e3779b1), 0xc2b2ae35);
    h ^= h >>> 15;
    return h;
  }

  /** Consecutive keys in `a` fall into consecutive sets, as an index of low page-number bits does. */
  private setOf(a: number, b: number, c: number): number {
    return (a ^ Math.imul(b ^ (b >>> 16), 0x9e3779b1) ^ Math.imul(c, 0x85ebca6b)) & this.setMask;
  }

  /** Entry number or -1. Counts, and touches the entry for the replacement policy. */
  lookup(a: number, b: number, c: number): number {
    if (this.enabled === false) return -1;
    this.lookups++;
    const entry = this.touch(a, b, c);
    if (entry >= 0) this.hits++;
    return entry;
  }

  /** `lookup` without counting, for owners that probe several keys for one lookup. */
  touch(a: number, b: number, c: number): number {
    const entry = this.find(a, b, c);
    if (entry >= 0) {
      if (this.policy === Policy.Lru) this.stamp[entry] = this.clock = (this.clock + 1) | 0;
      else if (this.policy === Policy.Plru) this.touchTree(entry);
    }
    return entry;
  }

  /** Entry number or -1, without side effects. */
  find(a: number, b: number, c: number): number {
    if (this.index !== null) return this.search(this.index, a, b, c);
    const { k0, k1, k2, valid } = this;
    const base = Math.imul(this.setOf(a, b, c), this.ways);
    const end = (base + this.ways) | 0;
    for (let i = base; i < end; i = (i + 1) | 0) {
      if (k0[i] === a && k1[i] === b && k2[i] === c && valid[i] === 1) return i;
    }
    return -1;
  }

  /** `find` by hash. */
  private search(index: Int32Array, a: number, b: number, c: number): number {
    const { k0, k1, k2 } = this;
    for (let h = SetAssociativeCache.hash(a, b, c) & this.indexMask; ; h = (h + 1) & this.indexMask) {
      const i = index[h]! - 1;
      if (i < 0) return -1;
      if (k0[i] === a && k1[i] === b && k2[i] === c) return i;
    }
  }

  /** Makes room for a key and returns its entry number; the owner stores the value there. -1 when the structure is absent. */
  fill(a: number, b: number, c: number): number {
    if (this.enabled === false) return -1;
    let entry = this.find(a, b, c);
    if (entry < 0) {
      entry = this.victim(this.setOf(a, b, c));
      if (this.valid[entry] === 1) {
        this.evictions++;
        this.victimKey1 = this.k1[entry]!;
        this.victimKey2 = this.k2[entry]!;
        this.unlink(entry);
      }
      this.k0[entry] = a;
      this.k1[entry] = b;
      this.k2[entry] = c;
      this.valid[entry] = 1;
      this.occupancy++;
      if (this.index !== null) this.enter(entry);
    }
    this.fills++;
    if (this.logFree !== 0) this.log[--this.logFree] = entry;
    if (this.policy === Policy.Plru) this.touchTree(entry);
    else this.stamp[entry] = this.clock = (this.clock + 1) | 0;
    return entry;
  }

  /** From now on fills are logged. */
  keepLog(): void {
    this.log = new Int32Array(this.entries);
    this.clearLog();
  }

  clearLog(): void {
    this.logFree = this.log.length;
  }

  /** Removes one entry. */
  invalidate(entry: number): void {
    if (this.valid[entry] === 0) return;
    this.unlink(entry);
    this.invalidated++;
  }

  invalidateAll(): void {
    this.invalidated += this.occupancy;
    this.valid.fill(0);
    this.index?.fill(0);
    this.occupancy = 0;
  }

  private unlink(entry: number): void {
    this.valid[entry] = 0;
    this.occupancy--;
    if (this.index !== null) this.leave(entry);
  }

  private victim(set: number): number {
    const base = Math.imul(set, this.ways);
    const end = (base + this.ways) | 0;
    const valid = this.valid;
    if (this.occupancy < this.entries) {
      for (let i = base; i < end; i++) if (valid[i] === 0) return i;
    }
    if (this.random !== null) return base + this.random.below(this.ways);
    if (this.policy === Policy.Plru) return base + this.treeVictim(set);
    const stamp = this.stamp;
    const clock = this.clock;
    let oldest = base;
    let age = (clock - stamp[base]!) >>> 0;
    for (let i = (base + 1) | 0; i < end; i = (i + 1) | 0) {
      const a = (clock - stamp[i]!) >>> 0;
      if (a > age) {
        age = a;
        oldest = i;
      }
    }
    return oldest;
  }

  // Tree pseudo-LRU: node n of a set has children 2n and 2n+1; a bit of 1 sends the victim search right.
  private touchTree(entry: number): void {
    const set = (entry / this.ways) | 0;
    const words = Math.ceil(this.ways / 32);
    let node = this.ways + (entry - set * this.ways);
    while (node > 1) {
      const right = node & 1;
      node >>= 1;
      const w = set * words + (node >> 5);
      const bit = 1 << (node & 31);
      this.tree[w] = right === 1 ? this.tree[w]! & ~bit : this.tree[w]! | bit;
    }
  }

  private treeVictim(set: number): number {
    const words = Math.ceil(this.ways / 32);
    let node = 1;
    while (node < this.ways) node = 2 * node + ((this.tree[set * words + (node >> 5)]! >>> (node & 31)) & 1);
    return node - this.ways;
  }

  private enter(entry: number): void {
    const index = this.index!;
    let h = SetAssociativeCache.hash(this.k0[entry]!, this.k1[entry]!, this.k2[entry]!) & this.indexMask;
    while (index[h] !== 0) h = (h + 1) & this.indexMask;
    index[h] = entry + 1;
  }

  private leave(entry: number): void {
    const index = this.index!;
    const mask = this.indexMask;
    let h = SetAssociativeCache.hash(this.k0[entry]!, this.k1[entry]!, this.k2[entry]!) & mask;
    while (index[h] !== entry + 1) h = (h + 1) & mask;
    // Backward-shift deletion keeps every probe sequence unbroken.
    for (let next = (h + 1) & mask; index[next] !== 0; next = (next + 1) & mask) {
      const i = index[next]! - 1;
      const home = SetAssociativeCache.hash(this.k0[i]!, this.k1[i]!, this.k2[i]!) & mask;
      if (((next - home) & mask) >= ((next - h) & mask)) {
        index[h] = index[next]!;
        h = next;
      }
    }
    index[h] = 0;
  }

  resetCounters(): void {
    this.lookups = 0;
    this.hits = 0;
    this.fills = 0;
    this.evictions = 0;
    this.invalidated = 0;
  }
}
