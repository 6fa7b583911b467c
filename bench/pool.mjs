// A sweep of 200 points of about 10 ms and of about 20 ms on one worker thread and on two: wall time, threads started and warm code
// included. Beside it what the machine itself allows, two cores of a cloud machine being no two whole cores: the same points in the
// calling thread of one process against two such processes side by side that share nothing.
// node bench/pool.mjs [quick]   after `npm run build`.
import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { computePoints } from '../dist/run/pool.js';
import { sweepPoint } from './scenarios.mjs';

const POINTS = 200;
/** Operations of a point: about 10 ms and about 20 ms. */
const SIZES = [20_000, 50_000];
const SCRIPT = fileURLToPath(new URL('pool-process.mjs', import.meta.url));

/** Wall milliseconds. Throws when a point fails. */
async function sweep(specs, threads) {
  const start = performance.now();
  await computePoints(specs, { threads, everyEvent: false, audit: false }, async (_, outcome) => {
    if (outcome.text === null) throw new Error(outcome.error);
  });
  return performance.now() - start;
}

/** Wall milliseconds until `processes` processes side by side have computed their share of the points each. */
async function sideBySide(processes, points, operations) {
  const start = performance.now();
  const one = () =>
    new Promise((resolve, reject) => {
      const child = spawn(process.execPath, [SCRIPT, points / processes, operations], { stdio: 'inherit' });
      child.on('error', reject);
      child.on('exit', (code) => (code === 0 ? resolve() : reject(new Error(`pool-process.mjs ended with ${code}`))));
    });
  await Promise.all(Array.from({ length: processes }, one));
  return performance.now() - start;
}

const median = (values) => values.toSorted((a, b) => a - b)[values.length >> 1];

/** Rows of one size of points: the faster of both ways over the passes, and the median of the speed-ups. */
async function measure(points, operations, passes) {
  const specs = Array.from({ length: points }, (_, i) => sweepPoint(i + 1, operations));
  const times = { worker: [[], []], process: [[], []] };
  for (let pass = 0; pass < passes; pass++) {
    for (const count of [1, 2]) {
      times.worker[count - 1].push(await sweep(specs, count));
      times.process[count - 1].push(await sideBySide(count, points, operations));
    }
  }
  const speedUp = ([one, two]) => median(one.map((ms, pass) => ms / two[pass]));
  const limit = speedUp(times.process);
  const row = { bench: `sweep of ${operations / 1000}k operations`, n: points, unit: 'ms/point' };
  const rows = [
    { ...row, variant: '1 process', value: Math.min(...times.process[0]) / points },
    {
      ...row,
      variant: '2 processes',
      value: Math.min(...times.process[1]) / points,
      ratioTo: '1 process, speed-up',
      ratio: limit,
    },
    { ...row, variant: '1 worker', value: Math.min(...times.worker[0]) / points },
  ];
  const two = { ...row, variant: '2 workers', value: Math.min(...times.worker[1]) / points };
  const ratio = speedUp(times.worker);
  rows.push({ ...two, ratioTo: '1 worker, speed-up', ratio });
  rows.push({ ...two, ratioTo: 'speed-up of 2 processes', ratio: ratio / limit });
  return rows;
}

/** Rows {bench, variant, n, value, unit, ratioTo, ratio}. */
export async function run({ quick = false } = {}) {
  const rows = [];
  for (const operations of SIZES) rows.push(...(await measure(quick ? 50 : POINTS, operations, quick ? 1 : 3)));
  return rows;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  for (const row of await run({ quick: process.argv.includes('quick') })) console.log(JSON.stringify(row));
}
