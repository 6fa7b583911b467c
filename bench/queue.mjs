// Event queue alone: CPU time per event (one schedule and one dispatch), this kernel against a C++ twin of the same queue,
// C++ std::priority_queue and the npm heap `tinyqueue`. All variants must produce the same checksum over the order of events.
// node bench/queue.mjs [quick]   after `npm run build`; the C++ rows need g++ and are left out without it.
import { spawnSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { RandomStream } from '../dist/kernel/random.js';

const HERE = dirname(fileURLToPath(import.meta.url));
const OUT = join(HERE, 'out');
const FLAGS = ['--no-use-osr', '--max-inlined-bytecode-size=1000', '--max-inlined-bytecode-size-cumulative=4000'];
const CONSTANTS = [4000, 10_000, 80_000, 90_000, 200_000, 250_000, 500_000, 1_000_000];

const random = new RandomStream(1, 'bench/queue');
const exponential = (meanPs) => Math.max(1, random.exponential(meanPs));
/** Delays in picoseconds. */
const DELAYS = {
  exponential: () => exponential(200_000),
  bimodal: () => exponential(random.below(10) < 9 ? 20_000 : 2_000_000),
  constant: () => (random.below(20) === 0 ? exponential(200_000) : CONSTANTS[random.below(8)]),
  mixed: () => (random.below(2) === 0 ? 1e10 : 1000 + random.below(9000)),
  spread: () => 10_000 * random.below(1_000_000) + random.below(10_000),
  tie: () => 1000,
  zero: () => 0,
  burst: () => random.below(250_000),
};

/** name, program, delays, first delays, pending. Timers of `mixed` are spread over their 10 ms, of `in step` they come in crowds. */
const CASES = [
  ...['exponential', 'bimodal', 'constant'].flatMap((d) =>
    [16, 1024, 65_536, 1_000_000].map((n) => [d, 'hold', d, d, n]),
  ),
  ['mixed ns and 10 ms', 'hold', 'mixed', 'spread', 1024],
  ['mixed ns and 10 ms', 'hold', 'mixed', 'spread', 100_000],
  ['mixed in step', 'hold', 'mixed', 'mixed', 1024],
  ['mixed in step', 'hold', 'mixed', 'mixed', 100_000],
  ['one tick', 'drain', 'tie', 'tie', 100_000],
  ['zero delay', 'hold', 'zero', 'zero', 100_000],
  ['burst', 'drain', 'burst', 'burst', 100_000],
];

function writeTable(name) {
  const file = join(OUT, `queue-${name}.f64`);
  writeFileSync(file, Float64Array.from({ length: 65_536 }, DELAYS[name]));
  return file;
}

function compile() {
  const binary = join(OUT, 'hold');
  const source = join(HERE, 'reference', 'hold.cpp');
  const { status } = spawnSync('g++', ['-O3', '-march=native', '-std=c++20', source, '-o', binary], {
    stdio: 'ignore',
  });
  return status === 0 ? binary : null;
}

function measure(command, args) {
  const { status, stdout, stderr } = spawnSync(command, args, { encoding: 'utf8' });
  if (status !== 0) throw new Error(`${command} ${args.join(' ')}: ${stderr}`);
  return JSON.parse(stdout);
}

/** Rows {bench, variant, n, value, unit}; `value` is the median of five repetitions, the lower of two passes. */
export async function run({ quick = false } = {}) {
  mkdirSync(OUT, { recursive: true });
  const files = Object.fromEntries(Object.keys(DELAYS).map((name) => [name, writeTable(name)]));
  const binary = compile();
  const script = join(HERE, 'queue-hold.mjs');
  const rows = [];
  for (const [name, program, delays, phases, n] of CASES) {
    if (quick && n > 1024) continue;
    const ops = n > 500_000 ? 4_000_000 : 2_000_000;
    const args = [program, n, ops, 5, files[delays], files[phases]].map(String);
    const variants = [['kernel', process.execPath, [...FLAGS, script, 'kernel', ...args]]];
    if (binary !== null) {
      variants.push(['c++ twin', binary, ['twin', ...args]]);
      variants.push(['c++ std::priority_queue', binary, ['standard', ...args]]);
    }
    // The heap needs no large program to show its pace: one repetition of the largest.
    const heapArgs = n > 500_000 ? args.with(3, '1') : args;
    variants.push(['npm tinyqueue', process.execPath, [...FLAGS, script, 'tinyqueue', ...heapArgs]]);
    const best = new Map();
    for (let pass = 0; pass < (quick ? 1 : 2); pass++) {
      for (const [variant, command, commandArgs] of variants) {
        const result = measure(command, commandArgs);
        const before = best.get(variant);
        if (before === undefined || result.ns < before.ns) best.set(variant, { ...result, args: commandArgs });
      }
    }
    const { sum, scavenges } = best.get('kernel');
    for (const [variant, result] of best) {
      if (result.sum !== sum && !(variant === 'npm tinyqueue' && heapArgs !== args)) {
        throw new Error(`queue ${name} ${n}: ${variant} orders events differently (${result.sum}, kernel ${sum})`);
      }
      rows.push({ bench: `queue ${name}`, variant, n, value: Number(result.ns.toFixed(2)), unit: 'ns' });
    }
    rows.push({ bench: `queue ${name}`, variant: 'kernel', n, value: scavenges, unit: 'scavenges' });
  }
  return rows;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  for (const row of await run({ quick: process.argv.includes('quick') })) console.log(JSON.stringify(row));
}
