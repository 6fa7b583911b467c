/**
 * A sleeping lock with many readers or one writer (kernel/locking/rwsem.c): a thread that cannot have it gives its CPU away until it can.
 * First come, first served; readers at the head of the queue enter together. With writers only it is a mutex (kernel/locking/mutex.c).
 * Waiters of a lock whose holders do not sleep may spin instead. Not modelled: readers overtaking a waiting writer, the lock word on the interconnect.
 */
import type { LockStatistics } from './lock.js';
import type { Scheduler } from './scheduler.js';
import type { Thread } from './thread.js';

export interface SemaphoreCosts {
  /** Uncontended acquire and release. */
  readonly lock: number;
}

/** Steps of the caller's ledger: what a free lock takes, and the sleep for a taken one. */
export interface SemaphoreSteps {
  readonly lock: number;
  readonly wait: number;
}

interface Waiter {
  readonly thread: Thread;
  readonly writes: boolean;
}

export class RwSemaphore {
  private readers = 0;
  private writer: Thread | null = null;
  /** Null while nobody has ever waited: an idle lock stays small. */
  private waiting: Waiter[] | null = null;

  /** Nobody holds it and nobody waits. */
  get free(): boolean {
    return this.readers === 0 && this.writer === null && (this.waiting === null || this.waiting.length === 0);
  }

  /** Enters as a reader, or queues the thread: `if (!lock.read(...)) yield Wait.Block;` holds it either way. The caller has settled. */
  read(thread: Thread, use: SemaphoreUse): boolean {
    settled(thread);
    use.statistics.acquisitions++;
    if (this.writer === null && (this.waiting === null || this.waiting.length === 0)) {
      this.readers++;
      thread.charge(use.steps.lock, use.costs.lock);
      return true;
    }
    return this.enqueue(thread, false, use);
  }

  /** The same as the one writer. */
  write(thread: Thread, use: SemaphoreUse): boolean {
    settled(thread);
    use.statistics.acquisitions++;
    if (this.free) {
      this.writer = thread;
      thread.charge(use.steps.lock, use.costs.lock);
      return true;
    }
    return this.enqueue(thread, true, use);
  }

  /** Leaves at this instant; the caller has settled. */
  releaseRead(thread: Thread, use: SemaphoreUse): void {
    settled(thread);
    if (this.readers === 0) throw new Error(`${thread.name} releases a lock that no reader holds`);
    this.readers--;
    this.admit(use);
  }

  releaseWrite(thread: Thread, use: SemaphoreUse): void {
    settled(thread);
    if (this.writer !== thread) throw new Error(`${thread.name} releases a lock it does not hold`);
    this.writer = null;
    this.admit(use);
  }

  /** The writer becomes a reader, and lets in the readers behind it. */
  downgrade(thread: Thread, use: SemaphoreUse): void {
    settled(thread);
    if (this.writer !== thread) throw new Error(`${thread.name} downgrades a lock it does not hold`);
    this.writer = null;
    this.readers = 1;
    this.admit(use);
  }

  private enqueue(thread: Thread, writes: boolean, { scheduler, steps, statistics, handOver }: SemaphoreUse): boolean {
    statistics.contended++;
    this.waiting ??= [];
    this.waiting.push({ thread, writes });
    if (handOver === undefined) scheduler.sleep(thread, steps.wait);
    else scheduler.block(thread, steps.wait);
    return false;
  }

  /** Whoever stands first and may enter owns the lock from now on. */
  private admit({ scheduler, statistics, handOver }: SemaphoreUse): void {
    const { waiting } = this;
    if (waiting === null) return;
    for (let first = waiting[0]; first !== undefined && this.writer === null; first = waiting[0]) {
      if (first.writes && this.readers > 0) return;
      waiting.shift();
      if (first.writes) this.writer = first.thread;
      else this.readers++;
      statistics.wait[0] = statistics.wait[0]! + scheduler.blockedFor(first.thread);
      if (handOver === undefined) scheduler.wakeUp(first.thread);
      else scheduler.wake(first.thread, handOver);
    }
  }
}

/** What all locks of one kind have in common; not kept in each of them. */
export interface SemaphoreUse {
  readonly scheduler: Scheduler;
  readonly costs: SemaphoreCosts;
  readonly steps: SemaphoreSteps;
  readonly statistics: LockStatistics;
  /**
   * Waiters spin (mutex_optimistic_spin: holders do not sleep), and have the lock so long after it was given up, ps. Absent: they sleep.
   */
  readonly handOver?: number;
}

function settled(thread: Thread): void {
  if (thread.debt !== 0) throw new Error(`${thread.name} uses a lock with ${thread.debt} ps of unsettled time`);
}
