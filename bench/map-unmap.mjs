// Host time of one simulated map + unmap pair: the kernel's map benchmark on 1, 4 and 128 CPUs, strict and lazy. With 128 CPUs a pair may
// cost at most 1.5 times what it costs with 4. `events/pair`: those that the queue returns; the others went on in place (Kernel.pass).
// node bench/map-unmap.mjs [quick]   after `npm run build`.
import '../dist/run/flags.js';
import { fileURLToPath } from 'node:url';

const { resolveWorkload } = await import('../dist/workload/resolve.js');
const { Drive } = await import('./drive.mjs');

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

/** Rows {bench, variant, n, value, unit, ratioTo, ratio}. */
export async function run({ quick = false } = {}) {
  const pairs = quick ? 20_000 : 200_000;
  const drives = CASES.map(([threads, mode]) => {
    const { points } = resolveWorkload(text(threads, mode), 'bench.yaml', [], null);
    const drive = new Drive(points[0].spec);
    drive.run(pairs);
    return drive;
  });
  const best = CASES.map(() => Infinity);
  const queued = ({ machine: { kernel } }) => kernel.dispatched - kernel.passed;
  const before = drives.map(queued);
  // Interleaved, so that what else the host does meets all alike.
  for (let pass = 0; pass < PASSES; pass++) {
    drives.forEach((drive, i) => {
      const start = process.cpuUsage();
      drive.run(pairs);
      const { user, system } = process.cpuUsage(start);
      best[i] = Math.min(best[i], ((user + system) * 1000) / pairs);
    });
  }
  return CASES.flatMap(([threads, mode], i) => {
    const row = { bench: 'map and unmap', variant: mode, n: threads };
    const few = CASES.findIndex(([n, other]) => n === 4 && other === mode);
    const ratio = threads === 128 ? { ratioTo: '4 CPUs', ratio: best[i] / best[few] } : {};
    return [
      { ...row, value: best[i], unit: 'ns/pair', ...ratio },
      { ...row, value: 1e9 / best[i], unit: 'pairs/s' },
      { ...row, value: (queued(drives[i]) - before[i]) / (PASSES * pairs), unit: 'events/pair' },
    ];
  });
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  for (const row of await run({ quick: process.argv.includes('quick') })) console.log(JSON.stringify(row));
}
