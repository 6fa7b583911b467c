/** Published tables made by the simulator itself from known parameters, for tests that a fit finds them again. */
import { runPoint } from '../../run/point.js';
import { Evaluator } from '../evaluator.js';
import { fitPoint } from '../fit/points.js';
import type { Host, Values } from '../fit/parameters.js';
import type { PcieBench } from '../pcie-bench.js';
import type { PublishedSeries } from '../published.js';

/** What the points are made with; a fit with the same can find the parameters exactly. */
export const SEED = 1;
export const EFFORT = 0.25;

/** Simulates in the calling thread: a test needs no compiled worker. */
export function localEvaluator(): Evaluator {
  return new Evaluator({ threads: 1, runner: runPoint });
}

/** A CAL row of `host` with the values that `known` gives. */
export async function syntheticSeries(
  bench: PcieBench,
  host: Host,
  row: Pick<PublishedSeries, 'test' | 'hostCache' | 'iommu' | 'unit'>,
  windows: readonly string[],
  known: Values,
): Promise<PublishedSeries> {
  const empty = windows.map((window) => ({ window, value: 0 }));
  const series = {
    ...row,
    row: `SYN-${host.label}-${row.test}`,
    use: 'CAL' as const,
    host: host.machine,
    points: empty,
  };
  const points = bench
    .series(series)
    .map(({ spec, measure }) => ({ spec: fitPoint(known.apply(spec, host), SEED, EFFORT), measure }));
  const values = await localEvaluator().evaluate(points);
  return { ...series, points: windows.map((window, i) => ({ window, value: values[i]! })) };
}
