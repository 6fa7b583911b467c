/** How much work a plan is, roughly: for the user who wants to know before running it whether it takes seconds or hours. */
import { tableProfile } from '../os/table-code.js';
import { socketOf } from './check-jobs.js';
import type { RunPlan } from './plan.js';
import type { JobSpec, PointSpec } from './spec.js';

export interface Estimate {
  readonly operations: number;
  readonly events: number;
  /** Time on one core. */
  readonly seconds: number;
}

/** Events of one operation, and events a second of one core, as benchmarks of the simulator show them. */
const EVENTS: Readonly<Record<JobSpec['kind'], number>> = {
  dma: 10,
  stream: 40,
  'map-benchmark': 25,
  'user-map': 25,
  sva: 40,
  offload: 40,
  invalidate: 15,
};
const EVENTS_PER_SECOND = 8e6;
const PAGE = 4096;

export function estimateRun(plan: RunPlan): Estimate {
  return estimatePoints(plan.points.map(({ spec }) => spec));
}

export function estimatePoints(specs: readonly PointSpec[]): Estimate {
  let operations = 0;
  let events = 0;
  for (const spec of specs) {
    const jobs = Object.values(spec.workload);
    const count = pointOperations(spec, jobs);
    operations += count;
    events += (count * jobs.reduce((sum, job) => sum + EVENTS[job.kind], 0)) / jobs.length;
  }
  return { operations, events, seconds: events / EVENTS_PER_SECOND };
}

/** The smaller of the operations asked for and those that fit the time asked for. */
function pointOperations(spec: PointSpec, jobs: readonly JobSpec[]): number {
  const rate = jobs.reduce((sum, job) => sum + operationRate(spec, job), 0);
  return [spec.warmup, spec.stop]
    .map(({ time, operations }) =>
      Math.min(operations ?? Number.POSITIVE_INFINITY, time === null ? Number.POSITIVE_INFINITY : time * rate),
    )
    .reduce((sum, count) => sum + count, 0);
}

/** Operations a picosecond that the job could reach if nothing but its own constants slowed it. */
function operationRate(spec: PointSpec, job: JobSpec): number {
  const { engine } = spec.devices[job.device]!;
  const { costs } = spec.os;
  if (job.kind === 'dma') {
    const rows = job.reads >= 50 ? engine.readInterval : engine.writeInterval;
    const interval = (rows.find((row) => row.size >= job.size) ?? rows.at(-1))?.interval ?? 0;
    const latency = (engine.readOverhead + spec.machine.sockets[socketOf(job)]!.llc.latency) / job.outstanding;
    return 1 / Math.max(interval, latency, job.interarrival, 1);
  }
  if (job.kind === 'invalidate') {
    const each = costs.lock + 2 * costs.descriptor + costs.mmioWrite + costs.mmioFlight;
    return job.threads / Math.max(1, each, job.interval);
  }
  if (job.kind === 'offload') {
    const { dispatch } = spec.devices[job.device]!.accelerator!;
    return 1 / Math.max(1, dispatch, (costs.mmioWrite + costs.completion + costs.mmioFlight) / job.threads);
  }
  if (job.kind === 'sva')
    return job.outstanding / Math.max(1, costs.mmioWrite + costs.completion + engine.readOverhead);
  const software = costs.mapCall + costs.unmapCall + tableTime(spec, job) + 2 * costs.iovaCache;
  const pause = job.kind === 'map-benchmark' ? job.transfer : 0;
  const { call, pinPage } = spec.os.userMap;
  const user = job.kind === 'user-map' ? 2 * call + (job.size / PAGE) * pinPage : 0;
  return job.threads / Math.max(1, software + pause + user);
}

/** Page-table code of one map and one unmap, without what depends on their size. */
function tableTime(spec: PointSpec, job: JobSpec): number {
  const unit = spec.machine.ports[spec.devices[job.device]!.port]!.iommu;
  if (unit === null) return 0;
  const { map, unmap } = tableProfile(spec.os, spec.machine.iommus[unit]!);
  return map.call + unmap.call;
}
