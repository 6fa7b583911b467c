/**
 * The fit of a stage that repeats published measurements by shipped workload files: for each machine one pattern search over the
 * parameters that its rows tagged CAL show, from the sheets' starting values.
 */
import { RandomStream } from '../../kernel/random.js';
import { GUEST_ARM, GUEST_START, GUEST_X86 } from '../../models/os/guest.js';
import { USER_MAP, USER_MAP_START } from '../../models/os/user-map.js';
import { isQuantity, type Parameters } from '../../models/sheet.js';
import type { PointSpec } from '../../workload/spec.js';
import type { Evaluator } from '../evaluator.js';
import type { WorkloadFiles } from '../workload-rows/points.js';
import type { WorkloadPoint, WorkloadSeries } from '../workload-rows/published.js';
import { inUnit, WORKLOAD_TOLERANCE } from '../workload-rows/validation.js';
import { placeValues, startValue, type Value, Values } from './parameters.js';
import { type Dimension, dimension, patternSearch } from './search.js';

/** A parameter of a sheet under fit, in its unit. */
interface Searched {
  readonly sheet: string;
  readonly path: string;
  readonly unit: string;
  readonly quantum: number;
  readonly step: number;
  readonly max: number;
}

interface Machine {
  readonly stage: number;
  /** Series that show its parameters. */
  readonly row: string;
  readonly searched: readonly Searched[];
  /** Labels of points that take long to simulate: the search does without them. */
  readonly leftOut?: readonly string[];
}

const GRACE = 'grace-nested';
const LINUX_KUNPENG = 'linux-5.14-kunpeng-920';
const inGrace = (path: string, step: number, max: number): Searched => ({
  sheet: GRACE,
  path: `invalidation.${path}`,
  unit: 'ns',
  quantum: 1,
  step,
  max,
});
const inUs = (sheet: string, path: string, step: number, max: number, quantum = 0.01): Searched => ({
  sheet,
  path,
  unit: 'us',
  quantum,
  step,
  max,
});

const MACHINES: readonly Machine[] = [
  { stage: 8, row: 'NEST-qi-1', searched: [inUs(GUEST_X86, 'exit', 1, 20)] },
  {
    stage: 8,
    row: 'SMMU-CMDQV-t1',
    searched: [
      inUs(GUEST_ARM, 'exit', 2, 40),
      inUs(GUEST_ARM, 'emulation', 0.4, 10),
      inGrace('iotlbPage', 40, 1000),
      inGrace('wait', 400, 10_000),
    ],
  },
  {
    stage: 9,
    row: 'TTUMD-MAP',
    searched: [inUs(USER_MAP, 'call', 4, 100), inUs(USER_MAP, 'pinPage', 0.5, 20, 0.001)],
    leftOut: ['1GiB'],
  },
  {
    stage: 10,
    row: 'IOPF-SVA-PERFAULT',
    searched: [inUs(LINUX_KUNPENG, 'processes.wakeLatency', 0.2, 10)],
  },
];

/** Where the values of a sheet stand in a point. */
const ROOTS: Readonly<Record<string, readonly string[]>> = {
  [GUEST_X86]: ['os', 'guest'],
  [GUEST_ARM]: ['os', 'guest'],
  [GRACE]: ['machine', 'iommus', 'iommu0'],
  [USER_MAP]: ['os', 'userMap'],
  [LINUX_KUNPENG]: ['os'],
};

/** Operations of a point during the search; those of large buffers are worth as much. */
const WARMUP = 50;
const OPERATIONS = 200;
/** An error beyond this share of the tolerance is charged steeply: values that meet every point are worth more than the least sum. */
const CLOSE = 0.8;
const STEEP = 40;

export interface WorkloadFitOptions {
  readonly published: readonly WorkloadSeries[];
  readonly stage: number;
  readonly files: WorkloadFiles;
  readonly evaluator: Evaluator;
  readonly seed: number;
  readonly log: (line: string) => void;
}

/** Stages that have parameters to fit. */
export const WORKLOAD_FITS: readonly number[] = [...new Set(MACHINES.map(({ stage }) => stage))];

/** @returns the values found. */
export async function fitWorkloads(options: WorkloadFitOptions): Promise<Values> {
  const found: Value[] = [];
  for (const machine of MACHINES.filter(({ stage }) => stage === options.stage)) {
    const series = options.published.find(({ row, use }) => row === machine.row && use === 'CAL');
    if (series !== undefined) found.push(...(await fitMachine(machine, series, options)));
  }
  return new Values(found);
}

async function fitMachine(
  { searched, leftOut = [] }: Machine,
  { points: all, ...series }: WorkloadSeries,
  options: WorkloadFitOptions,
): Promise<Value[]> {
  const { files, evaluator, seed, log } = options;
  const dimensions = searched.map(({ sheet, path, quantum, step, max }): Dimension => {
    return dimension(path, quantum, { start: startOf(sheet, path), step, min: 0, max });
  });
  const points = all.filter(({ label }) => !leftOut.includes(label));
  const specs = points.map((point) => shortened(files.specs(series.workload, point)[0]!, seed));
  const tolerance = WORKLOAD_TOLERANCE[series.stage]!;
  const valuesOf = (position: readonly number[]): Value[] =>
    searched.map(({ sheet, path, unit }, i) => ({
      sheet,
      path,
      unit,
      value: position[i]!,
      rows: `fit to ${series.row} (${shortSource(series.source)})`,
    }));
  const cost = (candidates: readonly (readonly number[])[]): Promise<number[]> =>
    Promise.all(
      candidates.map(async (candidate) => {
        const values = new Values(valuesOf(candidate));
        const changed = specs.map((spec, i) => ({
          spec: placeValues(spec, values, ROOTS),
          measure: points[i]!.metric,
        }));
        return seriesCost(points, await evaluator.evaluate(changed), tolerance);
      }),
    );
  const random = new RandomStream(seed, `fit/${series.row}`);
  const result = await patternSearch(dimensions, random, cost);
  const text = searched.map(({ path, unit }, i) => `${path} ${result.values[i]} ${unit}`).join(', ');
  log(`${series.row}: cost ${result.startCost.toFixed(2)} -> ${result.cost.toFixed(2)}: ${text}`);
  return valuesOf(result.values);
}

function seriesCost(points: readonly WorkloadPoint[], simulated: readonly number[], tolerance: number): number {
  return points.reduce((sum, { value, unit }, i) => {
    const error = Math.abs(inUnit(simulated[i]!, unit) - value) / value / tolerance;
    return sum + error * error + STEEP * Math.max(0, error - CLOSE);
  }, 0);
}

/** One seed and few operations: a search needs many points. */
function shortened(spec: PointSpec, seed: number): PointSpec {
  const warmup = Math.min(WARMUP, spec.warmup.operations ?? WARMUP);
  const stop = Math.min(OPERATIONS, spec.stop.operations ?? OPERATIONS);
  return {
    ...spec,
    seed,
    warmup: { time: null, operations: warmup },
    stop: { time: null, operations: stop, steady: null },
  };
}

/** Where the fit starts, in the unit of the sheet. */
function startOf(sheet: string, path: string): number {
  const start: Parameters | undefined = { ...GUEST_START, [USER_MAP]: USER_MAP_START }[sheet];
  if (start === undefined) return startValue(sheet, path);
  const parameter = start[path];
  if (
    parameter === undefined ||
    parameter === null ||
    typeof parameter === 'string' ||
    !isQuantity(parameter as never)
  ) {
    throw new RangeError(`${sheet} has no ${path}`);
  }
  return Number((parameter as { value: number }).value);
}

/** A source without its place in the document. */
function shortSource(source: string): string {
  return source.split(',')[0]!;
}
