// Page faults of devices per host second: one access of 64 bytes to each page, so that little else is simulated, resolved by an SMMU that
// stalls and by page requests (VT-d) alone and in groups. CPU time of this process; the best of several repetitions.
// node bench/faults.mjs [quick]   after `npm run build`
import '../dist/run/flags.js';
import { readFileSync } from 'node:fs';

const { resolveWorkload } = await import('../dist/workload/resolve.js');
const { Machine } = await import('../dist/system/machine.js');

const quick = process.argv.includes('quick');
const FAULTS = quick ? 5_000 : 50_000;
const REPEAT = quick ? 1 : 5;

/** Seconds of CPU time for FAULTS faults of the machine, its construction left out. */
function measure(spec) {
  const machine = new Machine(spec, { everyEvent: false, audit: false });
  const { statistics } = machine.os.jobs.processes;
  machine.start();
  while (statistics.total.count < FAULTS / 5) machine.dispatcher.batch(1000);
  const first = statistics.total.count;
  const begin = process.cpuUsage();
  while (statistics.total.count - first < FAULTS) machine.dispatcher.batch(1000);
  const { user, system } = process.cpuUsage(begin);
  return (user + system) / 1e6 / (statistics.total.count - first);
}

const shared = [
  'workload.copy.size=64B',
  'workload.copy.pattern=random',
  'workload.copy.window=32GiB',
  'workload.copy.processes=1',
];
const scenarios = [
  ['stall', 'sva-stall.yaml', ['workload.copy.prefault=none', 'workload.copy.outstanding=4']],
  [
    'page requests',
    'sva-pri.yaml',
    ['devices.accelerator.ats.pri.group=1', 'os.processes.faults.workers=4', 'workload.copy.outstanding=16'],
  ],
  [
    'page requests, groups of 8',
    'sva-pri.yaml',
    ['devices.accelerator.ats.pri.group=8', 'os.processes.faults.workers=4', 'workload.copy.outstanding=16'],
  ],
];
for (const [variant, file, sets] of scenarios) {
  const text = readFileSync(new URL(`../workloads/${file}`, import.meta.url), 'utf8');
  const { spec } = resolveWorkload(text, file, [...shared, ...sets]).points[0];
  let best = Number.POSITIVE_INFINITY;
  for (let i = 0; i < REPEAT; i++)
    best = Math.min(best, measure({ ...spec, seed: 1, stop: { time: null, operations: 0, steady: null } }));
  console.log(JSON.stringify({ bench: 'page faults', variant, n: FAULTS, value: 1 / best, unit: 'faults/s' }));
}
