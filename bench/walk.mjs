// The page-table walk without time: every entry read from simulated memory and decoded, tables of 4 KiB pages over a window.
// node bench/walk.mjs [quick]   after `npm run build`.
import '../dist/run/flags.js';
import { fileURLToPath } from 'node:url';

const { RandomStream } = await import('../dist/kernel/random.js');
const { FrameAllocator } = await import('../dist/memory/frames.js');
const { PhysicalMemory } = await import('../dist/memory/physical.js');
const { compileFormat } = await import('../dist/pagetable/format.js');
const { vtdSecondStage } = await import('../dist/pagetable/formats/vtdss.js');
const { x86FirstStage } = await import('../dist/pagetable/formats/x86_64.js');
const { PageTable } = await import('../dist/pagetable/table.js');
const { runWalk, Walk } = await import('../dist/pagetable/walk.js');
const { BATCH, measureTasks } = await import('./parts.mjs');

const READ_WRITE = 3;
const DONE = 1;

const second = compileFormat(
  vtdSecondStage({
    hostAddressWidth: 46,
    guestAddressWidth: 57,
    largestPageLg2: 30,
    scalable: true,
    snoopControl: true,
    accessedDirty: false,
  }),
);
const first = compileFormat(x86FirstStage({ hostAddressWidth: 46, largestPageLg2: 30, executeDisable: false }));

function taskOf(name, format, levels, window) {
  const memory = new PhysicalMemory();
  const frames = new FrameAllocator(2 ** 32, 2 ** 40);
  const table = new PageTable(format, memory, frames, levels);
  const base = 2 ** 32;
  table.map(base, 2 ** 41, window, READ_WRITE, 12);
  const random = new RandomStream(1, 'bench/walk');
  const offsets = Int32Array.from({ length: 65_536 }, () => random.below(window / 4096) * 4096);
  const [rootHi, rootLo] = [Math.floor(table.root / 2 ** 32), table.root | 0];
  const walk = new Walk();
  walk.access = READ_WRITE;
  let at = 0;
  const task = () => {
    for (let i = 0; i < BATCH; i++) {
      walk.inputHi = 1;
      walk.inputLo = offsets[at++ & 65_535];
      if (runWalk(format, walk, memory, rootHi, rootLo, levels) !== DONE) throw new Error('not translated');
    }
  };
  return ['walk', `${name}, ${levels} levels`, window / 4096, task];
}

/** Rows {bench, variant, n, value, unit}; n = pages. */
export async function run({ quick = false } = {}) {
  const tasks = [];
  for (const window of [2 ** 18, 2 ** 28]) {
    tasks.push(taskOf('VT-d second stage', second, 4, window));
    tasks.push(taskOf('VT-d second stage', second, 5, window));
    tasks.push(taskOf('x86-64 first stage', first, 4, window));
  }
  return measureTasks(tasks, quick);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  for (const row of await run({ quick: process.argv.includes('quick') })) console.log(JSON.stringify(row));
}
