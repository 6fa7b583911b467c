/** Stages of shipped workloads as text for the terminal: for each series published, simulated and error; then the verdict. */
import { type ScoredPart, type ScoredWorkload, type ScoredWorkloadPoint, workloadShare } from './validation.js';

const LABEL = 20;
const CELL = 13;

export function formatWorkloads(results: readonly ScoredWorkload[]): string {
  return `${results.flatMap(seriesLines).join('\n')}\n`;
}

function seriesLines({ series, scored, tolerance, points, parts }: ScoredWorkload): string[] {
  const line = (cells: readonly string[]): string =>
    `  ${cells[0]!.padEnd(LABEL)}${cells
      .slice(1)
      .map((cell) => cell.padStart(CELL))
      .join('')}`.trimEnd();
  const ok = points.filter((p) => p.ok).length;
  return [
    `${series.row}: stage ${series.stage}, ${series.workload}, ${points[0]!.metric}`,
    line(['', `published ${points[0]!.unit}`, 'simulated', 'error %']),
    ...points.map((p) =>
      line([
        p.label,
        String(p.value),
        p.simulated.toPrecision(4),
        `${(100 * p.error).toFixed(1)}${scored && !p.ok ? '*' : ' '}`,
      ]),
    ),
    ...partLines(points[0]!, parts),
    scored ? `  ${ok} of ${points.length} within ${100 * tolerance} %` : '  not scored',
    '',
  ];
}

/** The whole is published, its parts are not: they show what the parameters make of it. */
function partLines({ label, unit, simulated }: ScoredWorkloadPoint, parts: readonly ScoredPart[]): string[] {
  if (parts.length === 0) return [];
  return [
    `  parts of ${label}, ${simulated.toPrecision(4)} ${unit}; not published:`,
    ...parts.map(({ name, simulated: part, parameters }) =>
      `    ${name.padEnd(LABEL - 2)}${part.toFixed(3).padStart(CELL)}  ${parameters.join(', ')}`.trimEnd(),
    ),
  ];
}

/** The verdict: the share of points of each stage, and the misses by name. */
export function formatWorkloadSummary(results: readonly ScoredWorkload[]): string {
  const stages = [...new Set(results.map(({ series }) => series.stage))];
  const lines = stages.map((stage) => {
    const own = results.filter(({ series }) => series.stage === stage);
    const { ok, total } = workloadShare(own);
    return `stage ${stage}, points within ${100 * own[0]!.tolerance} %: ${ok} of ${total}`;
  });
  for (const { series, points } of results.filter(({ scored }) => scored)) {
    for (const p of points.filter((each) => !each.ok)) {
      lines.push(`  miss: ${series.row} ${p.label}: ${(100 * p.error).toFixed(1)} %`);
    }
  }
  const { ok, total } = workloadShare(results);
  lines.push(ok === total ? 'accepted: all points are needed' : 'not accepted: all points are needed');
  return `${lines.join('\n')}\n`;
}
