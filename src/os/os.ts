/**
 * The operating system of the simulated machine: CPUs and threads, the IOMMU core and its drivers, the DMA API, and the drivers that
 * run devices. Booting is functional and takes no simulated time; everything after `start` does. This is the only part of os/
 * that the rest of the simulator talks to.
 */
import type { Event } from '../kernel/event.js';
import type { Kernel } from '../kernel/kernel.js';
import { RandomStream } from '../kernel/random.js';
import type { FrameAllocator } from '../memory/frames.js';
import type { PhysicalMemory } from '../memory/physical.js';
import type { MemorySystem } from '../memory/system.js';
import { Access } from '../protocol/access.js';
import { AskedRanges } from '../protocol/asked.js';
import type { Observer } from '../protocol/observer.js';
import type { Portals } from '../protocol/portal.js';
import type { DeviceClient, DeviceQueue, DmaStatus } from '../protocol/queue.js';
import type { RegisterBus } from '../protocol/registers.js';
import type { PageRequestLog } from '../protocol/page-request.js';
import type { DeviceWait } from '../protocol/ats.js';
import type { StallLog } from '../protocol/stall.js';
import type { StoreWatch } from '../protocol/watch.js';
import type { Registry } from '../stats/registry.js';
import type { Cpu } from './thread.js';
import { Device } from './device.js';
import { Distance } from './distance.js';
import { DirectDriver } from './direct.js';
import { DmaApi } from './dma/api.js';
import type { Bouncing } from './dma/bounce.js';
import type { Domain } from './domain.js';
import { DomainFactory } from './domain-factory.js';
import type { Driver, DriverEnvironment, OperationSink } from './drivers/driver.js';
import { Invalidate, type InvalidateSpec } from './drivers/invalidate.js';
import { MapBenchmark, type MapBenchmarkSpec } from './drivers/map-benchmark.js';
import { UserMap, type UserMapSpec } from './drivers/user-map.js';
import { OffloadJob, type OffloadSpec } from './drivers/offload.js';
import { SvaJob, type SvaSpec, type SvaSystem, threadsOfSva } from './drivers/sva.js';
import { LATE_TAG, Stream, type StreamSpec } from './drivers/stream.js';
import { OutOfCpus } from './errors.js';
import { registerGuest } from './guest/metrics.js';
import { Monitor } from './guest/monitor.js';
import { StageTwoChanges } from './guest/stage2.js';
import { Group } from './group.js';
import type { AtsCapability } from './endpoint.js';
import type { IommuDriver } from './iommu-driver.js';
import { benchmarkReport, OS_METRICS, registerJob, registerShared } from './metrics.js';
import { faultReport, registerProcesses } from './process-metrics.js';
import { Processes, type ProcessUnit } from './processes.js';
import { SpinLock } from './lock.js';
import { Scheduler } from './scheduler.js';
import type { OsSpec, UnitSpec } from './spec.js';
import { SlotPool } from './swiotlb/pool.js';
import { Swiotlb } from './swiotlb/swiotlb.js';
import { OsStatistics } from './statistics.js';
import { Timers } from './timers.js';
import { PasidTranslation } from './uapi/pasid-translation.js';
import type { UnitDriverEnvironment } from './unit-environment.js';
import { type DriverName, makeDriver } from './unit-drivers.js';

const PAGE = 4096;
/** PASIDs of 20 bits. */
const MAX_PASIDS = 2 ** 20;
const SMALLEST_LARGE_PAGE = 2 ** 21;
const LARGEST_ALIGNMENT = 2 ** 30;

export interface OsSocket {
  readonly name: string;
  readonly cores: number;
  /** Hz. */
  readonly frequency: number;
  readonly frames: FrameAllocator;
}

export interface OsUnit {
  readonly spec: UnitSpec;
  /** Socket whose memory holds the unit's tables and queues. */
  readonly socket: number;
  /** Measures stalled transactions; null or absent where nobody does. */
  readonly stalls?: StallLog | null;
  /** The same of page requests. */
  readonly pages?: PageRequestLog | null;
  /** Measures waits for device TLBs. */
  readonly deviceWait?: DeviceWait | null;
}

export interface OsDevice {
  readonly name: string;
  /** Index into the units; -1 = no IOMMU in front of it. */
  readonly unit: number;
  readonly requester: number;
  /** ATS is enabled in the device. */
  readonly ats?: AtsCapability | null;
}

/** The machine as the operating system finds it. */
export interface OsMachine {
  readonly kernel: Kernel;
  readonly memory: PhysicalMemory;
  /** CPU stores leave their lines in the caches it models; null = nobody models caches. */
  readonly timing: MemorySystem | null;
  readonly sockets: readonly OsSocket[];
  readonly units: readonly OsUnit[];
  readonly devices: readonly OsDevice[];
  readonly registers: RegisterBus;
  readonly queue: DeviceQueue;
  readonly portals: Portals;
  readonly observer: Observer | null;
  readonly sink: OperationSink | null;
  readonly seed: number;
}

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
  /** Null until a workload has some that share their address space with devices. */
  private processes: Processes | null = null;
  private readonly jobs: Driver[] = [];
  /** Job that owns each tag. */
  private readonly tagOwners: Driver[] = [];

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
  }

  /** Cycles completed by all jobs since the last reset of the metrics. */
  get operations(): number {
    return this.jobs.reduce((sum, job) => sum + job.operations, 0);
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

  /**
   * Adds driver threads that keep buffers posted to a device: threads on `socket`, buffers in the memory of socket `memory`.
   * Returns the job's number. Throws OutOfCpus, OutOfMemory.
   */
  addStream(name: string, spec: StreamSpec, device: number, socket: number, memory: number = socket): number {
    const firstTag = this.tagOwners.length;
    const random = new RandomStream(this.machine.seed, `os/${name}`);
    const cpus = this.claim(name, spec.threads + spec.completers, socket);
    const job = new Stream(name, spec, firstTag, random, cpus, this.environment(device, memory));
    for (let i = 0; i < job.tags; i++) this.tagOwners.push(job);
    this.jobs.push(job);
    return this.jobs.length - 1;
  }

  /** Adds the threads of a mapping benchmark on a device, as `addStream` does. Returns the job's number. Throws OutOfCpus, OutOfMemory. */
  addMapBenchmark(
    name: string,
    spec: MapBenchmarkSpec,
    device: number,
    socket: number,
    memory: number = socket,
  ): number {
    const cpus = this.claim(name, spec.threads, socket);
    this.jobs.push(new MapBenchmark(name, spec, cpus, this.environment(device, memory)));
    return this.jobs.length - 1;
  }

  /** Adds processes that map and unmap memory of theirs for a device. Returns the job's number. Throws OutOfCpus, OutOfMemory. */
  addUserMap(name: string, spec: UserMapSpec, device: number, socket: number): number {
    const cpus = this.claim(name, spec.threads, socket);
    this.jobs.push(new UserMap(name, spec, this.spec.userMap, cpus, this.environment(device, socket)));
    return this.jobs.length - 1;
  }

  /**
   * Adds threads that invalidate addresses of [base, base + bytes) of the domain of a device's requests with `pasid`. Returns the job's
   * number. Throws OutOfCpus.
   */
  addInvalidate(
    name: string,
    spec: InvalidateSpec,
    device: number,
    pasid: number,
    base: number,
    bytes: number,
    socket: number,
  ): number {
    const domain = this.devices[device]!.domainOf(pasid)!;
    const random = new RandomStream(this.machine.seed, `os/${name}`);
    const cpus = this.claim(name, spec.threads, socket);
    const environment = this.environment(device, socket);
    this.jobs.push(new Invalidate(name, spec, { domain, base, bytes }, this.asked, random, cpus, environment));
    return this.jobs.length - 1;
  }

  /**
   * Adds processes that share their address spaces with a device: threads, pages and tables on `socket`. Returns the job's number. Throws
   * OutOfCpus, OutOfMemory, BindError.
   */
  addSva(name: string, spec: SvaSpec, device: number, socket: number): number {
    const { machine, tagOwners } = this;
    const system = this.bindable(device, socket);
    const random = new RandomStream(machine.seed, `os/${name}`);
    const cpus = this.claim(name, threadsOfSva(spec), socket);
    const job = new SvaJob(name, spec, tagOwners.length, random, cpus, system, this.environment(device, socket));
    for (let i = 0; i < job.tags; i++) tagOwners.push(job);
    this.jobs.push(job);
    return this.jobs.length - 1;
  }

  /**
   * Adds processes that have a device's accelerator move their memory: threads, pages and tables on `socket`. Returns the job's number. Throws
   * OutOfCpus, OutOfMemory, BindError, RangeError when the device has too few work queues.
   */
  addOffload(name: string, spec: OffloadSpec, device: number, socket: number): number {
    const { memory, sockets, portals, seed } = this.machine;
    const system = {
      ...this.bindable(device, socket),
      portals,
      enqcmd: this.spec.processes.enqcmd,
      makeTranslation: () => new PasidTranslation(memory, sockets[socket]!.frames),
    };
    const random = new RandomStream(seed, `os/${name}`);
    const cpus = this.claim(name, spec.threads, socket);
    this.jobs.push(new OffloadJob(name, spec, random, cpus, system, this.environment(device, socket)));
    return this.jobs.length - 1;
  }

  /** What it takes to bind processes with memory on `socket` to a device. Throws OutOfCpus, OutOfMemory. */
  private bindable(device: number, socket: number): SvaSystem {
    const target = this.devices[device]!;
    const { spec: unitSpec, socket: near, stalls = null, pages = null } = this.machine.units[target.unit]!;
    const unit: ProcessUnit = {
      id: target.unit,
      spec: unitSpec,
      driver: this.drivers[target.unit]!,
      stalls,
      pages,
      claim: (count) => this.claim(`iopf${target.unit}`, count, near),
    };
    const { scheduler, machine, factory } = this;
    this.processes ??= new Processes(
      {
        scheduler,
        spec: this.spec.processes,
        costs: this.spec.costs,
        memory: machine.memory,
        frames: machine.sockets[socket]!.frames,
        factory,
        observer: machine.observer,
      },
      unit,
    );
    const { manager, sva } = this.processes;
    return { manager, sva, target: this.processes.target(target, unit, MAX_PASIDS) };
  }

  /** Units that translate strictly although the mode is lazy, because their driver cannot defer invalidations. */
  strictUnits(): number[] {
    if (this.spec.dma.mode !== 'lazy') return [];
    return this.drivers.flatMap((driver, unit) => (driver?.defersFlush === false ? [unit] : []));
  }

  /** Starts the threads of all jobs, in the order the jobs were added. */
  start(): void {
    for (const job of this.jobs) for (const thread of job.threads) this.scheduler.start(thread);
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
    else (this.jobs[event.unit - 1] as Stream).touch(event);
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
    if (tag !== LATE_TAG) this.tagOwners[tag]!.completed(tag, status);
  }

  /** Defines the metrics and registers those of all jobs added so far. */
  registerMetrics(registry: Registry): void {
    registry.define(OS_METRICS);
    for (const job of this.jobs) registerJob(registry, job, job.threads[0]?.cpu.frequency ?? 0);
    registerShared(registry, this.scheduler, this.statistics);
    registerGuest(registry, this.monitor);
    if (this.processes !== null) registerProcesses(registry, this.processes);
  }

  /** Output lines of dma_map_benchmark for a job over a window; null when the job is another kind. */
  benchmarkReport(job: number, windowPs: number): string[] | null {
    const driver = this.jobs[job]!;
    return benchmarkReport(driver, windowPs, driver.threads[0]!.cpu.socket);
  }

  /** Page faults of the window by stage, as lines; none without. */
  faultReport(): string[] {
    return this.processes === null ? [] : faultReport(this.processes);
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

  /** The next CPUs of the socket that run no thread. */
  private claim(job: string, count: number, socket: number): Cpu[] {
    const { name, cores } = this.machine.sockets[socket]!;
    const free = this.scheduler.cpus.filter((cpu) => cpu.socket === socket && cpu.thread === null);
    if (free.length < count) throw new OutOfCpus(name, cores, `${job}/${free.length}`);
    return free.slice(0, count);
  }

  /** `socket`: where the job's buffers lie. */
  private environment(device: number, socket: number): DriverEnvironment {
    const { kernel, queue, timing, sink, observer, sockets } = this.machine;
    const { scheduler } = this;
    const slots = 2 * scheduler.cpus.length;
    const target = this.devices[device]!;
    const { strategy } = this.spec.dma;
    const buffer = (bytes: number): number =>
      sockets[socket]!.frames.allocateContiguous(Math.ceil(bytes / PAGE) * PAGE, alignmentOf(bytes));
    return {
      kernel,
      scheduler,
      costs: this.spec.costs,
      dma: new DmaApi(
        scheduler,
        this.spec.costs,
        observer,
        slots,
        this.bouncing,
        { spec: strategy, timing, buffer },
        this.spec.traced,
      ),
      device: target,
      domain: target.domainOf(-1)!,
      queue,
      memory: timing,
      sink,
      job: this.jobs.length,
      slots,
      tick: this.spec.tick,
      buffer,
    };
  }
}

/** Blocks that a large leaf could map begin where it could: a page allocator gives out aligned powers of two. */
function alignmentOf(bytes: number): number {
  if (bytes < SMALLEST_LARGE_PAGE) return PAGE;
  let align = SMALLEST_LARGE_PAGE;
  while (align < bytes && align < LARGEST_ALIGNMENT) align *= 2;
  return align;
}
