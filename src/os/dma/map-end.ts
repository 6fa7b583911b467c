/**
 * The end of a dma_map_page: the time still charged passes, its account is closed, its result is the DMA address. A record that its API
 * uses again.
 * Hot path: bench/map-unmap.mjs.
 */
import type { LatencyLedger } from '../../stats/latency-ledger.js';
import { Turn } from '../step.js';
import { type Call, RUN, type Thread, type Wait } from '../thread.js';
import type { DmaApi } from './api.js';

export class MapEnd implements Call<number> {
  private thread: Thread | null = null;
  /** The account that goes on when this one is closed. */
  private outer: LatencyLedger | null = null;
  private settled = false;
  /** NaN makes it a double field, which V8 updates in place. */
  private readonly result: IteratorReturnResult<number> = { value: Number.NaN, done: true };

  constructor(private readonly api: DmaApi) {}

  begin(thread: Thread, outer: LatencyLedger | null, address: number): void {
    this.thread = thread;
    this.outer = outer;
    this.settled = thread.debt === 0;
    this.result.value = address;
  }

  next(): IteratorResult<Wait, number> {
    if (!this.settled) {
      this.settled = true;
      return RUN;
    }
    const { api } = this;
    api.end(this.thread!, api.maps, this.outer, Turn.Map);
    api.idleMaps.push(this);
    return this.result;
  }

  [Symbol.iterator](): Call<number> {
    return this;
  }
}
