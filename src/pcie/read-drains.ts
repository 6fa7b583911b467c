/**
 * Translated reads of a device under way, and the invalidations that wait for those among them that use what was removed (PCI Express Base
 * Specification 6.0, 10.3.2: an Invalidate Completion follows the end of every such read). Writes are posted: they have left before the answer does.
 * Hot path where it is on: bench/end-to-end.
 */
import type { Event } from '../kernel/event.js';
import { ITAGS } from '../protocol/ats.js';
import { sameRegion } from './device-tlb.js';

export class ReadDrains {
  /** By TLP record of the device: a translated read under way, and the ITags of invalidations that wait for its end, as bits. */
  private readonly reading: (Event | null)[];
  private readonly awaited: Int32Array;
  /** By ITag: reads that the invalidation waits for, and the message. */
  private readonly left = new Int32Array(ITAGS);
  private readonly messages: (Event | null)[] = new Array<Event | null>(ITAGS).fill(null);

  /** TLP records of the device: ids from `firstTlp` on, `tlps` of them. `drained`: no read uses any more what the message removed. */
  constructor(
    private readonly firstTlp: number,
    tlps: number,
    private readonly drained: (message: Event) => void,
  ) {
    this.reading = new Array<Event | null>(tlps).fill(null);
    this.awaited = new Int32Array(tlps);
  }

  begin(read: Event): void {
    this.reading[read.id - this.firstTlp] = read;
  }

  end(tlp: Event): void {
    const slot = tlp.id - this.firstTlp;
    this.reading[slot] = null;
    for (let rest = this.awaited[slot]!; rest !== 0; rest &= rest - 1) {
      const itag = 31 - Math.clz32(rest & -rest);
      const left = this.left[itag]! - 1;
      this.left[itag] = left;
      if (left === 0) this.drained(this.messages[itag]!);
    }
    this.awaited[slot] = 0;
  }

  /** `message` (an Invalidate Request: `value` its ITag, `level` log2 of its bytes) waits for reads of its range. Returns how many there are. */
  await(message: Event, everyPasid: boolean): number {
    const { context, addressHi: hi, addressLo: lo, level: sizeLg2, value: itag } = message;
    let reads = 0;
    for (let slot = 0; slot < this.reading.length; slot++) {
      const tlp = this.reading[slot]!;
      if (tlp === null || (!everyPasid && tlp.context !== context)) continue;
      if (!sameRegion(tlp.addressHi, tlp.addressLo, hi, lo, sizeLg2)) continue;
      this.awaited[slot]! |= 1 << itag;
      reads++;
    }
    this.left[itag] = reads;
    this.messages[itag] = message;
    if (reads === 0) this.drained(message);
    return reads;
  }
}
