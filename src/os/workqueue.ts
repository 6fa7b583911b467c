/**
 * An unbound workqueue (kernel/workqueue.c, alloc_workqueue with WQ_UNBOUND): items wait in one queue, first come first served, for a pool
 * of worker threads on the CPUs of a socket. The worker that went idle last is woken first. Items complete in any order. Not modelled:
 * creating and retiring workers (the pool has max_active of them), rescue workers, per-CPU pools.
 */
import type { Scheduler } from './scheduler.js';
import { BLOCK, type Call, type Cpu, NOTHING, Routine, RUN, type Thread, ThreadState, Wait } from './thread.js';

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

const enum State {
  Take,
  Run,
  Done,
}

/** The program of a worker thread. */
class Worker extends Routine {
  private state = State.Take;
  private item: Call<void> = NOTHING;
  /** Number of the item that it works on. */
  private sequence = 0;

  constructor(
    private readonly queue: Workqueue,
    private readonly scheduler: Scheduler,
    private readonly thread: Thread,
  ) {
    super();
  }

  next(): IteratorResult<Wait, void> {
    const { queue, scheduler, thread } = this;
    for (;;) {
      switch (this.state) {
        case State.Take: {
          this.sequence = queue.taken;
          const work = queue.take(thread);
          if (work === null) return BLOCK;
          this.item = work.run(thread);
          this.state = State.Run;
          break;
        }
        case State.Run: {
          const turn = this.item.next();
          if (turn.done !== true) return turn;
          this.item = NOTHING;
          this.state = State.Done;
          break;
        }
        case State.Done:
          if (thread.debt !== 0 && !scheduler.passes(thread)) return RUN;
          queue.finish(this.sequence);
          this.state = State.Take;
          break;
      }
    }
  }
}

export class Workqueue {
  readonly workers: readonly Thread[];
  /** Items queued, and done, since the beginning. */
  queued = 0;
  done = 0;
  /** Longest queue of items that no worker had taken. */
  longest = 0;
  /** Items that workers have taken: the number of the next one. */
  taken = 0;
  private readonly items: Work[] = [];
  /** Index of the oldest item: the array is cut from time to time. */
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
      scheduler.spawnSleeper(`${name}/${i}`, cpus[i % cpus.length]!, (thread) => new Worker(this, scheduler, thread)),
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
    this.queued++;
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

  /** The worker takes the oldest item; null: there is none, and it sleeps. */
  take(worker: Thread): Work | null {
    if (this.waiting === 0) {
      this.idle.push(worker);
      this.scheduler.sleep(worker, STEP);
      return null;
    }
    const item = this.items[this.head++]!;
    if (this.head >= 1024 && 2 * this.head >= this.items.length) this.cut();
    this.taken++;
    worker.charge(STEP, this.costs.takeWork);
    return item;
  }

  private cut(): void {
    this.items.splice(0, this.head);
    this.head = 0;
  }

  /** The item with this number is done. */
  finish(sequence: number): void {
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
