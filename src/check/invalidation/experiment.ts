/**
 * The published experiments as points of the simulator: the shipped files workloads/validation/invalidation-*.yaml, expanded, and what is
 * read from their results. A figure in cycles is the time at the core clock of the machine.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { runPoint } from '../../run/point.js';
import type { PointResult } from '../../run/result.js';
import { inputError } from '../../workload/errors.js';
import { resolveWorkload } from '../../workload/resolve.js';
import type { MapBenchmarkJobSpec, PointSpec } from '../../workload/spec.js';
import { VALIDATION_FOLDER } from '../pcie-bench.js';
import type { Experiment, InvalidationMetric, InvalidationPoint } from './published.js';

const JOB = 'loop';
const PAGE_KIB = 4;

const FILES: Readonly<Record<Experiment, string>> = {
  threads: 'invalidation-smmu-threads.yaml',
  sizes: 'invalidation-smmu-sizes.yaml',
  vtd: 'invalidation-vtd.yaml',
  idle: 'invalidation-smmu-idle.yaml',
  rates: 'invalidation-smmu-rates.yaml',
};

/** Which run of its experiment a point is, as the published file calls it. */
function nameOf(experiment: Experiment, spec: PointSpec): string {
  const { threads, granule, socket } = jobOf(spec);
  const { perPageCallbacks, queueMemory, completion } = spec.os;
  switch (experiment) {
    case 'sizes':
      return `${sizeName(granule)} ${perPageCallbacks ? 'before' : 'after'}`;
    case 'idle':
      return `${queueMemory} ${completion} ${socket}`;
    default:
      return String(threads);
  }
}

function sizeName(granule: number): string {
  const kib = granule * PAGE_KIB;
  return kib < 1024 ? `${kib}KiB` : `${kib / 1024}MiB`;
}

export function jobOf(spec: PointSpec): MapBenchmarkJobSpec {
  return spec.workload[JOB] as MapBenchmarkJobSpec;
}

/** Runs of an experiment by machine and name. */
export class InvalidationBench {
  private readonly points = new Map<string, PointSpec>();

  /** @throws InputError when a file cannot be read or is not a workload with the expected job. */
  constructor(private readonly folder: string = VALIDATION_FOLDER) {
    for (const [experiment, name] of Object.entries(FILES) as [Experiment, string][]) {
      const file = join(folder, name);
      for (const { spec, swept } of resolveWorkload(readText(file), file).points) {
        if (spec.workload[JOB]?.kind !== 'map-benchmark') throw inputError('E102', `needs the job ${JOB}`, file);
        const machine = swept['machine.preset'] ?? 'kunpeng-920';
        this.points.set(`${experiment} ${machine} ${nameOf(experiment, spec)}`, spec);
      }
    }
  }

  /** The run that repeats the published point. @throws InputError when the files lack it. */
  spec({ experiment, machine, point }: Pick<InvalidationPoint, 'experiment' | 'machine' | 'point'>): PointSpec {
    const spec = this.points.get(`${experiment} ${machine} ${point}`);
    if (spec === undefined) {
      throw inputError(
        'E303',
        `no workload there runs the published point ${experiment} ${machine} ${point}`,
        this.folder,
      );
    }
    return spec;
  }
}

function readText(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    throw inputError('E001', (error as Error).message, file);
  }
}

/** Simulates a point in the calling thread. */
export function simulate(spec: PointSpec): PointResult {
  return runPoint(spec, { everyEvent: false, audit: false });
}

const HISTOGRAMS: Readonly<
  Record<Exclude<InvalidationMetric, 'second submission' | 'rate'>, readonly [string, string]>
> = {
  map: [JOB, 'map.latency'],
  unmap: [JOB, 'unmap.latency'],
  invalidation: ['os', 'invalidation.latency'],
  submission: ['os', 'invalidation.submission'],
  completion: ['os', 'invalidation.completion'],
};

/** The figure of a result in the unit of the published one; where the source has what dma_map_benchmark prints, that. */
export function measuredValue(
  spec: PointSpec,
  result: PointResult,
  { experiment, metric, unit }: Pick<InvalidationPoint, 'experiment' | 'metric' | 'unit'>,
): number {
  if (metric === 'rate') return rateOf(spec, result);
  if (experiment === 'sizes') return printedBy(result, metric);
  const ps = metric === 'second submission' ? secondSubmission(spec, result) : meanOf(result, metric);
  if (unit === 'ns') return ps / 1000;
  return (ps * spec.machine.sockets[jobOf(spec).socket]!.frequency) / 1e12;
}

/** The tool counts whole 100 ns of every call and prints whole 100 ns of their mean, so that its figure is up to 200 ns low. */
function printedBy({ text }: PointResult, metric: InvalidationMetric): number {
  const label = `average ${metric} latency(us):`;
  const line = text.find((each) => each.startsWith(label));
  return line === undefined ? Number.NaN : Math.round(1000 * Number.parseFloat(line.slice(label.length)));
}

/** Of each thread. */
function rateOf(spec: PointSpec, { metrics }: PointResult): number {
  const found = metrics.find(({ component, metric }) => component === JOB && metric === 'operation.rate');
  return found === undefined ? Number.NaN : found.value / jobOf(spec).threads;
}

/** Two descriptors in one submission instead of two: the whole of a submission but for writing and executing a descriptor. */
function secondSubmission({ machine, os }: PointSpec, result: PointResult): number {
  const [unit] = Object.values(machine.iommus);
  return meanOf(result, 'submission') - os.costs.descriptor - unit!.invalidation.iotlbPage;
}

function meanOf(result: PointResult, metric: keyof typeof HISTOGRAMS): number {
  const [component, name] = HISTOGRAMS[metric];
  const histogram = result.histograms.find((h) => h.component === component && h.metric === name);
  return histogram === undefined ? Number.NaN : histogram.sum / histogram.count;
}
