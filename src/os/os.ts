/**
 * The operating system of the simulated machine: CPUs and threads, the IOMMU core and its drivers, the DMA API, and the drivers that
 * run devices. Booting is functional and takes no simulated time; everything after `start` does. This is the only part of os/
 * that the rest of the simulator talks to.
 */
import type { Event } from '../kernel/event.js';
import { Access } from '../protocol/access.js';
import { AskedRanges } from '../protocol/asked.js';
import type { DeviceClient, DmaStatus } from '../protocol/queue.js';
import type { StoreWatch } from '../protocol/watch.js';
import type { Registry } from '../stats/registry.js';
import { Device } from './device.js';
import { Distance } from './distance.js';
import { DirectDriver } from './direct.js';
import type { Bouncing } from './dma/bounce.js';
import type { Domain } from './domain.js';
import { DomainFactory } from './domain-factory.js';
import type { Stream } from './drivers/stream.js';
import { registerGuest } from './guest/metrics.js';
import { Monitor } from './guest/monitor.js';
import { StageTwoChanges } from './guest/stage2.js';
import { Group } from './group.js';
import { Jobs } from './jobs.js';
import type { IommuDriver } from './iommu-driver.js';
import { benchmarkReport, OS_METRICS, registerJob, registerShared } from './metrics.js';
import { faultReport, registerProcesses } from './process-metrics.js';
import { SpinLock } from './lock.js';
import type { OsMachine } from './os-machine.js';
import { Scheduler } from './scheduler.js';
import type { OsSpec } from './spec.js';
import { SlotPool } from './swiotlb/pool.js';
import { Swiotlb } from './swiotlb/swiotlb.js';
import { OsStatistics } from './statistics.js';
import { Timers } from './timers.js';
import type { UnitDriverEnvironment } from './unit-environment.js';
import { type DriverName, makeDriver } from './unit-drivers.js';

/** Makes the driver of an architecture's units; tests replace it by a broken one. */
export type MakeDriver = (architecture: DriverName, environment: UnitDriverEnvironment) => IommuDriver;

export class Os implements StoreWatch, DeviceClient {
  readonly scheduler: Scheduler;
  readonly asked: AskedRanges = new AskedRanges();
  readonly devices: readonly Device[];
  private readonly timers: Timers;
  private readonly direct = new DirectDriver();
  /** By unit; null where nothing is translated. */
  private readonly drivers: readonly (IommuDriver | null)[];
  private readonly factory: DomainFactory;
  readonly statistics: OsStatistics = new OsStatistics();
  private readonly bouncing: Bouncing | null;
  /** Null unless the operating system runs in a virtual machine with an emulated IOMMU. */
  private readonly monitor: Monitor | null;
  readonly jobs: Jobs;

  /** Boots: programs the units (register writes reach them at the present time) and attaches every device to a domain of its own. */
  constructor(
    private readonly spec: OsSpec,
    private readonly machine: OsMachine,
    make: MakeDriver = makeDriver,
  ) {
    const cpus = machine.sockets.flatMap(({ cores, frequency }, socket) =>
      Array.from({ length: cores }, () => ({ socket, frequency })),
    );
    this.statistics.flushQueue.executed = this.asked.executed;
    this.scheduler = new Scheduler(machine.kernel, cpus, machine.seed, spec.jitter, spec.processes);
    this.timers = new Timers(machine.kernel, this.scheduler, spec.tick);
    this.factory = new DomainFactory(
      spec,
      this.scheduler,
      this.timers,
      this.statistics,
      machine.observer,
      machine.seed,
    );
    this.bouncing = this.makeBouncing();
    this.monitor = spec.guest.mode === 'none' ? null : new Monitor(spec.guest, this.scheduler);
    this.drivers = this.bootUnits(make);
    this.devices = machine.devices.map(({ name, unit, requester, ats }, id) => {
      const translated = unit >= 0 && machine.units[unit]!.spec.architecture !== 'none';
      const device = new Device(id, name, translated ? unit : -1, requester, new Group(id), ats ?? null);
      device.group.attach(this.createDomain(device));
      return device;
    });
    const { scheduler, devices, drivers, factory, bouncing, asked } = this;
    this.jobs = new Jobs({ spec, machine, scheduler, devices, drivers, factory, bouncing, asked });
  }

  /** Cycles completed by all jobs since the last reset of the metrics. */
  get operations(): number {
    return this.jobs.list.reduce((sum, job) => sum + job.operations, 0);
  }

  /** Attaches a domain of the configured mode for the device's requests with `pasid`. Throws AttachError. */
  attachPasid(device: number, pasid: number): void {
    const target = this.devices[device]!;
    target.attachPasid(pasid, this.createDomain(target));
  }

  /**
   * Maps a buffer that stays mapped, before the run, and returns its DMA address. The address is aligned as the kernel aligns a
   * large mapping, so that large leaves result where the physical address allows. `pasid` -1: requests without PASID.
   * Throws RangeError when the address space has no room.
   */
  mapStatic(
    device: number,
    pa: number,
    bytes: number,
    pasid = -1,
    access: Access = Access.Read | Access.Write,
  ): number {
    const target = this.devices[device]!;
    const domain = target.domainOf(pasid);
    if (domain === null) throw new RangeError(`${target.name}: no domain is attached for PASID ${pasid}`);
    const space = domain.space;
    if (space === null) return pa;
    const { page } = space;
    const offset = pa % page;
    const pages = Math.ceil((offset + bytes) / page);
    const pfn = space.iova.allocateStatic(pages);
    if (pfn === 0) throw new RangeError(`${target.name}: no I/O address space left for ${bytes} bytes`);
    space.table.map(pfn * page, pa - offset, pages * page, access, space.largestLg2);
    this.machine.observer?.mapped(domain.id, pfn * page, pa - offset, pages * page, access);
    domain.driver.mapAtBoot?.(domain, pfn * page, pages * page);
    return pfn * page + offset;
  }

  /** Units that translate strictly although the mode is lazy, because their driver cannot defer invalidations. */
  strictUnits(): number[] {
    if (this.spec.dma.mode !== 'lazy') return [];
    return this.drivers.flatMap((driver, unit) => (driver?.defersFlush === false ? [unit] : []));
  }

  /** Starts the threads of all jobs, in the order the jobs were added. */
  start(): void {
    for (const job of this.jobs.list) for (const thread of job.threads) this.scheduler.start(thread);
    const { monitor, scheduler, timers } = this;
    if (monitor === null || monitor.spec.stage2Change === 0) return;
    const drivers = [...new Set(this.drivers.filter((driver) => driver !== null))];
    new StageTwoChanges(monitor, scheduler, timers, drivers).start();
  }

  /** `Op.ThreadStep`. */
  threadStep(event: Event): void {
    this.scheduler.threadStep(event);
  }

  /** `Op.Timer`. Unit 0: kernel timers; unit n: late accesses of job n - 1. */
  timer(event: Event): void {
    if (event.unit === 0) this.timers.expired(event);
    else (this.jobs.list[event.unit - 1] as Stream).touch(event);
  }

  stored(hi: number, lo: number): void {
    let last: IommuDriver | null = null;
    for (const driver of this.drivers) {
      if (driver !== last) driver?.stored(hi, lo);
      last = driver;
    }
  }

  changed(unit: number, offset: number, hi: number, lo: number): void {
    this.drivers[unit]?.changed?.(unit, offset, hi, lo);
  }

  interrupted(unit: number): void {
    this.drivers[unit]?.interrupted?.(unit);
  }

  pagesRequested(unit: number): void {
    this.drivers[unit]?.pagesRequested?.(unit);
  }

  completed(_device: number, tag: number, status: DmaStatus): void {
    this.jobs.completed(tag, status);
  }

  /** Defines the metrics and registers those of all jobs added so far. */
  registerMetrics(registry: Registry): void {
    registry.define(OS_METRICS);
    for (const job of this.jobs.list) registerJob(registry, job, job.threads[0]?.cpu.frequency ?? 0);
    registerShared(registry, this.scheduler, this.statistics);
    registerGuest(registry, this.monitor);
    const { processes } = this.jobs;
    if (processes !== null) registerProcesses(registry, processes);
  }

  /** Output lines of dma_map_benchmark for a job over a window; null when the job is another kind. */
  benchmarkReport(job: number, windowPs: number): string[] | null {
    const driver = this.jobs.list[job]!;
    return benchmarkReport(driver, windowPs, driver.threads[0]!.cpu.socket);
  }

  /** Page faults of the window by stage, as lines; none without. */
  faultReport(): string[] {
    const { processes } = this.jobs;
    return processes === null ? [] : faultReport(processes);
  }

  /** One driver for all units of an architecture. */
  private bootUnits(make: MakeDriver): (IommuDriver | null)[] {
    const { spec, machine, scheduler, statistics } = this;
    const drivers = new Map<DriverName, IommuDriver>();
    return machine.units.map(({ spec: { architecture } }) => {
      if (architecture === 'none') return null;
      const known = drivers.get(architecture);
      if (known !== undefined) return known;
      const driver = make(architecture, {
        scheduler,
        costs: spec.costs,
        distance: new Distance(
          spec.costs,
          machine.units.map(({ socket }) => socket),
        ),
        memory: machine.memory,
        timing: machine.timing,
        registers: machine.registers,
        observer: machine.observer,
        statistics: statistics.invalidation,
        queueLocks: statistics.queueLocks,
        lines: statistics.lines,
        seed: machine.seed,
        probe: spec.traced ? spec.costs.probe : 0,
        strategy: spec.dma.strategy.kind,
        invalidationHint: spec.invalidationHint,
        completion: spec.completion,
        monitor: this.monitor,
        ranges: machine.sockets.map(({ frames: { base, size } }) => ({ base, size })),
        units: machine.units.map(({ spec: unit, socket, deviceWait = null }) => {
          if (unit.architecture !== architecture) return null;
          const queueSocket = spec.queueMemory === 'near' ? socket : 0;
          const { frames } = machine.sockets[socket]!;
          return { spec: unit, frames, queueFrames: machine.sockets[queueSocket]!.frames, queueSocket, deviceWait };
        }),
      });
      drivers.set(architecture, driver);
      return driver;
    });
  }

  /** swiotlb_init, when anything is to be bounced: the pool lies in the first socket's memory, as all low memory does. */
  private makeBouncing(): Bouncing | null {
    const { spec, scheduler, statistics } = this;
    const { mode, bounce, swiotlb } = spec.dma;
    const rule = mode === 'bounce' ? 'always' : bounce;
    if (rule === 'never') return null;
    const { sockets, timing } = this.machine;
    let areas = 1;
    while (areas < (swiotlb.areas === 0 ? scheduler.cpus.length : swiotlb.areas)) areas *= 2;
    const pool = new SlotPool(swiotlb.size, areas);
    const base = sockets[0]!.frames.allocateContiguous(pool.bytes, pool.bytes);
    const environment = {
      scheduler,
      costs: spec.costs,
      statistics: statistics.swiotlb,
      memory: timing,
      makeLock: () => new SpinLock(scheduler, spec.costs, statistics.areaLocks),
      socketOf: (pa: number) => sockets.findIndex(({ frames }) => pa >= frames.base && pa < frames.base + frames.size),
    };
    return { swiotlb: new Swiotlb(pool, base, environment), rule };
  }

  private createDomain(device: Device): Domain {
    if (device.unit < 0) return this.factory.identityDomain(this.direct);
    return this.factory.defaultDomain(device, this.drivers[device.unit]!, this.machine.units[device.unit]!.spec);
  }
}
