/**
 * Allocator of 4 KiB frames of simulated physical memory, the page allocator of the simulated machine: last freed, first reused (like the kernel's
 * per-CPU page lists), lowest never-used frame otherwise; contiguous blocks first-fit at an alignment. Host memory grows with the frames freed and with
 * the number of holes, not with the size of the range. Frames are zero when handed out provided that whoever frees a frame clears it first
 * (PhysicalMemory.clearPage). Not modelled: buddy orders, zones, fragmentation by other users of the machine.
 */

const FRAME = 4096;
/** Frames per bitmap of freed frames: 128 KiB of bits for 4 GiB of frames. */
const BITMAP_FRAMES_LG2 = 20;

/** The range has no frame (or no block of the wanted size and alignment) left. */
export class OutOfMemory extends Error {
  constructor(wanted: number, align: number, inUse: number, frames: number) {
    const block = wanted === FRAME ? 'a 4 KiB frame' : `${wanted} contiguous bytes aligned to ${align}`;
    super(`out of simulated memory: cannot allocate ${block}; ${inUse} of ${frames} frames are in use`);
    this.name = 'OutOfMemory';
  }
}

/** A frame was given back that is not allocated: outside the range, misaligned, never handed out, or freed twice. */
export class InvalidFree extends Error {
  constructor(address: number, why: string) {
    super(`cannot free the frame at 0x${address.toString(16)}: ${why}`);
    this.name = 'InvalidFree';
  }
}

interface Extent {
  start: number;
  end: number;
}

export class FrameAllocator {
  private readonly end: number;
  /** Freed single frames, the last one on top. */
  private stack: number[] = [];
  /** Ranges that are free and not on the stack, ascending and never touching. */
  private extents: Extent[];
  /** Bit set = on the stack; bitmaps exist where something was freed. */
  private bitmaps: (Int32Array | undefined)[] = [];
  private used = 0;

  /** Hands out frames of [base, base + size); both multiples of 4096 below 2^53. Throws RangeError otherwise. */
  constructor(
    readonly base: number,
    readonly size: number,
  ) {
    if (!isMultiple(base) || !isMultiple(size) || !Number.isSafeInteger(base + size)) {
      throw new RangeError(`frames need a 4 KiB aligned base and size, got base ${base}, size ${size}`);
    }
    this.end = base + size;
    this.extents = size === 0 ? [] : [{ start: base, end: this.end }];
  }

  /** Frames handed out and not given back. */
  get inUse(): number {
    return this.used;
  }

  /** Address of a frame. Throws OutOfMemory. */
  allocate(): number {
    const top = this.stack.pop();
    if (top !== undefined) {
      this.flip(top);
      this.used++;
      return top;
    }
    const lowest = this.extents[0];
    if (lowest === undefined) throw new OutOfMemory(FRAME, FRAME, this.used, this.size / FRAME);
    const address = lowest.start;
    lowest.start += FRAME;
    if (lowest.start === lowest.end) this.extents.shift();
    this.used++;
    return address;
  }

  /** Gives one frame back, also one of a contiguous block. Throws InvalidFree. */
  free(address: number): void {
    this.check(address, address + FRAME);
    if (this.isStacked(address)) throw new InvalidFree(address, 'it was freed before');
    this.flip(address);
    this.stack.push(address);
    this.used--;
  }

  /**
   * Lowest block of `bytes` (rounded up to frames) whose address is a multiple of `align` (a multiple of 4096).
   * Throws OutOfMemory, RangeError for a bad size or alignment.
   */
  allocateContiguous(bytes: number, align: number = FRAME): number {
    if (!Number.isSafeInteger(bytes) || bytes <= 0) throw new RangeError(`cannot allocate ${bytes} bytes`);
    if (!isMultiple(align) || align === 0) throw new RangeError(`alignment ${align} is not a multiple of 4096`);
    const length = Math.ceil(bytes / FRAME) * FRAME;
    let address = this.takeExtent(length, align);
    if (address < 0 && this.stack.length > 0) {
      this.unstack();
      address = this.takeExtent(length, align);
    }
    if (address < 0) throw new OutOfMemory(length, align, this.used, this.size / FRAME);
    this.used += length / FRAME;
    return address;
  }

  /** Gives a block of whole frames back at once. Throws InvalidFree when any frame of it is not allocated. */
  freeContiguous(address: number, bytes: number): void {
    const end = address + Math.ceil(bytes / FRAME) * FRAME;
    this.check(address, end);
    const freed = this.stack.find((frame) => frame >= address && frame < end);
    if (freed !== undefined) throw new InvalidFree(freed, 'it was freed before');
    this.addExtent(address, end);
    this.used -= (end - address) / FRAME;
  }

  private takeExtent(length: number, align: number): number {
    for (let i = 0; i < this.extents.length; i++) {
      const extent = this.extents[i]!;
      const address = Math.ceil(extent.start / align) * align;
      if (address + length > extent.end) continue;
      const rest = { start: address + length, end: extent.end };
      extent.end = address;
      if (rest.start < rest.end) this.extents.splice(i + 1, 0, rest);
      if (extent.start === extent.end) this.extents.splice(i, 1);
      return address;
    }
    return -1;
  }

  private addExtent(start: number, end: number): void {
    let i = 0;
    while (i < this.extents.length && this.extents[i]!.end < start) i++;
    const near = this.extents[i];
    if (near === undefined || near.start > end) {
      this.extents.splice(i, 0, { start, end });
      return;
    }
    near.start = Math.min(near.start, start);
    near.end = Math.max(near.end, end);
    const after = this.extents[i + 1];
    if (after !== undefined && after.start === near.end) {
      near.end = after.end;
      this.extents.splice(i + 1, 1);
    }
  }

  /** Turns the single frames on the stack into extents, so that a contiguous block can use them. */
  private unstack(): void {
    const frames = this.stack;
    this.stack = [];
    this.bitmaps = [];
    for (const start of frames) this.addExtent(start, start + FRAME);
  }

  private check(start: number, end: number): void {
    if (!isMultiple(start)) throw new InvalidFree(start, 'it is not 4 KiB aligned');
    if (start < this.base || end > this.end) throw new InvalidFree(start, 'it is outside this memory');
    for (const extent of this.extents) {
      if (start < extent.end && end > extent.start) throw new InvalidFree(start, 'it is not allocated');
    }
  }

  private isStacked(frame: number): boolean {
    const number = (frame - this.base) / FRAME;
    const bitmap = this.bitmaps[Math.floor(number / 2 ** BITMAP_FRAMES_LG2)];
    const bit = number % 2 ** BITMAP_FRAMES_LG2;
    return bitmap !== undefined && ((bitmap[bit >>> 5]! >>> (bit & 31)) & 1) !== 0;
  }

  private flip(frame: number): void {
    const number = (frame - this.base) / FRAME;
    const index = Math.floor(number / 2 ** BITMAP_FRAMES_LG2);
    this.bitmaps[index] ??= new Int32Array(1 << (BITMAP_FRAMES_LG2 - 5));
    const bitmap = this.bitmaps[index];
    const bit = number % 2 ** BITMAP_FRAMES_LG2;
    bitmap[bit >>> 5] = bitmap[bit >>> 5]! ^ (1 << (bit & 31));
  }
}

function isMultiple(value: number): boolean {
  return Number.isSafeInteger(value) && value >= 0 && value % FRAME === 0;
}
