// Runs all benchmarks, each in a fresh process, prints a table and writes results/bench.csv: one row per figure. Rates depend on the
// machine; what counts are the ratios, measured side by side.
// node --expose-gc bench/main.mjs [quick] [NAME ...]   after `npm run build`; without names everything. `quick` writes no file.
import { spawnSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { stringify } from 'csv-stringify/sync';

const HERE = dirname(fileURLToPath(import.meta.url));
const NAMES = [
  'end-to-end',
  'queue',
  'cache',
  'invalidation',
  'map-unmap',
  'pasids',
  'walk',
  'memory',
  'faults',
  'pool',
  'start',
];
const COLUMNS = ['bench', 'variant', 'n', 'value', 'unit', 'ratio_to', 'ratio', 'node', 'cpu'];
const FOUR_DIGITS = 4;

const round = (value) => (value === undefined ? '' : Number(value.toPrecision(FOUR_DIGITS)));

/** Rows a benchmark prints, one JSON object a line. */
function rowsOf(name, quick) {
  const args = ['--expose-gc', join(HERE, `${name}.mjs`), ...(quick ? ['quick'] : [])];
  const { status, stdout } = spawnSync(process.execPath, args, {
    encoding: 'utf8',
    maxBuffer: 2 ** 26,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  if (status !== 0) throw new Error(`bench/${name}.mjs failed`);
  return stdout.trim().split('\n').map(JSON.parse);
}

/** Fills in, for benchmarks that measure several implementations of one thing, how much longer the others take. */
function withRatios(rows) {
  return rows.map((row) => {
    const ours = rows.find(({ bench, n, unit, variant }) => {
      return variant === 'kernel' && bench === row.bench && n === row.n && unit === row.unit;
    });
    if (ours === undefined || ours === row || row.ratio !== undefined) return row;
    return { ...row, ratioTo: 'kernel', ratio: row.value / ours.value };
  });
}

function print(rows) {
  for (const { bench, variant, n, value, unit, ratioTo, ratio } of rows) {
    const figure = `${round(value).toLocaleString('en')} ${unit}`;
    const comparison = ratio === undefined ? '' : `   ${round(ratio)} x ${ratioTo}`;
    console.log(
      `${bench.padEnd(26)} ${variant.padEnd(42)} ${String(n).padStart(9)}  ${figure.padStart(28)}${comparison}`,
    );
  }
}

const words = process.argv.slice(2);
const quick = words.includes('quick');
const chosen = words.filter((word) => word !== 'quick');
const unknown = chosen.find((name) => !NAMES.includes(name));
if (unknown !== undefined) throw new Error(`no benchmark is called ${unknown}; there are ${NAMES.join(', ')}`);

const all = [];
for (const name of chosen.length === 0 ? NAMES : chosen) {
  const rows = withRatios(rowsOf(name, quick));
  print(rows);
  all.push(...rows);
}
if (!quick && chosen.length === 0) {
  const cpu = cpus()[0].model;
  const records = all.map(({ bench, variant, n, value, unit, ratioTo = '', ratio }) => {
    return [bench, variant, n, round(value), unit, ratioTo, round(ratio), process.version, cpu];
  });
  const folder = join(HERE, '..', 'results');
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, 'bench.csv'), stringify([COLUMNS, ...records], { record_delimiter: 'windows' }));
}
