/**
 * An interrupt with a thread behind it (kernel/irq/manage.c, request_threaded_irq with IRQF_ONESHOT): the hard handler runs on the CPU that
 * the message names, wakes the thread and leaves the line masked; the thread handles and unmasks. A message that arrives while the line is
 * masked is remembered once (handle_edge_irq: IRQS_PENDING). Hard handlers queue behind soft-interrupt work of the same CPU instead of
 * interrupting it. Not modelled: the priority of interrupt threads (SCHED_FIFO), affinity changes, interrupt storms being disabled.
 */
import type { Scheduler } from './scheduler.js';
import {
  BLOCK,
  type Call,
  type Cpu,
  DONE,
  NOTHING,
  type Program,
  Routine,
  RUN,
  type SoftWork,
  type Thread,
  type Wait,
} from './thread.js';

export interface InterruptCosts {
  /** From the message to the hard handler's end: entry, acknowledge, waking the thread. */
  readonly hardInterrupt: number;
  /** What the thread pays after each pass to unmask the line. */
  readonly unmask: number;
}

/** Steps of the thread's ledger, if it has one. */
const STEP = 0;

/** The hard handler. Its line is masked from then until its thread is done: one record serves all. */
class HardHandler extends Routine {
  private context: Thread | null = null;
  private entered = false;

  constructor(
    private readonly line: ThreadedInterrupt,
    private readonly scheduler: Scheduler,
    private readonly costs: InterruptCosts,
  ) {
    super();
  }

  begin(context: Thread): void {
    this.context = context;
    this.entered = false;
  }

  next(): IteratorResult<Wait, void> {
    const context = this.context!;
    if (!this.entered) {
      this.entered = true;
      context.charge(STEP, this.costs.hardInterrupt);
      if (!this.scheduler.passes(context)) return RUN;
    }
    this.line.handled();
    return DONE;
  }
}

const enum State {
  Begin,
  /** The handler is at work. */
  Pass,
  Unmask,
}

/** The program of the thread. */
class Handling extends Routine {
  private state = State.Begin;
  private pass: Call<void> = NOTHING;

  constructor(
    private readonly line: ThreadedInterrupt,
    private readonly scheduler: Scheduler,
    private readonly thread: Thread,
    private readonly costs: InterruptCosts,
    private readonly handler: (thread: Thread) => Call<void>,
  ) {
    super();
  }

  next(): IteratorResult<Wait, void> {
    const { line, thread } = this;
    for (;;) {
      switch (this.state) {
        case State.Begin:
          line.passBegins();
          this.pass = this.handler(thread);
          this.state = State.Pass;
          break;
        case State.Pass: {
          const turn = this.pass.next();
          if (turn.done !== true) return turn;
          thread.charge(STEP, this.costs.unmask);
          this.state = State.Unmask;
          if (!this.scheduler.passes(thread)) return RUN;
          break;
        }
        case State.Unmask:
          this.state = State.Begin;
          line.passEnds();
          return BLOCK;
      }
    }
  }
}

export class ThreadedInterrupt implements SoftWork {
  /** When the hard handler that woke the present pass ended, and when the pass began; absolute ps. */
  readonly times = new Float64Array(2);
  messages = 0;
  passes = 0;
  readonly thread: Thread;
  private readonly hard: HardHandler;
  private masked = false;
  private pending = false;

  /** `handler`: one pass of the threaded handler. It empties its hardware queue as far as the driver does. */
  constructor(
    name: string,
    private readonly scheduler: Scheduler,
    private readonly cpu: Cpu,
    costs: InterruptCosts,
    handler: (thread: Thread) => Call<void>,
  ) {
    this.hard = new HardHandler(this, scheduler, costs);
    this.thread = scheduler.spawnSleeper(name, cpu, (thread) => new Handling(this, scheduler, thread, costs, handler));
  }

  /** End of the hard handler that woke the present pass, absolute ps. */
  get handledAt(): number {
    return this.times[0]!;
  }

  /** Start of the present pass of the thread, absolute ps. */
  get startedAt(): number {
    return this.times[1]!;
  }

  /** A message has reached the CPU. */
  raise(): void {
    this.messages++;
    if (this.masked) this.pending = true;
    else this.deliver();
  }

  run(context: Thread): Program {
    this.hard.begin(context);
    return this.hard;
  }

  /** The end of the hard handler. */
  handled(): void {
    this.times[0] = this.scheduler.now();
    this.scheduler.wakeUp(this.thread);
  }

  /** A pass of the thread begins. */
  passBegins(): void {
    this.passes++;
    this.times[1] = this.scheduler.now();
  }

  /** The thread has unmasked the line and sleeps until the next pass. */
  passEnds(): void {
    this.scheduler.sleep(this.thread, STEP);
    this.masked = false;
    if (this.pending) this.deliver();
  }

  private deliver(): void {
    this.masked = true;
    this.pending = false;
    this.scheduler.raise(this.cpu, this);
  }
}
