// What many address spaces cost the host: a DMA's time with 1, 1,000 and 1,000,000 PASIDs on a VT-d unit in scalable mode, and the memory of
// a million with a page each. Equal hit rates: as many pages in all cases, 64 bytes of a random one, and a unit that caches no
// translation, so that every DMA reads the PASID structures and four levels of tables.
// node --expose-gc bench/pasids.mjs [quick]   after `npm run build`.
import '../dist/run/flags.js';
import { fileURLToPath } from 'node:url';

const { resolveWorkload } = await import('../dist/workload/resolve.js');
const { Drive } = await import('./drive.mjs');

const text = (processes, pages) => `
name: pasids
question: What does a DMA cost?
machine:
  preset: spr-8480
  iommus: {iommu0: {iotlb: {enabled: false}, pasidCache: {enabled: false}, pagingStructureCache: {${[2, 3, 4, 5].map((n) => `level${n}: {enabled: false}`).join(', ')}}}}
os: {preset: linux-7.2, jitter: 0%}
devices: {accelerator: {preset: nic-100g, port: port0, requester: "1:00.0"}}
workload:
  copy: {kind: sva, device: accelerator, processes: ${processes}, size: 64B, window: ${4 * pages}KiB, outstanding: 16, prefault: all,
    pattern: random, socket: s0}
seeds: 1
stop: {operations: 1}
`;
const PASSES = 5;
const MIB = 2 ** 20;

/** Rows {bench, variant, n, value, unit, ratioTo, ratio}. */
export async function run({ quick = false } = {}) {
  const most = quick ? 10_000 : 1_000_000;
  const counts = [1, most / 1000, most];
  const dmas = quick ? 20_000 : 200_000;
  const before = process.memoryUsage.rss();
  const drives = [];
  let resident = 0;
  for (const processes of counts.toReversed()) {
    const { points } = resolveWorkload(text(processes, most / processes), 'bench.yaml', [], null);
    const drive = new Drive(points[0].spec);
    drive.run(dmas);
    drives.unshift(drive);
    if (resident === 0) resident = process.memoryUsage.rss() - before;
  }
  const best = counts.map(() => Infinity);
  // Interleaved, so that what else the host does meets all alike.
  for (let pass = 0; pass < PASSES; pass++) {
    drives.forEach((drive, i) => {
      const start = process.cpuUsage();
      drive.run(dmas);
      const { user, system } = process.cpuUsage(start);
      best[i] = Math.min(best[i], ((user + system) * 1000) / dmas);
    });
  }
  return [
    ...counts.map((processes, i) => {
      const ratio = i === 0 ? {} : { ratioTo: '1 PASID', ratio: best[i] / best[0] };
      return { bench: 'address spaces', variant: 'DMA, cold', n: processes, value: best[i], unit: 'ns/DMA', ...ratio };
    }),
    { bench: 'address spaces', variant: 'resident memory', n: most, value: resident / MIB, unit: 'MiB' },
  ];
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  for (const row of await run({ quick: process.argv.includes('quick') })) console.log(JSON.stringify(row));
}
