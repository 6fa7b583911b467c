/**
 * Processes whose address spaces devices share, and what that takes: memory management, the binding of devices, and for each unit that can
 * recover from page faults an interrupt with its thread, a fault queue and a workqueue. Made when a workload first asks for it: a machine
 * without has none of the threads.
 */
import type { FrameAllocator } from '../memory/frames.js';
import type { PhysicalMemory } from '../memory/physical.js';
import type { Observer } from '../protocol/observer.js';
import type { PageRequestLog } from '../protocol/page-request.js';
import type { StallLog } from '../protocol/stall.js';
import type { Device } from './device.js';
import type { Domain } from './domain.js';
import type { DomainFactory } from './domain-factory.js';
import type { TableRoot } from './domain-state.js';
import type { FaultDevice, PageResponder } from './fault-device.js';
import type { FaultPath, IommuDriver } from './iommu-driver.js';
import { FaultQueue, FaultStatistics } from './iopf.js';
import { MemoryManager } from './mm/memory.js';
import type { FaultHandler } from './page-fault.js';
import type { ProcessSpec } from './process-spec.js';
import type { Scheduler } from './scheduler.js';
import type { CostSpec, UnitSpec } from './spec.js';
import { Sva, type SvaDevice } from './sva.js';
import { tableFormat } from './table-code.js';
import type { Cpu } from './thread.js';
import { Workqueue } from './workqueue.js';

/** What the rest of the operating system has for them. */
export interface ProcessEnvironment {
  readonly scheduler: Scheduler;
  readonly spec: ProcessSpec;
  readonly costs: CostSpec;
  readonly memory: PhysicalMemory;
  /** Where pages and tables of processes lie. */
  readonly frames: FrameAllocator;
  readonly factory: DomainFactory;
  readonly observer: Observer | null;
}

/** A unit as processes meet it. */
export interface ProcessUnit {
  readonly id: number;
  readonly spec: UnitSpec;
  readonly driver: IommuDriver;
  readonly stalls: StallLog | null;
  readonly pages: PageRequestLog | null;
  /** Takes CPUs for the unit's interrupt thread and for workers. */
  readonly claim: (count: number) => Cpu[];
}

/** What handles the faults of a unit's devices: those that ask for pages have a queue of their own in hardware. */
interface FaultSide {
  readonly queue: FaultQueue;
  readonly stalls: PageResponder | null;
  readonly pages: PageResponder | null;
  readonly devices: Map<number, FaultDevice>;
}

export class Processes {
  readonly manager: MemoryManager;
  readonly sva: Sva;
  readonly statistics = new FaultStatistics();
  private readonly sides = new Map<number, FaultSide | null>();
  /** CPUs that handle page faults, and nothing else. */
  private readonly faultCpus: Cpu[] = [];

  /** Process page tables are those that `unit` walks. */
  constructor(
    private readonly environment: ProcessEnvironment,
    unit: ProcessUnit,
  ) {
    const { scheduler, spec, costs, memory, frames, observer } = environment;
    const { format, levels } = unit.driver.createTable(unit.id);
    const { memory: mm, bind, unbind } = spec;
    const mmSpec = {
      limit: Number.POSITIVE_INFINITY,
      cluster: mm.cluster,
      storage: { latency: mm.storageLatency, interval: mm.storageInterval },
      costs: mm,
    };
    this.manager = new MemoryManager(scheduler, mmSpec, memory, frames, format, levels);
    if (observer !== null) this.manager.pages.remember();
    const cpus = tableFormat(unit.spec);
    this.sva = new Sva(scheduler, this.manager, cpus, this, { bind, unbind, lock: costs.lock });
  }

  processDomain(driver: IommuDriver, table: TableRoot, faultHandler: FaultHandler): Domain {
    const { factory, observer } = this.environment;
    const domain = factory.processDomain(driver, table, faultHandler);
    observer?.shared(domain.id, (page) => this.manager.holds(page));
    return domain;
  }

  /** What CPUs have spent on page faults of devices since the last reset, ps. */
  get faultCpuTime(): number {
    const { scheduler } = this.environment;
    return this.faultCpus.reduce((sum, cpu) => sum + scheduler.usedTime(cpu), 0);
  }

  /** The device as processes are bound to it. `maxPasids`: of its unit. */
  target(device: Device, unit: ProcessUnit, maxPasids: number): SvaDevice {
    const side = this.side(unit);
    const asks = device.ats?.pageRequests === true;
    const responder = side === null ? null : asks ? side.pages : side.stalls;
    let faults: SvaDevice['faults'] = null;
    if (side !== null && responder !== null) {
      let known = side.devices.get(device.requester);
      if (known === undefined) {
        known = side.queue.add(device, responder);
        side.devices.set(device.requester, known);
      }
      faults = { queue: side.queue, device: known };
    }
    return { device, driver: unit.driver, unit: unit.spec, maxPasids, faults };
  }

  private side(unit: ProcessUnit): FaultSide | null {
    let side = this.sides.get(unit.id);
    if (side === undefined) {
      side = this.makeSide(unit);
      this.sides.set(unit.id, side);
    }
    return side;
  }

  private makeSide({ id, spec: { faults }, driver, stalls, pages, claim }: ProcessUnit): FaultSide | null {
    const stalling = faults.stalls > 0 && 'recoverFaults' in driver;
    const asking = pages !== null && 'recoverPageRequests' in driver;
    if (!stalling && !asking) return null;
    const { scheduler, spec, costs } = this.environment;
    const { workers, queueWork, takeWork, report, hardInterrupt, unmask } = spec.faults;
    const [cpu, ...others] = claim(1 + workers);
    this.faultCpus.push(cpu!, ...others);
    const workqueue = new Workqueue(`iopf${id}`, scheduler, others, workers, { queueWork, takeWork });
    const queue = new FaultQueue(
      scheduler,
      workqueue,
      { report, lock: costs.lock, handOver: costs.lockHandOver },
      this.statistics,
    );
    const devices = new Map<number, FaultDevice>();
    const path: FaultPath = {
      queue,
      cpu: cpu!,
      interrupt: { hardInterrupt, unmask },
      stalls,
      pages,
      deviceOf: (requester) => devices.get(requester) ?? null,
    };
    return {
      queue,
      stalls: stalling ? driver.recoverFaults!(id, path) : null,
      pages: asking ? driver.recoverPageRequests!(id, path) : null,
      devices,
    };
  }
}
