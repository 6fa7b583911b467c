/**
 * One cache_tag_flush_range (drivers/iommu/intel/cache.c): a descriptor per tag of the domain, one batch after the other, all under
 * cache_lock, which is held over the waits. A record that the driver uses again.
 * Hot path: bench/map-unmap.mjs.
 */
import type { DomainState } from '../domain-state.js';
import { BLOCK, type Call, DONE, NOTHING, Routine, RUN, type Thread, type Wait } from '../thread.js';
import type { UnitDriverEnvironment } from '../unit-environment.js';

const enum State {
  Lock,
  Batch,
  /** A batch is under way. */
  Submit,
  Unlock,
}

/** Makes the descriptors; see VtdDriver. */
export interface BatchSubmitter {
  batchEnd(domain: DomainState, from: number): number;
  submitBatch(
    thread: Thread,
    domain: DomainState,
    from: number,
    end: number,
    start: number,
    mask: number,
    hint: boolean,
  ): Call<void>;
}

export class RangeFlush extends Routine {
  private state = State.Lock;
  private thread: Thread | null = null;
  private domain: DomainState | null = null;
  private mask = 0;
  private hint = false;
  /** Tags done. */
  private done = 0;
  private submission: Call<void> = NOTHING;
  /** [0] = first address, [1] = when the flush was asked for, ps. */
  private readonly values = new Float64Array(2);

  /** `idle`: where the record goes when it is done. */
  constructor(
    private readonly environment: UnitDriverEnvironment,
    private readonly submitter: BatchSubmitter,
    private readonly idle: RangeFlush[],
  ) {
    super();
  }

  begin(thread: Thread, domain: DomainState, start: number, mask: number, hint: boolean): void {
    this.thread = thread;
    this.domain = domain;
    this.values[0] = start;
    this.mask = mask;
    this.hint = hint;
    this.done = 0;
    this.state = State.Lock;
  }

  next(): IteratorResult<Wait, void> {
    const { values } = this;
    const { scheduler, statistics } = this.environment;
    const thread = this.thread!;
    const domain = this.domain!;
    for (;;) {
      switch (this.state) {
        case State.Lock:
          if (thread.debt !== 0 && !scheduler.passes(thread)) return RUN;
          values[1] = scheduler.now();
          this.state = State.Batch;
          if (!domain.cacheLock.take(thread)) return BLOCK;
          break;
        case State.Batch:
          this.state = State.Unlock;
          if (this.done === domain.tags.length) break;
          this.state = State.Submit;
          this.submitBatch(thread, domain);
          break;
        case State.Submit: {
          const turn = this.submission.next();
          if (turn.done !== true) return turn;
          this.state = State.Batch;
          break;
        }
        case State.Unlock:
          if (thread.debt !== 0 && !scheduler.passes(thread)) return RUN;
          domain.cacheLock.release(thread);
          statistics.flushes++;
          statistics.latency.add(scheduler.now() - values[1]!);
          this.idle.push(this);
          return DONE;
      }
    }
  }

  private submitBatch(thread: Thread, domain: DomainState): void {
    const { submitter, done, mask, hint } = this;
    this.done = submitter.batchEnd(domain, done);
    this.submission = submitter.submitBatch(thread, domain, done, this.done, this.values[0]!, mask, hint);
  }
}
