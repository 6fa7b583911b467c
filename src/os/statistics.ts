/** Everything the operating system counts that is not the business of one job. */
import { FlushQueueStatistics } from './flush-queue.js';
import { InvalidationStatistics } from './invalidation-statistics.js';
import { IovaStatistics } from './iova/environment.js';
import { LockStatistics } from './lock.js';
import { LineStatistics } from './shared-line.js';
import { SwiotlbStatistics } from './swiotlb/statistics.js';

export class OsStatistics {
  readonly iova: IovaStatistics = new IovaStatistics();
  readonly flushQueue: FlushQueueStatistics = new FlushQueueStatistics();
  readonly invalidation: InvalidationStatistics = new InvalidationStatistics();
  /** domain->cache_lock. */
  readonly domainLocks: LockStatistics = new LockStatistics();
  /** q_lock of the invalidation queues. */
  readonly queueLocks: LockStatistics = new LockStatistics();
  readonly treeLocks: LockStatistics = new LockStatistics();
  readonly depotLocks: LockStatistics = new LockStatistics();
  readonly ringLocks: LockStatistics = new LockStatistics();
  /** Shared lines of the command queues. */
  readonly lines: LineStatistics = new LineStatistics();

  /** Locks of the areas of the bounce pool. */
  readonly areaLocks: LockStatistics = new LockStatistics();
  readonly swiotlb: SwiotlbStatistics = new SwiotlbStatistics();

  reset(now: number): void {
    this.iova.reset();
    this.swiotlb.reset(now);
    this.areaLocks.reset();
    this.flushQueue.reset(now);
    this.invalidation.reset();
    this.lines.reset();
    for (const lock of [this.domainLocks, this.queueLocks, this.treeLocks, this.depotLocks, this.ringLocks])
      lock.reset();
  }
}
