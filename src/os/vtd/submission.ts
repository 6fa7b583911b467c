/**
 * One qi_submit_sync (drivers/iommu/intel/dmar.c): takes q_lock and slots, writes descriptors, rings, and polls under the lock until
 * hardware has stored the status word. A record that its queue uses again.
 * Hot path: bench/map-unmap.mjs.
 */
import { Step } from '../step.js';
import { BLOCK, type Call, DONE, NOTHING, Routine, RUN, type Thread, type Wait } from '../thread.js';
import type { UnitDriverEnvironment } from '../unit-environment.js';
import type { InvalidationQueue } from './queue.js';

const enum State {
  /** Asks for the lock. */
  Lock,
  /** Holds it, and needs slots. */
  Locked,
  /** Waits for slots, without the lock; has been told that there may be some. */
  Short,
  SlotsBack,
  Reserve,
  Announce,
  /** An emulated doorbell is at work. */
  Ring,
  Poll,
  /** Hardware has given up on a device. */
  Recover,
}

export class Submission extends Routine {
  private state = State.Lock;
  private thread: Thread | null = null;
  private words: Int32Array = new Int32Array(0);
  /** Where `words` goes when it has been read; null: its owner keeps it. */
  private empty: Int32Array[] | null = null;
  private count = 0;
  private first = 0;
  private waitFlags = 0;
  /** What is done for the present state. */
  private inner: Call<void> = NOTHING;
  /** [0] = asked for the lock, [1] = rang, [2] = time that hardware had waited for devices by then, ps. */
  private readonly times = new Float64Array(3);

  constructor(
    private readonly queue: InvalidationQueue,
    private readonly environment: UnitDriverEnvironment,
  ) {
    super();
  }

  begin(thread: Thread, words: Int32Array, count: number, waitFlags: number, empty: Int32Array[] | null): void {
    this.thread = thread;
    this.words = words;
    this.count = count;
    this.waitFlags = waitFlags;
    this.empty = empty;
    this.state = State.Lock;
  }

  next(): IteratorResult<Wait, void> {
    const { queue, count, times } = this;
    const { scheduler, statistics } = this.environment;
    const thread = this.thread!;
    for (;;) {
      switch (this.state) {
        case State.Lock:
          if (thread.debt !== 0 && !scheduler.passes(thread)) return RUN;
          times[0] = scheduler.now();
          this.state = State.Locked;
          if (!queue.lock.take(thread)) return BLOCK;
          break;
        case State.Locked:
          this.state = State.Reserve;
          if (queue.hasRoom(count)) break;
          this.state = State.Short;
          statistics.slotWaits++;
          if (thread.debt !== 0 && !scheduler.passes(thread)) return RUN;
          break;
        case State.Short:
          this.state = State.Reserve;
          if (queue.hasRoom(count)) break;
          this.state = State.SlotsBack;
          queue.waitForSlots(thread);
          return BLOCK;
        case State.SlotsBack:
          this.state = State.Short;
          if (!queue.lock.take(thread, false)) return BLOCK;
          break;
        case State.Reserve:
          this.first = queue.reserve(thread, count);
          this.state = State.Announce;
          if (!scheduler.passes(thread)) return RUN;
          break;
        case State.Announce:
          this.inner = queue.announce(thread, this.words, this.first, count, this.waitFlags);
          if (this.empty !== null) this.empty.push(this.words);
          this.state = State.Ring;
          break;
        case State.Ring: {
          const turn = this.inner.next();
          if (turn.done !== true) return turn;
          times[1] = scheduler.now();
          times[2] = queue.heldPs();
          queue.expect(thread, queue.after(this.first, count));
          this.state = State.Poll;
          break;
        }
        case State.Poll:
          if (queue.looks(thread, queue.after(this.first, count))) return BLOCK;
          thread.reassign(Step.Completion, Step.DeviceTlb, queue.heldPs() - times[2]!);
          this.inner = queue.recovery(thread, queue.after(this.first, count));
          this.state = State.Recover;
          break;
        case State.Recover: {
          const turn = this.inner.next();
          if (turn.done !== true) return turn;
          statistics.completion.add(scheduler.now() - times[1]!);
          queue.release(thread, this.first, count);
          statistics.submission.add(scheduler.now() - times[0]!);
          queue.idle.push(this);
          return DONE;
        }
      }
    }
  }
}
