// Host time of one simulated map + unmap pair: the kernel's map benchmark on 1, 4 and 128 CPUs, strict and lazy. With 128 CPUs a pair may
// cost at most 1.5 times what it costs with 4. `events/pair`: those that the queue returns; the others went on in place (Kernel.pass).
// node bench/map-unmap.mjs [quick]   after `npm run build`.
import '../dist/run/flags.js';
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const { resolveWorkload } = await import('../dist/workload/resolve.js');
const { Drive } = await import('./drive.mjs');

const SELF = fileURLToPath(import.meta.url);

const text = (threads, mode) => `
name: map-unmap
question: How much host time does a pair take?
machine: {preset: skx-8160, sockets: {s0: {cores: 128}}}
os: {preset: linux-7.2, dma: {mode: ${mode}}}
devices: {nic: {preset: nic-100g, port: port0, requester: "3:00.0"}}
workload:
  bench: {kind: map-benchmark, device: nic, threads: ${threads}, granule: 1, direction: from-device, socket: s0}
seeds: 1
warmup: {operations: 1}
stop: {operations: 1}
`;

const CASES = [
  [1, 'strict'],
  [4, 'strict'],
  [128, 'strict'],
  [1, 'lazy'],
  [4, 'lazy'],
  [128, 'lazy'],
];
const PASSES = 5;
const ROUNDS = 2;

/** Best CPU time of a pair and events of a pair, in this process. */
function measure(threads, mode, pairs) {
  const { points } = resolveWorkload(text(threads, mode), 'bench.yaml', [], null);
  const drive = new Drive(points[0].spec);
  drive.run(pairs);
  const { kernel } = drive.machine;
  const queued = () => kernel.dispatched - kernel.passed;
  const before = queued();
  let best = Infinity;
  for (let pass = 0; pass < PASSES; pass++) {
    const start = process.cpuUsage();
    drive.run(pairs);
    const { user, system } = process.cpuUsage(start);
    best = Math.min(best, ((user + system) * 1000) / pairs);
  }
  return { best, events: (queued() - before) / (PASSES * pairs) };
}

/** Rows {bench, variant, n, value, unit, ratioTo, ratio}. Each case has processes of its own: machines in one process share its caches. */
export async function run({ quick = false } = {}) {
  const pairs = quick ? 20_000 : 200_000;
  const results = CASES.map(() => ({ best: Infinity, events: 0 }));
  // Interleaved, so that what else the host does meets all alike.
  for (let round = 0; round < ROUNDS; round++) {
    CASES.forEach(([threads, mode], i) => {
      const { stdout } = spawnSync(process.execPath, [SELF, 'case', threads, mode, pairs].map(String), {
        encoding: 'utf8',
      });
      const { best, events } = JSON.parse(stdout);
      results[i] = { best: Math.min(best, results[i].best), events };
    });
  }
  return CASES.flatMap(([threads, mode], i) => {
    const { best, events } = results[i];
    const row = { bench: 'map and unmap', variant: mode, n: threads };
    const few = CASES.findIndex(([n, other]) => n === 4 && other === mode);
    const ratio = threads === 128 ? { ratioTo: '4 CPUs', ratio: best / results[few].best } : {};
    return [
      { ...row, value: best, unit: 'ns/pair', ...ratio },
      { ...row, value: 1e9 / best, unit: 'pairs/s' },
      { ...row, value: events, unit: 'events/pair' },
    ];
  });
}

if (process.argv[1] === SELF) {
  const [program, threads, mode, pairs] = process.argv.slice(2);
  if (program === 'case') console.log(JSON.stringify(measure(Number(threads), mode, Number(pairs))));
  else for (const row of await run({ quick: program === 'quick' })) console.log(JSON.stringify(row));
}
