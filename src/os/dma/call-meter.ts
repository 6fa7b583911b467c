/** Measurements of one kind of call of the DMA API: its steps, and its latency in ps. */
import { Histogram } from '../../stats/histogram.js';
import { LatencyLedger } from '../../stats/latency-ledger.js';
import { STEP_NAMES } from '../step.js';

export class CallMeter {
  readonly ledger: LatencyLedger;
  readonly latency: Histogram = new Histogram();

  /** `slots`: threads that may call; the ledger is indexed by thread number. */
  constructor(slots: number) {
    this.ledger = new LatencyLedger(slots, STEP_NAMES);
  }

  reset(): void {
    this.ledger.reset();
    this.latency.reset();
  }
}
