/** A validation as text for the terminal: for each series published, simulated and error by window, then derived figures and the summary. */
import { windowKiB } from './published.js';
import { isLatency, type ScoredSeries } from './score.js';
import {
  ACCEPTED_SHARE,
  type DerivedFigure,
  type Share,
  type Stage,
  type Summary,
  type Validation,
} from './validation.js';

const LABEL = 12;
const CELL = 8;

export function formatValidation(validation: Validation): string {
  const { series, predicted, derived } = validation;
  const lines = series.flatMap(seriesLines);
  if (predicted.length > 0) {
    lines.push('Predicted, not scored: walkers are inherited, see `iommusim models show`', '');
    lines.push(...predicted.flatMap(seriesLines));
  }
  if (derived.length > 0) lines.push(...derivedLines(derived));
  return `${lines.join('\n')}\n`;
}

function seriesLines({ series, scored, points, publishedKnee, simulatedKnee, kneeOk }: ScoredSeries): string[] {
  const digits = isLatency(series) ? 0 : 2;
  const { row, host, test, hostCache, iommu, unit } = series;
  const number = (value: number): string => (Number.isNaN(value) ? '-' : value.toFixed(digits));
  const line = (label: string, cells: readonly string[]): string =>
    `  ${label.padEnd(LABEL)}${cells.map((cell) => cell.padStart(CELL)).join('')}`.trimEnd();
  const mark = (ok: boolean): string => (scored && !ok ? '*' : ' ');
  const lines = [
    `${row}: ${host}, ${test}, ${hostCache}, IOMMU ${iommu}, ${unit}`,
    line(
      'window KiB',
      points.map((p) => `${windowKiB(p.window)} `),
    ),
    line(
      'published',
      points.map((p) => `${number(p.published)} `),
    ),
    line(
      'simulated',
      points.map((p) => `${number(p.simulated)} `),
    ),
    line(
      'error %',
      points.map((p) => (Number.isNaN(p.error) ? '- ' : `${percent(p.error)}${mark(p.ok)}`)),
    ),
  ];
  if (scored) {
    const ok = points.filter((p) => p.ok).length;
    const knees = `knee published ${publishedKnee ?? 'none'}, simulated ${simulatedKnee ?? 'none'}${mark(kneeOk)}`;
    lines.push(`  ${ok} of ${points.length} within tolerance${iommu === 'off' ? '' : `; ${knees}`}`.trimEnd());
    for (const { window, reason } of points.filter((p) => p.reason !== '')) lines.push(`  * ${window}: ${reason}`);
  }
  return [...lines, ''];
}

const percent = (share: number): string => (100 * share).toFixed(1);

function derivedLines(figures: readonly DerivedFigure[]): string[] {
  const rows = figures.map(({ series, window, published, simulated, error, scored, ok }) => [
    series.row,
    window,
    series.unit,
    String(published),
    simulated.toFixed(1),
    percent(error),
    scored ? (ok ? 'ok' : 'miss *') : 'not scored',
  ]);
  const table = [['derived', 'window', 'unit', 'published', 'simulated', 'error %', 'verdict'], ...rows];
  const widths = table[0]!.map((_, column) => Math.max(...table.map((row) => row[column]!.length)));
  return [
    ...table.map((row) =>
      row
        .map((cell, i) => cell.padEnd(widths[i]!))
        .join('  ')
        .trimEnd(),
    ),
    '',
  ];
}

/** The verdict: shares of points and knees, the misses by name. */
export function formatSummary(validation: Validation, summary: Summary, stages: readonly Stage[]): string {
  const share = ({ ok, total }: Share): string =>
    total === 0 ? 'none run' : `${ok} of ${total} (${((100 * ok) / total).toFixed(1)} %)`;
  const lines: string[] = [];
  if (stages.includes(1)) lines.push(`IOMMU off, points within 3 % or 10 ns:             ${share(summary.off)}`);
  if (stages.includes(2)) {
    lines.push(`IOMMU on, points within 10 %, 15 % inside the knee: ${share(summary.on)}`);
    lines.push(`IOMMU on, knees in the same grid step:              ${share(summary.knees)}`);
    lines.push(`derived figures within 10 %:                        ${share(summary.derived)}`);
  }
  for (const { series, points, scored, kneeOk, publishedKnee, simulatedKnee } of validation.series) {
    for (const { window, error, tolerance, reason } of points.filter((p) => scored && !p.ok)) {
      const limit = `${percent(error)} %, limit ${percent(tolerance)} %`;
      lines.push(`  miss: ${series.row} ${window}: ${limit}${reason === '' ? '' : `; ${reason}`}`);
    }
    if (scored && !kneeOk) {
      lines.push(`  knee: ${series.row}: published ${publishedKnee ?? 'none'}, simulated ${simulatedKnee ?? 'none'}`);
    }
  }
  for (const { series, window, error } of validation.derived.filter((d) => d.scored && !d.ok)) {
    lines.push(`  derived: ${series.row} ${window}: ${percent(error)} %`);
  }
  const wanted = `at least ${100 * ACCEPTED_SHARE} % of points and of knees are needed`;
  lines.push(summary.accepted ? `accepted: ${wanted}` : `not accepted: ${wanted}`);
  return `${lines.join('\n')}\n`;
}
