/** What the schemas of jobs and windows cannot say: references, limits of the device, memory and cores that are there, an end. */
import { pasidBits } from '../iommu/limits.js';
import { checkReference } from './check-machine.js';
import { type Fault, fault } from './problems.js';
import type { DmaJobSpec, JobSpec, PointSpec, StopSpec, StreamJobSpec, WindowSpec } from './spec.js';
import { formatQuantity } from './units.js';

const PAGE = 4096;

export function checkJobs(spec: PointSpec): Fault[] {
  const faults: Fault[] = [];
  if (Object.keys(spec.workload).length === 0) {
    faults.push(fault('E102', ['workload'], 'a workload needs at least one job'));
  }
  for (const [name, job] of Object.entries(spec.workload)) {
    faults.push(...checkJob(job, spec, ['workload', name]));
  }
  return faults.length > 0 ? faults : [...checkMemory(spec), ...checkCores(spec)];
}

function checkJob(job: JobSpec, spec: PointSpec, path: readonly string[]): Fault[] {
  const socketKey = job.kind === 'dma' ? 'memory' : 'socket';
  const faults = [
    ...checkReference(job.device, spec.devices, 'device', [...path, 'device']),
    ...checkReference(socketOf(job), spec.machine.sockets, 'socket', [...path, socketKey]),
  ];
  if (faults.length > 0) {
    return faults;
  }
  switch (job.kind) {
    case 'dma':
      return checkDma(job, spec, path);
    case 'stream':
      return checkStream(job, spec, path);
    case 'map-benchmark':
      return [];
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
  return job.direction === 'to-device' ? checkReadBytes(job.size, job.device, spec, path) : [];
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

/** Bytes a job keeps mapped at most. */
function footprint(job: JobSpec): number {
  const pages = (bytes: number): number => Math.ceil(bytes / PAGE) * PAGE;
  switch (job.kind) {
    case 'dma':
      return pages(job.window);
    case 'stream':
      return job.threads * job.depth * pages(job.size);
    case 'map-benchmark':
      return job.threads * job.granule * PAGE;
  }
}

const SIZE_KEYS: Readonly<Record<JobSpec['kind'], readonly string[]>> = {
  dma: ['window'],
  stream: ['size', 'depth', 'threads'],
  'map-benchmark': ['granule', 'threads'],
};

/** Buffers and the tables that map them (8 bytes a page) must fit the socket they lie on. */
function checkMemory({ machine, workload }: PointSpec): Fault[] {
  const used = new Map<string, number>();
  for (const [name, job] of Object.entries(workload)) {
    const socket = socketOf(job);
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
function checkCores({ machine, workload }: PointSpec): Fault[] {
  const used = new Map<string, number>();
  for (const [name, job] of Object.entries(workload)) {
    if (job.kind === 'dma') {
      continue;
    }
    const threads = (used.get(job.socket) ?? 0) + job.threads;
    used.set(job.socket, threads);
    const { cores } = machine.sockets[job.socket]!;
    if (threads > cores) {
      const message = `${threads} threads on the ${cores} cores of socket "${job.socket}"; each thread needs a core of its own`;
      return [
        fault('E307', ['workload', name, 'threads'], message, {
          related: [['machine', 'sockets', job.socket, 'cores']],
        }),
      ];
    }
  }
  return [];
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
