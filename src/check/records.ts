/** A validation as tidy records for CSV: one line a published or predicted value. Numbers in full; the empty text is a missing value. */
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
