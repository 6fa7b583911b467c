/**
 * Flow-control credits of one class (PCI Express Base Specification, 2.6.1): headers and 16-byte data units. A receiver frees a
 * buffer now; the sender may count on it `returnPs` later, when the UpdateFC has arrived. No event is spent on that: due
 * returns are collected when somebody asks.
 */
export class CreditPool {
  private headers: number;
  private data: number;
  private readonly returnPs: number;
  /** Ring of returns under way, one header each: time, data. */
  private due: Float64Array = new Float64Array(64);
  private dueData: Int32Array = new Int32Array(64);
  private head = 0;
  private length = 0;

  constructor(headers: number, data: number, returnPs: number) {
    this.headers = headers;
    this.data = data;
    this.returnPs = returnPs;
  }

  /** Takes one header and `dataUnits` if the sender can know of them at `now`. */
  take(now: number, dataUnits: number): boolean {
    if (this.length > 0 && this.due[this.head]! <= now) this.collect(now);
    if (this.headers < 1 || this.data < dataUnits) return false;
    this.headers--;
    this.data -= dataUnits;
    return true;
  }

  /** The receiver freed one header and `dataUnits` at `now`. */
  give(now: number, dataUnits: number): void {
    if (this.length === this.due.length) this.grow();
    const i = (this.head + this.length) & (this.due.length - 1);
    this.due[i] = now + this.returnPs;
    this.dueData[i] = dataUnits;
    this.length++;
  }

  /** When the oldest return under way becomes usable, absolute ps; -1 when none is under way. */
  nextDue(): number {
    return this.length === 0 ? -1 : this.due[this.head]!;
  }

  private collect(now: number): void {
    const { due, dueData } = this;
    const mask = due.length - 1;
    const last = this.head + this.length;
    let i = this.head;
    let data = this.data;
    while (i !== last && due[i & mask]! <= now) data += dueData[i++ & mask]!;
    const returned = i - this.head;
    this.data = data;
    this.headers += returned;
    this.length -= returned;
    this.head = i & mask;
  }

  private grow(): void {
    const size = this.due.length;
    const due = new Float64Array(2 * size);
    const data = new Int32Array(2 * size);
    for (let k = 0; k < this.length; k++) {
      const i = (this.head + k) & (size - 1);
      due[k] = this.due[i]!;
      data[k] = this.dueData[i]!;
    }
    this.due = due;
    this.dueData = data;
    this.head = 0;
  }
}
