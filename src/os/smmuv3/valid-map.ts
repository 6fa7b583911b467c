/**
 * Which reserved slots of an SMMUv3 command queue have been filled (cmdq->valid_map, drivers/iommu/arm/arm-smmu-v3/arm-smmu-v3.c): a bitmap that each CPU
 * marks its slots in, a word per atomic operation, and that the CPU that gathers polls. The kernel inverts the sense of a bit each time round
 * the ring; here marks are taken away as soon as everything before them is marked.
 */
import type { SharedLine } from '../shared-line.js';
import type { Call, Thread } from '../thread.js';

/** Slots whose marks share a cache line, log2. */
const LINE_LG2 = 9;

export class ValidMap {
  private readonly marks: Uint8Array;
  private readonly lines: readonly SharedLine[];
  /** Slot of a position: the number of slots is a power of two. */
  private readonly mask: number;
  /** First position that is not marked. */
  end = 0;

  /** `line`: makes the cache line of that number. */
  constructor(slots: number, line: (index: number) => SharedLine) {
    this.mask = slots - 1;
    this.marks = new Uint8Array(slots);
    this.lines = Array.from({ length: Math.ceil(slots / 2 ** LINE_LG2) }, (_, i) => line(i));
  }

  /** The cache line of the position's word is looked at, or changed. */
  access(thread: Thread, position: number, change: boolean): Call<void> {
    return this.lines[(position & this.mask) >>> LINE_LG2]!.access(thread, change);
  }

  /** First position of the next word. */
  static afterWord(position: number): number {
    return position - (position & 31) + 32;
  }

  mark(first: number, length: number): void {
    for (let i = 0; i < length; i++) this.marks[(first + i) & this.mask] = 1;
  }

  /** Takes in what has been marked, before its slots come round again; none is from `reserved` on. */
  advance(reserved: number): void {
    const { marks, mask } = this;
    while (this.end < reserved && marks[this.end & mask] === 1) {
      marks[this.end & mask] = 0;
      this.end++;
    }
  }
}
