/** What a figure needs of a results folder: summary.csv, the sentences of metrics.csv, the name in manifest.json. */
import { readFileSync } from 'node:fs';
import { basename, join, resolve } from 'node:path';
import { parse } from 'csv-parse/sync';
import { MANIFEST } from '../../run/store.js';
import { inputError } from '../../workload/errors.js';

/** One metric of one design. */
export interface ResultRow {
  /** `component.metric`. */
  readonly column: string;
  readonly unit: string;
  /** NaN where no seed has a value. */
  readonly mean: number;
  readonly low: number;
  readonly high: number;
  readonly n: number;
  /** Values of the swept paths. */
  readonly swept: Readonly<Record<string, string>>;
}

export interface Results {
  readonly folder: string;
  /** Name of the workload. */
  readonly name: string;
  readonly rows: readonly ResultRow[];
  /** Swept paths in the order of the file. */
  readonly paths: readonly string[];
  /** Metric without component -> what it means. */
  readonly sentences: ReadonlyMap<string, string>;
}

const FIXED = ['point', 'metric', 'unit', 'mean', 'low', 'high', 'n'] as const;

/** @throws InputError E601 */
export function readResults(folder: string): Results {
  const [header, ...records] = readTable(folder, 'summary.csv');
  if (header === undefined || FIXED.some((name, i) => header[i] !== name)) throw foreign(folder, 'summary.csv');
  const paths = header.slice(FIXED.length);
  const rows = records.map((record) => {
    const [, column = '', unit = '', mean = '', low = '', high = '', n = ''] = record;
    const swept = Object.fromEntries(paths.map((path, i) => [path, record[FIXED.length + i]!]));
    return { column, unit, mean: number(mean), low: number(low), high: number(high), n: Number(n), swept };
  });
  const sentences = readTable(folder, 'metrics.csv').map(([name = '', , sentence = '']) => [name, sentence] as const);
  return { folder, name: readName(folder), rows, paths, sentences: new Map(sentences) };
}

/** The empty field is no value. */
function number(field: string): number {
  return field === '' ? Number.NaN : Number(field);
}

function readTable(folder: string, name: string): string[][] {
  const text = read(folder, name);
  try {
    return parse(text) as string[][];
  } catch {
    throw foreign(folder, name);
  }
}

function readName(folder: string): string {
  try {
    const manifest = JSON.parse(read(folder, MANIFEST)) as { name?: unknown } | null;
    return typeof manifest?.name === 'string' ? manifest.name : basename(resolve(folder));
  } catch (error) {
    if (error instanceof SyntaxError) throw foreign(folder, MANIFEST);
    throw error;
  }
}

function read(folder: string, name: string): string {
  try {
    return readFileSync(join(folder, name), 'utf8');
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    const absent = code === 'ENOENT' || code === 'ENOTDIR';
    const reason = absent ? `there is no ${name}: this is not the results folder of a finished run` : message;
    throw inputError('E601', reason, folder);
  }
}

function foreign(folder: string, name: string): Error {
  return inputError('E601', `${name} is not one that iommusim run writes`, folder);
}
