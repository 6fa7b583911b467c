/** Translation faults of one unit since the window began. */
export class FaultCounters {
  total = 0;
  /** Faults that found no room for a record. */
  lost = 0;
  readonly byCode: Int32Array = new Int32Array(512);

  count(code: number): void {
    this.total++;
    this.byCode[code]!++;
  }

  reset(): void {
    this.total = 0;
    this.lost = 0;
    this.byCode.fill(0);
  }
}
