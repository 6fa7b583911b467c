/**
 * A scatter list (struct scatterlist, include/linux/scatterlist.h): pieces of a buffer that lie anywhere in memory, and, once mapped,
 * the fewer and longer pieces of I/O address space in which the device finds them. Not modelled: chained tables, peer-to-peer pieces.
 */
import type { DmaLimits } from './limits.js';

export class ScatterList {
  /** Physical address and bytes of each segment. */
  readonly physical: Float64Array;
  readonly bytes: Float64Array;
  /** Bytes of I/O address space each segment takes, written by the way that maps the list. */
  readonly room: Float64Array;
  /** DMA address and bytes of each mapped segment; the first `mapped` of them count. */
  readonly addresses: Float64Array;
  readonly lengths: Float64Array;
  mapped = 0;

  /** Throws RangeError for an empty list and for segments without a length. */
  constructor(
    segments: readonly (readonly [pa: number, bytes: number])[],
    readonly limits: DmaLimits,
  ) {
    if (segments.length === 0) throw new RangeError('a scatter list needs a segment');
    if (segments.some(([, bytes]) => !(bytes > 0))) throw new RangeError('a segment of a scatter list has no bytes');
    this.physical = Float64Array.from(segments, ([pa]) => pa);
    this.bytes = Float64Array.from(segments, ([, bytes]) => bytes);
    this.room = new Float64Array(segments.length);
    this.addresses = new Float64Array(segments.length);
    this.lengths = new Float64Array(segments.length);
  }

  get segments(): number {
    return this.physical.length;
  }

  /** Forgets an earlier mapping. */
  clear(): void {
    this.mapped = 0;
  }

  /** A further mapped segment. */
  append(address: number, bytes: number): void {
    const at = this.mapped++;
    this.addresses[at] = address;
    this.lengths[at] = bytes;
  }

  /** The last mapped segment grows. */
  extend(bytes: number): void {
    const at = this.mapped - 1;
    this.lengths[at] = this.lengths[at]! + bytes;
  }
}
