/** The keys of a workload file that are not part of a point: name, question, seeds. */
import type { WorkloadDocument } from './document.js';
import type { ErrorCode, Problem } from './errors.js';
import { nearest, nearestPath } from './nearest.js';
import { SECTION_NAMES } from './schema.js';
import type { Setting } from './settings.js';

export interface Header {
  readonly name: string;
  readonly question: string;
  readonly seeds: readonly number[];
}

export const DEFAULT_SEEDS = 5;
const MAX_SEEDS = 10_000;
const NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$/;
const HEADER_KEYS = ['name', 'question', 'seeds'];
const FILE_KEYS = ['name', 'question', 'machine', 'os', 'devices', 'workload', 'sweep', 'seeds', 'warmup', 'stop'];
const REQUIRED = ['name', 'question', 'machine', 'os', 'devices', 'workload', 'stop'];

type Report = (code: ErrorCode, key: string, message: string, suggestion?: string | null) => void;

/**
 * Reads the header with its settings applied.
 * @param paths what can be set, for suggestions; @param problems receives E101 to E103, E204, E402, E406 and E407.
 */
export function readHeader(
  document: WorkloadDocument,
  settings: readonly Setting[],
  paths: () => readonly string[],
  problems: Problem[],
): Header {
  for (const key of Object.keys(document.tree)) {
    if (!FILE_KEYS.includes(key)) {
      problems.push(document.problem('E101', [key], 'unknown key', nearest(key, FILE_KEYS), true));
    }
  }
  for (const key of REQUIRED) {
    if (!Object.hasOwn(document.tree, key) && !settings.some(({ path }) => path[0] === key)) {
      problems.push(document.problem('E102', [key], `the key "${key}" is missing`));
    }
  }
  const values: Record<string, unknown> = { ...document.tree };
  const origins = new Map<string, string>();
  for (const setting of settings) {
    const problem = applyHeader(setting, values, origins, paths);
    if (problem !== null) {
      problems.push(problem);
    }
  }
  const report: Report = (code, key, message, suggestion = null) => {
    const file = origins.get(key);
    const problem = document.problem(code, [key], message, suggestion);
    problems.push(file === undefined ? problem : { ...problem, file, line: 0, column: 0 });
  };
  return {
    name: readText(values, 'name', report),
    question: readText(values, 'question', report),
    seeds: readSeeds(values['seeds'], report),
  };
}

/** Null when the setting belongs to the header, which then has it, or to a section. */
function applyHeader(
  { path, value, origin }: Setting,
  values: Record<string, unknown>,
  origins: Map<string, string>,
  paths: () => readonly string[],
): Problem | null {
  const [key] = path as [string];
  const file = origin as string;
  const at = { file, line: 0, column: 0, path: path.join('.') };
  if (HEADER_KEYS.includes(key) && path.length === 1) {
    values[key] = value;
    origins.set(key, file);
    return null;
  }
  if (key === 'sweep') {
    return { ...at, code: 'E407', message: 'a sweep cannot be set; set one of its paths instead', suggestion: null };
  }
  if ((SECTION_NAMES as string[]).includes(key)) {
    return null;
  }
  const suggestion = nearestPath(at.path, [...HEADER_KEYS, ...paths()]);
  return { ...at, code: 'E402', message: 'no such path', suggestion };
}

function readText(values: Record<string, unknown>, key: string, report: Report): string {
  const value = values[key];
  if (value === undefined) {
    return '';
  }
  if (typeof value !== 'string' || value.trim() === '') {
    report('E103', key, 'expected a text');
  } else if (key === 'name' && !NAME.test(value)) {
    report('E204', key, 'a name has letters, digits, ".", "_" and "-", at most 100 of them');
  }
  return typeof value === 'string' ? value : '';
}

/** `seeds: 3` stands for 1, 2, 3; a list is taken as it is. */
function readSeeds(value: unknown, report: Report): number[] {
  const given = value === undefined ? DEFAULT_SEEDS : value;
  if (typeof given === 'number') {
    if (!Number.isInteger(given) || given < 1 || given > MAX_SEEDS) {
      report('E204', 'seeds', `expected a whole number from 1 to ${MAX_SEEDS} or a list of seeds, got ${given}`);
      return [];
    }
    return Array.from({ length: given }, (_, index) => index + 1);
  }
  if (!Array.isArray(given) || given.length === 0) {
    report('E103', 'seeds', 'expected a number of seeds or a list of seeds');
    return [];
  }
  const bad = given.find((seed) => !Number.isInteger(seed) || seed < 0 || seed >= 2 ** 32);
  if (bad !== undefined) {
    report('E204', 'seeds', `a seed is a whole number from 0 to ${2 ** 32 - 1}, got ${String(bad)}`);
  } else if (new Set(given).size < given.length) {
    report('E406', 'seeds', 'a seed is given twice');
  }
  return given.map((seed) => Number(seed) + 0);
}
