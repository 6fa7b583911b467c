/**
 * The wait of a submitter for its CMD_SYNC (arm_smmu_cmdq_issue_cmdlist, part 5): until the message has come or CMDQ_CONS has passed it; the
 * last holder of the shared lock then stores the consumer index. A record that its queue uses again.
 */
import { Step } from '../step.js';
import { BLOCK, type Call, DONE, NOTHING, Routine, RUN, type Thread, type Wait } from '../thread.js';
import type { UnitDriverEnvironment } from '../unit-environment.js';
import type { CommandQueue } from './queue.js';

const enum State {
  Begin,
  Asked,
  /** The CMD_SYNC is complete. */
  Seen,
  /** Has looked who else holds the lock. */
  Looked,
  Consumed,
  Unlock,
  End,
}

export class SyncWait extends Routine {
  private state = State.Begin;
  private thread: Thread | null = null;
  private position = 0;
  /** What is done before the present state. */
  private inner: Call<void> = NOTHING;
  /** [0] = asked for completion, [1] = time that hardware had waited for devices by then, ps. */
  private readonly times = new Float64Array(2);

  constructor(
    private readonly queue: CommandQueue,
    private readonly environment: UnitDriverEnvironment,
  ) {
    super();
  }

  begin(thread: Thread, position: number): void {
    this.thread = thread;
    this.position = position;
    this.state = State.Begin;
  }

  next(): IteratorResult<Wait, void> {
    const { queue, position, times } = this;
    const { scheduler, statistics, probe } = this.environment;
    const thread = this.thread!;
    for (;;) {
      if (this.inner !== NOTHING) {
        const turn = this.inner.next();
        if (turn.done !== true) return turn;
        this.inner = NOTHING;
      }
      switch (this.state) {
        case State.Begin:
          if (probe > 0) thread.charge(Step.Trace, probe);
          this.state = State.Asked;
          if (thread.debt !== 0 && !scheduler.passes(thread)) return RUN;
          break;
        case State.Asked:
          times[0] = scheduler.now() - probe / 2;
          times[1] = queue.heldPs();
          this.state = State.Seen;
          if (queue.port !== null) this.inner = queue.port.consumed(thread, position);
          else if (queue.polls(thread, position)) return BLOCK;
          else if (!scheduler.passes(thread)) return RUN;
          break;
        case State.Seen:
          thread.reassign(Step.Completion, Step.DeviceTlb, queue.heldPs() - times[1]!);
          statistics.completion.add(scheduler.now() + probe / 2 - times[0]!);
          if (probe > 0) thread.charge(Step.Trace, probe);
          this.inner = queue.see(thread, position);
          this.state = State.Looked;
          break;
        case State.Looked:
          this.state = State.Unlock;
          if (!queue.lastHolder) break;
          this.inner = queue.storeIndices(thread);
          this.state = State.Consumed;
          break;
        case State.Consumed:
          queue.consume(thread);
          this.state = State.Unlock;
          break;
        case State.Unlock:
          this.inner = queue.storeLock(thread);
          this.state = State.End;
          break;
        case State.End:
          queue.unlocked(this);
          return DONE;
      }
    }
  }
}
