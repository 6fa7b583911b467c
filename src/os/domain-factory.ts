/** Makes the default domains of devices (iommu_setup_default_domain): identity in passthrough mode, else a DMA domain of its own for each. */
import type { Observer } from '../protocol/observer.js';
import type { Device } from './device.js';
import { Domain } from './domain.js';
import type { TableRoot } from './domain-state.js';
import { FlushQueue } from './flush-queue.js';
import type { IommuDriver } from './iommu-driver.js';
import { IovaAllocator } from './iova/allocator.js';
import { SpinLock } from './lock.js';
import type { FaultHandler } from './page-fault.js';
import type { Scheduler } from './scheduler.js';
import type { OsSpec, UnitSpec } from './spec.js';
import type { OsStatistics } from './statistics.js';
import { tableProfile } from './table-code.js';
import type { Timers } from './timers.js';
import { log2 } from './log2.js';

export class DomainFactory {
  private readonly identity: Domain[] = [];
  private next = 0;

  constructor(
    private readonly spec: OsSpec,
    private readonly scheduler: Scheduler,
    private readonly timers: Timers,
    private readonly statistics: OsStatistics,
    private readonly observer: Observer | null,
    private readonly seed: number,
  ) {}

  /** One identity domain for each driver, shared by all its devices. */
  identityDomain(driver: IommuDriver): Domain {
    const known = this.identity.find((domain) => domain.driver === driver);
    if (known !== undefined) return known;
    const domain = new Domain(this.next++, 'identity', driver, this.lock());
    this.identity.push(domain);
    return domain;
  }

  /** A new domain for the device, whose unit is `unit`. */
  defaultDomain(device: Device, driver: IommuDriver, unit: UnitSpec): Domain {
    const { dma, superpages, costs } = this.spec;
    if (dma.mode === 'passthrough' || dma.mode === 'bounce') return this.identityDomain(driver);
    const { scheduler, timers, observer, statistics } = this;
    const common = { scheduler, timers, costs, observer };
    const domain = new Domain(this.next++, 'dma', driver, this.lock());
    const iova = new IovaAllocator(domain.id, driver.apertureBits(device.unit), {
      ...common,
      spec: dma.iova,
      statistics: statistics.iova,
      treeLocks: statistics.treeLocks,
      depotLocks: statistics.depotLocks,
      page: unit.granule,
      seed: this.seed,
      reserved: driver.reserved(device.unit),
    });
    const queue = new FlushQueue(domain, {
      ...common,
      spec: dma.flushQueue,
      statistics: statistics.flushQueue,
      locks: statistics.ringLocks,
    });
    domain.space = {
      table: driver.createTable(device.unit),
      code: tableProfile(this.spec, unit),
      iova,
      queue: dma.mode === 'lazy' && driver.defersFlush !== false ? queue : null,
      page: unit.granule,
      largestLg2: log2(superpages ? unit.largestPage : unit.granule),
      coherent: unit.coherent,
    };
    return domain;
  }

  /** A domain for the address space of a process. */
  processDomain(driver: IommuDriver, table: TableRoot, faultHandler: FaultHandler): Domain {
    const domain = new Domain(this.next++, 'sva', driver, this.lock());
    domain.process = table;
    domain.faultHandler = faultHandler;
    return domain;
  }

  private lock(): SpinLock {
    return new SpinLock(this.scheduler, this.spec.costs, this.statistics.domainLocks);
  }
}
