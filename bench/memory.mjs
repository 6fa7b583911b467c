// Simulated memory: sparse tables in PhysicalMemory, LLC tags, timed requests. CPU time per operation; run with --expose-gc for the byte figures.
import { PerformanceObserver } from 'node:perf_hooks';
import { pathToFileURL } from 'node:url';
import v8 from 'node:v8';

for (const flag of [
  '--no-use-osr',
  '--max-inlined-bytecode-size=1000',
  '--max-inlined-bytecode-size-cumulative=4000',
]) {
  v8.setFlagsFromString(flag);
}
const { PhysicalMemory } = await import('../dist/memory/physical.js');
const { FrameAllocator } = await import('../dist/memory/frames.js');
const { Llc } = await import('../dist/memory/llc.js');
const { MemorySystem } = await import('../dist/memory/system.js');

const BATCH = 4096;
let seed = 1;
/** xorshift32: an int32 stream of the bench's own. */
function random() {
  seed ^= seed << 13;
  seed ^= seed >>> 17;
  seed ^= seed << 5;
  return seed;
}

function cpuNs() {
  const { user, system } = process.cpuUsage();
  return (user + system) * 1000;
}

/** Median CPU ns per operation of `passes` passes of `n` operations done in batches. */
function measure(n, passes, batch) {
  const values = [];
  for (let pass = 0; pass <= passes; pass++) {
    const start = cpuNs();
    for (let i = 0; i < n; i += BATCH) batch(i, Math.min(BATCH, n - i));
    if (pass > 0) values.push((cpuNs() - start) / n);
  }
  return values.sort((a, b) => a - b)[passes >> 1];
}

/** x86-style tables of four levels whose pages hold one entry each: root, two middle levels, leaf. */
class Tables {
  constructor(count) {
    this.count = count;
    this.memory = new PhysicalMemory();
    this.frames = new FrameAllocator(2 ** 32, 2 ** 44);
    this.first = 0;
    this.input = new Int32Array(count);
    this.sum = 0;
  }

  build(from, n) {
    this.first = 2 ** 32;
    for (let i = from; i < from + n; i++) {
      this.input[i] = random() >>> 1;
      let table = this.frames.allocate();
      for (let level = 4; level >= 1; level--) {
        const next = level === 1 ? i * 4096 : this.frames.allocate();
        const entry = table + (indexOf(this.input[i], level) << 3);
        this.memory.write(Math.floor(entry / 2 ** 32), entry | 0, Math.floor(next / 2 ** 32), next | 3);
        table = next;
      }
    }
  }

  walks(n) {
    const memory = this.memory;
    let sum = 0;
    for (let k = 0; k < n; k++) {
      const i = (random() >>> 0) % this.count;
      const root = this.first + i * 16384;
      let hi = (root / 4294967296) | 0;
      let lo = root | 0;
      for (let level = 4; level >= 1; level--) {
        memory.read(hi, lo | (indexOf(this.input[i], level) << 3));
        hi = memory.wordHi;
        lo = memory.wordLo & -4096;
      }
      sum = (sum + lo) | 0;
    }
    this.sum = (this.sum + sum) | 0;
  }
}

function indexOf(input, level) {
  return (input >>> ((level - 1) * 7)) & 511;
}

function physical(print) {
  for (const n of [64, 1024, 16384, 65536, 262144, 1048576]) {
    seed = 1;
    global.gc?.();
    const rss = process.memoryUsage().rss;
    const tables = new Tables(n);
    const start = cpuNs();
    for (let i = 0; i < n; i += 64) tables.build(i, 64);
    print('physical.build', '4-level', n, (cpuNs() - start) / n, 'ns/table');
    global.gc?.();
    if (n >= 65536) print('physical.resident', '4-level', n, (process.memoryUsage().rss - rss) / n, 'B/table');
    if (n >= 65536) print('physical.held', '4-level', n, tables.memory.bytes / n, 'B/table');
    print(
      'physical.walk',
      '4-level random',
      n,
      measure(1 << 20, 3, (_, count) => tables.walks(count)),
      'ns/walk',
    );
  }
  const dense = new PhysicalMemory();
  const words = 1 << 20;
  const fill = (from, count) => {
    for (let i = from; i < from + count; i++) dense.write(1, i << 3, i, ~i);
  };
  let reads = 0;
  const scan = (from, count) => {
    for (let i = from; i < from + count; i++) {
      dense.read(1, i << 3);
      reads += dense.wordLo & 1;
    }
  };
  print('physical.write', 'dense, ascending', words, measure(words, 3, fill), 'ns/word');
  print('physical.read', 'dense, ascending', words, measure(words, 3, scan), 'ns/word');
  for (const lg2 of [6, 12, 21, 30]) {
    const spaced = new PhysicalMemory();
    const lines = 1 << 18;
    const put = (from, count) => {
      for (let i = from; i < from + count; i++) spaced.write(i >>> (32 - lg2), i << lg2, 0, i + 1);
    };
    const get = (from, count) => {
      for (let i = from; i < from + count; i++) {
        spaced.read(i >>> (32 - lg2), i << lg2);
        reads += spaced.wordLo & 1;
      }
    };
    measure(lines, 1, put);
    print('physical.read', `a line every 2^${lg2} bytes`, lines, measure(lines, 3, get), 'ns/word');
  }
  const pages = 2048;
  let cleared = 0;
  const recycle = (from, count) => {
    for (let i = from; i < from + count; i++) {
      const lo = (i % pages) << 12;
      dense.clearPage(1, lo);
      dense.write(1, lo | 0x28, 1, i | 1);
      cleared++;
    }
  };
  print('physical.clear', 'page with one line', pages, measure(1 << 16, 3, recycle), 'ns/page');
  if (reads === 0 || cleared === 0) throw new Error('the loops did not run');
}

const LLC = { size: 25 * 2 ** 20, ways: 20, ddioWays: 2, scatter: 0, latency: 60_000, bandwidth: 512e9 };

function llc(print) {
  for (const window of [65536, 2 ** 20, 16 * 2 ** 20, 64 * 2 ** 20]) {
    const cache = new Llc(LLC);
    const lines = window / 64;
    let hits = 0;
    for (let i = 0; i < lines; i++) cache.deviceWrite(1, i << 6);
    const read = (_, count) => {
      for (let i = 0; i < count; i++) hits += cache.deviceRead(1, (random() & (lines - 1)) << 6) ? 1 : 0;
    };
    const write = (_, count) => {
      for (let i = 0; i < count; i++) hits += cache.deviceWrite(1, (random() & (lines - 1)) << 6) ? 1 : 0;
    };
    print('llc.device_read', `window ${window}`, 1 << 20, measure(1 << 20, 3, read), 'ns/line');
    print('llc.device_write', `window ${window}`, 1 << 20, measure(1 << 20, 3, write), 'ns/line');
    if (hits === 0) throw new Error('the loops did not run');
  }
}

/** Lets the observer deliver what it has seen. */
function settled() {
  return new Promise((resolve) => setTimeout(resolve, 20));
}

async function timed(print) {
  const dram = { size: 64 * 2 ** 30, channels: 4, latency: 70_000, bandwidth: 136e9 };
  const socket = { cores: 8, frequency: 2.6e9, llc: LLC, dram };
  const spec = {
    sockets: { a: socket, b: socket },
    interconnect: { latency: 60_000, bandwidth: 300e9 },
    hostCache: 'cold',
  };
  let scavenges = 0;
  const observer = new PerformanceObserver((list) => {
    scavenges += list.getEntries().length;
  });
  observer.observe({ entryTypes: ['gc'] });
  const clock = new Float64Array(1);
  let sum = 0;
  for (const [variant, mask, bytes, home] of [
    ['64 B in 1 MiB', 2 ** 20 - 1, 64, 0],
    ['64 B in 64 MiB', 2 ** 26 - 1, 64, 0],
    ['512 B in 64 MiB', 2 ** 26 - 1, 512, 0],
    ['64 B in 64 MiB, remote', 2 ** 26 - 1, 64, 1],
  ]) {
    const memory = new MemorySystem(spec, clock);
    const read = (_, count) => {
      for (let i = 0; i < count; i++) {
        clock[0] += 20_000;
        sum = (sum + memory.deviceRead(home, 1, random() & mask & -bytes, bytes)) | 0;
      }
    };
    const mixed = (_, count) => {
      for (let i = 0; i < count; i++) {
        clock[0] += 20_000;
        const lo = random() & mask & -bytes;
        sum = (sum + memory.deviceWrite(home, 1, lo, bytes)) | 0;
        sum = (sum + memory.walkerRead(home, 1, lo ^ 0x1000, true)) | 0;
      }
    };
    print('memory.device_read', variant, 1 << 20, measure(1 << 20, 3, read), 'ns/request');
    print('memory.write_walk', variant, 1 << 20, measure(1 << 20, 3, mixed), 'ns/pair');
    await settled();
    scavenges = 0;
    measure(1 << 20, 3, read);
    measure(1 << 20, 3, mixed);
    await settled();
    print('memory.collections', variant, 12 << 20, scavenges, 'collections');
  }
  observer.disconnect();
  if (sum === 0) throw new Error('the loops did not run');
}

/** Runs all benches; `print(bench, variant, n, value, unit)` takes each figure. */
export async function run(print = printLine) {
  physical(print);
  llc(print);
  await timed(print);
}

function printLine(bench, variant, n, value, unit) {
  console.log(JSON.stringify({ bench, variant, n, value: Number(value.toPrecision(4)), unit }));
}

if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(process.argv[1]).href) await run();
