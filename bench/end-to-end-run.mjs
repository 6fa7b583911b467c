// One whole-simulation measurement, in a process of its own.
// node end-to-end-run.mjs SCENARIO WARMUP OPERATIONS REPETITIONS plain|trace    prints one JSON line
// node end-to-end-run.mjs SCENARIO image FILE                                   writes what the C++ twin starts from
import '../dist/run/flags.js';
import { writeFileSync } from 'node:fs';
import { PerformanceObserver } from 'node:perf_hooks';

const { SCENARIOS } = await import('./scenarios.mjs');
const { Drive } = await import('./drive.mjs');
const { imageOf } = await import('./image.mjs');

const [name, ...rest] = process.argv.slice(2);
const spec = SCENARIOS[name];
const drive = new Drive(spec);
const { machine } = drive;

/** Same as hashOf in end-to-end.cpp: over the buckets that are not empty, in order. */
function hashOf(histogram) {
  let sum = 0;
  histogram.counts.forEach((count, i) => {
    if (count > 0) sum = (Math.imul((Math.imul(sum, 31) + i) | 0, 31) + count) | 0;
  });
  return sum >>> 0;
}

let trace = 0;
function traceLatencies(ledger) {
  const finish = ledger.finish.bind(ledger);
  ledger.finish = (slot, now, group) => {
    const latency = finish(slot, now, group);
    trace = (Math.imul(Math.imul(trace, 31) ^ latency, 31) + slot) | 0;
    return latency;
  };
}

async function measure(warmup, operations, repetitions, mode) {
  if (mode === 'trace') traceLatencies(machine.ledger);
  let scavenges = 0;
  const observer = new PerformanceObserver((list) => {
    scavenges += list.getEntries().length;
  });
  drive.run(warmup);
  await new Promise((resolve) => setTimeout(resolve, 20));
  observer.observe({ entryTypes: ['gc'] });
  const before = drive.events;
  const cpu = [];
  const rss = [];
  for (let r = 0; r < repetitions; r++) {
    const start = process.cpuUsage();
    drive.run(operations);
    const used = process.cpuUsage(start);
    cpu.push(((used.user + used.system) * 1000) / operations);
    rss.push(process.memoryUsage.rss());
  }
  await new Promise((resolve) => setTimeout(resolve, 20));
  cpu.sort((a, b) => a - b);
  const engine = machine.engines[0];
  const { counters, translations } = machine.units[0].unit;
  return {
    ns: cpu[cpu.length >> 1],
    best: cpu[0],
    events: drive.events,
    eventsMeasured: drive.events - before,
    clock: drive.nowPs,
    trace: trace >>> 0,
    histograms: [hashOf(engine.readLatency), hashOf(engine.writeLatency)],
    parts: machine.ledger.causes.map((_, cause) => machine.ledger.totalPs(cause)),
    counters: [counters.requests, translations.iotlb.hits, counters.walks, counters.tableReads, counters.merged],
    collections: scavenges,
    rss,
  };
}

if (rest[0] === 'image') writeFileSync(rest[1], imageOf(spec));
else console.log(JSON.stringify(await measure(...rest.slice(0, 3).map(Number), rest[3])));
