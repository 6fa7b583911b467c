/** Metrics of a DMA engine and where their values come from. */
import { CAUSES } from '../protocol/tlp.js';
import type { LatencyLedger } from '../stats/latency-ledger.js';
import type { MetricDef, Registry } from '../stats/registry.js';
import type { Accelerator } from './accelerator.js';
import type { Engine } from './engine.js';

export const DEVICE_METRICS: readonly MetricDef[] = [
  {
    name: 'dma.read.latency',
    unit: 'ns',
    sentence: 'Time of a DMA read from its start in the device until its last byte is there.',
    formula: 'one sample per DMA read',
  },
  {
    name: 'dma.write.latency',
    unit: 'ns',
    sentence:
      'Time of a DMA write from its start in the device until its last byte is globally visible and the device is done with it.',
    formula: 'one sample per DMA write',
  },
  {
    name: 'dma.operations_per_second',
    unit: '1/s',
    sentence: 'DMA operations completed per simulated second.',
    formula: '(reads + writes) / window',
  },
  {
    name: 'dma.read.bandwidth',
    unit: 'Gb/s',
    sentence: 'Payload read by the device per simulated second.',
    formula: '8 * bytes read / window',
  },
  {
    name: 'dma.write.bandwidth',
    unit: 'Gb/s',
    sentence: 'Payload written by the device per simulated second.',
    formula: '8 * bytes written / window',
  },
  {
    name: 'dma.aborted',
    unit: 'count',
    sentence: 'DMA operations with at least one transaction that was not translated.',
    formula: 'count',
  },
  {
    name: 'dma.lost_arrivals',
    unit: 'count',
    sentence: 'Open-loop arrivals that found the backlog of 1024 full.',
    formula: 'count',
  },
  ...CAUSES.map((cause) => ({
    name: `dma.time.${cause}`,
    unit: 'ns',
    sentence: `Mean part of a DMA's latency spent in "${cause}"; the parts add up exactly to the mean latency over reads and writes.`,
    formula: `time charged to ${cause} along the last-finishing TLP / DMA operations`,
  })),
];

export const ACCELERATOR_METRICS: readonly MetricDef[] = (
  [
    ['work_queue.occupancy', 'descriptors', 'Descriptors in the work queues.', 'time average'],
    ['work_queue.occupancy.max', 'descriptors', 'Most descriptors in the work queues at once.', 'maximum'],
    ['work_queue.accepted', 'descriptors', 'Descriptors that work queues took.', 'count'],
    ['work_queue.refused', 'descriptors', 'Deferrable writes that a full work queue refused.', 'count'],
    ['accelerator.processing', 'descriptors', 'Descriptors in process in the engines.', 'time average'],
    [
      'accelerator.bandwidth',
      'Gb/s',
      'Memory moved per simulated second.',
      '8 * bytes of moves without fault / window',
    ],
  ] as const
).map(([name, unit, sentence, formula]) => ({ name, unit, sentence, formula }));

export function registerAccelerator(registry: Registry, component: string, accelerator: Accelerator): void {
  let since = 0;
  const gauge = (metric: string, read: (now: number) => number): void => registry.gauge(component, metric, read);
  gauge('work_queue.occupancy', (now) => accelerator.queued.mean(now));
  gauge('work_queue.occupancy.max', () => accelerator.queued.max);
  gauge('work_queue.accepted', () => accelerator.taken);
  gauge('work_queue.refused', () => accelerator.refused);
  gauge('accelerator.processing', (now) => accelerator.processing.mean(now));
  gauge('accelerator.bandwidth', (now) => (now > since ? (accelerator.moved * 8000) / (now - since) : 0));
  registry.onReset((now) => {
    since = now;
    accelerator.resetCounters(now);
  });
}

/** Registers everything an engine counts under its name; `ledger` keeps the totals of all engines, by engine number. */
export function registerEngine(registry: Registry, component: string, engine: Engine, ledger: LatencyLedger): void {
  let since = 0;
  const perSecond = (amount: number, now: number): number => (now > since ? (amount * 1e12) / (now - since) : 0);
  const done = (): number => engine.readLatency.count + engine.writeLatency.count;
  registry.histogram(component, 'dma.read.latency', engine.readLatency);
  registry.histogram(component, 'dma.write.latency', engine.writeLatency);
  registry.gauge(component, 'dma.operations_per_second', (now) => perSecond(done(), now));
  registry.gauge(component, 'dma.read.bandwidth', (now) => perSecond(engine.readBytes * 8, now) / 1e9);
  registry.gauge(component, 'dma.write.bandwidth', (now) => perSecond(engine.writeBytes * 8, now) / 1e9);
  registry.gauge(component, 'dma.aborted', () => engine.faults);
  registry.gauge(component, 'dma.lost_arrivals', () => engine.lostArrivals());
  ledger.causes.forEach((cause, i) => {
    registry.gauge(
      component,
      `dma.time.${cause}`,
      () => ledger.totalPs(i, engine.index) / ledger.count(engine.index) / 1000,
    );
  });
  registry.onReset((now) => {
    since = now;
    engine.resetCounters();
  });
}
