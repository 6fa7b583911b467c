/**
 * The jobs of a workload as software: drivers of devices with their threads, which run from `Os.start` on. Each gets the next free cores of its
 * socket, buffers from that socket's memory, and tags that tell whose DMA is complete.
 */
import { RandomStream } from '../kernel/random.js';
import type { AskedRanges } from '../protocol/asked.js';
import type { DmaStatus } from '../protocol/queue.js';
import type { Device } from './device.js';
import { DmaApi } from './dma/api.js';
import type { Bouncing } from './dma/bounce.js';
import type { DomainFactory } from './domain-factory.js';
import type { Driver, DriverEnvironment } from './drivers/driver.js';
import { Invalidate, type InvalidateSpec } from './drivers/invalidate.js';
import { MapBenchmark, type MapBenchmarkSpec } from './drivers/map-benchmark.js';
import { OffloadJob, type OffloadSpec } from './drivers/offload.js';
import { LATE_TAG, Stream, type StreamSpec } from './drivers/stream.js';
import { SvaJob, type SvaSpec, type SvaSystem, threadsOfSva } from './drivers/sva.js';
import { UserMap, type UserMapSpec } from './drivers/user-map.js';
import { OutOfCpus } from './errors.js';
import type { IommuDriver } from './iommu-driver.js';
import type { OsMachine } from './os-machine.js';
import { Processes, type ProcessUnit } from './processes.js';
import type { Scheduler } from './scheduler.js';
import type { OsSpec } from './spec.js';
import type { Cpu } from './thread.js';
import { PasidTranslation } from './uapi/pasid-translation.js';

const PAGE = 4096;
/** PASIDs of 20 bits. */
const MAX_PASIDS = 2 ** 20;
const SMALLEST_LARGE_PAGE = 2 ** 21;
const LARGEST_ALIGNMENT = 2 ** 30;

/** What the operating system has for its jobs. */
export interface JobSurroundings {
  readonly spec: OsSpec;
  readonly machine: OsMachine;
  readonly scheduler: Scheduler;
  readonly devices: readonly Device[];
  /** By unit; null where nothing is translated. */
  readonly drivers: readonly (IommuDriver | null)[];
  readonly factory: DomainFactory;
  readonly bouncing: Bouncing | null;
  readonly asked: AskedRanges;
}

export class Jobs {
  readonly list: Driver[] = [];
  /** Null until a workload has some that share their address space with devices. */
  processes: Processes | null = null;
  /** Job that owns each tag. */
  private readonly tagOwners: Driver[] = [];

  constructor(private readonly os: JobSurroundings) {}

  /** The device has finished the DMA of a tag. */
  completed(tag: number, status: DmaStatus): void {
    if (tag !== LATE_TAG) this.tagOwners[tag]!.completed(tag, status);
  }

  /**
   * Adds driver threads that keep buffers posted to a device: threads on `socket`, buffers in the memory of socket `memory`.
   * Returns the job's number. Throws OutOfCpus, OutOfMemory.
   */
  addStream(name: string, spec: StreamSpec, device: number, socket: number, memory: number = socket): number {
    const firstTag = this.tagOwners.length;
    const random = new RandomStream(this.os.machine.seed, `os/${name}`);
    const cpus = this.claim(name, spec.threads + spec.completers, socket);
    const job = new Stream(name, spec, firstTag, random, cpus, this.environment(device, memory));
    for (let i = 0; i < job.tags; i++) this.tagOwners.push(job);
    this.list.push(job);
    return this.list.length - 1;
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
    this.list.push(new MapBenchmark(name, spec, cpus, this.environment(device, memory)));
    return this.list.length - 1;
  }

  /** Adds processes that map and unmap memory of theirs for a device. Returns the job's number. Throws OutOfCpus, OutOfMemory. */
  addUserMap(name: string, spec: UserMapSpec, device: number, socket: number): number {
    const cpus = this.claim(name, spec.threads, socket);
    this.list.push(new UserMap(name, spec, this.os.spec.userMap, cpus, this.environment(device, socket)));
    return this.list.length - 1;
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
    const domain = this.os.devices[device]!.domainOf(pasid)!;
    const random = new RandomStream(this.os.machine.seed, `os/${name}`);
    const cpus = this.claim(name, spec.threads, socket);
    const environment = this.environment(device, socket);
    this.list.push(new Invalidate(name, spec, { domain, base, bytes }, this.os.asked, random, cpus, environment));
    return this.list.length - 1;
  }

  /**
   * Adds processes that share their address spaces with a device: threads, pages and tables on `socket`. Returns the job's number. Throws
   * OutOfCpus, OutOfMemory, BindError.
   */
  addSva(name: string, spec: SvaSpec, device: number, socket: number): number {
    const { tagOwners } = this;
    const { machine } = this.os;
    const system = this.bindable(device, socket);
    const random = new RandomStream(machine.seed, `os/${name}`);
    const cpus = this.claim(name, threadsOfSva(spec), socket);
    const job = new SvaJob(name, spec, tagOwners.length, random, cpus, system, this.environment(device, socket));
    for (let i = 0; i < job.tags; i++) tagOwners.push(job);
    this.list.push(job);
    return this.list.length - 1;
  }

  /**
   * Adds processes that have a device's accelerator move their memory: threads, pages and tables on `socket`. Returns the job's number. Throws
   * OutOfCpus, OutOfMemory, BindError, RangeError when the device has too few work queues.
   */
  addOffload(name: string, spec: OffloadSpec, device: number, socket: number): number {
    const { memory, sockets, portals, seed } = this.os.machine;
    const system = {
      ...this.bindable(device, socket),
      portals,
      enqcmd: this.os.spec.processes.enqcmd,
      makeTranslation: () => new PasidTranslation(memory, sockets[socket]!.frames),
    };
    const random = new RandomStream(seed, `os/${name}`);
    const cpus = this.claim(name, spec.threads, socket);
    this.list.push(new OffloadJob(name, spec, random, cpus, system, this.environment(device, socket)));
    return this.list.length - 1;
  }

  /** What it takes to bind processes with memory on `socket` to a device. Throws OutOfCpus, OutOfMemory. */
  private bindable(device: number, socket: number): SvaSystem {
    const target = this.os.devices[device]!;
    const { spec: unitSpec, socket: near, stalls = null, pages = null } = this.os.machine.units[target.unit]!;
    const unit: ProcessUnit = {
      id: target.unit,
      spec: unitSpec,
      driver: this.os.drivers[target.unit]!,
      stalls,
      pages,
      claim: (count) => this.claim(`iopf${target.unit}`, count, near),
    };
    const { scheduler, machine, factory, spec } = this.os;
    this.processes ??= new Processes(
      {
        scheduler,
        spec: spec.processes,
        costs: spec.costs,
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

  /** The next CPUs of the socket that run no thread. */
  private claim(job: string, count: number, socket: number): Cpu[] {
    const { name, cores } = this.os.machine.sockets[socket]!;
    const free = this.os.scheduler.cpus.filter((cpu) => cpu.socket === socket && cpu.thread === null);
    if (free.length < count) throw new OutOfCpus(name, cores, `${job}/${free.length}`);
    return free.slice(0, count);
  }

  /** `socket`: where the job's buffers lie. */
  private environment(device: number, socket: number): DriverEnvironment {
    const { kernel, queue, timing, sink, observer, sockets } = this.os.machine;
    const { scheduler } = this.os;
    const slots = 2 * scheduler.cpus.length;
    const target = this.os.devices[device]!;
    const { strategy } = this.os.spec.dma;
    const buffer = (bytes: number): number =>
      sockets[socket]!.frames.allocateContiguous(Math.ceil(bytes / PAGE) * PAGE, alignmentOf(bytes));
    return {
      kernel,
      scheduler,
      costs: this.os.spec.costs,
      dma: new DmaApi(
        scheduler,
        this.os.spec.costs,
        observer,
        slots,
        this.os.bouncing,
        { spec: strategy, timing, buffer },
        this.os.spec.traced,
      ),
      device: target,
      domain: target.domainOf(-1)!,
      queue,
      memory: timing,
      sink,
      job: this.list.length,
      slots,
      tick: this.os.spec.tick,
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
