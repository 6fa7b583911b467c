/**
 * An interrupt with a thread behind it (kernel/irq/manage.c, request_threaded_irq with IRQF_ONESHOT): the hard handler runs on the CPU that
 * the message names, wakes the thread and leaves the line masked; the thread handles and unmasks. A message that arrives while the line is
 * masked is remembered once (handle_edge_irq: IRQS_PENDING). Hard handlers queue behind soft-interrupt work of the same CPU instead of
 * interrupting it. Not modelled: the priority of interrupt threads (SCHED_FIFO), affinity changes, interrupt storms being disabled.
 */
import type { Scheduler } from './scheduler.js';
import { type Call, type Cpu, type Program, type SoftWork, type Thread, Wait } from './thread.js';

export interface InterruptCosts {
  /** From the message to the hard handler's end: entry, acknowledge, waking the thread. */
  readonly hardInterrupt: number;
  /** What the thread pays after each pass to unmask the line. */
  readonly unmask: number;
}

/** Steps of the thread's ledger, if it has one. */
const STEP = 0;

export class ThreadedInterrupt implements SoftWork {
  /** When the hard handler that woke the present pass ended, and when the pass began; absolute ps. */
  readonly times = new Float64Array(2);
  messages = 0;
  passes = 0;
  readonly thread: Thread;
  private masked = false;
  private pending = false;

  /** `handler`: one pass of the threaded handler. It empties its hardware queue as far as the driver does. */
  constructor(
    name: string,
    private readonly scheduler: Scheduler,
    private readonly cpu: Cpu,
    private readonly costs: InterruptCosts,
    handler: (thread: Thread) => Call<void>,
  ) {
    this.thread = scheduler.spawnSleeper(name, cpu, (thread) => this.program(thread, handler));
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

  *run(context: Thread): Program {
    context.charge(STEP, this.costs.hardInterrupt);
    if (!this.scheduler.passes(context)) yield Wait.Run;
    this.times[0] = this.scheduler.now();
    this.scheduler.wakeUp(this.thread);
  }

  private deliver(): void {
    this.masked = true;
    this.pending = false;
    this.scheduler.raise(this.cpu, this);
  }

  private *program(thread: Thread, handler: (thread: Thread) => Call<void>): Program {
    for (;;) {
      this.passes++;
      this.times[1] = this.scheduler.now();
      yield* handler(thread);
      thread.charge(STEP, this.costs.unmask);
      if (!this.scheduler.passes(thread)) yield Wait.Run;
      this.scheduler.sleep(thread, STEP);
      this.masked = false;
      if (this.pending) this.deliver();
      yield Wait.Block;
    }
  }
}
