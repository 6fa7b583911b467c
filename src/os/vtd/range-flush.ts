/**
 * One cache_tag_flush_range (drivers/iommu/intel/cache.c): for every unit of the domain its descriptors, one batch after the other, all
 * under cache_lock, which is held over the waits. A record that the driver uses again.
 * Hot path: bench/map-unmap.mjs.
 */
import type { DomainState } from '../domain-state.js';
import type { Block } from '../flush-range.js';
import { BLOCK, type Call, DONE, NOTHING, Routine, RUN, type Thread, type Wait } from '../thread.js';
import type { UnitDriverEnvironment } from '../unit-environment.js';

/** Descriptors submitted at once (QI_MAX_BATCHED_DESC_COUNT). */
export const BATCH = 16;

const enum State {
  Lock,
  Batch,
  /** A batch is under way. */
  Submit,
  Unlock,
}

/** Makes the descriptors; see VtdDriver. */
export interface BatchSubmitter {
  unitEnd(domain: DomainState, first: number): number;
  deviceTags(domain: DomainState, first: number): number;
  submitBatch(
    thread: Thread,
    domain: DomainState,
    first: number,
    from: number,
    count: number,
    blocks: readonly Block[],
    hint: boolean,
  ): Call<void>;
}

export class RangeFlush extends Routine {
  private state = State.Lock;
  private thread: Thread | null = null;
  private domain: DomainState | null = null;
  private blocks: readonly Block[] = [];
  private hint = false;
  /** First tag of the unit whose turn it is, and descriptors done for that unit. */
  private first = 0;
  private done = 0;
  private submission: Call<void> = NOTHING;
  /** [0] = when the flush was asked for, ps. */
  private readonly asked = new Float64Array(1);

  /** `idle`: where the record goes when it is done. */
  constructor(
    private readonly environment: UnitDriverEnvironment,
    private readonly submitter: BatchSubmitter,
    private readonly idle: RangeFlush[],
  ) {
    super();
  }

  begin(thread: Thread, domain: DomainState, blocks: readonly Block[], hint: boolean): void {
    this.thread = thread;
    this.domain = domain;
    this.blocks = blocks;
    this.hint = hint;
    this.first = 0;
    this.done = 0;
    this.state = State.Lock;
  }

  next(): IteratorResult<Wait, void> {
    const { scheduler, statistics } = this.environment;
    const thread = this.thread!;
    const domain = this.domain!;
    for (;;) {
      switch (this.state) {
        case State.Lock:
          if (thread.debt !== 0 && !scheduler.passes(thread)) return RUN;
          this.asked[0] = scheduler.now();
          this.state = State.Batch;
          if (!domain.cacheLock.take(thread)) return BLOCK;
          break;
        case State.Batch:
          this.state = State.Unlock;
          if (this.first === domain.tags.length || this.blocks.length === 0) break;
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
          statistics.latency.add(scheduler.now() - this.asked[0]!);
          this.idle.push(this);
          return DONE;
      }
    }
  }

  private submitBatch(thread: Thread, domain: DomainState): void {
    const { submitter, blocks, first, done } = this;
    const end = submitter.unitEnd(domain, first);
    const all = (end - first + submitter.deviceTags(domain, first)) * blocks.length;
    const count = Math.min(BATCH, all - done);
    this.submission = submitter.submitBatch(thread, domain, first, done, count, blocks, this.hint);
    this.done += count;
    if (this.done < all) return;
    this.first = end;
    this.done = 0;
  }
}
