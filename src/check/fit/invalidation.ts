/**
 * The fit of invalidation costs: for each machine with rows tagged CAL one pattern search over its parameters, from the sheets' starting
 * values, with short runs of the shipped workloads. Times of one idle CMD_SYNC are inputs (rows tagged PARAM): they fix what a doorbell
 * takes once the unit's own time is known, and what a line of another node costs.
 */
import { RandomStream } from '../../kernel/random.js';
import type { PointSpec } from '../../workload/spec.js';
import { type InvalidationBench, measuredValue, simulate } from '../invalidation/experiment.js';
import type { InvalidationPoint } from '../invalidation/published.js';
import { scoreInvalidation, slopesOf, SLOPE_TOLERANCE, usedTolerance } from '../invalidation/validation.js';
import { placeValues, startValue, type Value, Values } from './parameters.js';
import { type Dimension, dimension, patternSearch } from './search.js';

/** An error beyond this share of the tolerance is charged steeply, in proportion beyond twice the tolerance. */
const CLOSE = 0.85;
const STEEP = 10;
const STRAIGHT = 2;

/** Runs of a search: most sizes lie on a line between others. */
const SIZES = new Set(['4KiB', '32KiB', '256KiB', '1MiB', '2MiB', '4MiB']);
const SHORT: Readonly<
  Record<Exclude<InvalidationPoint['experiment'], 'rates'>, { warmup: number; operations: number }>
> = {
  threads: { warmup: 4000, operations: 40_000 },
  sizes: { warmup: 10, operations: 40 },
  vtd: { warmup: 200, operations: 1000 },
  idle: { warmup: 100, operations: 200 },
};

interface Knob {
  readonly sheet: string;
  readonly path: string;
  readonly quantum: number;
  readonly step: number;
  readonly min: number;
  readonly max: number;
}

interface Machine {
  readonly machine: string;
  /** Where in a point the values of each sheet stand. */
  readonly roots: Readonly<Record<string, readonly (readonly string[])[]>>;
  /** Found by one search on the rows of one thread, before and after those that contention shows. */
  readonly knobs: readonly Knob[];
  /** Found on the rows over threads. */
  readonly contended: readonly Knob[];
  readonly rows: string;
  /** Values that follow from those searched and from PARAM rows. */
  derived(at: (path: string) => number, published: readonly InvalidationPoint[]): Value[];
}

const KUNPENG_OS = 'linux-5.14-kunpeng-920';
const KUNPENG_UNIT = 'kunpeng-920';

/** ns: published figures do not tell finer differences. */
const GRAIN = 4;

function knob(sheet: string, path: string, step: number, max: number, min = 0, quantum = GRAIN): Knob {
  return { sheet, path, quantum, step, min, max };
}

/** Accesses of the queue that an idle CMD_SYNC contains: fetch and store by the unit. */
const QUEUE_ACCESSES = 2;
/** And, with the look of the CPU, lines that cross to another node. */
const CROSSINGS = 3;

function param(published: readonly InvalidationPoint[], row: string, point: string): number {
  const found = published.find((p) => p.use === 'PARAM' && p.row === row && p.point === point);
  if (found === undefined) throw new RangeError(`no PARAM row ${row} at ${point}`);
  return found.value;
}

const MACHINES: readonly Machine[] = [
  {
    machine: 'kunpeng-920',
    roots: {
      [KUNPENG_OS]: [['os']],
      [KUNPENG_UNIT]: [
        ['machine', 'iommus', 'iommu0'],
        ['machine', 'iommus', 'iommu1'],
      ],
    },
    knobs: [
      knob(KUNPENG_OS, 'costs.probe', 32, 500),
      knob(KUNPENG_OS, 'costs.mapCall', 8, 100),
      knob(KUNPENG_OS, 'costs.unmapCall', 64, 600),
      // This machine's cores are not those that page-table code was measured on.
      knob(KUNPENG_OS, 'costs.table.armv8.legacy.map.leaf', 0.8, 10, 0, 0.2),
      knob(KUNPENG_OS, 'costs.iovaTree', 32, 400),
      knob(KUNPENG_OS, 'costs.mapCallback', 16, 300),
      knob(KUNPENG_OS, 'costs.unmapCallback', 32, 400),
      knob(KUNPENG_UNIT, 'invalidation.iotlbPage', 16, 200),
    ],
    contended: [knob(KUNPENG_OS, 'costs.lineTransfer', 16, 300, 4), knob(KUNPENG_UNIT, 'invalidation.wait', 32, 400)],
    rows: 'fit to SMMU-WAYS-* and SMMU-DMB-t1-*',
    derived: (at, published) => {
      const poll = param(published, 'SMMU-POLL', 'near msi s2');
      const far =
        param(published, 'SMMU-SYNC-NUMA', 'first msi s2') - param(published, 'SMMU-SYNC-NUMA', 'near msi s2');
      const llc = startValue('kunpeng-920-2s', 'sockets.s0.llc.latency');
      const unit = startValue(KUNPENG_UNIT, 'invalidation.start') + at('invalidation.wait') + QUEUE_ACCESSES * llc;
      const look = startValue(KUNPENG_OS, 'costs.pollWord');
      const os = (path: string, value: number, rows: string): Value => ({
        sheet: KUNPENG_OS,
        path,
        value,
        unit: 'ns',
        rows,
        confidence: 'assumed',
      });
      return [
        os(
          'costs.mmioFlight',
          Math.max(0, poll - unit - look),
          'SMMU-POLL (PARAM), an idle CMD_SYNC, less its other parts',
        ),
        os(
          'costs.lineTransferRemote',
          at('costs.lineTransfer') + Math.round(far / CROSSINGS),
          'SMMU-SYNC-NUMA (PARAM): an idle CMD_SYNC with the queue on another node, three lines cross',
        ),
      ];
    },
  },
  {
    machine: 'snb-e3-1220',
    roots: { 'linux-3.4-e3-1220': [['os']] },
    knobs: [knob('linux-3.4-e3-1220', 'costs.poll', 16, 2000, 50, 1)],
    contended: [],
    rows: 'fit to RIO-INV',
    derived: () => [],
  },
  {
    machine: 'icx-4314',
    roots: { 'linux-6-xeon-4314': [['os']] },
    knobs: [knob('linux-6-xeon-4314', 'costs.poll', 16, 2000, 50, 1)],
    contended: [],
    rows: 'fit to VTD-QI-2548',
    derived: () => [],
  },
];

/** @returns the values found, ns. `log` gets a line for each machine. */
export async function fitInvalidation(
  published: readonly InvalidationPoint[],
  bench: InvalidationBench,
  seed: number,
  log: (line: string) => void,
): Promise<Values> {
  const found: Value[] = [];
  for (const machine of MACHINES) found.push(...(await fitMachine(machine, published, bench, seed, log)));
  return new Values(found);
}

async function fitMachine(
  machine: Machine,
  published: readonly InvalidationPoint[],
  bench: InvalidationBench,
  seed: number,
  log: (line: string) => void,
): Promise<Value[]> {
  const points = published.filter(
    (p) =>
      p.use === 'CAL' &&
      p.machine === machine.machine &&
      (p.experiment !== 'sizes' || SIZES.has(p.point.split(' ')[0]!)),
  );
  const all = [...machine.knobs, ...machine.contended];
  const known = new Map<Knob, number>(all.map((each) => [each, startValue(each.sheet, each.path)]));
  const toValues = (at: ReadonlyMap<Knob, number>): Value[] => [
    ...all.map((each): Value => {
      return { sheet: each.sheet, path: each.path, value: at.get(each)!, unit: 'ns', rows: machine.rows };
    }),
    ...machine.derived((path) => at.get(all.find((each) => each.path === path)!)!, published),
  ];
  const search = async (name: string, knobs: readonly Knob[], rows: readonly InvalidationPoint[]): Promise<void> => {
    const dimensions = knobs.map((each): Dimension => {
      const { path, quantum, step, min, max } = each;
      return dimension(path, quantum, { start: known.get(each)!, step, min, max });
    });
    const costs = new Map<string, number>();
    const cost = (position: readonly number[]): number => {
      const key = position.join(' ');
      const at = new Map([...known, ...knobs.map((each, i) => [each, position[i]!] as const)]);
      const value = costs.get(key) ?? costOf(rows, bench, machine, toValues(at), seed);
      costs.set(key, value);
      return value;
    };
    const random = new RandomStream(seed, `fit/invalidation/${machine.machine}/${name}`);
    const result = await patternSearch(dimensions, random, (each) => Promise.resolve(each.map(cost)));
    for (const [i, each] of knobs.entries()) known.set(each, result.values[i]!);
    const text = knobs.map(({ path }, i) => `${path} ${result.values[i]}`).join(', ');
    log(`${machine.machine}, ${name}: cost ${result.startCost.toFixed(2)} -> ${result.cost.toFixed(2)}: ${text} ns`);
  };
  const single = points.filter(({ experiment, point }) => experiment !== 'threads' || point === '1');
  await search('one thread', machine.knobs, single);
  if (machine.contended.length > 0) {
    const threads = points.filter(({ experiment }) => experiment === 'threads');
    await search('threads', machine.contended, threads);
    await search('one thread, again', machine.knobs, single);
  }
  return toValues(known);
}

/** Squares of errors in tolerances, with a steep charge close to and beyond the limit; slopes over threads count like points. */
function costOf(
  points: readonly InvalidationPoint[],
  bench: InvalidationBench,
  machine: Machine,
  values: readonly Value[],
  seed: number,
): number {
  const results = new Map<PointSpec, { spec: PointSpec; result: ReturnType<typeof simulate> }>();
  const scored = points.map((point) => {
    const original = bench.spec(point);
    let run = results.get(original);
    if (run === undefined) {
      const spec = placeValues(shortened(original, point, seed), values, machine.roots);
      run = { spec, result: simulate(spec) };
      results.set(original, run);
    }
    return scoreInvalidation(point, measuredValue(run.spec, run.result, point));
  });
  const charges = [
    ...scored.map((point) => usedTolerance(point, point.simulated)),
    ...slopesOf(scored).map(({ published, simulated }) => Math.abs(simulated - published) / SLOPE_TOLERANCE),
  ];
  return charges.reduce((sum, used) => sum + squared(used) + STEEP * Math.max(0, Math.min(used, STRAIGHT) - CLOSE), 0);
}

/** One point far off must not decide about the others. */
function squared(used: number): number {
  return used < STRAIGHT ? used * used : STRAIGHT * (2 * used - STRAIGHT);
}

/** One thread has no regimes that a mean has to see. */
const ALONE = 0.1;

function shortened(spec: PointSpec, { experiment, point }: InvalidationPoint, seed: number): PointSpec {
  if (experiment === 'rates') throw new RangeError('rates are context');
  const share = experiment === 'threads' && point === '1' ? ALONE : 1;
  const warmup = SHORT[experiment].warmup * share;
  const operations = SHORT[experiment].operations * share;
  return {
    ...spec,
    seed,
    warmup: { time: null, operations: warmup },
    stop: { time: null, operations, steady: null },
  };
}
