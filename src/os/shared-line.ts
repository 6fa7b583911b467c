/**
 * A cache line that CPUs share: atomic operations, stores and loads of its words, each of which needs the line in the CPU's own cache. One access
 * at a time has it; who is next among those that wait is drawn by lot, since interconnects keep no order, and the line takes its time to move
 * there, longer between sockets. A compare-and-exchange loop (cmpxchg) succeeds when nobody has stored since its last look, otherwise it
 * has looked again and goes back to the others: of n CPUs in the loop about one attempt in the square root of n succeeds. Not modelled: copies
 * shared for reading (a load moves the line as a store does), atomics executed at the memory.
 */
import type { RandomStream } from '../kernel/random.js';
import type { Scheduler } from './scheduler.js';
import type { CostSpec } from './spec.js';
import { Step } from './step.js';
import { type Call, type Cpu, type Retry, type Thread, Wait } from './thread.js';

/** Counters of all shared lines of the command queues. */
export class LineStatistics {
  /** Loads, stores and atomics, attempts of loops included; and those for which the line had to move. */
  accesses = 0;
  moves = 0;
  /** Compare-and-exchange operations, and those that failed. */
  attempts = 0;
  failures = 0;
  /** [0] = time spent waiting for other CPUs' accesses, retries included, ps. */
  readonly wait: Float64Array = new Float64Array(1);

  reset(): void {
    this.accesses = 0;
    this.moves = 0;
    this.attempts = 0;
    this.failures = 0;
    this.wait[0] = 0;
  }
}

export class SharedLine implements Retry {
  /** Somebody has the line under way or in use. */
  private busy = false;
  private holder: Cpu | null = null;
  /** Number of the value: counts the stores. */
  private version = 0;
  private readonly waiting: Thread[] = [];

  constructor(
    private readonly scheduler: Scheduler,
    private readonly costs: CostSpec,
    private readonly statistics: LineStatistics,
    private readonly random: RandomStream,
  ) {}

  /** One load, store or atomic; returns when it is done. A line that the CPU has is used within the time that the thread has still to pay. */
  *access(thread: Thread, stores: boolean): Call<void> {
    yield* this.obtain(thread);
    if (stores) this.version++;
    this.next();
  }

  /** A load and the compare-and-exchange loop that follows it; returns when its own store has been made. */
  *exchange(thread: Thread): Call<void> {
    const { scheduler, statistics, waiting } = this;
    yield* this.obtain(thread);
    if (waiting.length > 0) {
      if (thread.debt !== 0) yield Wait.Run;
      const asked = scheduler.now();
      scheduler.block(thread, Step.LockWait);
      thread.expected = this.version;
      thread.retry = this;
      waiting.push(thread);
      this.next();
      yield Wait.Block;
      statistics.wait[0] = statistics.wait[0]! + scheduler.now() - asked;
    } else {
      statistics.accesses++;
      statistics.attempts++;
      thread.charge(Step.Lock, this.costs.atomic);
    }
    this.version++;
    this.next();
  }

  /** `Retry.again`: an attempt is over. */
  again(thread: Thread): boolean {
    const { statistics } = this;
    statistics.attempts++;
    if (thread.expected === this.version) return false;
    statistics.failures++;
    thread.expected = this.version;
    this.waiting.push(thread);
    return true;
  }

  /** `Retry.waits`: the thread that failed waits with the others. */
  waits(): void {
    this.next();
  }

  /** The line comes to the CPU and is used; `next` must follow. */
  private *obtain(thread: Thread): Call<void> {
    if (!this.busy && this.holder === thread.cpu) {
      this.statistics.accesses++;
      this.busy = true;
      thread.charge(Step.Lock, this.costs.atomic);
      return;
    }
    if (thread.debt !== 0) yield Wait.Run;
    if (this.busy) {
      const { scheduler, statistics } = this;
      const asked = scheduler.now();
      scheduler.block(thread, Step.LockWait);
      this.waiting.push(thread);
      yield Wait.Block;
      statistics.wait[0] = statistics.wait[0]! + scheduler.now() - asked;
      return;
    }
    thread.charge(Step.Lock, this.grant(thread.cpu));
    yield Wait.Run;
  }

  /** The access is over: the line goes to one of those that wait. */
  private next(): void {
    const { waiting } = this;
    const count = waiting.length;
    if (count === 0) {
      this.busy = false;
      return;
    }
    const chosen = count === 1 ? 0 : this.random.below(count);
    const thread = waiting[chosen]!;
    waiting[chosen] = waiting[count - 1]!;
    waiting.pop();
    this.scheduler.wake(thread, this.grant(thread.cpu));
  }

  /** The line goes to the CPU: the time until it has been used there. */
  private grant(cpu: Cpu): number {
    const { costs, statistics, holder } = this;
    this.busy = true;
    this.holder = cpu;
    statistics.accesses++;
    if (holder === null || holder === cpu) return costs.atomic;
    statistics.moves++;
    return costs.atomic + (holder.socket === cpu.socket ? costs.lineTransfer : costs.lineTransferRemote);
  }
}
