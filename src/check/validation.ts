/**
 * Repeats the published pcie-bench measurements and scores them. Stage 1: IOMMU off, all hosts. Stage 2: IOMMU on, where rows
 * are tagged CAL, and the figures derived from them; hosts without such rows are predicted and printed unscored.
 */
import { DERIVED_TESTS, DERIVED_TOLERANCE, derivedValue, type Lookup } from './derived.js';
import type { Evaluator } from './evaluator.js';
import type { BenchPoint, PcieBench } from './pcie-bench.js';
import type { PublishedSeries } from './published.js';
import { type ScoredSeries, scoreSeries } from './score.js';

export const STAGES = [1, 2] as const;
export type Stage = (typeof STAGES)[number];

/** A derived figure: published against simulated. */
export interface DerivedFigure {
  readonly series: PublishedSeries;
  /** Empty where the figure has no window. */
  readonly window: string;
  readonly published: number;
  readonly simulated: number;
  readonly error: number;
  readonly tolerance: number;
  readonly scored: boolean;
  readonly ok: boolean;
}

export interface Validation {
  readonly stages: readonly Stage[];
  readonly series: readonly ScoredSeries[];
  /** Series of hosts that are predicted, not fitted, with the IOMMU on. */
  readonly predicted: readonly ScoredSeries[];
  readonly derived: readonly DerivedFigure[];
}

export interface Share {
  readonly ok: number;
  readonly total: number;
}

export interface Summary {
  readonly off: Share;
  readonly on: Share;
  readonly knees: Share;
  readonly derived: Share;
  readonly accepted: boolean;
}

/** Share of points, and of knees, that must agree. */
export const ACCEPTED_SHARE = 0.95;

interface Plan {
  readonly measured: readonly PublishedSeries[];
  readonly predicted: readonly PublishedSeries[];
  readonly derived: readonly PublishedSeries[];
}

/** What is run and printed: series of the stages whose row matches. */
export function planValidation(
  published: readonly PublishedSeries[],
  stages: readonly Stage[],
  matches: (row: string) => boolean,
): Plan {
  const curves = published.filter((s) => s.use === 'CAL' && !DERIVED_TESTS.has(s.test));
  const inStage = (s: PublishedSeries): boolean => stages.includes(s.iommu === 'off' ? 1 : 2) && matches(s.row);
  const second = stages.includes(2);
  return {
    measured: curves.filter(inStage),
    predicted: second ? predictions(published, curves).filter((s) => matches(s.row)) : [],
    derived: second ? published.filter((s) => DERIVED_TESTS.has(s.test) && matches(s.row)) : [],
  };
}

/** The curves that hosts with IOMMU-off rows only would have with 4 KiB pages; published values stand beside them where there are any. */
function predictions(published: readonly PublishedSeries[], curves: readonly PublishedSeries[]): PublishedSeries[] {
  const hosts = [...new Set(curves.map((s) => s.host))];
  const fitted = new Set(curves.filter((s) => s.iommu !== 'off').map((s) => s.host));
  const model = curves.filter((s) => s.host === hosts[0] && s.iommu === '4KiB');
  return hosts
    .filter((host) => !fitted.has(host))
    .flatMap((host) =>
      model.map((like) => {
        const same = (s: PublishedSeries): boolean =>
          s.host === host && s.test === like.test && s.hostCache === like.hostCache && s.iommu === like.iommu;
        const nothing = like.points.map(({ window }) => ({ window, value: Number.NaN }));
        const row = `predicted: ${host}, ${like.test}, ${like.hostCache}`;
        return published.find(same) ?? { ...like, host, row, use: 'CTX', points: nothing };
      }),
    );
}

/** Every point of the plan, and the others that the derived figures need. */
export function validationPoints(plan: Plan, bench: PcieBench): BenchPoint[] {
  const figures = plan.derived.flatMap((series) => {
    const windows: string[] = [];
    for (const { window } of series.points) derivedValue(series.test, window, (...at) => (windows.push(at.join(' ')), 1));
    return windows.map((at) => at.split(' ') as Parameters<Lookup>).map((at) => pointAt(bench, series.host, at));
  });
  return [...[...plan.measured, ...plan.predicted].flatMap((series) => bench.series(series)), ...figures];
}

function pointAt(bench: PcieBench, host: string, [test, hostCache, iommu, window]: Parameters<Lookup>): BenchPoint {
  return bench.series({ host, test, hostCache, iommu, points: [{ window, value: Number.NaN }] })[0]!;
}

/** Runs a plan. `stages` are those it was made for. */
export async function validate(
  plan: Plan,
  stages: readonly Stage[],
  bench: PcieBench,
  evaluator: Evaluator,
): Promise<Validation> {
  await evaluator.evaluate(validationPoints(plan, bench));
  const score = async (series: PublishedSeries): Promise<ScoredSeries> =>
    scoreSeries(series, await evaluator.evaluate(bench.series(series)));
  const derived = await Promise.all(plan.derived.map((series) => figures(series, bench, evaluator)));
  return {
    stages,
    series: await Promise.all(plan.measured.map(score)),
    predicted: await Promise.all(plan.predicted.map(score)),
    derived: derived.flat(),
  };
}

/** All of these points have been computed before: the evaluator only looks them up. */
async function figures(series: PublishedSeries, bench: PcieBench, evaluator: Evaluator): Promise<DerivedFigure[]> {
  return Promise.all(
    series.points.map(async ({ window, value: published }) => {
      const wanted: Parameters<Lookup>[] = [];
      derivedValue(series.test, window, (...at) => (wanted.push(at), 1));
      const values = await evaluator.evaluate(wanted.map((at) => pointAt(bench, series.host, at)));
      let next = 0;
      const simulated = derivedValue(series.test, window, () => values[next++]!);
      const error = (simulated - published) / published;
      const ok = Math.abs(error) <= DERIVED_TOLERANCE;
      const scored = series.use === 'CAL';
      return { series, window, published, simulated, error, tolerance: DERIVED_TOLERANCE, scored, ok };
    }),
  );
}

export function summarise({ series, derived }: Validation): Summary {
  const points = (wanted: (s: ScoredSeries) => boolean): Share => {
    const all = series.filter(wanted).flatMap((s) => s.points);
    return { ok: all.filter((p) => p.ok).length, total: all.length };
  };
  const on = series.filter((s) => s.series.iommu !== 'off');
  const figures = derived.filter((d) => d.scored);
  const summary = {
    off: points((s) => s.series.iommu === 'off'),
    on: points((s) => s.series.iommu !== 'off'),
    knees: { ok: on.filter((s) => s.kneeOk).length, total: on.length },
    derived: { ok: figures.filter((d) => d.ok).length, total: figures.length },
  };
  const enough = ({ ok, total }: Share): boolean => ok >= ACCEPTED_SHARE * total;
  return { ...summary, accepted: [summary.off, summary.on, summary.knees].every(enough) };
}
