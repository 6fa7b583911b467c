// Start-up: wall time from the start of the program to its end for one point of 10,000 DMAs (bench/start.yaml), results folder
// written; beside it an empty Node process and a command that only reads the file.
// node bench/start.mjs [quick]   after `npm run build`.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
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

function timeRun() {
  const out = mkdtempSync(join(tmpdir(), 'iommusim-start-'));
  try {
    return time([PROGRAM, 'run', WORKLOAD, '--quiet', '--out', join(out, 'run')]);
  } finally {
    rmSync(out, { recursive: true });
  }
}

/** Rows {bench, variant, n, value, unit}: the best of several. */
export async function run({ quick = false } = {}) {
  const times = { node: [], check: [], run: [] };
  for (let pass = 0; pass < (quick ? 3 : 15); pass++) {
    times.node.push(time(['-e', '0']));
    times.check.push(time([PROGRAM, 'check', WORKLOAD]));
    times.run.push(timeRun());
  }
  const row = (variant, values) => ({ bench: 'start', variant, n: 10_000, value: Math.min(...values), unit: 'ms' });
  return [row('empty Node process', times.node), row('check', times.check), row('run of 10,000 DMAs', times.run)];
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  for (const row of await run({ quick: process.argv.includes('quick') })) console.log(JSON.stringify(row));
}
