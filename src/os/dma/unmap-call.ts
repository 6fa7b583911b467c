/**
 * One dma_unmap_page with its account: what the path does, then the time still charged. A record that its API uses again.
 * Hot path: bench/map-unmap.mjs.
 */
import type { Access } from '../../protocol/access.js';
import type { LatencyLedger } from '../../stats/latency-ledger.js';
import type { Domain } from '../domain.js';
import type { Scheduler } from '../scheduler.js';
import { Turn } from '../step.js';
import { type Call, DONE, NOTHING, Routine, RUN, type Thread, type Wait } from '../thread.js';
import type { DmaApi } from './api.js';

const enum State {
  Begin,
  Path,
  End,
}

export class UnmapCall extends Routine {
  private state = State.Begin;
  private thread: Thread | null = null;
  private domain: Domain | null = null;
  private bytes = 0;
  private access: Access = 0;
  private path: Call<void> = NOTHING;
  /** The account that goes on when this one is closed. */
  private outer: LatencyLedger | null = null;
  /** [0] = address. */
  private readonly values = new Float64Array(1);

  constructor(
    private readonly api: DmaApi,
    private readonly scheduler: Scheduler,
  ) {
    super();
  }

  begin(thread: Thread, domain: Domain, address: number, bytes: number, access: Access): void {
    this.thread = thread;
    this.domain = domain;
    this.values[0] = address;
    this.bytes = bytes;
    this.access = access;
    this.state = State.Begin;
  }

  next(): IteratorResult<Wait, void> {
    const { api } = this;
    const thread = this.thread!;
    if (this.state === State.Begin) {
      this.outer = api.begin(thread, api.unmaps);
      this.path = api.unmapping(thread, this.domain!, this.values[0]!, this.bytes, this.access);
      this.state = State.Path;
    }
    if (this.state === State.Path) {
      const turn = this.path.next();
      if (turn.done !== true) return turn;
      this.state = State.End;
      if (thread.debt !== 0 && !this.scheduler.passes(thread)) return RUN;
    }
    api.end(thread, api.unmaps, this.outer, Turn.Unmap);
    api.idle.push(this);
    return DONE;
  }
}
