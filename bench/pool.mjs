// A sweep of 200 points on one worker thread and on two: wall time, threads started and warm code included.
// node bench/pool.mjs [quick]   after `npm run build`.
import { fileURLToPath } from 'node:url';
import { computePoints } from '../dist/run/pool.js';
import { sweepPoint } from './scenarios.mjs';

const POINTS = 200;

/** Wall milliseconds. Throws when a point fails. */
async function sweep(specs, threads) {
  const start = performance.now();
  await computePoints(specs, { threads, everyEvent: false, audit: false }, async (_, outcome) => {
    if (outcome.text === null) throw new Error(outcome.error);
  });
  return performance.now() - start;
}

const median = (values) => values.toSorted((a, b) => a - b)[values.length >> 1];

/** Rows {bench, variant, n, value, unit, ratioTo, ratio}. */
export async function run({ quick = false } = {}) {
  const specs = Array.from({ length: quick ? 50 : POINTS }, (_, i) => sweepPoint(i + 1));
  const one = [];
  const two = [];
  for (let pass = 0; pass < (quick ? 1 : 3); pass++) {
    one.push(await sweep(specs, 1));
    two.push(await sweep(specs, 2));
  }
  const n = specs.length;
  const row = { bench: 'sweep', n, unit: 'ms/point' };
  return [
    { ...row, variant: '1 worker', value: median(one) / n },
    {
      ...row,
      variant: '2 workers',
      value: median(two) / n,
      ratioTo: '1 worker, speed-up',
      ratio: median(one.map((ms, pass) => ms / two[pass])),
    },
  ];
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  for (const row of await run({ quick: process.argv.includes('quick') })) console.log(JSON.stringify(row));
}
