/** Something that happens once and that threads sleep for (kernel/sched/completion.c, complete_all). */
import type { Scheduler } from './scheduler.js';
import { type Call, type Thread, Wait } from './thread.js';

export class Completion {
  private done = false;
  private readonly waiters: Thread[] = [];

  constructor(private readonly scheduler: Scheduler) {}

  complete(): void {
    this.done = true;
    for (const thread of this.waiters.splice(0)) this.scheduler.wakeUp(thread);
  }

  /** Returns at once if it has happened; the wait is charged to `step`. */
  *wait(thread: Thread, step: number): Call<void> {
    if (thread.debt !== 0) yield Wait.Run;
    if (this.done) return;
    this.waiters.push(thread);
    this.scheduler.sleep(thread, step);
    yield Wait.Block;
  }
}
