/** Registers of a DART that say how each stream is translated, and the root port's table of streams by requester id. */
import { type Layout, Port, tcrOffset, ttbrOffset, ttbrTable } from './format.js';

export class Streams {
  readonly tcr: Int32Array;
  private readonly ttbr: Int32Array;
  /** RID2SID entries as written. */
  private readonly byRequester = new Int32Array(Port.Entries);

  constructor(readonly layout: Layout) {
    this.tcr = new Int32Array(layout.streams);
    this.ttbr = new Int32Array(layout.streams * layout.ttbrs);
  }

  /** Stream of a requester, -1 without. */
  streamOf(requester: number): number {
    const { layout, byRequester } = this;
    const entry = byRequester.find((word) => word < 0 && (word & 0xffff) === requester);
    if (entry === undefined) return -1;
    const stream = (entry >>> Port.StreamShift) & 0xff;
    return stream < layout.streams ? stream : -1;
  }

  /** Byte address of the table in a TTBR of the stream, -1 if it is not valid. */
  tableOf(stream: number, index: number): number {
    const { layout } = this;
    if (index >= layout.ttbrs) return -1;
    const word = this.ttbr[layout.ttbrs * stream + index]!;
    return (word & layout.ttbrValid) === 0 ? -1 : ttbrTable(layout, word);
  }

  /** Stores a register of this part; false if there is none at the offset. */
  write(offset: number, value: number): boolean {
    const { layout, tcr, ttbr, byRequester } = this;
    return (
      put(tcr, offset - tcrOffset(layout, 0), value) ||
      put(ttbr, offset - ttbrOffset(layout, 0, 0), value) ||
      put(byRequester, offset - Port.RidToStream, value)
    );
  }
}

function put(registers: Int32Array, offset: number, value: number): boolean {
  if (offset < 0 || offset >= 4 * registers.length) return false;
  registers[offset >> 2] = value;
  return true;
}
