/**
 * An unbound workqueue (kernel/workqueue.c, alloc_workqueue with WQ_UNBOUND): items wait in one queue, first come first served, for a pool
 * of worker threads on the CPUs of a socket. The worker that went idle last is woken first. Items complete in any order. Not modelled:
 * creating and retiring workers (the pool has max_active of them), rescue workers, per-CPU pools.
 */
import type { Scheduler } from './scheduler.js';
import { type Call, type Cpu, type Program, type Thread, ThreadState, Wait } from './thread.js';

export interface WorkqueueCosts {
  /** queue_work: by the thread that queues. */
  readonly queueWork: number;
  /** What a worker pays to take an item off the queue and to retire it. */
  readonly takeWork: number;
}

/** struct work_struct with its function. */
export interface Work {
  run(worker: Thread): Call<void>;
}

/** A flush in progress: items queued before it that are not done. */
interface Flush {
  readonly thread: Thread;
  readonly sequence: number;
  left: number;
}

const STEP = 0;

export class Workqueue {
  readonly workers: readonly Thread[];
  /** Items queued, and done, since the beginning. */
  queued = 0;
  done = 0;
  /** Longest queue of items that no worker had taken. */
  longest = 0;
  private readonly items: Work[] = [];
  private readonly sequences: number[] = [];
  /** Index of the oldest item: the arrays are cut from time to time. */
  private head = 0;
  private readonly idle: Thread[];
  private readonly flushes: Flush[] = [];

  /** Worker i runs on CPU i modulo their number. */
  constructor(
    readonly name: string,
    private readonly scheduler: Scheduler,
    cpus: readonly Cpu[],
    workers: number,
    private readonly costs: WorkqueueCosts,
  ) {
    if (workers < 1 || cpus.length === 0) throw new RangeError(`${name}: a workqueue needs a worker and a CPU`);
    this.workers = Array.from({ length: workers }, (_, i) =>
      scheduler.spawnSleeper(`${name}/${i}`, cpus[i % cpus.length]!, (thread) => this.program(thread)),
    );
    this.idle = [...this.workers].reverse();
  }

  /** Items that no worker has taken. */
  get waiting(): number {
    return this.items.length - this.head;
  }

  /** queue_work: charges the caller, whose time passes with its next run. */
  queue(thread: Thread, item: Work): void {
    thread.charge(STEP, this.costs.queueWork);
    this.items.push(item);
    this.sequences.push(this.queued++);
    if (this.waiting > this.longest) this.longest = this.waiting;
    const worker = this.idle.pop();
    if (worker !== undefined) this.scheduler.wakeUp(worker);
  }

  /** flush_workqueue: sleeps until every item queued so far is done. */
  *flush(thread: Thread): Call<void> {
    if (thread.debt !== 0 && !this.scheduler.passes(thread)) yield Wait.Run;
    const left = this.queued - this.done;
    if (left === 0) return;
    this.flushes.push({ thread, sequence: this.queued, left });
    this.scheduler.sleep(thread, STEP);
    yield Wait.Block;
  }

  private *program(worker: Thread): Program {
    for (;;) {
      while (this.waiting > 0) {
        const item = this.items[this.head]!;
        const sequence = this.sequences[this.head++]!;
        if (this.head >= 1024 && 2 * this.head >= this.items.length) this.cut();
        worker.charge(STEP, this.costs.takeWork);
        yield* item.run(worker);
        if (worker.debt !== 0 && !this.scheduler.passes(worker)) yield Wait.Run;
        this.finish(sequence);
      }
      this.idle.push(worker);
      this.scheduler.sleep(worker, STEP);
      yield Wait.Block;
    }
  }

  private cut(): void {
    this.items.splice(0, this.head);
    this.sequences.splice(0, this.head);
    this.head = 0;
  }

  private finish(sequence: number): void {
    this.done++;
    for (let i = 0; i < this.flushes.length; i++) {
      const flush = this.flushes[i]!;
      if (sequence >= flush.sequence || --flush.left > 0) continue;
      this.flushes.splice(i--, 1);
      if (flush.thread.state !== ThreadState.Sleeping) throw new Error(`${flush.thread.name} flushes and is awake`);
      this.scheduler.wakeUp(flush.thread);
    }
  }
}
