/** A validation as tidy records for CSV: one line a published or predicted value. Numbers in full; the empty text is a missing value. */
import { INVALIDATION_TOLERANCE, type InvalidationValidation, SLOPE_TOLERANCE } from './invalidation/validation.js';
import { PCIE_BENCH_SOURCE } from './published.js';
import type { ScoredSeries } from './score.js';
import { pagesLabel } from './table-code/published.js';
import { CODE_TOLERANCE, type ScoredCode } from './table-code/validation.js';
import type { DerivedFigure, Validation } from './validation.js';
import type { ScoredWorkload } from './workload-rows/validation.js';

const HEADER = [
  'row',
  'use',
  'host',
  'test',
  'host_cache',
  'iommu',
  'window',
  'unit',
  'published',
  'simulated',
  'error',
  'tolerance',
  'verdict',
  'published_knee',
  'simulated_knee',
  'reason',
  'source',
] as const;

/** Stage 5: the columns `iommu`, `test` and `window` hold the table format, operation with code generation, and the pages of a call. */
export function tableCodeRecords(results: readonly ScoredCode[], format: (value: number) => string): string[][] {
  return results.flatMap(({ series, scored, points }) =>
    points.map((p) => [
      series.row,
      series.use,
      'i7-12700',
      `${series.operation} ${series.code}`,
      '',
      series.format,
      pagesLabel(p),
      series.unit,
      format(p.value),
      format(p.simulated),
      format(p.error),
      format(CODE_TOLERANCE),
      scored ? (p.ok ? 'ok' : 'miss') : 'not scored',
      '',
      '',
      '',
      series.source,
    ]),
  );
}

/** Stage 6: the columns `test` and `window` hold experiment with metric, and the point of the series; slopes are lines of their own. */
export function invalidationRecords(
  { points, slopes }: InvalidationValidation,
  format: (value: number) => string,
): string[][] {
  const line = (
    row: string,
    use: string,
    host: string,
    test: string,
    window: string,
    unit: string,
    figures: readonly [published: number, simulated: number, error: number, tolerance: number],
    verdict: string,
    reason: string,
    source: string,
  ): string[] => [row, use, host, test, '', '', window, unit, ...figures.map(format), verdict, '', '', reason, source];
  return [
    ...points.map((p) =>
      line(
        p.row,
        p.use,
        p.machine,
        `${p.experiment} ${p.metric}`,
        p.point,
        p.unit,
        [p.value, p.simulated, p.error, Math.max(INVALIDATION_TOLERANCE, p.resolution / p.value)],
        p.scored ? (p.ok ? 'ok' : 'miss') : 'not scored',
        p.bound ? 'the published value is a lower bound' : p.reason,
        p.source,
      ),
    ),
    ...slopes.map((s) =>
      line(
        s.row,
        'CAL',
        '',
        'slope of log time over log threads',
        '',
        '',
        [s.published, s.simulated, s.simulated - s.published, SLOPE_TOLERANCE],
        s.ok ? 'ok' : 'miss',
        '',
        '',
      ),
    ),
  ];
}

/** Stages of shipped workloads: the columns `host` and `test` hold the workload file and the metric, `window` the label of the point. */
export function workloadRecords(results: readonly ScoredWorkload[], format: (value: number) => string): string[][] {
  return results.flatMap(({ series, scored, tolerance, points }) =>
    points.map((p) => [
      series.row,
      series.use,
      series.workload,
      p.metric,
      '',
      '',
      p.label,
      p.unit,
      format(p.value),
      format(p.simulated),
      format(p.error),
      format(tolerance),
      scored ? (p.ok ? 'ok' : 'miss') : 'not scored',
      '',
      '',
      '',
      series.source,
    ]),
  );
}

/** Header and records; numbers are written by `format`. */
export function validationRecords(
  { series, predicted, derived }: Validation,
  format: (value: number) => string,
): string[][] {
  return [
    [...HEADER],
    ...[...series, ...predicted].flatMap((s) => seriesRecords(s, format)),
    ...derived.map((figure) => derivedRecord(figure, format)),
  ];
}

function seriesRecords(scored: ScoredSeries, format: (value: number) => string): string[][] {
  const { row, use, host, test, hostCache, iommu, unit } = scored.series;
  return scored.points.map((p) => [
    row,
    use,
    host,
    test,
    hostCache,
    iommu,
    p.window,
    unit,
    format(p.published),
    format(p.simulated),
    format(p.error),
    format(p.tolerance),
    scored.scored ? (p.ok ? 'ok' : 'miss') : 'not scored',
    scored.publishedKnee ?? '',
    scored.simulatedKnee ?? '',
    scored.scored ? p.reason : '',
    Number.isNaN(p.published) ? '' : PCIE_BENCH_SOURCE,
  ]);
}

function derivedRecord(figure: DerivedFigure, format: (value: number) => string): string[] {
  const { row, use, host, test, hostCache, iommu, unit } = figure.series;
  return [
    row,
    use,
    host,
    test,
    hostCache,
    iommu,
    figure.window,
    unit,
    format(figure.published),
    format(figure.simulated),
    format(figure.error),
    format(figure.tolerance),
    figure.scored ? (figure.ok ? 'ok' : 'miss') : 'not scored',
    '',
    '',
    '',
    PCIE_BENCH_SOURCE,
  ];
}
