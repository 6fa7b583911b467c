/**
 * The domain of a process address space and its bonds (struct iommu_sva, iommu_sva_handle_mm, intel_arch_invalidate_secondary_tlbs): keeps
 * translations in step with the process page table, and resolves page faults of devices as the process would have them resolved.
 */
import { Completion } from './completion.js';
import type { Domain } from './domain.js';
import type { DomainFactory } from './domain-factory.js';
import type { IommuDriver } from './iommu-driver.js';
import type { MemoryManager } from './mm/memory.js';
import type { Mm } from './mm/mm.js';
import type { MmuNotifier } from './mm/notifier.js';
import { GroupHandling } from './group-handling.js';
import type { FaultGroup, FaultHandler } from './page-fault.js';
import type { Scheduler } from './scheduler.js';
import type { SvaDevice } from './sva.js';
import { type Call, type Thread, Wait } from './thread.js';

const STEP = 0;

/** A device bound to an address space. */
export class SvaBond {
  users = 1;
  /** The PASID is being, or has been, detached: by unbind, or by the end of the process. */
  private detached: Completion | null = null;

  constructor(
    readonly target: SvaDevice,
    readonly pasid: number,
    readonly space: SvaSpace,
  ) {}

  /** Returns when the device cannot translate by the PASID any more, whoever brings that about. */
  *detach(thread: Thread, scheduler: Scheduler): Call<void> {
    if (this.detached !== null) {
      yield* this.detached.wait(thread, STEP);
      return;
    }
    this.detached = new Completion(scheduler);
    yield* this.target.device.detachPasid(thread, this.pasid);
    if (thread.debt !== 0) yield Wait.Run;
    this.detached.complete();
  }
}

/** What the domains of all processes have in common. */
export interface SharedByAll {
  readonly scheduler: Scheduler;
  readonly manager: MemoryManager;
  /** Records of groups that have been answered. */
  readonly handlings: GroupHandling[];
}

export class SvaSpace implements MmuNotifier, FaultHandler {
  readonly domain: Domain;
  bonds: SvaBond[] = [];

  constructor(
    private readonly shared: SharedByAll,
    readonly mm: Mm,
    factory: Pick<DomainFactory, 'processDomain'>,
    driver: IommuDriver,
  ) {
    const { levels, inputLg2 } = shared.manager.tables;
    this.domain = factory.processDomain(driver, { root: mm.root, levels, inputLg2 }, this);
  }

  /** Table pages may have been unlinked too. */
  invalidate(thread: Thread, start: number, end: number): Call<void> {
    const { driver } = this.domain;
    if (start === 0 && end >= this.shared.manager.tables.limit) return driver.flushAll(thread, this.domain);
    return driver.flushRange(thread, this.domain, start, end - start, true);
  }

  /** Binds the device, whose PASID is attached. */
  bond(target: SvaDevice): SvaBond {
    const bond = new SvaBond(target, this.mm.pasid, this);
    if (this.bonds.length === 0) this.bonds = [bond];
    else this.bonds.push(bond);
    return bond;
  }

  /** The bonds stay until their devices' drivers give them up. */
  *release(thread: Thread): Call<void> {
    for (const bond of [...this.bonds]) yield* bond.detach(thread, this.shared.scheduler);
  }

  accept(thread: Thread, group: FaultGroup): boolean {
    group.queue.workqueue.queue(thread, group);
    return true;
  }

  handle(worker: Thread, group: FaultGroup): Call<void> {
    const { scheduler, manager, handlings } = this.shared;
    const handling = handlings.pop() ?? new GroupHandling(scheduler, manager, handlings);
    handling.begin(worker, group, this.mm);
    return handling;
  }
}
