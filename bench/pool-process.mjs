// Computes points of a sweep one after the other in the calling thread: one process of bench/pool.mjs.
// node pool-process.mjs POINTS OPERATIONS
import { setRunFlags } from '../dist/run/run-flags.js';

/** As the pool sets them for a run of a few seconds. */
setRunFlags(5);
const { runPoint } = await import('../dist/run/point.js');
const { sweepPoint } = await import('./scenarios.mjs');

const [points, operations] = process.argv.slice(2).map(Number);
for (let seed = 1; seed <= points; seed++) runPoint(sweepPoint(seed, operations), { everyEvent: false, audit: false });
