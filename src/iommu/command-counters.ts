/** What a unit's command queue did since the window began: commands by what they remove, and time. */
export class CommandCounters {
  context = 0;
  pasid = 0;
  iotlbGlobal = 0;
  iotlbDomain = 0;
  iotlbPage = 0;
  wait = 0;
  drains = 0;
  /** [0] start of the present busy period or -1, [1] busy time, [2] drain time, [3] drain start. ps */
  private readonly clocks = Float64Array.of(-1, 0, 0, 0);

  busy(now: number): void {
    this.clocks[0] = now;
  }

  idle(now: number): void {
    this.clocks[1]! += now - this.clocks[0]!;
    this.clocks[0] = -1;
  }

  drainBegins(now: number): void {
    this.drains++;
    this.clocks[3] = now;
  }

  drainEnds(now: number): void {
    this.clocks[2]! += now - this.clocks[3]!;
  }

  /** Time in which the queue was being worked on, ps. */
  busyPs(now: number): number {
    return this.clocks[1]! + (this.clocks[0]! >= 0 ? now - this.clocks[0]! : 0);
  }

  drainPs(): number {
    return this.clocks[2]!;
  }

  reset(now: number): void {
    this.context = 0;
    this.pasid = 0;
    this.iotlbGlobal = 0;
    this.iotlbDomain = 0;
    this.iotlbPage = 0;
    this.wait = 0;
    this.drains = 0;
    this.clocks[1] = 0;
    this.clocks[2] = 0;
    if (this.clocks[0]! >= 0) this.clocks[0] = now;
  }
}
