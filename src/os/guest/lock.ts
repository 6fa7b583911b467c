/**
 * The lock of the virtual machine monitor (QEMU's BQL, which covers every emulated register): vCPUs that find it taken sleep and
 * get it in the order in which they came. The kernel's futex lets a running thread overtake a sleeping one; that is not modelled.
 */
import type { Scheduler } from '../scheduler.js';
import { Step } from '../step.js';
import type { Thread } from '../thread.js';
import type { GuestSpec } from './spec.js';
import type { GuestStatistics } from './statistics.js';

export class MonitorLock {
  private owner: Thread | null = null;
  private readonly waiters: Thread[] = [];

  constructor(
    private readonly scheduler: Scheduler,
    private readonly spec: GuestSpec,
    private readonly statistics: GuestStatistics,
  ) {}

  /** Takes the lock or queues the thread, which has to block if this returns false, and owns the lock when it is woken. */
  take(thread: Thread): boolean {
    if (this.owner === null) {
      this.owner = thread;
      thread.charge(Step.Emulation, this.spec.lock);
      return true;
    }
    this.statistics.contended++;
    this.waiters.push(thread);
    this.scheduler.block(thread, Step.HostLock);
    return false;
  }

  /** Releases at this instant; the thread has settled its time. */
  release(thread: Thread): void {
    if (this.owner !== thread) throw new Error(`${thread.name} releases the monitor's lock but does not hold it`);
    const next = this.waiters.shift() ?? null;
    this.owner = next;
    if (next === null) return;
    const { lockHandOver } = this.spec;
    this.statistics.lockWait.add(this.scheduler.blockedFor(next) + lockHandOver);
    this.scheduler.wake(next, lockHandOver);
  }
}
