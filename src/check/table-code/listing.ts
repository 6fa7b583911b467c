/** Stage 5 as text for the terminal: for each series published, simulated and error by pages in a call; then the verdict. */
import { pagesLabel } from './published.js';
import { CODE_TOLERANCE, codeShare, type ScoredCode } from './validation.js';

const LABEL = 12;
const CELL = 10;

export function formatTableCode(results: readonly ScoredCode[]): string {
  return `${results.flatMap(seriesLines).join('\n')}\n`;
}

function seriesLines({ series, scored, points }: ScoredCode): string[] {
  const line = (label: string, cells: readonly string[]): string =>
    `  ${label.padEnd(LABEL)}${cells.map((cell) => cell.padStart(CELL)).join('')}`.trimEnd();
  const { row, format, operation, code, unit } = series;
  const ok = points.filter((p) => p.ok).length;
  return [
    `${row}: ${format}, ${operation}, ${code} code, ${unit} a call`,
    line(
      'pages',
      points.map((p) => `${pagesLabel(p)} `),
    ),
    line(
      'published',
      points.map((p) => `${p.value} `),
    ),
    line(
      'simulated',
      points.map((p) => `${p.simulated.toFixed(p.simulated < 1000 ? 1 : 0)} `),
    ),
    line(
      'error %',
      points.map((p) => `${(100 * p.error).toFixed(1)}${scored && !p.ok ? '*' : ' '}`),
    ),
    scored
      ? `  ${ok} of ${points.length} within ${100 * CODE_TOLERANCE} %`
      : '  not scored: values were derived from this row',
    '',
  ];
}

/** The verdict: the share of points, and the misses by name. */
export function formatTableCodeSummary(results: readonly ScoredCode[]): string {
  const { ok, total } = codeShare(results);
  const lines = [`page-table code, points within ${100 * CODE_TOLERANCE} %: ${ok} of ${total}`];
  for (const { series, points } of results.filter(({ scored }) => scored)) {
    for (const p of points.filter((each) => !each.ok)) {
      lines.push(`  miss: ${series.row} ${series.code} ${pagesLabel(p)}: ${(100 * p.error).toFixed(1)} %`);
    }
  }
  lines.push(ok === total ? 'accepted: all points are needed' : 'not accepted: all points are needed');
  return `${lines.join('\n')}\n`;
}
