/**
 * The device that pages are written to and read from (swap, files): 4 KiB a transfer, a fixed latency, and one completion every `interval`
 * when it is busy. The waiting thread sleeps. Not modelled: read-ahead, request merging, the completion interrupt's own time.
 */
import type { Scheduler } from '../scheduler.js';
import type { StorageSpec } from './spec.js';

export class Storage {
  reads = 0;
  writes = 0;
  /** [0] = when the device can complete the next transfer at the earliest, absolute ps. */
  private readonly nextDone = new Float64Array(1);

  constructor(
    private readonly scheduler: Scheduler,
    private readonly spec: StorageSpec,
  ) {}

  /** Submits a read now; returns the time until it is complete, ps. */
  read(): number {
    this.reads++;
    return this.submit();
  }

  write(): number {
    this.writes++;
    return this.submit();
  }

  private submit(): number {
    const now = this.scheduler.now();
    const done = Math.max(now + this.spec.latency, this.nextDone[0]!);
    this.nextDone[0] = done + this.spec.interval;
    return done - now;
  }
}
