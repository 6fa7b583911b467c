/** What the schemas of jobs and windows cannot say: references, limits of the device, memory and cores that are there, an end. */
import { checkBounce, checkBounceMode } from './check-bounce.js';
import { checkOffload } from './check-offload.js';
import { checkSva, faultThreads } from './check-sva.js';
import { shareOf } from '../os/drivers/offload.js';
import { threadsOfSva } from '../os/drivers/sva.js';
import { checkInvalidate } from './check-invalidate.js';
import { pasidBits } from '../iommu/limits.js';
import { checkReference } from './check-machine.js';
import { type Fault, fault } from './problems.js';
import type {
  DmaJobSpec,
  JobSpec,
  MapBenchmarkJobSpec,
  PointSpec,
  StopSpec,
  StreamJobSpec,
  UserMapJobSpec,
  WindowSpec,
} from './spec.js';
import { formatQuantity } from './units.js';

const PAGE = 4096;
/** Of dma_map_benchmark. */
const LONGEST_LIST = 1024;

export function checkJobs(spec: PointSpec): Fault[] {
  const faults: Fault[] = [];
  if (Object.keys(spec.workload).length === 0) {
    faults.push(fault('E102', ['workload'], 'a workload needs at least one job'));
  }
  for (const [name, job] of Object.entries(spec.workload)) {
    faults.push(...checkJob(job, spec, ['workload', name]));
  }
  faults.push(...checkBounceMode(spec));
  return faults.length > 0 ? faults : [...checkMemory(spec), ...checkCores(spec)];
}

function checkJob(job: JobSpec, spec: PointSpec, path: readonly string[]): Fault[] {
  const socketKey = job.kind === 'dma' ? 'memory' : 'socket';
  const faults = [
    ...checkReference(job.device, spec.devices, 'device', [...path, 'device']),
    ...checkReference(socketOf(job), spec.machine.sockets, 'socket', [...path, socketKey]),
    ...(job.kind === 'dma' || !('memory' in job) || job.memory === null
      ? []
      : checkReference(job.memory, spec.machine.sockets, 'socket', [...path, 'memory'])),
  ];
  if (faults.length > 0) {
    return faults;
  }
  switch (job.kind) {
    case 'dma':
      return checkDma(job, spec, path);
    case 'stream':
      return [...checkStream(job, spec, path), ...checkBounce(job, spec, path)];
    case 'map-benchmark':
      return [...checkBenchmark(job, path), ...checkBounce(job, spec, path)];
    case 'user-map':
      return checkUserMap(job, spec, path);
    case 'sva':
      return checkSva(job, spec, path);
    case 'offload':
      return [...checkOffload(job, spec, path), ...checkReadBytes(job.size, job.device, spec, path)];
    case 'invalidate':
      return checkInvalidate(job, spec, path);
  }
}

function checkDma(job: DmaJobSpec, spec: PointSpec, path: readonly string[]): Fault[] {
  const faults: Fault[] = [];
  const { engine, port } = spec.devices[job.device]!;
  if (job.size > job.window) {
    const message = `a DMA of ${formatQuantity(job.size, 'size')} does not fit the window of ${formatQuantity(job.window, 'size')}`;
    faults.push(fault('E308', [...path, 'size'], message, { related: [[...path, 'window']] }));
  }
  if (job.outstanding > engine.outstanding) {
    const message = `${job.outstanding} DMAs in flight, but "${job.device}" can have ${engine.outstanding}`;
    const limit = ['devices', job.device, 'engine', 'outstanding'];
    faults.push(fault('E308', [...path, 'outstanding'], message, { related: [limit] }));
  }
  if (job.reads > 0) {
    faults.push(...checkReadBytes(job.size, job.device, spec, path));
  }
  if (job.pasid >= 0) {
    const problem = pasidProblem(job.pasid, spec.machine.ports[port]?.iommu ?? null, spec);
    if (problem !== null) faults.push(fault('E305', [...path, 'pasid'], problem.message, { related: problem.related }));
  }
  return faults;
}

/** Why the unit in front of the port cannot translate by this PASID; null if it can. */
function pasidProblem(
  pasid: number,
  name: string | null,
  { machine, os }: PointSpec,
): { message: string; related: string[][] } | null {
  const unit = name === null ? undefined : machine.iommus[name];
  if (name === null || unit === undefined) {
    return { message: 'a PASID needs an IOMMU in scalable mode: the port has no IOMMU', related: [] };
  }
  const because = (message: string, key: string): { message: string; related: string[][] } => ({
    message,
    related: [['machine', 'iommus', name, key]],
  });
  if (unit.mode === 'legacy') {
    return because(`a PASID needs an IOMMU in scalable mode: "${name}" is in legacy mode`, 'mode');
  }
  const bits = pasidBits(unit);
  if (bits === 0) {
    const onlySecond = unit.stage === 'second' && unit.processLevels > 0;
    return onlySecond
      ? because(`"${name}" does not translate by PASID: second-stage tables alone have none`, 'stage')
      : because(`"${name}" does not translate by PASID`, 'processLevels');
  }
  if (pasid >= 2 ** bits) {
    return because(`"${name}" takes PASIDs up to ${2 ** bits - 1}, not ${pasid}`, 'processLevels');
  }
  const passes = unit.architecture === 'vtd' || unit.architecture === 'riscv';
  if (os.dma.mode === 'passthrough' && !passes) {
    return { message: `"${name}" has no pass-through for requests with PASID`, related: [['os', 'dma', 'mode']] };
  }
  return null;
}

function checkStream(job: StreamJobSpec, spec: PointSpec, path: readonly string[]): Fault[] {
  const { segments, size, maxSegment } = job;
  const faults = segments === 1 ? checkPlacement(job, [...path, 'segments'], path) : [];
  const dma = segments === 1 ? size : Math.max(size, Math.min(maxSegment, segments * size));
  if (job.direction === 'to-device') faults.push(...checkReadBytes(dma, job.device, spec, path));
  if (segments > 1 && size > maxSegment) {
    const message = `a segment of ${formatQuantity(size, 'size')}, but the device takes ${formatQuantity(maxSegment, 'size')}`;
    faults.push(fault('E308', [...path, 'size'], message, { related: [[...path, 'maxSegment']] }));
  }
  return faults;
}

function checkBenchmark(job: MapBenchmarkJobSpec, path: readonly string[]): Fault[] {
  if (job.mode === 'single') return checkPlacement(job, [...path, 'mode'], path);
  if (job.granule <= LONGEST_LIST) return [];
  const message = `a list has at most ${LONGEST_LIST} segments, got ${job.granule}`;
  return [fault('E204', [...path, 'granule'], message, { related: [[...path, 'mode']] })];
}

/** What is mapped as one piece cannot be scattered in memory. */
function checkPlacement(
  job: { readonly placement: string },
  single: readonly string[],
  path: readonly string[],
): Fault[] {
  if (job.placement === 'contiguous') return [];
  const message = 'only the segments of a scatter list can lie apart: one mapping is one piece of memory';
  return [fault('E305', [...path, 'placement'], message, { related: [single] })];
}

/** The kernel's page is the granule of its tables. */
function checkUserMap({ size, run, device }: UserMapJobSpec, spec: PointSpec, path: readonly string[]): Fault[] {
  const unit = spec.machine.ports[spec.devices[device]!.port]?.iommu ?? null;
  const page = unit === null ? PAGE : spec.machine.iommus[unit]!.granule;
  const keys = Object.entries({ size, run }).filter(([, bytes]) => bytes % page !== 0);
  const pages = formatQuantity(page, 'size');
  return keys.map(([key, bytes]) =>
    fault('E301', [...path, key], `${formatQuantity(bytes, 'size')} is not a whole number of pages of ${pages}`, {
      related: unit === null ? [] : [['machine', 'iommus', unit, 'granule']],
    }),
  );
}

function checkReadBytes(size: number, device: string, spec: PointSpec, path: readonly string[]): Fault[] {
  const limit = spec.devices[device]!.engine.outstandingReadBytes;
  if (size <= limit) {
    return [];
  }
  const message = `a read of ${formatQuantity(size, 'size')}, but "${device}" can have ${formatQuantity(limit, 'size')} of reads in flight`;
  return [
    fault('E308', [...path, 'size'], message, { related: [['devices', device, 'engine', 'outstandingReadBytes']] }),
  ];
}

export function socketOf(job: JobSpec): string {
  return job.kind === 'dma' ? job.memory : job.socket;
}

/** Socket whose memory holds the job's buffers. */
function memoryOf(job: JobSpec): string {
  return 'memory' in job && job.memory !== null ? job.memory : socketOf(job);
}

/** Bytes of memory that a job's buffers take. */
function footprint(job: JobSpec): number {
  const pages = (bytes: number): number => Math.ceil(bytes / PAGE) * PAGE;
  const gap = 'placement' in job && job.placement === 'scattered' ? PAGE : 0;
  switch (job.kind) {
    case 'dma':
      return pages(job.window);
    case 'stream':
      return job.threads * job.depth * job.segments * (pages(job.size) + gap);
    case 'map-benchmark':
      return job.threads * job.granule * (PAGE + gap);
    case 'user-map':
      return job.threads * job.size;
    case 'sva':
      return job.processes * pages(job.window);
    case 'offload':
      return Math.max(job.threads, job.processes) * shareOf(job.window, job.depth);
    case 'invalidate':
      return 0;
  }
}

const SIZE_KEYS: Readonly<Record<JobSpec['kind'], readonly string[]>> = {
  dma: ['window'],
  stream: ['size', 'segments', 'depth', 'threads'],
  'map-benchmark': ['granule', 'threads'],
  'user-map': ['size', 'threads'],
  sva: ['window', 'processes'],
  offload: ['window', 'threads', 'processes'],
  invalidate: ['threads'],
};

/** Buffers and the tables that map them (8 bytes a page) must fit the socket they lie on. */
function checkMemory({ machine, workload }: PointSpec): Fault[] {
  const used = new Map<string, number>();
  for (const [name, job] of Object.entries(workload)) {
    const socket = memoryOf(job);
    const bytes = (used.get(socket) ?? 0) + footprint(job);
    used.set(socket, bytes);
    const { size } = machine.sockets[socket]!.dram;
    if (bytes + (bytes / PAGE) * 8 > size) {
      const message = `${formatQuantity(footprint(job), 'size')} and the other buffers and tables exceed the ${formatQuantity(size, 'size')} of memory of socket "${socket}"`;
      const [key, ...others] = SIZE_KEYS[job.kind].map((part) => ['workload', name, part]);
      return [fault('E306', key!, message, { related: [...others, ['machine', 'sockets', socket, 'dram', 'size']] })];
    }
  }
  return [];
}

/** One core a thread: time sharing of a core is not modelled. */
function checkCores(spec: PointSpec): Fault[] {
  const { machine, workload } = spec;
  const used = faultThreads(spec);
  for (const [name, job] of Object.entries(workload)) {
    if (job.kind === 'dma') {
      continue;
    }
    const own = threadsOf(job);
    const threads = (used.get(job.socket) ?? 0) + own;
    used.set(job.socket, threads);
    const { cores } = machine.sockets[job.socket]!;
    if (threads > cores) {
      const message = `${threads} threads on the ${cores} cores of socket "${job.socket}"; each thread needs a core of its own`;
      return [
        fault('E307', ['workload', name, job.kind === 'sva' ? 'kind' : 'threads'], message, {
          related: [['machine', 'sockets', job.socket, 'cores']],
        }),
      ];
    }
  }
  return [];
}

function threadsOf(job: Exclude<JobSpec, DmaJobSpec>): number {
  if (job.kind === 'sva') return threadsOfSva(job);
  return job.threads + (job.kind === 'stream' ? job.completers : 0);
}

export function checkWindows(warmup: WindowSpec, stop: StopSpec): Fault[] {
  const faults: Fault[] = [];
  if (stop.time === null && stop.operations === null) {
    const message =
      stop.steady === null
        ? 'give time, operations or both: the run would never stop'
        : 'a steady state may never come: give time or operations as well';
    faults.push(
      fault('E309', ['stop'], message, {
        related: [
          ['stop', 'operations'],
          ['stop', 'time'],
        ],
      }),
    );
  }
  if (stop.operations === 0) {
    faults.push(fault('E204', ['stop', 'operations'], 'at least one operation has to be measured'));
  }
  if (warmup.time === null && warmup.operations === null) {
    faults.push(fault('E309', ['warmup'], 'give time or operations: the warm-up would never end'));
  }
  return faults;
}
