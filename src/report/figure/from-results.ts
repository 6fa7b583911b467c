/** The chart of a selection: names, series with their colours, intervals, and the small print. */
import { inputError } from '../../workload/errors.js';
import { formatNumber } from '../number.js';
import { shortPath } from '../table.js';
import type { ChartPoint, ChartSeries, LineChart } from './chart.js';
import type { ResultRow, Results } from './results.js';
import { type Selection, valuesOf } from './selection.js';
import { COLOURS, DASHES } from './style.js';
import { axisValues, isWide } from './values.js';

export interface Look {
  readonly title?: string;
  /** Logarithmic axes; default: x when its values are positive and span a factor of 32 or more. */
  readonly log?: readonly ('x' | 'y')[];
  /** The y axis starts at zero. */
  readonly zero: boolean;
}

/** More series than this cannot be told apart. */
export const MAX_SERIES = 12;

/** @throws InputError E604, E605 */
export function resultsChart(results: Results, selection: Selection, look: Look): LineChart {
  const { rows, x, by, label, metric, unit } = selection;
  const names = [...results.paths, ...by];
  const places = axisValues(valuesOf(rows, x));
  const sentence = results.sentences.get(metric);
  const logX = look.log === undefined ? isWide(places.numbers ?? []) : look.log.includes('x');
  const logY = look.log?.includes('y') ?? false;
  if (logX) checkLog('x', x, places.numbers ?? [Number.NaN]);
  if (logY)
    checkLog(
      'y',
      label,
      rows.map((row) => row.mean).filter((mean) => !Number.isNaN(mean)),
    );
  return {
    title: look.title ?? `${results.name}: ${label}`,
    ...(sentence === undefined ? {} : { subtitle: sentence }),
    x: { label: pathName(x, names), name: x, unit: places.unit, scale: logX ? 'log' : 'linear' },
    y: { label, unit, scale: logY ? 'log' : 'linear', zero: look.zero },
    series: seriesOf(selection),
    ...(by.length === 0 ? {} : { legend: by.map((path) => pathName(path, names)).join(', ') }),
    note: intervalNote(rows),
  };
}

/** The last two keys of a path, or as many more as tell it from the others. */
function pathName(path: string, names: readonly string[]): string {
  const short = shortPath(path, names);
  return short.includes('.') ? short : path.split('.').slice(-2).join('.');
}

function checkLog(axis: string, name: string, values: readonly number[]): void {
  const bad = values.find((value) => !(value > 0));
  if (bad === undefined) return;
  const what = Number.isNaN(bad) ? 'values that are not numbers' : `the value ${formatNumber(bad)}`;
  throw inputError('E605', `${name} has ${what}, which a logarithmic ${axis} axis cannot show`, '--log');
}

function seriesOf({ rows, x, by }: Selection): ChartSeries[] {
  const byName = new Map<string, ResultRow[]>();
  for (const row of rows) {
    const name = by.map((path) => row.swept[path]!).join(', ');
    byName.set(name, [...(byName.get(name) ?? []), row]);
  }
  const shown = [...byName].filter(([, members]) => members.some((row) => Number.isFinite(row.mean)));
  if (shown.length > MAX_SERIES) {
    const sizes = by.map((path) => `${path} (${valuesOf(rows, path).length})`);
    const message = `${shown.length} series are more than the ${MAX_SERIES} that can be told apart: choose with --where among ${sizes.join(', ')}`;
    throw inputError('E604', message);
  }
  const look = looks(
    shown.map(([, members]) => members[0]!),
    by,
  );
  return shown.map(([name, members], i) => ({ name, points: pointsOf(members, x), ...look(members[0]!, i) }));
}

type Looks = (row: ResultRow, index: number) => { readonly colour?: number; readonly style?: number };

/** With two paths or more, the one with most values has the colours and the others share dashes and markers. */
function looks(rows: readonly ResultRow[], by: readonly string[]): Looks {
  const [coloured] = [...by].sort((a, b) => valuesOf(rows, b).length - valuesOf(rows, a).length);
  if (by.length < 2 || coloured === undefined) return () => ({});
  const rest = (row: ResultRow): string =>
    JSON.stringify(by.filter((path) => path !== coloured).map((path) => row.swept[path]));
  const colours = valuesOf(rows, coloured);
  const styles = [...new Set(rows.map(rest))];
  if (colours.length > COLOURS.length || styles.length > DASHES.length) return () => ({});
  return (row) => ({ colour: colours.indexOf(row.swept[coloured]!), style: styles.indexOf(rest(row)) });
}

function pointsOf(rows: readonly ResultRow[], x: string): ChartPoint[] {
  const { numbers } = axisValues(rows.map((row) => row.swept[x]!));
  const points = rows.map((row, i): ChartPoint => {
    const place = { x: numbers?.[i] ?? row.swept[x]!, y: row.mean, n: row.n };
    return row.n > 1 ? { ...place, low: row.low, high: row.high } : place;
  });
  return numbers === null ? points : points.sort((a, b) => (a.x as number) - (b.x as number));
}

function intervalNote(rows: readonly ResultRow[]): string {
  const counts = rows.map((row) => row.n).filter((n) => n > 0);
  const [fewest, most] = [Math.min(...counts), Math.max(...counts)];
  if (most < 2) return 'One seed, so there is no interval.';
  return `Mean and 95 % interval over ${fewest === most ? most : `${fewest} to ${most}`} seeds.`;
}
