/**
 * A queued spin lock (kernel/locking/qspinlock.c) taken with interrupts disabled: first come, first served. A free lock that another CPU
 * had last costs a move of its cache line, and every hand-over to a waiter one of the waiter's queue node; both take longer between sockets.
 * A holder that polls hardware may give the lock up after each look and queue for the next (`poll`): the looks of several pollers take turns,
 * computed, without one event each. What the lock word itself does on the interconnect is not modelled further.
 */
import type { Scheduler } from './scheduler.js';
import type { CostSpec } from './spec.js';
import { Step } from './step.js';
import type { Cpu, Thread } from './thread.js';

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
  /** CPU whose cache has the lock. */
  private last: Cpu | null = null;
  /** Waiters in order; while `turnsSince` counts, pollers only, the first of which has its turn. */
  private readonly queue: Thread[] = [];
  /**
   * When the first turn began, ps, while all there are poll by turns, -1 otherwise; and the length of a turn. NaN first makes them double
   * fields, which V8 updates in place: every domain has a lock, and an array of two would be 200 bytes of it.
   */
  private turnsSince = Number.NaN;
  private turn = Number.NaN;

  constructor(
    private readonly scheduler: Scheduler,
    private readonly costs: CostSpec,
    private readonly statistics: LockStatistics,
  ) {
    this.turnsSince = -1;
    this.turn = 0;
  }

  get held(): boolean {
    return this.owner !== null;
  }

  /**
   * Takes the lock, or queues the thread: `if (!lock.take(thread)) yield Wait.Block;` holds the lock afterwards either way.
   * Disables interrupts at once: a kernel spins with them off. The caller must have settled its time (`Wait.Run`) before,
   * so that the lock is taken at the instant it is asked for. `charge: false` charges nothing for a free lock: the
   * caller's own cost covers it.
   */
  take(thread: Thread, charge = true): boolean {
    if (thread.debt !== 0) throw new Error(`${thread.name} asks for a lock with ${thread.debt} ps of unsettled time`);
    this.statistics.acquisitions++;
    thread.irqOff++;
    if (this.owner === null) {
      this.owner = thread;
      if (charge) thread.charge(Step.Lock, this.costs.lock + this.transfer(thread.cpu));
      this.last = thread.cpu;
      return true;
    }
    this.statistics.contended++;
    this.scheduler.block(thread, Step.LockWait);
    if (this.turnsSince >= 0) this.interrupt(thread);
    else this.queue.push(thread);
    return false;
  }

  /** Releases at this instant; the caller has settled. The longest waiter owns the lock from now on and runs after the hand-over. */
  release(thread: Thread): void {
    if (this.owner !== thread) throw new Error(`${thread.name} releases a lock it does not hold`);
    if (thread.debt !== 0) throw new Error(`${thread.name} releases a lock with ${thread.debt} ps of unsettled time`);
    thread.irqOff--;
    const next = this.queue.length === 0 ? null : this.queue.shift()!;
    this.owner = next;
    if (next === null) return;
    const handOver = this.handOver(next);
    if (next.waitStep === Step.LockWait) {
      const wait = this.statistics.wait;
      wait[0] = wait[0]! + this.scheduler.blockedFor(next) + handOver;
    }
    this.scheduler.wake(next, handOver);
  }

  /**
   * One look at hardware under the lock, `periodPs` long, at whose end the lock is released and asked for again. Must be followed by
   * `yield Wait.Block`, after which the thread holds the lock for its next look. While nobody but pollers wants the lock, the thread sleeps until
   * `noticed` says that its next look finds something. All pollers of a lock look equally long.
   */
  poll(thread: Thread, periodPs: number, step: Step): void {
    if (this.owner !== thread) throw new Error(`${thread.name} polls under a lock it does not hold`);
    const { queue, scheduler } = this;
    scheduler.block(thread, step);
    if (queue.length === 0 || queue.every((waiter) => waiter.waitStep === step)) {
      if (queue.length === 0) queue.push(thread);
      else queue.unshift(thread);
      this.turnsSince = scheduler.now();
      this.turn = periodPs;
      return;
    }
    const next = queue.shift()!;
    queue.push(thread);
    this.owner = next;
    scheduler.wake(next, periodPs + this.handOver(next));
  }

  /** The next look of a poller finds what it waits for: it runs when that look begins. Pollers that wait for the lock look anyway. */
  noticed(thread: Thread): void {
    if (this.turnsSince < 0 || !this.queue.includes(thread)) return;
    const late = this.rotate(thread);
    this.turnsSince = -1;
    if (this.queue.length === 1) this.queue.pop();
    else this.queue.shift();
    this.owner = thread;
    this.last = thread.cpu;
    this.scheduler.wake(thread, late);
  }

  /** A thread that wants to hold the lock has come while pollers take turns: it follows those who were there, the one at its look excepted. */
  private interrupt(thread: Thread): void {
    const { queue } = this;
    const alone = queue.length === 1;
    const left = this.rotate(null);
    this.turnsSince = -1;
    const looking = queue.shift()!;
    queue.push(thread, looking);
    const next = queue.shift()!;
    this.owner = next;
    const handOver = this.handOver(next);
    // Turns of several pollers contain the hand-over.
    this.scheduler.wake(next, alone ? left + handOver : left);
  }

  /**
   * Turns the queue so that the poller at its look is the first (`wanted` null), and returns how much of the look is left; or so that the
   * wanted one is, and returns when its next look begins. A look that ends at this instant is over.
   */
  private rotate(wanted: Thread | null): number {
    const { queue } = this;
    const alone = queue.length === 1;
    const period = this.turn + (alone ? 0 : this.costs.lockHandOver);
    const passed = this.scheduler.now() - this.turnsSince;
    // The remainder, by a division, which is much faster; both are safe integers.
    const over = period === 0 ? 0 : passed - Math.floor(passed / period) * period;
    // The look under way, or, on the boundary, the one that ends now.
    const looks = period === 0 ? 0 : over === 0 && passed > 0 ? passed / period - 1 : (passed - over) / period;
    const left = period === 0 ? 0 : over === 0 && passed > 0 ? 0 : period - over;
    if (alone) return left;
    for (let i = looks % queue.length; i > 0; i--) queue.push(queue.shift()!);
    if (wanted === null) return left;
    // Its next look: a whole round later for the one that has just looked.
    let rounds = 0;
    do {
      queue.push(queue.shift()!);
      rounds++;
    } while (queue[0] !== wanted);
    return left + (rounds - 1) * period;
  }

  private handOver(next: Thread): number {
    const from = this.last;
    this.last = next.cpu;
    return from === null || from.socket === next.cpu.socket ? this.costs.lockHandOver : this.costs.lockHandOverRemote;
  }

  /** The line comes from the CPU that had the lock last. */
  private transfer(cpu: Cpu): number {
    const { last, costs } = this;
    if (last === null || last === cpu) return 0;
    return last.socket === cpu.socket ? costs.lineTransfer : costs.lineTransferRemote;
  }
}
