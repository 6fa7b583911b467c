// The page-table walk without time: every entry read from simulated memory and decoded, tables of 4 KiB pages over a window; and the
// same four-level walks of all formats in turn, as a simulation of several architectures mixes them in one process.
// node bench/walk.mjs [quick]   after `npm run build`.
import '../dist/run/flags.js';
import { fileURLToPath } from 'node:url';

const { RandomStream } = await import('../dist/kernel/random.js');
const { FrameAllocator } = await import('../dist/memory/frames.js');
const { PhysicalMemory } = await import('../dist/memory/physical.js');
const { compileFormat } = await import('../dist/pagetable/format.js');
const { amdHost } = await import('../dist/pagetable/formats/amdv1.js');
const { armv8 } = await import('../dist/pagetable/formats/armv8.js');
const { riscv } = await import('../dist/pagetable/formats/riscv.js');
const { tce } = await import('../dist/pagetable/formats/tce.js');
const { vtdSecondStage } = await import('../dist/pagetable/formats/vtdss.js');
const { amdGuest, x86FirstStage } = await import('../dist/pagetable/formats/x86_64.js');
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

/** Every format that has four levels of 4 KiB pages. */
const arm = { granuleLg2: 12, hostAddressWidth: 48, updates: 'dirty', contiguous: true };
const sv = { hostAddressWidth: 56, hardwareUpdates: true, napot: true, pageTypes: true };
const all = [
  second,
  first,
  compileFormat(amdHost({ hostAddressWidth: 48, hostAccessDirty: 0 })),
  compileFormat(amdGuest({ hostAddressWidth: 48, signExtended: false })),
  compileFormat(armv8({ ...arm, stage: 1 })),
  compileFormat(armv8({ ...arm, stage: 2 })),
  compileFormat(riscv({ ...sv, secondStage: false })),
  compileFormat(riscv({ ...sv, secondStage: true })),
  compileFormat(tce({ hostAddressWidth: 51, pageLg2: 12, indexBits: 9 })),
];

/** A table of 4 KiB pages over `window` bytes, and random offsets in it. */
function walkOf(format, levels, window) {
  const memory = new PhysicalMemory();
  const frames = new FrameAllocator(2 ** 32, 2 ** 40);
  const table = new PageTable(format, memory, frames, levels);
  table.map(2 ** 32, 2 ** 41, window, READ_WRITE, 12);
  const random = new RandomStream(1, 'bench/walk');
  const offsets = Int32Array.from({ length: 65_536 }, () => random.below(window / 4096) * 4096);
  const [rootHi, rootLo] = [Math.floor(table.root / 2 ** 32), table.root | 0];
  return { format, memory, levels, offsets, rootHi, rootLo };
}

function taskOf(name, walks, window) {
  const walk = new Walk();
  walk.access = READ_WRITE;
  let at = 0;
  const task = () => {
    for (let i = 0; i < BATCH; i++) {
      const { format, memory, levels, offsets, rootHi, rootLo } = walks[at % walks.length];
      walk.inputHi = 1;
      walk.inputLo = offsets[at++ & 65_535];
      if (runWalk(format, walk, memory, rootHi, rootLo, levels) !== DONE) throw new Error('not translated');
    }
  };
  return ['walk', name, window / 4096, task];
}

/** Rows {bench, variant, n, value, unit}; n = pages. */
export async function run({ quick = false } = {}) {
  const tasks = [];
  for (const window of [2 ** 18, 2 ** 28]) {
    tasks.push(taskOf('VT-d second stage, 4 levels', [walkOf(second, 4, window)], window));
    tasks.push(taskOf('VT-d second stage, 5 levels', [walkOf(second, 5, window)], window));
    tasks.push(taskOf('x86-64 first stage, 4 levels', [walkOf(first, 4, window)], window));
  }
  // Nine tables of one format, then one table of each of nine formats: the same memory, other formats.
  const window = 2 ** 18;
  const one = all.map(() => walkOf(second, 4, window));
  const each = all.map((format) => walkOf(format, 4, window));
  tasks.push(taskOf('one format, 9 tables in turn', one, window));
  tasks.push(taskOf('9 formats in turn', each, window));
  return measureTasks(tasks, quick);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  for (const row of await run({ quick: process.argv.includes('quick') })) console.log(JSON.stringify(row));
}
