/** What processes that share their address spaces with devices report: page faults by stage and by kind, reclaim, invalidations. */
import type { Histogram } from '../stats/histogram.js';
import type { MetricDef, Registry } from '../stats/registry.js';
import { FAULT_KINDS } from './mm/statistics.js';
import { FAULT_STAGES } from './page-fault.js';
import type { Processes } from './processes.js';
import { ratio } from '../stats/ratio.js';

const PS_PER_NS = 1000;
/** Widths of the report's columns. */
const NAME = 24;
const CELL = 12;

const STAGE_SENTENCES: readonly string[] = [
  'from the fault in hardware until its record is in memory: waits for a place to be held in and for room in the queue',
  'from the record to the end of the interrupt handler',
  "until the interrupt's thread runs",
  'until the thread has come to it',
  'until the last request of its group has come',
  'until a worker takes it up',
  'in memory management',
  'until its answer has reached the unit',
  'until the transaction goes on',
];

const define = (name: string, unit: string, sentence: string, formula = 'count'): MetricDef => ({
  name,
  unit,
  sentence,
  formula,
});

export const PROCESS_METRICS: readonly MetricDef[] = [
  define(
    'fault.latency',
    'ns',
    'Recoverable page fault of a device, from the fault until its transaction goes on.',
    'histogram',
  ),
  ...FAULT_STAGES.map((stage, i) =>
    define(`fault.latency.${stage}`, 'ns', `Part of a page fault ${STAGE_SENTENCES[i]}.`, 'histogram'),
  ),
  ...FAULT_STAGES.map((stage) =>
    define(
      `fault.time.${stage}`,
      'ns',
      `Mean time of a page fault in stage ${stage}; the stages add up to the mean latency.`,
      'time in the stage / faults',
    ),
  ),
  define(
    'fault.cpu_time',
    'ns',
    'CPU time of page faults of devices: interrupts, their threads and workers, switches between them included.',
    'time the CPUs that handle them worked or spun',
  ),
  define('fault.cpu_time.fault', 'ns', 'The same for each page fault.', 'cpu_time / faults'),
  define('fault.reported', 'faults', 'Recoverable page faults that the interrupt thread took over.'),
  define('fault.success', 'groups', 'Groups of page faults answered: try again.'),
  define('fault.invalid', 'groups', 'Groups of page faults answered: the access is an error.'),
  define('fault.failure', 'groups', 'Groups of page faults answered: nothing works any more.'),
  define('fault.unhandled', 'faults', 'Recoverable page faults of a PASID without process.'),
  define('fault.errors', 'events', 'Events of faults that are errors: their transactions were refused at once.'),
  ...FAULT_KINDS.map((kind) =>
    define(
      `mm.fault.${kind}`,
      'ns',
      `Time of memory management for a page fault of kind ${kind}, of CPUs and devices.`,
      'histogram',
    ),
  ),
  define('mm.evicted', 'pages', 'Pages of processes paged out.'),
  define('mm.invalidations', 'calls', 'Calls that told IOMMUs of changes of a process page table.'),
  define('mm.resident', 'bytes', 'Memory of processes that is present.', 'present value'),
];

/** What the terminal shows of page faults: mean and tails of the whole and of each stage, in ns; nothing without faults. */
export function faultReport({ statistics: { total, stages } }: Processes): string[] {
  if (total.count === 0) return [];
  const line = (name: string, cells: readonly string[]): string =>
    `${name.padEnd(NAME)}${cells.map((cell) => cell.padStart(CELL)).join('')}`;
  const row = (name: string, histogram: Histogram): string =>
    line(name, [
      (histogram.mean() / PS_PER_NS).toFixed(1),
      ...[0.5, 0.99, 0.999].map((q) => (histogram.quantile(q) / PS_PER_NS).toFixed(1)),
    ]);
  return [
    line(`${total.count} page faults`, ['mean ns', 'p50', 'p99', 'p99.9']),
    ...FAULT_STAGES.map((stage, i) => row(`  ${stage}`, stages[i]!)),
    row('  total', total),
  ];
}

export function registerProcesses(registry: Registry, processes: Processes): void {
  const { statistics, manager } = processes;
  const gauge = (metric: string, read: (now: number) => number): void => registry.gauge('os', metric, read);
  registry.histogram('os', 'fault.latency', statistics.total);
  for (const [i, stage] of FAULT_STAGES.entries()) {
    const histogram = statistics.stages[i]!;
    registry.histogram('os', `fault.latency.${stage}`, histogram);
    gauge(`fault.time.${stage}`, () => histogram.mean() / PS_PER_NS);
  }
  gauge('fault.cpu_time', () => processes.faultCpuTime / PS_PER_NS);
  gauge('fault.cpu_time.fault', () => ratio(processes.faultCpuTime / PS_PER_NS, statistics.total.count));
  gauge('fault.reported', () => statistics.reported);
  gauge('fault.success', () => statistics.success);
  gauge('fault.invalid', () => statistics.invalid);
  gauge('fault.failure', () => statistics.failure);
  gauge('fault.unhandled', () => statistics.unhandled);
  gauge('fault.errors', () => statistics.errors);
  for (const [i, kind] of FAULT_KINDS.entries()) {
    registry.histogram('os', `mm.fault.${kind}`, manager.statistics.faults[i]!);
  }
  gauge('mm.evicted', () => manager.statistics.evicted);
  gauge('mm.invalidations', () => manager.statistics.invalidations);
  gauge('mm.resident', () => manager.pages.resident);
  registry.onReset(() => {
    statistics.reset();
    manager.statistics.reset();
  });
}
