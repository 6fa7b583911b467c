/**
 * Shared virtual addressing (drivers/iommu/iommu-sva.c): binds process address spaces to devices, which then use process addresses with the
 * PASID of the process. One PASID for each address space until it dies, one domain for all its devices behind units of one driver.
 * Not modelled: PASID 0 and other reserved ones beyond it, kernel address spaces.
 */
import type { Device } from './device.js';
import type { Domain } from './domain.js';
import type { DomainFactory } from './domain-factory.js';
import { AttachError, BindError } from './errors.js';
import type { FaultDevice } from './fault-device.js';
import type { IommuDriver } from './iommu-driver.js';
import type { FaultQueue } from './iopf.js';
import { LockStatistics } from './lock.js';
import type { MemoryManager } from './mm/memory.js';
import type { Mm } from './mm/mm.js';
import { PasidAllocator } from './pasid-allocator.js';
import { RwSemaphore, type SemaphoreUse } from './rw-semaphore.js';
import type { Scheduler } from './scheduler.js';
import type { UnitSpec } from './spec.js';
import { type SharedByAll, type SvaBond, SvaSpace } from './sva-space.js';
import { tableFormat } from './table-code.js';
import type { TableFormat } from './table-costs.js';
import { type Call, type Thread, Wait } from './thread.js';

export interface SvaCosts {
  /** iommu_sva_bind_device and iommu_sva_unbind_device, without what the IOMMU's driver does. */
  readonly bind: number;
  readonly unbind: number;
  /** Uncontended acquire and release of iommu_sva_lock. */
  readonly lock: number;
}

/** A device that processes can be bound to. */
export interface SvaDevice {
  readonly device: Device;
  /** Null: no IOMMU translates for it. */
  readonly driver: IommuDriver | null;
  /** What its unit is. */
  readonly unit: UnitSpec;
  /** PASIDs below this work on the device and its unit. */
  readonly maxPasids: number;
  /** Where its page faults are handled; null: it has none that can be. */
  readonly faults: { readonly queue: FaultQueue; readonly device: FaultDevice } | null;
}

/** What an address space with a PASID and no bond has. Never changed: the first domain replaces it. */
const NO_SPACES: SvaSpace[] = [];

/** Step of the caller's ledger, if it has one. */
const STEP = 0;

export class Sva {
  readonly locks = new LockStatistics();
  /** Bonds that exist. */
  bonds = 0;
  private readonly pasids = new PasidAllocator();
  /** Domains of the address spaces that have a PASID (struct iommu_mm_data). */
  private readonly bindings = new Map<Mm, SvaSpace[]>();
  /** iommu_sva_lock. */
  private readonly lock = new RwSemaphore();
  private readonly lockUse: SemaphoreUse;
  private readonly shared: SharedByAll;

  /** `cpuFormat`: whose tables the manager's address spaces have. */
  constructor(
    private readonly scheduler: Scheduler,
    private readonly manager: MemoryManager,
    private readonly cpuFormat: TableFormat,
    private readonly factory: Pick<DomainFactory, 'processDomain'>,
    private readonly costs: SvaCosts,
  ) {
    this.lockUse = { scheduler, costs, steps: { lock: STEP, wait: STEP }, statistics: this.locks };
    this.shared = { scheduler, manager, handlings: [] };
    manager.onDrop = (mm) => this.forget(mm);
  }

  /**
   * The device may use the addresses of the process, with the PASID of the bond returned; binding again returns the same bond. Throws BindError:
   * ENODEV without IOMMU, ESRCH for a dying process, EBUSY if its pointers are tagged or another domain has its PASID on the device,
   * ENOSPC when there is no PASID, EOVERFLOW if the device does not reach its PASID, EINVAL if the unit cannot walk its tables.
   */
  *bind(thread: Thread, target: SvaDevice, mm: Mm): Call<SvaBond> {
    thread.charge(STEP, this.costs.bind);
    yield* this.acquire(thread);
    try {
      return this.bindLocked(target, mm);
    } finally {
      this.lock.releaseWrite(thread, this.lockUse);
    }
  }

  /** `bind` without simulated time, before the run. */
  bindAtBoot(target: SvaDevice, mm: Mm): SvaBond {
    return this.bindLocked(target, mm);
  }

  /** Gives a bond up. With its last user: returns when the device cannot translate by it and every page fault of it has been answered. */
  *unbind(thread: Thread, bond: SvaBond): Call<void> {
    thread.charge(STEP, this.costs.unbind);
    yield* this.acquire(thread);
    if (bond.users === 0) throw new Error(`${bond.target.device.name} is unbound more often than bound`);
    bond.users--;
    if (bond.users === 0) yield* this.dissolve(thread, bond);
    if (thread.debt !== 0) yield Wait.Run;
    this.lock.releaseWrite(thread, this.lockUse);
  }

  /** Domains that the address space has. */
  domainsOf(mm: Mm): readonly Domain[] {
    return this.bindings.get(mm)?.map((space) => space.domain) ?? [];
  }

  private bindLocked(target: SvaDevice, mm: Mm): SvaBond {
    const { device, driver } = target;
    if (driver === null || device.unit < 0) throw new BindError('ENODEV', `${device.name} has no IOMMU`);
    if (mm.users === 0) throw new BindError('ESRCH', `address space ${mm.id} is dying`);
    this.assignPasid(target, mm);
    const spaces = this.bindings.get(mm)!;
    for (const space of spaces) {
      const known = space.bonds.find((bond) => bond.target.device === device);
      if (known === undefined) continue;
      known.users++;
      return known;
    }
    this.checkUnit(target);
    // A domain of the address space that suits the device, else a new one.
    let space = spaces.find((other) => other.domain.driver === driver);
    const fresh = space === undefined;
    space ??= new SvaSpace(this.shared, mm, this.factory, driver);
    attach(target, mm.pasid, space.domain);
    if (fresh) {
      if (spaces.length === 0) this.bindings.set(mm, [space]);
      else spaces.push(space);
      mm.references++;
      mm.register(space);
    }
    this.bonds++;
    return space.bond(target);
  }

  private assignPasid({ device, maxPasids }: SvaDevice, mm: Mm): void {
    if (mm.tagged) throw new BindError('EBUSY', `address space ${mm.id} has tagged pointers`);
    if (mm.pasid >= 0) {
      if (mm.pasid >= maxPasids) {
        throw new BindError('EOVERFLOW', `${device.name}: PASID ${mm.pasid} is not below ${maxPasids}`);
      }
      return;
    }
    const pasid = this.pasids.allocate(maxPasids);
    if (pasid < 0) throw new BindError('ENOSPC', `${device.name}: no PASID below ${maxPasids} is left`);
    mm.pasid = pasid;
    this.bindings.set(mm, NO_SPACES);
  }

  private checkUnit({ device, unit }: SvaDevice): void {
    const { tables } = this.manager;
    const walks = tableFormat(unit) === this.cpuFormat && unit.stage !== 'second';
    if (!walks || unit.levels !== tables.levels || unit.granule !== 4096) {
      throw new BindError('EINVAL', `${device.name}: its IOMMU unit does not walk the page tables of the CPUs`);
    }
  }

  private *dissolve(thread: Thread, bond: SvaBond): Call<void> {
    const { space, target, pasid } = bond;
    yield* bond.detach(thread, this.scheduler);
    if (target.faults !== null) yield* target.faults.queue.drain(thread, target.faults.device, pasid);
    space.bonds.splice(space.bonds.indexOf(bond), 1);
    this.bonds--;
    if (space.bonds.length > 0) return;
    const { mm } = space;
    const spaces = this.bindings.get(mm)!;
    spaces.splice(spaces.indexOf(space), 1);
    mm.unregister(space);
    this.manager.drop(mm);
  }

  private *acquire(thread: Thread): Call<void> {
    yield Wait.Run;
    if (!this.lock.write(thread, this.lockUse)) yield Wait.Block;
    if (thread.debt !== 0) yield Wait.Run;
  }

  private forget(mm: Mm): void {
    if (mm.pasid < 0) return;
    this.pasids.free(mm.pasid);
    this.bindings.delete(mm);
    mm.pasid = -1;
  }
}

/** iommu_attach_device_pasid, with the errors of binding. */
function attach({ device }: SvaDevice, pasid: number, domain: Domain): void {
  try {
    device.attachPasid(pasid, domain);
  } catch (error) {
    if (error instanceof AttachError) throw new BindError(error.errno, error.message);
    // The unit has no tag left for another address space.
    if (error instanceof RangeError) throw new BindError('ENOSPC', error.message);
    throw error;
  }
}
