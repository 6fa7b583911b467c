// One whole-simulation measurement, in a process of its own.
// node end-to-end-run.mjs SCENARIO WARMUP OPERATIONS REPETITIONS plain|trace    prints one JSON line
// node end-to-end-run.mjs SCENARIO image FILE                                   writes what the C++ twin starts from
import '../dist/run/flags.js';
import { writeFileSync } from 'node:fs';
import { PerformanceObserver } from 'node:perf_hooks';

const { SCENARIOS } = await import('./scenarios.mjs');
const { Drive } = await import('./drive.mjs');

/** Same as hashOf in end-to-end.cpp: over the buckets that are not empty, in order. */
function hashOf(histogram) {
  let sum = 0;
  histogram.counts.forEach((count, i) => {
    if (count > 0) sum = (Math.imul((Math.imul(sum, 31) + i) | 0, 31) + count) | 0;
  });
  return sum >>> 0;
}

/** Checksum over latency and slot of every DMA, in order of completion. Slows the run down: not for timed runs. */
class Trace {
  sum = 0;

  watch(ledger) {
    const finish = ledger.finish.bind(ledger);
    ledger.finish = (slot, now, group) => {
      const latency = finish(slot, now, group);
      this.sum = (Math.imul(Math.imul(this.sum, 31) ^ latency, 31) + slot) | 0;
      return latency;
    };
  }
}

/** Lets the observer deliver what it has seen. */
const settled = () => new Promise((resolve) => setTimeout(resolve, 20));

async function measure(spec, warmup, operations, repetitions, mode) {
  const drive = new Drive(spec);
  const { machine } = drive;
  const trace = new Trace();
  if (mode === 'trace') trace.watch(machine.ledger);
  let collections = 0;
  const observer = new PerformanceObserver((list) => {
    collections += list.getEntries().length;
  });
  drive.run(warmup);
  await settled();
  observer.observe({ entryTypes: ['gc'] });
  const before = { events: drive.events, clock: drive.nowPs };
  const cpu = [];
  const rss = [];
  for (let r = 0; r < repetitions; r++) {
    const start = process.cpuUsage();
    drive.run(operations);
    const used = process.cpuUsage(start);
    cpu.push(((used.user + used.system) * 1000) / operations);
    rss.push(process.memoryUsage.rss());
  }
  await settled();
  cpu.sort((a, b) => a - b);
  const engine = machine.engines[0];
  const { counters, translations } = machine.units[0].unit;
  return {
    ns: cpu[cpu.length >> 1],
    best: cpu[0],
    operations: operations * repetitions,
    eventsMeasured: drive.events - before.events,
    clockMeasured: drive.nowPs - before.clock,
    collections,
    rss,
    events: drive.events,
    bootEvents: drive.bootEvents,
    clock: drive.nowPs,
    trace: trace.sum >>> 0,
    histograms: [hashOf(engine.readLatency), hashOf(engine.writeLatency)],
    parts: machine.ledger.causes.map((_, cause) => machine.ledger.totalPs(cause)),
    counters: [counters.requests, translations.iotlb.hits, counters.walks, counters.tableReads, counters.merged],
  };
}

const [name, ...rest] = process.argv.slice(2);
const spec = SCENARIOS[name];
if (rest[0] === 'image') {
  const { imageOf } = await import('./image.mjs');
  writeFileSync(rest[1], imageOf(spec));
} else {
  const [warmup, operations, repetitions] = rest.map(Number);
  console.log(JSON.stringify(await measure(spec, warmup, operations, repetitions, rest[3])));
}
