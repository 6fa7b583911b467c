/** An I/O address space with the driver that installs it in the hardware (struct iommu_domain, struct iommu_domain_ops). */
import { DomainState, type DomainType } from './domain-state.js';
import type { IommuDriver } from './iommu-driver.js';
import type { SpinLock } from './lock.js';
import type { Call, Thread } from './thread.js';

export class Domain extends DomainState {
  constructor(
    id: number,
    type: DomainType,
    readonly driver: IommuDriver,
    cacheLock: SpinLock,
  ) {
    super(id, type, cacheLock);
  }

  /** Removes every cached translation of the domain and waits until they are gone. */
  flushAll(thread: Thread): Call<void> {
    return this.driver.flushAll(thread, this);
  }
}
