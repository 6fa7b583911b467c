/**
 * Changes of the second stage under a guest (ballooning, hot-unplug of memory, migration of pages that no device has pinned): a thread of
 * the host removes every translation that may have used what it changed. Hardware caches translations of both stages as one and cannot
 * find those of a guest-physical range: all of the guest's go (drivers/iommu/intel/cache.c, nesting tags; arm-smmu-v3.c, nest_parent). Only the flush
 * is modelled, not the change. The thread runs on the machine's last CPU.
 */
import type { IommuDriver } from '../iommu-driver.js';
import type { Scheduler } from '../scheduler.js';
import { Step } from '../step.js';
import { type Program, type SoftWork, type Thread, Wait } from '../thread.js';
import type { Timers } from '../timers.js';
import type { Monitor } from './monitor.js';

export class StageTwoChanges implements SoftWork {
  constructor(
    private readonly monitor: Monitor,
    private readonly scheduler: Scheduler,
    private readonly timers: Timers,
    /** Each once. */
    private readonly drivers: readonly IommuDriver[],
  ) {}

  /** The first change comes after one interval. */
  start(): void {
    this.timers.afterExactly(this.monitor.spec.stage2Change, this.scheduler.cpus.length - 1, this);
  }

  *run(context: Thread): Program {
    const { scheduler, monitor } = this;
    const begun = scheduler.now();
    context.charge(Step.Syscall, monitor.spec.call);
    for (const driver of this.drivers) if (driver.flushStage2 !== undefined) yield* driver.flushStage2(context);
    if (context.debt !== 0) yield Wait.Run;
    monitor.statistics.stage2.add(scheduler.now() - begun);
    this.start();
  }
}
