/**
 * iommu_sva_handle_iopf (drivers/iommu/iommu-sva.c): a worker resolves the faults of a group one after the other, as its process would; the first
 * error ends the group; then the answer. A record that the domains of all processes use again.
 * Hot path: bench/faults.mjs.
 */
import type { MemoryManager } from './mm/memory.js';
import type { Mm } from './mm/mm.js';
import { FaultKind } from './mm/statistics.js';
import { type FaultGroup, FaultStage, PageResponse } from './page-fault.js';
import type { Scheduler } from './scheduler.js';
import { BLOCK, type Call, DONE, NOTHING, Routine, RUN, type Thread, type Wait } from './thread.js';

const enum State {
  Begin,
  /** The next fault of the group, if there is one. */
  Next,
  Lock,
  Locked,
  /** Memory management is at work. */
  Fault,
  Resolved,
  Answer,
  Answered,
}

export class GroupHandling extends Routine {
  private state = State.Begin;
  private worker: Thread | null = null;
  private group: FaultGroup | null = null;
  private mm: Mm | null = null;
  private at = 0;
  private code = PageResponse.Success;
  private kind = FaultKind.Failed;
  private fault: Call<FaultKind> | null = null;
  /** What is done before the present state. */
  private inner: Call<void> = NOTHING;

  /** `idle`: where the record goes when it is done. */
  constructor(
    private readonly scheduler: Scheduler,
    private readonly manager: MemoryManager,
    private readonly idle: GroupHandling[],
  ) {
    super();
  }

  begin(worker: Thread, group: FaultGroup, mm: Mm): void {
    this.worker = worker;
    this.group = group;
    this.mm = mm;
    this.at = 0;
    this.code = PageResponse.Success;
    this.state = State.Begin;
  }

  next(): IteratorResult<Wait, void> {
    const { scheduler, manager } = this;
    const worker = this.worker!;
    const group = this.group!;
    const mm = this.mm!;
    for (;;) {
      if (this.inner !== NOTHING) {
        const turn = this.inner.next();
        if (turn.done !== true) return turn;
        this.inner = NOTHING;
      }
      switch (this.state) {
        case State.Begin:
          if (worker.debt !== 0 && !scheduler.passes(worker)) return RUN;
          group.queue.charge(group, FaultStage.HandOff);
          this.state = State.Next;
          break;
        case State.Next:
          this.state = State.Answer;
          if (this.code !== PageResponse.Success || this.at === group.faults.length) break;
          if (mm.get()) this.state = State.Lock;
          else this.code = PageResponse.Invalid;
          break;
        case State.Lock:
          if (worker.debt !== 0 && !scheduler.passes(worker)) return RUN;
          this.state = State.Locked;
          if (!mm.lock.read(worker, manager.lockUse)) return BLOCK;
          break;
        case State.Locked: {
          const { address, access } = group.faults[this.at++]!;
          this.fault = manager.fault(worker, mm, address, access);
          this.kind = FaultKind.Failed;
          this.state = this.fault === null ? State.Resolved : State.Fault;
          break;
        }
        case State.Fault: {
          const turn = this.fault!.next();
          if (turn.done !== true) return turn;
          this.kind = turn.value;
          this.state = State.Resolved;
          break;
        }
        case State.Resolved:
          if (worker.debt !== 0 && !scheduler.passes(worker)) return RUN;
          mm.lock.releaseRead(worker, manager.lockUse);
          if (this.kind === FaultKind.Failed) this.code = PageResponse.Invalid;
          // This may have become the last user: the worker then ends the address space.
          if (mm.users === 1) this.inner = manager.put(worker, mm);
          else mm.users--;
          this.state = State.Next;
          break;
        case State.Answer:
          if (worker.debt !== 0 && !scheduler.passes(worker)) return RUN;
          group.queue.charge(group, FaultStage.Handler);
          this.inner = group.queue.respond(worker, group, this.code);
          this.state = State.Answered;
          break;
        case State.Answered:
          this.idle.push(this);
          return DONE;
      }
    }
  }
}
