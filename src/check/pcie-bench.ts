/**
 * The pcie-bench experiments as points of the simulator: the shipped files workloads/validation/pcie-bench-*.yaml, expanded, and
 * for each published series the points among them that repeat it. Latency: mean of dma.read.latency with one read in flight;
 * bandwidth: dma.read.bandwidth or dma.write.bandwidth with all places of the device in use.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { PointResult } from '../run/result.js';
import { inputError } from '../workload/errors.js';
import { resolveWorkload } from '../workload/resolve.js';
import type { DmaJobSpec, PointSpec } from '../workload/spec.js';
import { type IommuMode, type PublishedSeries, windowKiB } from './published.js';

export const VALIDATION_FOLDER: string = fileURLToPath(new URL('../../workloads/validation', import.meta.url));

/** What is read from a point's result: a figure of pcie-bench, or the value or mean of `component/metric`. */
export type Measure = 'latency' | 'read' | 'write' | `${string}/${string}`;

export interface BenchPoint {
  readonly spec: PointSpec;
  readonly measure: Measure;
}

const FILES: readonly { readonly name: string; readonly measure: Measure; readonly prefix: string }[] = [
  { name: 'pcie-bench-latency.yaml', measure: 'latency', prefix: 'LAT' },
  { name: 'pcie-bench-read.yaml', measure: 'read', prefix: 'BWrd' },
  { name: 'pcie-bench-write.yaml', measure: 'write', prefix: 'BWwr' },
];

/** Name of the job and of the device in the three files. */
export const JOB = 'bench';
export const DEVICE = 'nfp';
export const UNIT = 'iommu0';

/** The `dma` job of a point of these files. */
export function benchJob(spec: PointSpec): DmaJobSpec {
  return spec.workload[JOB] as DmaJobSpec;
}

export class PcieBench {
  private readonly points = new Map<string, BenchPoint>();

  /** @throws InputError when a file cannot be read or is not a workload with the expected parts. */
  constructor(private readonly folder: string = VALIDATION_FOLDER) {
    for (const { name, measure, prefix } of FILES) {
      const file = join(folder, name);
      const plan = resolveWorkload(readText(file), file);
      for (const { spec, swept } of plan.points) {
        const job = spec.workload[JOB];
        const unit = spec.machine.iommus[UNIT];
        const host = swept['machine.preset'];
        if (job?.kind !== 'dma' || unit === undefined || host === undefined || spec.devices[DEVICE] === undefined) {
          throw inputError(
            'E102',
            `needs the job ${JOB}, the device ${DEVICE}, the unit ${UNIT} and swept hosts`,
            file,
          );
        }
        const mode = unit.architecture === 'none' ? 'off' : spec.os.superpages ? '2MiB' : '4KiB';
        const point: BenchPoint = { spec, measure };
        this.points.set(keyOf(host, `${prefix}${job.size}`, spec.machine.hostCache, mode, job.window), point);
      }
    }
  }

  /** The points that repeat a series, in its order. @throws InputError when the files lack one. */
  series(series: Pick<PublishedSeries, 'host' | 'test' | 'hostCache' | 'iommu' | 'points'>): BenchPoint[] {
    const { host, test, hostCache, iommu } = series;
    return series.points.map(({ window }) => {
      const point = this.points.get(keyOf(host, test, hostCache, iommu, windowKiB(window) * 1024));
      if (point === undefined) {
        const what = `${host}, ${test}, ${hostCache}, IOMMU ${iommu}, window ${window}`;
        throw inputError('E303', `no workload there runs the published point ${what}`, this.folder);
      }
      return point;
    });
  }
}

function keyOf(host: string, test: string, hostCache: string, iommu: IommuMode, window: number): string {
  return `${host} ${test} ${hostCache} ${iommu} ${window}`;
}

function readText(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    throw inputError('E001', (error as Error).message, file);
  }
}

/** The published figure of a result: ns or Gb/s, or the unit of a metric. */
export function measured(result: PointResult, measure: Measure): number {
  const slash = measure.indexOf('/');
  if (slash >= 0) return readingOf(result, measure.slice(0, slash), measure.slice(slash + 1));
  if (measure === 'latency') {
    const latency = result.histograms.find((h) => h.component === DEVICE && h.metric === 'dma.read.latency');
    return latency === undefined ? Number.NaN : latency.sum / latency.count / 1000;
  }
  const metric = `dma.${measure}.bandwidth`;
  return result.metrics.find((m) => m.component === DEVICE && m.metric === metric)?.value ?? Number.NaN;
}

/** Value of a metric; of a distribution its mean in ns. NaN when there is none. */
function readingOf({ histograms, metrics }: PointResult, component: string, metric: string): number {
  const distribution = histograms.find((h) => h.component === component && h.metric === metric);
  if (distribution !== undefined) return distribution.sum / distribution.count / 1000;
  return metrics.find((m) => m.component === component && m.metric === metric)?.value ?? Number.NaN;
}
