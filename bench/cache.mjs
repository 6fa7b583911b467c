// SetAssociativeCache: look-ups that hit, and misses followed by a fill, in the geometries of an IOTLB.
// node bench/cache.mjs [quick]   after `npm run build`.
import '../dist/run/flags.js';
import { fileURLToPath } from 'node:url';

const { SetAssociativeCache } = await import('../dist/tlb/cache.js');
const { RandomStream } = await import('../dist/kernel/random.js');
const { BATCH, measureTasks } = await import('./parts.mjs');

const GEOMETRIES = [
  [64, 4, 'lru'],
  [1024, 8, 'lru'],
  [4096, 8, 'lru'],
  [1024, 8, 'plru'],
  [128, 128, 'lru'],
];

/** Page numbers 0 to n - 1 in random order, with repetitions. */
function pages(n) {
  const random = new RandomStream(1, 'bench/cache');
  return Int32Array.from({ length: 65_536 }, () => random.below(n));
}

function tasksOf([entries, ways, replacement]) {
  const make = () => new SetAssociativeCache({ enabled: true, entries, ways, replacement, latency: 0 }, 1, 'bench');
  const variant = `${ways} ways, ${replacement}`;
  const warm = make();
  for (let page = 0; page < entries; page++) warm.fill(page, 1, 0);
  const known = pages(entries);
  let next = 0;
  let found = 0;
  const hits = () => {
    for (let i = 0; i < BATCH; i++) if (warm.lookup(known[next++ & 65_535], 1, 0) >= 0) found++;
    if (found !== next) throw new Error('a page is missing');
  };
  const cold = make();
  const many = pages(1 << 20);
  let at = 0;
  const fills = () => {
    for (let i = 0; i < BATCH; i++) {
      const page = many[at++ & 65_535];
      if (cold.lookup(page, 1, 0) < 0) cold.fill(page, 1, 0);
    }
  };
  return [
    ['cache hit', variant, entries, hits],
    ['cache miss and fill', variant, entries, fills],
  ];
}

/** Rows {bench, variant, n, value, unit}. */
export async function run({ quick = false } = {}) {
  return measureTasks(GEOMETRIES.flatMap(tasksOf), quick);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  for (const row of await run({ quick: process.argv.includes('quick') })) console.log(JSON.stringify(row));
}
