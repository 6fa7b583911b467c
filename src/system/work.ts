/**
 * Gives a machine that has booted its work: windows that stay mapped and the engines' sources for them, software's jobs, and the state of the
 * caches when the run begins.
 */
import type { Engine } from '../devices/engine.js';
import { Source } from '../devices/source.js';
import { RandomStream } from '../kernel/random.js';
import type { FrameAllocator } from '../memory/frames.js';
import type { PhysicalMemory } from '../memory/physical.js';
import type { MemorySystem } from '../memory/system.js';
import type { Os } from '../os/os.js';
import type {
  DmaJobSpec,
  InvalidateJobSpec,
  JobSpec,
  MapBenchmarkJobSpec,
  PointSpec,
  StreamJobSpec,
} from '../workload/spec.js';

/** A window is the beginning of a buffer of so many bytes, or a multiple: with superpages a small window lies in one large page. */
const BUFFER_STEP = 2 ** 21;

/** The parts of the machine that work is given to, by device number where there are several. */
export interface WorkParts {
  readonly spec: PointSpec;
  readonly deviceNames: readonly string[];
  readonly engines: readonly Engine[];
  readonly os: Os;
  readonly memory: MemorySystem;
  readonly physical: PhysicalMemory;
  /** By socket. */
  readonly frames: readonly FrameAllocator[];
}

export class Work {
  /** Numbers of the jobs that print what the kernel's benchmark prints. */
  readonly benchmarks: number[] = [];
  /** By device: where posted DMAs go; null until there are some. */
  readonly posted: (Source | null)[];
  /** Addresses of DMA jobs by device and PASID. */
  private readonly windows = new Map<string, readonly [base: number, bytes: number]>();
  private readonly attached = new Set<string>();

  constructor(private readonly parts: WorkParts) {
    this.posted = parts.engines.map(() => null);
  }

  /** The device takes posted DMAs. */
  accept(device: number, name: string): void {
    this.posted[device] ??= this.addSource(device, new Source(null, this.random(name), this.limitOf(device)));
  }

  /** Adds all jobs, in the order given. */
  addJobs(jobs: readonly [string, JobSpec][]): void {
    const windows: [address: number, bytes: number][] = [];
    for (const [name, job] of jobs) {
      const device = this.parts.deviceNames.indexOf(job.device);
      if (job.kind === 'dma') windows.push(this.addWindow(name, job, device));
      else if (job.kind === 'stream') {
        this.accept(device, name);
        this.parts.os.jobs.addStream(name, job, device, ...this.socketsOf(job));
      } else if (job.kind === 'sva') {
        this.accept(device, name);
        this.parts.os.jobs.addSva(name, job, device, this.parts.memory.indexOf(job.socket));
      } else if (job.kind === 'offload') {
        this.parts.os.jobs.addOffload(name, job, device, this.parts.memory.indexOf(job.socket));
      } else if (job.kind === 'user-map') {
        this.parts.os.jobs.addUserMap(name, job, device, this.parts.memory.indexOf(job.socket));
      } else if (job.kind === 'map-benchmark')
        this.benchmarks.push(this.parts.os.jobs.addMapBenchmark(name, job, device, ...this.socketsOf(job)));
    }
    for (const [name, job] of jobs) if (job.kind === 'invalidate') this.addInvalidate(name, job);
    // Tables and queues have just been written by the CPU; then the windows get their state.
    if (this.parts.spec.machine.hostCache !== 'cold') {
      this.parts.physical.forEachLine((hi, lo) => {
        this.parts.memory.cpuWrite(hi, lo, 64);
      });
    }
    for (const [address, bytes] of windows) this.parts.memory.warmWindow(address, bytes);
  }

  private socketsOf({ socket, memory }: StreamJobSpec | MapBenchmarkJobSpec): [threads: number, memory: number] {
    return [this.parts.memory.indexOf(socket), this.parts.memory.indexOf(memory ?? socket)];
  }

  private addInvalidate(name: string, job: InvalidateJobSpec): void {
    const device = this.parts.deviceNames.indexOf(job.device);
    const [base, bytes] = this.windows.get(`${device}:${job.pasid}`)!;
    this.parts.os.jobs.addInvalidate(name, job, device, job.pasid, base, bytes, this.parts.memory.indexOf(job.socket));
  }

  private addWindow(name: string, job: DmaJobSpec, device: number): [number, number] {
    const frames = this.parts.frames[this.parts.memory.indexOf(job.memory)]!;
    const align = job.window >= 2 ** 30 ? 2 ** 30 : 2 ** 21;
    const bytes = Math.ceil(job.window / BUFFER_STEP) * BUFFER_STEP;
    const pa = frames.allocateContiguous(bytes, align);
    if (job.pasid >= 0) this.attachOnce(device, job.pasid);
    const base = this.parts.os.mapStatic(device, pa, bytes, job.pasid);
    const { window, size, reads, outstanding, interarrival, pasid } = job;
    this.windows.set(`${device}:${pasid}`, [base, window]);
    const sequential = job.pattern === 'sequential';
    const work = { base, window, size, reads, sequential, outstanding, interarrival, pasid };
    this.addSource(device, new Source(work, this.random(name), this.limitOf(device)));
    return [pa, job.window];
  }

  private attachOnce(device: number, pasid: number): void {
    const key = `${device}:${pasid}`;
    if (this.attached.has(key)) return;
    this.attached.add(key);
    this.parts.os.attachPasid(device, pasid);
  }

  private addSource(device: number, source: Source): Source {
    this.parts.engines[device]!.addSource(source);
    return source;
  }

  private random(name: string): RandomStream {
    return new RandomStream(this.parts.spec.seed, `devices/${name}`);
  }

  private limitOf(device: number): number {
    return this.parts.spec.devices[this.parts.deviceNames[device]!]!.engine.outstanding;
  }
}
