/** Which rows of a results folder a figure shows: one metric, the swept path along x, the paths that tell series apart. */
import { inputError } from '../../workload/errors.js';
import { nearest, nearestPath } from '../../workload/nearest.js';
import type { ResultRow, Results } from './results.js';
import { axisValues } from './values.js';

/** Pseudo-path that tells components apart which have the same metric. */
export const COMPONENT = 'component';

export interface Request {
  /** With or without its component. */
  readonly metric: string;
  /** Path along x; default: the one with most values. Paths may be given by their last keys. */
  readonly x?: string;
  /** Paths that tell series apart; default: all others that vary. */
  readonly by?: readonly string[];
  /** `PATH=VALUE` or `PATH=VALUE,VALUE`: only these designs. */
  readonly where?: readonly string[];
}

export interface Selection {
  /** Metric without component. */
  readonly metric: string;
  /** `component.metric`, or the metric alone when several components have it. */
  readonly label: string;
  readonly unit: string;
  readonly x: string;
  readonly by: readonly string[];
  /** Rows in file order; `swept` has the component when it tells rows apart. */
  readonly rows: readonly ResultRow[];
}

/** @throws InputError E402, E401, E504, E602, E603 */
export function select(results: Results, request: Request): Selection {
  const { metric, label, rows: all } = findMetric(results, request.metric);
  const paths = Object.keys(all[0]!.swept);
  const rows = (request.where ?? []).reduce((kept, where) => filter(kept, where, paths), all);
  if (!rows.some((row) => Number.isFinite(row.mean))) {
    throw inputError('E602', `no design has a value of ${request.metric}`, results.folder);
  }
  const x = request.x === undefined ? widestPath(rows, paths, results.folder) : findPath(request.x, paths, '--x');
  const by = request.by?.map((path) => findPath(path, paths, '--by')) ?? varyingPaths(rows, paths, x);
  checkUnique(rows, paths, x, by, results.folder);
  return { metric, label, unit: rows[0]!.unit, x, by: by.filter((path) => path !== x), rows };
}

interface Metric {
  readonly metric: string;
  readonly label: string;
  readonly rows: readonly ResultRow[];
}

function findMetric(results: Results, name: string): Metric {
  const bare = (row: ResultRow): string => row.column.slice(row.column.indexOf('.') + 1);
  const exact = results.rows.filter((row) => row.column === name);
  if (exact.length > 0) return { metric: bare(exact[0]!), label: name, rows: exact };
  const named = results.rows.filter((row) => bare(row) === name);
  if (named.length === 0) {
    const known = [...new Set(results.rows.flatMap((row) => [bare(row), row.column]))];
    throw inputError('E504', `there is no metric "${name}" in summary.csv`, results.folder, nearest(name, known));
  }
  const observed = new Set(named.filter((row) => Number.isFinite(row.mean)).map((row) => row.column));
  if (observed.size === 1) {
    const [column] = observed as Set<string>;
    return { metric: name, label: column!, rows: named.filter((row) => row.column === column) };
  }
  const component = (row: ResultRow): string => row.column.slice(0, row.column.indexOf('.'));
  const rows = named.map((row) => ({ ...row, swept: { ...row.swept, [COMPONENT]: component(row) } }));
  return { metric: name, label: name, rows };
}

/** The path itself, or the only one that ends with these keys. */
function findPath(path: string, paths: readonly string[], option: string): string {
  if (paths.includes(path)) return path;
  const tails = paths.filter((each) => each.endsWith(`.${path}`));
  if (tails.length === 1) return tails[0]!;
  if (tails.length > 1) throw inputError('E402', `"${path}" may be ${tails.join(' or ')}`, option);
  const known = paths.length === 0 ? 'nothing is swept here' : `swept here: ${paths.join(', ')}`;
  throw inputError('E402', `no swept path "${path}" (${known})`, option, nearestPath(path, paths));
}

function filter(rows: readonly ResultRow[], where: string, paths: readonly string[]): readonly ResultRow[] {
  const [name = '', list] = where.split(/=(.*)/s);
  if (list === undefined) throw inputError('E401', 'expected PATH=VALUE', `--where ${where}`);
  const path = findPath(name, paths, `--where ${where}`);
  const known = valuesOf(rows, path);
  const values = list.split(',').map((value) => value.trim());
  for (const value of values.filter((each) => !known.includes(each))) {
    const message = `${path} has no value "${value}" (${known.join(', ')})`;
    throw inputError('E104', message, `--where ${where}`, nearest(value, known));
  }
  return rows.filter((row) => values.includes(row.swept[path]!));
}

/** Distinct values in file order. */
export function valuesOf(rows: readonly ResultRow[], path: string): string[] {
  return [...new Set(rows.map((row) => row.swept[path]!))];
}

/** Path with most values; of several, the first one of numbers, or else the first. */
function widestPath(rows: readonly ResultRow[], paths: readonly string[], folder: string): string {
  const ranked = paths.map((path) => {
    const values = valuesOf(rows, path);
    return { path, count: values.length, numeric: axisValues(values).numbers !== null };
  });
  const most = Math.max(1, ...ranked.map(({ count }) => count));
  const best = ranked.filter(({ count }) => count === most);
  const found = best.find(({ numeric }) => numeric) ?? best[0];
  if (most < 2 || found === undefined) {
    throw inputError('E602', 'nothing is swept, so there is no x axis: name one with --x', folder);
  }
  return found.path;
}

/** Paths that still vary when x is given. */
function varyingPaths(rows: readonly ResultRow[], paths: readonly string[], x: string): string[] {
  const places = valuesOf(rows, x).map((value) => rows.filter((row) => row.swept[x] === value));
  return paths.filter((path) => path !== x && places.some((place) => valuesOf(place, path).length > 1));
}

function checkUnique(
  rows: readonly ResultRow[],
  paths: readonly string[],
  x: string,
  by: readonly string[],
  folder: string,
): void {
  const places = new Map<string, ResultRow[]>();
  for (const row of rows) {
    const key = JSON.stringify([x, ...by].map((path) => row.swept[path]));
    places.set(key, [...(places.get(key) ?? []), row]);
  }
  const crowd = [...places.values()].find((place) => place.length > 1);
  if (crowd === undefined) return;
  const differ = paths.filter((path) => valuesOf(crowd, path).length > 1);
  throw inputError(
    'E603',
    `${crowd.length} designs fall on one point of the figure; they differ in ${differ.join(', ')}: use --by or --where`,
    folder,
  );
}
