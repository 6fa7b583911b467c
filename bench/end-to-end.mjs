// Whole simulations on one thread, audit off, everything timed: DMAs per second, time per event, events per DMA, garbage collections,
// resident memory; the scenario `reference` against its C++ twin (bench/reference/end-to-end.cpp), whose results must be the same to
// the picosecond. CPU time of fresh processes; rates are the best of all repetitions, ratios the median over interleaved passes.
// node bench/end-to-end.mjs [quick | memory]   after `npm run build`; `memory` adds the run of 10^8 DMAs (minutes).
import { spawnSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const HERE = dirname(fileURLToPath(import.meta.url));
const OUT = join(HERE, 'out');
const SCRIPT = join(HERE, 'end-to-end-run.mjs');
const IMAGE = join(OUT, 'reference.image');

function start(command, args) {
  const { status, stdout, stderr } = spawnSync(command, args.map(String), { encoding: 'utf8' });
  if (status !== 0) throw new Error(`${command} ${args.join(' ')}: ${stderr}`);
  return stdout;
}

const simulate = (...args) => JSON.parse(start(process.execPath, [SCRIPT, ...args]));

/** The C++ twin, or null without a compiler. */
function compile() {
  const binary = join(OUT, 'end-to-end');
  const source = join(HERE, 'reference', 'end-to-end.cpp');
  const { status } = spawnSync('g++', ['-O3', '-march=native', '-std=c++20', source, '-o', binary], {
    stdio: 'ignore',
  });
  if (status !== 0) return null;
  start(process.execPath, [SCRIPT, 'reference', 'image', IMAGE]);
  return binary;
}

const median = (values) => values.toSorted((a, b) => a - b)[values.length >> 1];

/** Throws unless both have done the same; the events of the boot (register writes) are left to TypeScript. */
function same(ours, twin) {
  const of = ({ events, bootEvents = 0, clock, trace, histograms, parts, counters }) =>
    JSON.stringify([events - bootEvents, clock, trace, histograms, parts, counters]);
  if (of(ours) !== of(twin)) throw new Error(`the C++ twin has another result: ${of(twin)}, here ${of(ours)}`);
}

function compare(rows, binary, passes) {
  const ours = [];
  const twin = [];
  if (binary !== null) {
    same(simulate('reference', 1, 300_000, 1, 'trace'), JSON.parse(start(binary, [IMAGE, 1, 300_000, 1, 'trace'])));
  }
  for (let pass = 0; pass < passes; pass++) {
    ours.push(simulate('reference', 1_000_000, 200_000, 10, 'plain'));
    if (binary !== null) twin.push(JSON.parse(start(binary, [IMAGE, 1_000_000, 200_000, 10, 'plain'])));
  }
  report(rows, 'reference', ours);
  if (binary === null) return;
  same(ours[0], twin[0]);
  const value = Math.min(...twin.map(({ best }) => best));
  rows.push({ bench: 'end to end', variant: 'reference, C++ twin', n: 2_000_000, value: 1e9 / value, unit: 'DMAs/s' });
  rows.push({
    bench: 'end to end',
    variant: 'reference',
    n: 2_000_000,
    value: median(ours.map(({ ns }) => ns)),
    unit: 'ns/DMA',
    ratioTo: 'C++ twin',
    ratio: median(ours.map(({ ns }, pass) => ns / twin[pass].ns)),
  });
}

/** Rows of one scenario: rate and time per event from the best repetition, the rest from all. */
function report(rows, scenario, results) {
  const best = Math.min(...results.map((result) => result.best));
  const { eventsMeasured, operations } = results[0];
  const perDma = eventsMeasured / operations;
  const row = (value, unit) => rows.push({ bench: 'end to end', variant: scenario, n: operations, value, unit });
  row(1e9 / best, 'DMAs/s');
  row(best / perDma, 'ns/event');
  row(perDma, 'events/DMA');
  row((median(results.map(({ collections }) => collections)) * 1e7) / eventsMeasured, 'collections/10M events');
}

/** Resident memory at the start, in the middle and at the end of a long run. */
function memory(rows, scenario, operations) {
  const { rss } = simulate(scenario, 1_000_000, operations / 10, 10, 'plain');
  const row = (variant, bytes) =>
    rows.push({ bench: 'resident memory', variant, n: operations, value: bytes / 2 ** 20, unit: 'MiB' });
  row(`${scenario}, most`, Math.max(...rss));
  row(`${scenario}, growth over the second half`, rss[9] - rss[4]);
}

/** Rows {bench, variant, n, value, unit, ratioTo, ratio}. */
export async function run({ quick = false, long = false } = {}) {
  mkdirSync(OUT, { recursive: true });
  const rows = [];
  const passes = quick ? 1 : 5;
  const binary = compile();
  if (binary === null) console.error('no g++: the C++ twin is left out');
  compare(rows, binary, passes);
  for (const scenario of ['hits', 'walks']) {
    const results = Array.from({ length: passes }, () => simulate(scenario, 1_000_000, 200_000, 10, 'plain'));
    report(rows, scenario, results);
  }
  const { clockMeasured, ns } = simulate('idle', 1, 12, 1, 'plain');
  const hours = clockMeasured / 3.6e15;
  rows.push({
    bench: 'idle time',
    variant: 'open loop',
    n: 12,
    value: (ns * 12) / 1e6 / hours,
    unit: 'ms/simulated hour',
  });
  memory(rows, 'reference', quick ? 2_000_000 : 10_000_000);
  if (long) memory(rows, 'reference', 100_000_000);
  return rows;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const options = { quick: process.argv.includes('quick'), long: process.argv.includes('memory') };
  for (const row of await run(options)) console.log(JSON.stringify(row));
}
