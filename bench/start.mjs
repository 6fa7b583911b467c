// Start-up: wall time from the start of the program until the result of a point of 10,000 DMAs (bench/start.yaml) is stored, and
// until the results folder is complete; beside it an empty Node process and a command that only reads the file.
// node bench/start.mjs [quick]   after `npm run build`.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const HERE = dirname(fileURLToPath(import.meta.url));
const PROGRAM = join(HERE, '..', 'dist', 'cli', 'main.js');
const WORKLOAD = join(HERE, 'start.yaml');

/** Wall milliseconds of a Node process. */
function time(args) {
  const start = performance.now();
  const { status, stderr } = spawnSync(process.execPath, args, { encoding: 'utf8' });
  if (status !== 0) throw new Error(`${args.join(' ')}: ${stderr}`);
  return performance.now() - start;
}

/** Milliseconds until the point file is written (to the clock of the file system, some 4 ms) and until the process ends. */
function timeRun() {
  const out = mkdtempSync(join(tmpdir(), 'iommusim-start-'));
  try {
    const begin = performance.timeOrigin + performance.now();
    const total = time([PROGRAM, 'run', WORKLOAD, '--quiet', '--out', join(out, 'run')]);
    const points = join(out, 'run', 'points');
    return { first: statSync(join(points, readdirSync(points)[0])).mtimeMs - begin, total };
  } finally {
    rmSync(out, { recursive: true });
  }
}

const median = (values) => values.toSorted((a, b) => a - b)[values.length >> 1];

/** Milliseconds from the start of the process to the first stored result: what it may take. */
const GOAL = 300;

/** Rows {bench, variant, n, value, unit, ratioTo, ratio}: medians; the first result also from the fastest pass. */
export async function run({ quick = false } = {}) {
  const times = { node: [], check: [], first: [], run: [] };
  for (let pass = 0; pass < (quick ? 3 : 15); pass++) {
    times.node.push(time(['-e', '0']));
    times.check.push(time([PROGRAM, 'check', WORKLOAD]));
    const { first, total } = timeRun();
    times.first.push(first);
    times.run.push(total);
  }
  const row = (variant, values) => ({ bench: 'start', variant, n: 10_000, value: median(values), unit: 'ms' });
  return [
    row('empty Node process', times.node),
    row('check', times.check),
    {
      ...row('first result of 10,000 DMAs', times.first),
      ratioTo: `goal of ${GOAL} ms`,
      ratio: median(times.first) / GOAL,
    },
    row('first result of 10,000 DMAs, fastest', [Math.min(...times.first)]),
    row('run of 10,000 DMAs', times.run),
  ];
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  for (const row of await run({ quick: process.argv.includes('quick') })) console.log(JSON.stringify(row));
}
