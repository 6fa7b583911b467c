/**
 * The fit of pcie-bench: staged pattern searches from the sheets' starting values, on rows tagged CAL only. First memory and
 * device on rows without walks, in turn; then, with those fixed, IOTLB entries and the time of a miss on latency rows with 4 KiB
 * pages; then what a walk occupies, and the device's 256 B reads in flight, on all rows with 4 KiB pages. Problems of a stage are
 * independent and run side by side.
 */
import { RandomStream } from '../../kernel/random.js';
import type { Evaluator } from '../evaluator.js';
import type { BenchPoint, PcieBench } from '../pcie-bench.js';
import type { PublishedSeries } from '../published.js';
import { fitWindows, seriesCost } from './cost.js';
import { type Host, HOSTS, type Value, Values } from './parameters.js';
import { fitPoint } from './points.js';
import { predictedValues } from './predicted.js';
import {
  deviceProblems,
  memoryProblem,
  missProblem,
  type Pass,
  type Problem,
  slotProblem,
  walkProblem,
} from './problems.js';
import { patternSearch } from './search.js';

export interface FitOptions {
  readonly published: readonly PublishedSeries[];
  readonly bench: PcieBench;
  readonly evaluator: Evaluator;
  /** Seed of the order of the search and of the simulated points. */
  readonly seed: number;
  /** Share of the usual number of operations a point: 1; less in tests. */
  readonly effort: number;
  /** Fit only this host, with the device and the other hosts as `values` say. */
  readonly host: Host | null;
  /** Values in place until others are found; with `host`, those of an earlier fit that are kept. */
  readonly values: Values;
  readonly log: (line: string) => void;
}

/** @returns the values found; with `host`, the kept ones with those of the host replaced. */
export async function fitPcieBench(options: FitOptions): Promise<Values> {
  const { published, host, log } = options;
  const hosts = host === null ? HOSTS : [host];
  let { values } = options;
  let results = new Values(host === null ? [] : values);
  const stage = async (title: string, problems: readonly Problem[]): Promise<void> => {
    log(title);
    const found = await Promise.all(problems.filter(hasRows).map((problem) => solve(problem, values, options)));
    values = values.with(found.flat());
    results = results.with(found.flat());
  };
  for (const pass of ['first', 'later'] satisfies Pass[]) {
    await stage(
      `memory, no walks, ${pass} pass`,
      hosts.map((h) => memoryProblem(h, published, pass, values)),
    );
    if (host === null) await stage(`device, no walks, ${pass} pass`, deviceProblems(published, pass, values));
  }
  const walked = hosts.filter(({ unit }) => unit !== '');
  await stage(
    'misses, 4 KiB pages',
    walked.map((h) => missProblem(h, published, values)),
  );
  for (const pass of ['first', 'later'] satisfies Pass[]) {
    await stage(
      `walks, 4 KiB pages, ${pass} pass`,
      walked.map((h) => walkProblem(h, published, pass, values)),
    );
    if (host === null) await stage(`device, 4 KiB pages, ${pass} pass`, [slotProblem(published, pass, values)]);
  }
  return host === null ? results.with(predictedValues(published, values)) : results;
}

const hasRows = ({ rows }: Problem): boolean => rows.length > 0;

async function solve(problem: Problem, values: Values, options: FitOptions): Promise<Value[]> {
  const { bench, evaluator, seed, effort, log } = options;
  const rows = problem.rows.map(({ host, series }) => ({ host, series: fitWindows(series) }));
  const cost = async (position: readonly number[]): Promise<number> => {
    const candidate = values.with(problem.toValues(position));
    const costs = await Promise.all(
      rows.map(async ({ host, series }) => {
        const points = bench.series(series).map(({ spec, measure }): BenchPoint => {
          return { spec: fitPoint(candidate.apply(spec, host), seed, effort), measure };
        });
        return seriesCost(series, await evaluator.evaluate(points));
      }),
    );
    return costs.reduce((sum, each) => sum + each, 0);
  };
  const random = new RandomStream(seed, `fit/${problem.name}`);
  const result = await patternSearch(problem.dimensions, random, (all) => Promise.all(all.map(cost)));
  const found = problem.dimensions.map((d, i) => `${d.name} ${result.values[i]}`).join(', ');
  log(`  ${problem.name}: cost ${result.startCost.toFixed(2)} -> ${result.cost.toFixed(2)}: ${found}`);
  return problem.toValues(result.values);
}
