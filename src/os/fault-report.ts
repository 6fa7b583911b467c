/**
 * iommu_report_device_fault (drivers/iommu/io-pgfault.c) by a driver's interrupt thread: returns when the request is kept, its group queued or,
 * where nobody handles it, answered. A record that its queue uses again.
 * Hot path: bench/faults.mjs.
 */
import type { FaultDevice } from './fault-device.js';
import type { FaultQueue } from './iopf.js';
import type { PageFault } from './page-fault.js';
import type { Scheduler } from './scheduler.js';
import { type Call, NOTHING, Routine, RUN, type Thread, type Wait } from './thread.js';

export class FaultReport extends Routine {
  private thread: Thread | null = null;
  private device: FaultDevice | null = null;
  /** Null: it has been taken over. */
  private fault: PageFault | null = null;
  private rest: Call<void> = NOTHING;

  constructor(
    private readonly queue: FaultQueue,
    private readonly scheduler: Scheduler,
  ) {
    super();
  }

  /** The time of the report has been charged. */
  begin(thread: Thread, device: FaultDevice, fault: PageFault): void {
    this.thread = thread;
    this.device = device;
    this.fault = fault;
  }

  next(): IteratorResult<Wait, void> {
    const { queue, scheduler, fault } = this;
    const thread = this.thread!;
    if (fault !== null) {
      if (thread.debt !== 0 && !scheduler.passes(thread)) return RUN;
      this.fault = null;
      this.rest = queue.take(thread, this.device!, fault);
    }
    const turn = this.rest.next();
    if (turn.done === true) queue.reported(this);
    return turn;
  }
}
