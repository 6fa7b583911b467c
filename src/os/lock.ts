/**
 * A queued spin lock (kernel/locking/qspinlock.c) taken with interrupts disabled: first come, first served, and every hand-over
 * moves the lock's cache line to the next waiter, which costs more when that CPU sits on another socket. What the lock word
 * itself does on the interconnect is not modelled beyond the two hand-over costs.
 */
import type { Scheduler } from './scheduler.js';
import type { CostSpec } from './spec.js';
import { Step } from './step.js';
import type { Thread } from './thread.js';

/** Counters of all locks of one kind (all domains' cache_lock, all units' q_lock, ...). */
export class LockStatistics {
  acquisitions = 0;
  contended = 0;
  /** [0] = time spent waiting, ps, hand-over included. */
  readonly wait: Float64Array = new Float64Array(1);

  reset(): void {
    this.acquisitions = 0;
    this.contended = 0;
    this.wait[0] = 0;
  }
}

export class SpinLock {
  private owner: Thread | null = null;
  private first: Thread | null = null;
  private last: Thread | null = null;

  constructor(
    private readonly scheduler: Scheduler,
    private readonly costs: CostSpec,
    private readonly statistics: LockStatistics,
  ) {}

  get held(): boolean {
    return this.owner !== null;
  }

  /**
   * Takes the lock, or queues the thread: `if (!lock.take(thread)) yield Wait.Block;` holds the lock afterwards either way.
   * Disables interrupts at once: a kernel spins with them off. The caller must have settled its time (`Wait.Run`) before,
   * so that the lock is taken at the instant it is asked for. `charge: false` charges nothing for a free lock: the
   * caller's own cost covers it (the completion poll retakes q_lock each turn).
   */
  take(thread: Thread, charge = true): boolean {
    if (thread.debt !== 0) throw new Error(`${thread.name} asks for a lock with ${thread.debt} ps of unsettled time`);
    this.statistics.acquisitions++;
    thread.irqOff++;
    if (this.owner === null) {
      this.owner = thread;
      if (charge) thread.charge(Step.Lock, this.costs.lock);
      return true;
    }
    this.statistics.contended++;
    thread.next = null;
    if (this.last === null) this.first = thread;
    else this.last.next = thread;
    this.last = thread;
    this.scheduler.block(thread, Step.LockWait);
    return false;
  }

  /** Releases at this instant; the caller has settled. The longest waiter owns the lock from now on and runs after the hand-over. */
  release(thread: Thread): void {
    if (this.owner !== thread) throw new Error(`${thread.name} releases a lock it does not hold`);
    if (thread.debt !== 0) throw new Error(`${thread.name} releases a lock with ${thread.debt} ps of unsettled time`);
    thread.irqOff--;
    const next = this.first;
    this.owner = next;
    if (next === null) return;
    this.first = next.next;
    if (this.first === null) this.last = null;
    next.next = null;
    const handOver = next.cpu.socket === thread.cpu.socket ? this.costs.lockHandOver : this.costs.lockHandOverRemote;
    const wait = this.statistics.wait;
    wait[0] = wait[0]! + this.scheduler.blockedFor(next) + handOver;
    this.scheduler.wake(next, handOver);
  }
}
