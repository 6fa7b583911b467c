/**
 * What the CPU that gathers commands does for all of them (arm_smmu_cmdq_issue_cmdlist, part 4): waits for the one before it, ends its
 * gathering, waits until the slots are marked, rings the doorbell and lets the next one follow. A record that its queue uses again.
 * Hot path: bench/faults.mjs.
 */
import { BLOCK, type Call, DONE, NOTHING, Routine, RUN, type Thread, type Wait } from '../thread.js';
import type { Scheduler } from '../scheduler.js';
import type { CommandQueue } from './queue.js';

const enum State {
  Begin,
  /** Has looked whether its turn has come. */
  Looked,
  Turn,
  Gather,
  Gathered,
  /** Has looked at the marks of its slots. */
  Examined,
  Marks,
  Ring,
  Rung,
  Release,
  HandOver,
}

export class Publication extends Routine {
  /** Slots before this position are to be published. */
  until = 0;
  /** Its thread waits for marks. */
  blocked = false;
  thread: Thread | null = null;
  private state = State.Begin;
  private first = 0;
  /** What is done before the present state. */
  private inner: Call<void> = NOTHING;

  constructor(
    private readonly queue: CommandQueue,
    private readonly scheduler: Scheduler,
  ) {
    super();
  }

  begin(thread: Thread, first: number): void {
    this.thread = thread;
    this.first = first;
    this.blocked = false;
    this.state = State.Begin;
  }

  next(): IteratorResult<Wait, void> {
    const { queue, scheduler } = this;
    const thread = this.thread!;
    for (;;) {
      if (this.inner !== NOTHING) {
        const turn = this.inner.next();
        if (turn.done !== true) return turn;
        this.inner = NOTHING;
      }
      switch (this.state) {
        case State.Begin:
          this.inner = queue.lookAtLock(thread);
          this.state = State.Looked;
          break;
        case State.Looked:
          this.state = State.Turn;
          if (thread.debt !== 0 && !scheduler.passes(thread)) return RUN;
          break;
        case State.Turn:
          this.state = State.Gather;
          if (!queue.follows(thread, this.first)) return BLOCK;
          break;
        case State.Gather:
          this.inner = queue.storeIndices(thread);
          this.state = State.Gathered;
          break;
        case State.Gathered:
          this.inner = queue.endGathering(this, this.first);
          this.state = State.Examined;
          break;
        case State.Examined:
          this.state = State.Marks;
          if (thread.debt !== 0 && !scheduler.passes(thread)) return RUN;
          break;
        case State.Marks:
          this.state = State.Ring;
          if (!queue.allMarked(this)) return BLOCK;
          break;
        case State.Ring:
          this.inner = queue.ring(this);
          this.state = State.Rung;
          if (thread.debt !== 0 && !scheduler.passes(thread)) return RUN;
          break;
        case State.Rung:
          this.inner = queue.rung(this);
          this.state = State.Release;
          break;
        case State.Release:
          this.state = State.HandOver;
          if (thread.debt !== 0 && !scheduler.passes(thread)) return RUN;
          break;
        case State.HandOver:
          queue.handOver(this);
          return DONE;
      }
    }
  }
}
