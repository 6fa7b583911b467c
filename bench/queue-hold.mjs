// One measurement of bench/queue.mjs, in a process of its own so that no variant inherits another's type feedback.
// node queue-hold.mjs VARIANT PROGRAM PENDING OPS REPETITIONS DELAYS PHASES  -> {"ns", "sum", "scavenges"}
// Program `hold`: pop the earliest event, schedule it again. Program `drain`: schedule all, then pop all.
import { readFileSync } from 'node:fs';
import { PerformanceObserver } from 'node:perf_hooks';

const [variant, program, ...rest] = process.argv.slice(2);
const [pending, ops, repetitions] = rest.slice(0, 3).map(Number);
const [delays, phases] = rest.slice(3).map(load);
const MASK = 65535;

/** Delays that all fit go into an Int32Array, as a component would hold them. */
function load(file) {
  const bytes = readFileSync(file);
  const table = new Float64Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length));
  return table.every((delay) => delay < 2 ** 31) ? Int32Array.from(table) : table;
}

/** The usual choice: a heap of entries under a comparison function. */
class Heap {
  clock = new Float64Array(1);
  sequence = 0;
  constructor(TinyQueue) {
    this.queue = new TinyQueue([], (a, b) => a.time - b.time || a.sequence - b.sequence);
  }
  after(delay, event, op) {
    event.op = op;
    this.queue.push({ time: this.clock[0] + delay, sequence: this.sequence++, event });
  }
  next() {
    const entry = this.queue.pop();
    this.clock[0] = entry.time;
    return entry.event;
  }
}

const { Event } = await import('../dist/kernel/event.js');
async function make() {
  if (variant === 'tinyqueue') return new Heap((await import('tinyqueue')).default);
  const { Kernel } = await import('../dist/kernel/kernel.js');
  return new Kernel();
}

function hold(kernel, n, first) {
  const clock = kernel.clock;
  let hash = 0;
  let c = first;
  for (let i = 0; i < n; i++) {
    const event = kernel.next();
    hash = (Math.imul(hash, 31) + event.id) | 0;
    kernel.after(delays[c & MASK], event, 1);
    c++;
  }
  return hash ^ (clock[0] | 0);
}

function fill(kernel, table) {
  for (let i = 0; i < pending; i++) kernel.after(table[i & MASK], events[i], 1);
}

function drain(kernel, n) {
  const clock = kernel.clock;
  let hash = 0;
  for (let i = 0; i < n; i++) hash = (Math.imul(hash, 31) + kernel.next().id) | 0;
  return hash ^ (clock[0] | 0);
}

const events = Array.from({ length: pending }, (_, id) => Object.assign(new Event(), { id }));
let scavenges = 0;
const observer = new PerformanceObserver((list) => {
  scavenges += list.getEntries().filter((entry) => entry.detail.kind === 1).length;
});

const kernel = await make();
if (program === 'hold') fill(kernel, phases);
let sum = 0;
let count = pending;
const cpu = [];
for (let r = 0; r <= repetitions; r++) {
  const start = process.cpuUsage();
  for (let done = 0; done < ops; ) {
    const n = program === 'hold' ? Math.min(65536, ops - done) : pending;
    if (program === 'drain') fill(kernel, delays);
    sum = (Math.imul(sum, 17) + (program === 'hold' ? hold(kernel, n, count) : drain(kernel, n))) | 0;
    count += n;
    done += n;
  }
  const used = process.cpuUsage(start);
  if (r > 0) cpu.push(((used.user + used.system) * 1000) / ops);
  else observer.observe({ entryTypes: ['gc'] });
}
await new Promise((resolve) => setTimeout(resolve, 20));
cpu.sort((a, b) => a - b);
console.log(JSON.stringify({ ns: cpu[cpu.length >> 1], sum, scavenges }));
