/** What virtualisation costs all vCPUs of the machine. */
import { Histogram } from '../../stats/histogram.js';

export class GuestStatistics {
  /** Accesses that left the guest. */
  exits = 0;
  /** Commands of the guest that the monitor executed. */
  emulated = 0;
  /** Of the exits: those that found the monitor's lock taken. */
  contended = 0;
  /** Pages entered into and removed from shadow tables, by leaf. */
  shadowMaps = 0;
  shadowUnmaps = 0;
  /** From the trapped access until the guest goes on, ps. */
  readonly exit: Histogram = new Histogram();
  /** Waiting for the monitor's lock, hand-over included, ps. */
  readonly lockWait: Histogram = new Histogram();
  /** One call into the host's kernel, with its wait for hardware, ps. */
  readonly call: Histogram = new Histogram();
  /** Flushes after changes of the second stage, ps. */
  readonly stage2: Histogram = new Histogram();

  reset(): void {
    this.exits = 0;
    this.emulated = 0;
    this.contended = 0;
    this.shadowMaps = 0;
    this.shadowUnmaps = 0;
    this.exit.reset();
    this.lockWait.reset();
    this.call.reset();
    this.stage2.reset();
  }
}
