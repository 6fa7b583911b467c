/**
 * iopf_group_response (drivers/iommu/io-pgfault.c): the answer to a group, under the lock of its device. A record that its queue uses again.
 * Hot path: bench/faults.mjs.
 */
import type { FaultQueue } from './iopf.js';
import type { FaultGroup, PageResponse } from './page-fault.js';
import type { Scheduler } from './scheduler.js';
import { BLOCK, type Call, DONE, NOTHING, Routine, RUN, type Thread, type Wait } from './thread.js';

const enum State {
  Lock,
  Locked,
  /** The driver has sent the answer. */
  Sent,
  Unlock,
}

export class GroupResponse extends Routine {
  private state = State.Lock;
  private thread: Thread | null = null;
  private group: FaultGroup | null = null;
  private code = 0 as PageResponse;
  /** What is done before the present state. */
  private inner: Call<void> = NOTHING;

  constructor(
    private readonly queue: FaultQueue,
    private readonly scheduler: Scheduler,
  ) {
    super();
  }

  begin(thread: Thread, group: FaultGroup, code: PageResponse): void {
    this.thread = thread;
    this.group = group;
    this.code = code;
    this.state = State.Lock;
  }

  next(): IteratorResult<Wait, void> {
    const { queue, scheduler } = this;
    const thread = this.thread!;
    const group = this.group!;
    for (;;) {
      if (this.inner !== NOTHING) {
        const turn = this.inner.next();
        if (turn.done !== true) return turn;
        this.inner = NOTHING;
      }
      switch (this.state) {
        case State.Lock:
          if (thread.debt !== 0 && !scheduler.passes(thread)) return RUN;
          this.state = State.Locked;
          if (!group.device.lock.write(thread, queue.lockUse)) return BLOCK;
          break;
        case State.Locked:
          this.state = State.Unlock;
          if (!group.pending) break;
          this.inner = queue.send(thread, group, this.code);
          this.state = State.Sent;
          break;
        case State.Sent:
          if (thread.debt !== 0 && !scheduler.passes(thread)) return RUN;
          queue.sent(group, this.code);
          this.state = State.Unlock;
          break;
        case State.Unlock:
          if (thread.debt !== 0 && !scheduler.passes(thread)) return RUN;
          group.device.lock.releaseWrite(thread, queue.lockUse);
          queue.responded(this, group);
          return DONE;
      }
    }
  }
}
