/**
 * A CPU and the flows of control on it: a kernel thread of a driver, and its soft-interrupt context. A program is a generator that
 * adds up the time its code takes (`charge`) and yields when that time must really have passed (before it touches what another CPU
 * or the hardware can see), or when it has to wait. A CPU runs one pinned thread, or several threads by turns: each keeps the CPU until it
 * sleeps. Scheduling classes, time slices and migration are not modelled.
 */
import { Event } from '../kernel/event.js';
import type { RandomStream } from '../kernel/random.js';
import type { LatencyLedger } from '../stats/latency-ledger.js';

/** What a program yields. */
export const enum Wait {
  /** Continue when the time charged so far has passed; soft interrupts prolong it. */
  Run,
  /** As `Run`, but a deadline on the wall clock (ndelay): soft interrupts in between do not prolong it. */
  Delay,
  /** Continue when somebody ends the wait; `Scheduler.block` or `Scheduler.sleep` was called before. */
  Block,
}

/** A subroutine of a program: `const x = yield* f(thread)`. A generator, or a `Routine`. */
export interface Call<T> {
  next(): IteratorResult<Wait, T>;
  [Symbol.iterator](): Call<T>;
}

export type Program = Call<void>;

/** What `next` of a routine returns. */
export const RUN: IteratorYieldResult<Wait> = { value: Wait.Run, done: false };
export const DELAY: IteratorYieldResult<Wait> = { value: Wait.Delay, done: false };
export const BLOCK: IteratorYieldResult<Wait> = { value: Wait.Block, done: false };
export const DONE: IteratorReturnResult<void> = { value: undefined, done: true };

/**
 * A subroutine as a record with a state, which its owner uses again and again: what every map, unmap and page fault goes through. A
 * generator reads better, but costs its allocation and, each time the thread goes on, a copy of its variables. `next` does what comes next
 * until the thread has to yield.
 */
export abstract class Routine<T = void> implements Call<T> {
  abstract next(): IteratorResult<Wait, T>;

  [Symbol.iterator](): Call<T> {
    return this;
  }
}

/** A subroutine that has nothing to do. */
class Nothing extends Routine {
  next(): IteratorResult<Wait, void> {
    return DONE;
  }
}

export const NOTHING: Call<void> = new Nothing();

export const enum ThreadState {
  New,
  /** Its event is scheduled. */
  Running,
  /** Waits and keeps the CPU busy (spins, polls). */
  Blocked,
  /** Due, but the CPU is in soft-interrupt context. */
  Preempted,
  /** Waits and has left the CPU to others. */
  Sleeping,
  /** Wants to run, but another thread has the CPU. */
  Runnable,
  Done,
}

/** A loop that a blocked thread is in: runs at the end of its wait, before its program, and may send it back to wait. Interrupts are off. */
export interface Retry {
  /** True: the thread waits on, and `waits` is called once it does. */
  again(thread: Thread): boolean;
  waits(): void;
}

export class Thread {
  readonly event: Event = new Event();
  state: ThreadState = ThreadState.New;
  /** Time charged and not yet passed, ps. */
  debt = 0;
  /** Depth of interrupt-disabled sections. */
  irqOff = 0;
  /** Step charged when the current wait ends; -1 = not waiting. */
  waitStep = -1;
  /** The pending run is prolonged by soft interrupts. */
  stretches = false;
  /** Waiter list of a lock or of the invalidation queue. */
  next: Thread | null = null;
  /** Ledger of the call in progress; null in soft-interrupt context. */
  ledger: LatencyLedger | null = null;
  /** Number of the step that stands for soft interrupts in `ledger`. */
  interruptStep = 0;
  program: Program | null = null;
  /** The loop it waits in, or null; and the value that a compare-and-exchange loop has seen. */
  retry: Retry | null = null;
  expected = 0;
  /** Latency of the last DMA API call, ps. */
  lastCallPs = 0;
  /** Table pages unlinked by the unmap in progress. */
  readonly freedTables: number[] = [];

  constructor(
    readonly id: number,
    readonly name: string,
    readonly cpu: Cpu,
    /** Soft-interrupt context of its CPU. */
    readonly soft: boolean,
    /** Spread of charged times in millionths, and where it comes from. */
    private readonly jitter: number,
    private readonly random: RandomStream | null,
  ) {
    this.event.id = id;
    this.event.source = cpu.id;
  }

  /** Adds CPU time to the step, about `ps` of it (OsSpec.jitter); it passes at the next `Wait.Run`. */
  charge(step: number, ps: number): void {
    let time = ps;
    if (this.random !== null) {
      const spread = Math.floor((ps * this.jitter) / 1e6);
      if (spread > 0) time += this.random.below(2 * spread + 1) - spread;
    }
    this.chargeExactly(step, time);
  }

  /** Of the time charged to step `from`, `ps` were spent in step `to`. */
  reassign(from: number, to: number, ps: number): void {
    if (ps > 0 && this.ledger !== null) this.ledger.move(this.id, from, to, ps);
  }

  /** As `charge`, for a time that the hardware keeps, such as a delay loop on the time-stamp counter. */
  chargeExactly(step: number, ps: number): void {
    this.debt += ps;
    if (this.ledger !== null) this.ledger.chargeFor(this.id, step, ps);
  }
}

/** Deferred work: makes the program that the soft-interrupt context of `context.cpu` runs. */
export interface SoftWork {
  run(context: Thread): Program;
}

/** The threads of a CPU, its soft-interrupt context and the work waiting for that context. */
export class Cpu {
  /** The pinned thread, or the one of several whose turn it is or was last. */
  thread: Thread | null = null;
  /** Several threads run by turns. */
  shared = false;
  /** Those whose turn comes, longest waiting first. */
  readonly runQueue: Thread[] = [];
  soft: Thread | null = null;
  /** Soft-interrupt context is active. */
  active = false;
  readonly pending: SoftWork[] = [];

  constructor(
    readonly id: number,
    readonly socket: number,
    /** Core clock, Hz. */
    readonly frequency: number,
  ) {}

  /** Whether soft interrupts may start now. */
  get open(): boolean {
    return !this.active && (this.thread === null || this.thread.irqOff === 0);
  }
  /** Nobody runs, spins, or is about to run. */
  get idle(): boolean {
    const { thread } = this;
    if (thread === null) return true;
    return (
      thread.state === ThreadState.Sleeping || thread.state === ThreadState.New || thread.state === ThreadState.Done
    );
  }
}
