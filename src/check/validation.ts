/**
 * Stages of validation. Here: repeats the published pcie-bench measurements and scores them. Stage 1: IOMMU off, all hosts. Stage 2: IOMMU on, where rows
 * are tagged CAL, and the figures derived from them; hosts without such rows are predicted and printed unscored.
 */
import { DERIVED_TESTS, DERIVED_TOLERANCE, derivedInputs, derivedValue } from './derived.js';
import type { Evaluator } from './evaluator.js';
import type { BenchPoint, PcieBench } from './pcie-bench.js';
import type { PublishedPoint, PublishedSeries } from './published.js';
import { type ScoredSeries, scoreSeries } from './score.js';

/** What each stage validates. Stage 5 is in table-code/, stage 6 in invalidation/, stages 8, 9 and 10 in workload-rows/. */
export const STAGES = {
  1: 'IOMMU off',
  2: 'IOMMU on',
  5: 'page-table code',
  6: 'invalidation',
  8: 'guests',
  9: 'user memory',
  10: 'page faults',
} as const;
export type Stage = keyof typeof STAGES;

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

export interface ValidationPlan {
  readonly measured: readonly PublishedSeries[];
  readonly predicted: readonly PublishedSeries[];
  readonly derived: readonly PublishedSeries[];
}

/** What is run and printed: series of the stages whose row matches. */
export function planValidation(
  published: readonly PublishedSeries[],
  stages: readonly Stage[],
  matches: (row: string) => boolean,
): ValidationPlan {
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

/** Every point of the plan, those that the derived figures need included. */
export function validationPoints(plan: ValidationPlan, bench: PcieBench): BenchPoint[] {
  const curves = [...plan.measured, ...plan.predicted].flatMap((series) => bench.series(series));
  return [...curves, ...plan.derived.flatMap((s) => s.points.flatMap((p) => inputPoints(s, p.window, bench)))];
}

function inputPoints({ test, host }: PublishedSeries, window: string, bench: PcieBench): BenchPoint[] {
  return derivedInputs(test, window).flatMap((input) =>
    bench.series({ ...input, host, points: [{ window: input.window, value: Number.NaN }] }),
  );
}

/** Runs a plan; points that occur in several places are computed once. */
export async function validate(plan: ValidationPlan, bench: PcieBench, evaluator: Evaluator): Promise<Validation> {
  await evaluator.evaluate(validationPoints(plan, bench));
  const score = async (series: PublishedSeries): Promise<ScoredSeries> =>
    scoreSeries(series, await evaluator.evaluate(bench.series(series)));
  const derived = plan.derived.flatMap((series) =>
    series.points.map(async (point) => {
      const inputs = await evaluator.evaluate(inputPoints(series, point.window, bench));
      return figure(series, point, derivedValue(series.test, point.window, inputs));
    }),
  );
  return {
    series: await Promise.all(plan.measured.map(score)),
    predicted: await Promise.all(plan.predicted.map(score)),
    derived: await Promise.all(derived),
  };
}

function figure(series: PublishedSeries, { window, value }: PublishedPoint, simulated: number): DerivedFigure {
  const error = (simulated - value) / value;
  const ok = Math.abs(error) <= DERIVED_TOLERANCE;
  const scored = series.use === 'CAL';
  return { series, window, published: value, simulated, error, tolerance: DERIVED_TOLERANCE, scored, ok };
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
