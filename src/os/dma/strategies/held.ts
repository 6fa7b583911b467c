/**
 * Buffers that a CPU has unmapped but still holds back: nobody may reuse them, or their I/O addresses, before the invalidation that
 * covers them. Each CPU has a list of its own, which only its thread touches.
 */
import type { Thread } from '../../thread.js';
import type { StrategyStatistics } from './statistics.js';

/** A list of ranges, whole pages each. */
export class HeldRanges {
  count = 0;
  /** Table pages that the unmaps unlinked. */
  readonly tables: number[] = [];
  private readonly iovas: Float64Array;
  private readonly lengths: Float64Array;
  private readonly since: Float64Array;
  private readonly order: Int32Array;

  constructor(
    readonly capacity: number,
    private readonly statistics: StrategyStatistics,
  ) {
    this.iovas = new Float64Array(capacity);
    this.lengths = new Float64Array(capacity);
    this.since = new Float64Array(capacity);
    this.order = new Int32Array(capacity);
  }

  get full(): boolean {
    return this.count === this.capacity;
  }

  /** The unmap ends `debt` ps after `now`. */
  add(iova: number, bytes: number, now: number, debt: number): void {
    const at = this.count++;
    this.iovas[at] = iova;
    this.lengths[at] = bytes;
    this.since[at] = now + debt;
    this.order[at] = at;
    this.statistics.held.add(now, 1);
  }

  /** Orders the ranges by address; `iova`, `bytes` and `runEnd` follow that order. */
  sort(): void {
    const { iovas } = this;
    this.order.subarray(0, this.count).sort((a, b) => iovas[a]! - iovas[b]!);
  }

  iova(index: number): number {
    return this.iovas[this.order[index]!]!;
  }

  bytes(index: number): number {
    return this.lengths[this.order[index]!]!;
  }

  end(index: number): number {
    return this.iova(index) + this.bytes(index);
  }

  /** Index after the last range that continues the one at `first` without a gap, within its aligned block of `block` bytes. */
  runEnd(first: number, block = Infinity): number {
    const limit = block === Infinity ? Infinity : (Math.floor(this.iova(first) / block) + 1) * block;
    let next = first + 1;
    while (next < this.count && this.iova(next) === this.end(next - 1) && this.iova(next) < limit) next++;
    return next;
  }

  /** Empties the list: nothing reaches its buffers since `now`. */
  clear(now: number): void {
    for (let i = 0; i < this.count; i++) this.statistics.heldTime.add(now - this.since[i]!);
    this.statistics.held.add(now, -this.count);
    this.count = 0;
  }
}

/** The lists of all CPUs, made when a CPU holds its first buffer. */
export class HeldByCpu {
  private readonly lists: (HeldRanges | undefined)[] = [];

  constructor(
    private readonly capacity: number,
    private readonly statistics: StrategyStatistics,
  ) {}

  of(thread: Thread): HeldRanges {
    const { id } = thread.cpu;
    this.lists[id] ??= new HeldRanges(this.capacity, this.statistics);
    return this.lists[id];
  }
}
