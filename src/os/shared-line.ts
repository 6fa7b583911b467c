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
import { BLOCK, type Call, type Cpu, DONE, type Retry, Routine, RUN, type Thread, type Wait } from './thread.js';

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

const enum Use {
  Load,
  Store,
  /** A load, then compare-and-exchange until it succeeds. */
  Exchange,
}

const enum State {
  Begin,
  /** The line has to come. */
  Ask,
  /** Has waited for the line. */
  Waited,
  /** Has it. */
  Here,
  /** Goes into the loop of those that compare and exchange; has left it. */
  Loop,
  Looped,
  End,
}

/** One access of a thread. A record that its line uses again. */
class LineAccess extends Routine {
  private state = State.Begin;
  private use = Use.Load;
  private thread: Thread | null = null;
  /** [0] = when the wait began, ps. */
  private readonly asked = new Float64Array(1);

  constructor(
    private readonly line: SharedLine,
    private readonly scheduler: Scheduler,
  ) {
    super();
  }

  begin(thread: Thread, use: Use): void {
    this.thread = thread;
    this.use = use;
    this.state = State.Begin;
  }

  next(): IteratorResult<Wait, void> {
    const { line, scheduler, asked } = this;
    const thread = this.thread!;
    for (;;) {
      switch (this.state) {
        case State.Begin:
          this.state = State.Here;
          if (line.useOwn(thread)) break;
          this.state = State.Ask;
          if (thread.debt !== 0 && !scheduler.passes(thread)) return RUN;
          break;
        case State.Ask:
          asked[0] = scheduler.now();
          this.state = State.Waited;
          if (!line.bring(thread)) return BLOCK;
          this.state = State.Here;
          if (!scheduler.passes(thread)) return RUN;
          break;
        case State.Waited:
          line.waitedSince(asked[0]!);
          this.state = State.Here;
          break;
        case State.Here:
          this.state = State.End;
          if (this.use !== Use.Exchange) break;
          if (!line.contended) {
            line.exchangeOwn(thread);
            break;
          }
          this.state = State.Loop;
          if (thread.debt !== 0 && !scheduler.passes(thread)) return RUN;
          break;
        case State.Loop:
          asked[0] = scheduler.now();
          line.loop(thread);
          this.state = State.Looped;
          return BLOCK;
        case State.Looped:
          line.waitedSince(asked[0]!);
          this.state = State.End;
          break;
        case State.End:
          line.end(this, this.use !== Use.Load);
          return DONE;
      }
    }
  }
}

export class SharedLine implements Retry {
  /** Somebody has the line under way or in use. */
  private busy = false;
  private holder: Cpu | null = null;
  /** Number of the value: counts the stores. */
  private version = 0;
  private readonly waiting: Thread[] = [];
  /** Records of accesses that are over. */
  private readonly idle: LineAccess[] = [];

  constructor(
    private readonly scheduler: Scheduler,
    private readonly costs: CostSpec,
    private readonly statistics: LineStatistics,
    private readonly random: RandomStream,
  ) {}

  /** One load, store or atomic; returns when it is done. A line that the CPU has is used within the time that the thread has still to pay. */
  access(thread: Thread, stores: boolean): Call<void> {
    return this.begin(thread, stores ? Use.Store : Use.Load);
  }

  /** A load and the compare-and-exchange loop that follows it; returns when its own store has been made. */
  exchange(thread: Thread): Call<void> {
    return this.begin(thread, Use.Exchange);
  }

  private begin(thread: Thread, use: Use): Call<void> {
    const access = this.idle.pop() ?? new LineAccess(this, this.scheduler);
    access.begin(thread, use);
    return access;
  }

  /** The access has been made: whoever comes next has the line. */
  end(access: LineAccess, stored: boolean): void {
    if (stored) this.version++;
    this.next();
    this.idle.push(access);
  }

  /** Uses the line in the CPU's own cache; false: it has to come. `end` or `loop` must follow. */
  useOwn(thread: Thread): boolean {
    if (this.busy || this.holder !== thread.cpu) return false;
    this.statistics.accesses++;
    this.busy = true;
    thread.charge(Step.Lock, this.costs.atomic);
    return true;
  }

  /** Brings the line to the CPU and uses it; false: the thread, which has settled, waits for it. */
  bring(thread: Thread): boolean {
    if (this.busy) {
      this.wait(thread);
      return false;
    }
    thread.charge(Step.Lock, this.grant(thread.cpu));
    return true;
  }

  /** Others want the line that has come for a compare-and-exchange loop. */
  get contended(): boolean {
    return this.waiting.length > 0;
  }

  /** The compare-and-exchange of a loop that nobody disturbs. */
  exchangeOwn(thread: Thread): void {
    this.statistics.accesses++;
    this.statistics.attempts++;
    thread.charge(Step.Lock, this.costs.atomic);
  }

  /** The thread, which has settled and has the line, goes into the loop with the others: `again` says when it leaves. */
  loop(thread: Thread): void {
    thread.expected = this.version;
    thread.retry = this;
    this.wait(thread);
    this.next();
  }

  /** The thread has waited since then, ps. */
  waitedSince(asked: number): void {
    const { wait } = this.statistics;
    wait[0] = wait[0]! + this.scheduler.now() - asked;
  }

  private wait(thread: Thread): void {
    this.scheduler.block(thread, Step.LockWait);
    this.waiting.push(thread);
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
