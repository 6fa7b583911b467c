/** Stage 6 as text for the terminal: for each row published, simulated and error by point, slopes over threads; then the verdict. */
import type { Use } from '../published.js';
import {
  INVALIDATION_TOLERANCE,
  type InvalidationValidation,
  invalidationShare,
  type ScoredInvalidation,
} from './validation.js';

/** Why whole rows are not scored. */
const WHY: Readonly<Record<Use, string>> = { CAL: '', PARAM: 'an input of the model', CTX: 'context' };

const LABEL = 12;
const CELL = 9;

export function formatInvalidation({ points, slopes }: InvalidationValidation): string {
  const rows = [...new Set(points.map(({ row }) => row))];
  const lines = rows.flatMap((row) =>
    rowLines(
      row,
      points.filter((point) => point.row === row),
    ),
  );
  if (slopes.length > 0) {
    lines.push('slope of log time over log threads');
    for (const { row, published, simulated, ok } of slopes) {
      lines.push(`  ${row}: published ${published.toFixed(2)}, simulated ${simulated.toFixed(2)}${ok ? '' : '*'}`);
    }
    lines.push('');
  }
  return `${lines.join('\n')}\n`;
}

function rowLines(row: string, points: readonly ScoredInvalidation[]): string[] {
  const [first] = points;
  const line = (label: string, cells: readonly string[]): string =>
    `  ${label.padEnd(LABEL)}${cells.map((cell) => cell.padStart(CELL)).join('')}`.trimEnd();
  const heading = `${row}: ${first!.machine}, ${first!.metric}, ${first!.unit}`;
  return [
    points.some(({ scored }) => scored) ? heading : `${heading}, not scored: ${WHY[first!.use]}`,
    line(
      first!.experiment,
      points.map(({ point }) => `${point.split(' ')[first!.experiment === 'idle' ? 1 : 0]} `),
    ),
    line(
      'published',
      points.map(({ value, bound }) => `${bound ? '>' : ''}${value} `),
    ),
    line(
      'simulated',
      points.map(({ simulated }) => `${simulated.toFixed(0)} `),
    ),
    line(
      'error %',
      points.map(({ error, bound, scored, ok }) =>
        bound ? (ok ? 'ok ' : 'below*') : `${(100 * error).toFixed(1)}${scored && !ok ? '*' : ' '}`,
      ),
    ),
    ...points
      .filter(({ scored, reason }) => !scored && reason !== '')
      .map(({ point, reason }) => `  ${point} is not scored: ${reason}`),
    '',
  ];
}

/** The verdict: the share of points and slopes, and the misses by name. */
export function formatInvalidationSummary(validation: InvalidationValidation): string {
  const { ok, total } = invalidationShare(validation);
  const lines = [
    `invalidation, points within ${100 * INVALIDATION_TOLERANCE} % or the resolution of the source, and slopes: ${ok} of ${total}`,
  ];
  for (const { row, point, error, reason } of validation.points.filter((each) => each.scored && !each.ok)) {
    lines.push(`  miss: ${row} ${point}: ${(100 * error).toFixed(1)} %${reason === '' ? '' : `; ${reason}`}`);
  }
  for (const { row, published, simulated } of validation.slopes.filter((each) => !each.ok)) {
    lines.push(`  miss: slope of ${row}: ${simulated.toFixed(2)} instead of ${published.toFixed(2)}`);
  }
  lines.push(ok === total ? 'accepted: all are needed' : 'not accepted: all are needed');
  return `${lines.join('\n')}\n`;
}
