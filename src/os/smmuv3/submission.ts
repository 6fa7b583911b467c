/**
 * One arm_smmu_cmdq_issue_cmdlist (drivers/iommu/arm/arm-smmu-v3/arm-smmu-v3.c): reserves slots, writes commands and marks them; publishes
 * them if it is the one that gathers (publication.ts); waits for its CMD_SYNC (sync-wait.ts). A record that its queue uses again.
 * Hot path: bench/faults.mjs.
 */
import { Step } from '../step.js';
import { BLOCK, type Call, DONE, NOTHING, Routine, RUN, type Thread, type Wait } from '../thread.js';
import type { UnitDriverEnvironment } from '../unit-environment.js';
import type { Batch, CommandQueue } from './queue.js';
import { ValidMap } from './valid-map.js';

const enum State {
  Begin,
  Asked,
  /** Needs room in the ring. */
  Room,
  Reserve,
  Write,
  /** Holds the shared lock, as everybody who waits for a CMD_SYNC. */
  Locked,
  /** Marks slots, one word of the bitmap after the other. */
  Mark,
  Marked,
  Published,
  Waited,
  End,
}

export class Submission extends Routine {
  private state = State.Begin;
  private thread: Thread | null = null;
  private batch: Batch | null = null;
  /** Where the batch goes when it is empty; null: its owner keeps it. */
  private empty: Batch[] | null = null;
  private waits = false;
  private count = 0;
  /** Commands with the CMD_SYNC, if there is one. */
  private length = 0;
  private gathers = false;
  /** What is done before the present state. */
  private inner: Call<void> = NOTHING;
  /** Positions of the first command and of the next that is to be marked. */
  private first = 0;
  private toMark = 0;
  /** [0] = asked for slots, ps. */
  private readonly times = new Float64Array(1);

  constructor(
    private readonly queue: CommandQueue,
    private readonly environment: UnitDriverEnvironment,
  ) {
    super();
  }

  begin(thread: Thread, batch: Batch, sync: boolean, empty: Batch[] | null): void {
    this.thread = thread;
    this.batch = batch;
    this.waits = sync;
    this.empty = empty;
    this.state = State.Begin;
  }

  next(): IteratorResult<Wait, void> {
    const { queue, times } = this;
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
          this.count = this.batch!.count;
          if (probe > 0) thread.charge(Step.Trace, probe);
          this.state = State.Asked;
          if (thread.debt !== 0 && !scheduler.passes(thread)) return RUN;
          break;
        case State.Asked:
          times[0] = scheduler.now() - probe / 2;
          thread.irqOff++;
          if (!queue.hasRoom(1)) statistics.slotWaits++;
          this.state = State.Room;
          break;
        case State.Room:
          if (!queue.hasRoom(1)) {
            queue.waitForRoom(thread);
            return BLOCK;
          }
          // A ring without a CMD_SYNC is never seen to be consumed.
          if (!queue.hasRoom(2)) this.waits = true;
          this.length = this.waits ? this.count + 1 : this.count;
          this.inner = queue.claim(thread, this.length);
          this.state = State.Reserve;
          break;
        case State.Reserve:
          this.first = queue.reserve(thread, this.length);
          this.toMark = this.first;
          this.gathers = queue.gathers(thread);
          this.state = State.Write;
          if (!scheduler.passes(thread)) return RUN;
          break;
        case State.Write:
          queue.fill(this.first, this.batch!);
          if (this.empty !== null) this.empty.push(this.batch!);
          this.state = State.Mark;
          if (!this.waits) break;
          this.inner = queue.fillSync(thread, this.first + this.count);
          this.state = State.Locked;
          break;
        case State.Locked:
          queue.locked();
          this.state = State.Mark;
          break;
        case State.Mark:
          if (this.toMark < this.first + this.length) {
            this.inner = queue.mark(thread, this.toMark);
            this.toMark = ValidMap.afterWord(this.toMark);
            break;
          }
          this.state = State.Marked;
          if (thread.debt !== 0 && !scheduler.passes(thread)) return RUN;
          break;
        case State.Marked:
          queue.marked(this.first, this.length);
          statistics.descriptors += this.length;
          if (this.gathers) this.inner = queue.publish(thread, this.first);
          this.state = State.Published;
          break;
        case State.Published:
          if (this.waits) this.inner = queue.wait(thread, this.first + this.count);
          this.state = State.Waited;
          break;
        case State.Waited:
          this.state = State.End;
          if (thread.debt !== 0 && !scheduler.passes(thread)) return RUN;
          break;
        case State.End:
          thread.irqOff--;
          statistics.submission.add(scheduler.now() + probe / 2 - times[0]!);
          if (probe > 0) thread.charge(Step.Trace, probe);
          queue.submitted(this);
          return DONE;
      }
    }
  }
}
