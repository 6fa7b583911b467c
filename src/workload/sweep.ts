/** Expands `sweep: {cross, zip}` into settings for each design: zipped lists in parallel, crossed with every combination of the others. */
import { isForbiddenKey, type WorkloadDocument } from './document.js';
import type { Problem } from './errors.js';
import { isMapping } from './introspect.js';
import { nearest } from './nearest.js';
import { SECTION_NAMES } from './schema.js';
import type { Setting } from './settings.js';

export const MAX_POINTS = 100_000;

interface Axis {
  readonly path: string;
  readonly values: readonly unknown[];
  readonly origin: readonly string[];
}

export interface Sweep {
  readonly zip: readonly Axis[];
  readonly cross: readonly Axis[];
}

/**
 * Reads the `sweep` key. A path that is set on the command line is not swept.
 * @param problems receives E101, E103, E403 to E407.
 */
export function readSweep(document: WorkloadDocument, sets: readonly Setting[], problems: Problem[]): Sweep {
  const sweep = document.tree['sweep'] ?? {};
  const before = problems.length;
  if (!isMapping(sweep)) {
    problems.push(document.problem('E103', ['sweep'], 'expected a mapping with the keys cross and zip'));
    return { zip: [], cross: [] };
  }
  for (const key of Object.keys(sweep)) {
    if (key !== 'cross' && key !== 'zip') {
      problems.push(document.problem('E101', ['sweep', key], 'unknown key', nearest(key, ['cross', 'zip']), true));
    }
  }
  const zip = readAxes(document, sweep, 'zip', problems);
  const cross = readAxes(document, sweep, 'cross', problems);
  checkLengths(document, zip, problems);
  checkOverlap(document, [...zip, ...cross], problems);
  const free = sets.reduce((axes, set) => pin(axes, set, problems), [...zip, ...cross]);
  return problems.length > before
    ? { zip: [], cross: [] }
    : { zip: zip.filter((axis) => free.includes(axis)), cross: cross.filter((axis) => free.includes(axis)) };
}

function checkLengths(document: WorkloadDocument, zip: readonly Axis[], problems: Problem[]): void {
  const [first] = zip;
  for (const axis of zip) {
    if (axis.values.length !== first!.values.length) {
      const message = `zip lists must be of equal length: this one has ${axis.values.length} values, "${first!.path}" has ${first!.values.length}`;
      problems.push(document.problem('E403', axis.origin, message));
    }
  }
}

/** One swept path must not lie inside another: the order would decide which one counts. */
function checkOverlap(document: WorkloadDocument, axes: readonly Axis[], problems: Problem[]): void {
  axes.forEach((axis, index) => {
    const other = axes.slice(0, index).find(({ path }) => overlaps(path, axis.path));
    if (other !== undefined) {
      const message =
        other.path === axis.path ? 'the path stands in zip and in cross' : `overlaps with "${other.path}"`;
      problems.push(document.problem('E406', axis.origin, message, null, true));
    }
  });
}

function overlaps(a: string, b: string): boolean {
  return a === b || a.startsWith(`${b}.`) || b.startsWith(`${a}.`);
}

function pin(axes: readonly Axis[], set: Setting, problems: Problem[]): Axis[] {
  const path = set.path.join('.');
  for (const axis of axes) {
    if (axis.path !== path && overlaps(axis.path, path)) {
      const message = `overlaps with "${axis.path}", which the file sweeps`;
      problems.push({ code: 'E406', file: set.origin as string, line: 0, column: 0, path, message, suggestion: null });
    }
  }
  return axes.filter((axis) => axis.path !== path);
}

const SWEEPABLE: readonly string[] = SECTION_NAMES;

function readAxes(
  document: WorkloadDocument,
  sweep: Record<string, unknown>,
  kind: 'zip' | 'cross',
  problems: Problem[],
): Axis[] {
  const record = sweep[kind] ?? {};
  if (!isMapping(record)) {
    problems.push(document.problem('E103', ['sweep', kind], 'expected a mapping from paths to lists of values'));
    return [];
  }
  const axes: Axis[] = [];
  for (const [path, values] of Object.entries(record)) {
    const origin = ['sweep', kind, path];
    const [root] = path.split('.') as [string];
    if (!SWEEPABLE.includes(root) || path.split('.').some((key) => key === '' || isForbiddenKey(key))) {
      const message = `only paths that begin with ${SWEEPABLE.join(', ')} can be swept`;
      problems.push(document.problem('E407', origin, message, nearest(root, SWEEPABLE), true));
    } else if (!Array.isArray(values)) {
      problems.push(document.problem('E103', origin, 'expected a list of values'));
    } else if (values.length === 0) {
      problems.push(document.problem('E404', origin, 'the list of values is empty'));
    } else {
      axes.push({ path, values, origin });
    }
  }
  return axes;
}

/** Number of designs, without expanding them. */
export function sweepSize(sweep: Sweep): number {
  return sweep.cross.reduce((product, axis) => product * axis.values.length, sweep.zip[0]?.values.length ?? 1);
}

/** The settings of each design: zip outermost, then the crossed paths in file order, the last varying fastest. */
export function* expandSweep(sweep: Sweep): Generator<readonly Setting[]> {
  const total = sweepSize(sweep);
  for (let index = 0; index < total; index++) {
    const settings: Setting[] = [];
    let rest = index;
    for (const axis of [...sweep.cross].reverse()) {
      settings.unshift(settingOf(axis, rest % axis.values.length));
      rest = Math.floor(rest / axis.values.length);
    }
    yield [...sweep.zip.map((axis) => settingOf(axis, rest)), ...settings];
  }
}

function settingOf(axis: Axis, index: number): Setting {
  return { path: axis.path.split('.'), value: axis.values[index], origin: [...axis.origin, String(index)] };
}
