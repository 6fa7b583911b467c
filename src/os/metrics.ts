/** What the operating system reports: definitions, and the gauges of one job and of the software shared by all jobs. */
import type { MetricDef, Registry } from '../stats/registry.js';
import type { DmaApi } from './dma/api.js';
import type { StrategyStatistics } from './dma/strategies/statistics.js';
import type { Driver } from './drivers/driver.js';
import { GUEST_METRICS } from './guest/metrics.js';
import { Invalidate } from './drivers/invalidate.js';
import { MapBenchmark } from './drivers/map-benchmark.js';
import { OFFLOAD_PARTS, OffloadJob } from './drivers/offload.js';
import { SvaJob } from './drivers/sva.js';
import { Stream } from './drivers/stream.js';
import { PROCESS_METRICS } from './process-metrics.js';
import type { Scheduler } from './scheduler.js';
import type { OsStatistics } from './statistics.js';
import { STEP_NAMES, TURN_NAMES, Turn } from './step.js';
import { ratio } from '../stats/ratio.js';

const PS_PER_SECOND = 1e12;
const PS_PER_NS = 1000;

type Metrics = readonly (readonly [name: string, unit: string, sentence: string, formula: string])[];

const define = (metrics: Metrics): MetricDef[] =>
  metrics.map(([name, unit, sentence, formula]) => ({ name, unit, sentence, formula }));

const perStep = (call: 'map' | 'unmap' | 'settle'): Metrics =>
  STEP_NAMES.map((step) => [
    `${call}.time.${step}`,
    'ns',
    `Mean time of ${call === 'settle' ? 'ending a burst' : `a dma_${call} call`} spent in step ${step}; the steps add up to the mean latency.`,
    `time in the step / ${call} calls`,
  ]);

const JOB_METRICS: Metrics = [
  ['operations', 'operations', 'Map + DMA + unmap cycles completed.', 'count'],
  ['operation.rate', 'operations/s', 'Map + DMA + unmap cycles completed per second.', 'operations / window'],
  ['operation.latency', 'ns', 'From the start of the map of a buffer to the end of its unmap.', 'histogram'],
  ['page.rate', 'pages/s', 'Pages of 4 KiB mapped per second.', 'pages of successful maps / window'],
  ['map.latency', 'ns', 'Time a dma_map call takes.', 'histogram'],
  [
    'unmap.latency',
    'ns',
    'Time a dma_unmap call takes, the wait for its invalidation included in strict mode.',
    'histogram',
  ],
  ['map.failures', 'calls', 'dma_map calls that found no I/O address space.', 'count'],
  ['table.pages.allocated', 'pages', 'Page-table pages allocated by maps.', 'count'],
  ['table.pages.freed', 'pages', 'Page-table pages unlinked by unmaps.', 'count'],
  ['dma.faults', 'DMAs', 'DMAs of the job that the IOMMU did not translate.', 'count'],
  ['dma.late', 'DMAs', 'Buffers the device touched again after it had reported them complete.', 'count'],
  [
    'submission.latency',
    'ns',
    'CPU time from the first try to submit a descriptor until the queue has taken it, as far as the CPU knows.',
    'histogram',
  ],
  ['submission.attempts', 'writes', 'ENQCMD and MOVDIR64B instructions.', 'count'],
  ['submission.retries', 'writes', 'ENQCMD instructions that a full queue refused.', 'count'],
  [
    'submission.fallbacks',
    'operations',
    'Moves that the thread did itself because the queue refused too often.',
    'count',
  ],
  [
    'submission.fixups',
    'faults',
    "Threads' first ENQCMD, which fault because the PASID register is not loaded.",
    'count',
  ],
  ['submission.exits', 'exits', 'Exits of virtual machines because a guest PASID had no translation.', 'count'],
  ...OFFLOAD_PARTS.map(
    (part) =>
      [
        `operation.time.${part}`,
        'ns',
        `Mean time of a move spent in part ${part}; the parts add up to the mean operation latency.`,
        'time in the part / operations',
      ] as const,
  ),
  [
    'invalidate.latency',
    'ns',
    'Time one invalidation of an invalidate job takes, locks and waits included.',
    'histogram',
  ],
  ...STEP_NAMES.map(
    (step) =>
      [
        `invalidate.time.${step}`,
        'ns',
        `Mean time of an invalidation of an invalidate job spent in step ${step}; the steps add up to the mean latency.`,
        'time in the step / invalidations',
      ] as const,
  ),
  ...perStep('map'),
  ...perStep('unmap'),
  [
    'settle.latency',
    'ns',
    'Time it takes to end a burst: invalidating and giving back what its unmaps held back.',
    'histogram',
  ],
  ...perStep('settle'),
  ['strategy.held', 'buffers', 'Buffers unmapped but held back until an invalidation covers them.', 'time average'],
  ['strategy.held.max', 'buffers', 'Most buffers held back at once.', 'maximum'],
  ['strategy.held.time', 'ns', 'From the unmap of a buffer that is held back until its invalidation.', 'histogram'],
  ['strategy.copied', 'bytes', 'Bytes copied between buffers and their shadows.', 'count'],
  ['strategy.pool', 'bytes', 'Memory that stays mapped for good.', 'present value'],
  ...STEP_NAMES.map(
    (step) =>
      [
        `cycles.${step}`,
        'cycles/operation',
        `CPU cycles per operation that map, unmap and the end of bursts spend in step ${step}.`,
        `(map, unmap and settle time in the step) * frequency / operations`,
      ] as const,
  ),
  ...TURN_NAMES.map(
    (turn) =>
      [
        `loop.cycles.${turn}`,
        'cycles/operation',
        `CPU cycles per turn of the driver's loop that go to ${turn}; the parts add up to the turn.`,
        `time in the part * frequency / turns`,
      ] as const,
  ),
];

const LOCKS = [
  ['domain', 'domainLocks', 'domain->cache_lock, held over every invalidation of a domain'],
  ['queue', 'queueLocks', 'q_lock of the invalidation queues'],
  ['iova.tree', 'treeLocks', 'iova_rbtree_lock'],
  ['iova.depot', 'depotLocks', 'the locks of the IOVA depots'],
  ['flush_queue', 'ringLocks', 'the locks of the flush-queue rings'],
  ['swiotlb', 'areaLocks', 'the locks of the areas of the bounce pool'],
] as const;

const SHARED_METRICS: Metrics = [
  ['iova.magazine.hits', 'allocations', 'IOVAs taken from a magazine of the same CPU.', 'count'],
  ['iova.depot.fetches', 'magazines', 'Full magazines fetched from a depot.', 'count'],
  ['iova.depot.stores', 'magazines', 'Full magazines given to a depot.', 'count'],
  ['iova.depot.trims', 'magazines', 'Surplus magazines given back to the tree.', 'count'],
  ['iova.tree.allocations', 'allocations', 'IOVA allocations that searched the tree.', 'count'],
  ['iova.tree.frees', 'frees', 'IOVAs removed from the tree.', 'count'],
  ['iova.tree.visits', 'nodes', 'Tree nodes touched by allocations and frees.', 'count'],
  ['iova.drains', 'drains', 'Times all magazines were emptied because the address space seemed exhausted.', 'count'],
  ['iova.exhausted', 'allocations', 'Allocations that failed after draining.', 'count'],
  ['iova.wide', 'domains', 'Domains that ran out of IOVAs below 4 GiB and went to the full mask.', 'count'],
  ['flush_queue.queued', 'entries', 'Unmapped ranges queued for a deferred flush.', 'count'],
  ['flush_queue.freed', 'entries', 'Ranges given back after a deferred flush.', 'count'],
  ['flush_queue.full_flushes', 'flushes', 'Domain flushes because a ring was full.', 'count'],
  ['flush_queue.timer_flushes', 'flushes', 'Domain flushes by the timer.', 'count'],
  [
    'flush_queue.lifetime',
    'ns',
    'From the return of a lazy unmap until the flush that covers it was complete, of ranges given back: the exposure window.',
    'histogram',
  ],
  [
    'flush_queue.reachable',
    'ns',
    'From the return of a lazy unmap until hardware had executed the flush that covers it: the IOTLB cannot hold it longer.',
    'histogram',
  ],
  ['flush_queue.occupancy', 'entries', 'Ranges waiting for a flush, all rings together.', 'time average'],
  ['flush_queue.occupancy.max', 'entries', 'Most ranges waiting for a flush at once.', 'maximum'],
  ['swiotlb.bounced', 'mappings', 'Mappings that were given a bounce buffer.', 'count'],
  ['swiotlb.copied', 'bytes', 'Bytes copied to and from bounce buffers.', 'sum'],
  ['swiotlb.full', 'maps', 'Maps that failed because no area of the bounce pool had room.', 'count'],
  ['swiotlb.other_areas', 'searches', "Searches of an area beyond the CPU's own, which was full.", 'count'],
  ['swiotlb.visits', 'slots', 'Slots looked at and taken by maps.', 'count'],
  ['swiotlb.used', 'slots', 'Slots of the bounce pool in use (io_tlb_used).', 'time average'],
  ['swiotlb.used.max', 'slots', 'Most slots in use at once (io_tlb_used_hiwater).', 'maximum'],
  [
    'invalidation.flushes',
    'flushes',
    'Invalidation requests of the DMA API: one per strict unmap or deferred flush.',
    'count',
  ],
  ['invalidation.pages', 'commands', 'Page-selective invalidation commands submitted.', 'count'],
  ['invalidation.domains', 'commands', 'Invalidation commands for a whole domain or PASID submitted.', 'count'],
  ['invalidation.descriptors', 'descriptors', 'Descriptors submitted, wait descriptors included.', 'count'],
  ['invalidation.slot_waits', 'submissions', 'Submissions that found the invalidation queue full.', 'count'],
  [
    'invalidation.latency',
    'ns',
    'From asking for an invalidation to its end, locks included: what one invalidation costs.',
    'histogram',
  ],
  ['invalidation.completion', 'ns', 'From the doorbell write to the poll that sees the status write.', 'histogram'],
  [
    'invalidation.submission',
    'ns',
    'One submission to an invalidation queue (qi_submit_sync, arm_smmu_cmdq_issue_cmdlist): locks, doorbell and wait included.',
    'histogram',
  ],
  ['interrupt.time', 'ns', 'CPU time in timer callbacks, all CPUs.', 'sum'],
  ['line.accesses', 'accesses', "Loads, stores and atomics of the command queues' shared lines.", 'count'],
  ['line.moves', 'accesses', "Of these, accesses that brought the line from another CPU's cache.", 'count'],
  ['line.attempts', 'operations', 'Compare-and-exchange operations on shared lines.', 'count'],
  [
    'line.failures',
    'operations',
    'Of these, operations that failed because another CPU had stored meanwhile.',
    'count',
  ],
  ['line.wait', 'ns', "Time spent waiting for other CPUs' accesses of a shared line, retries included.", 'sum'],
  ...LOCKS.flatMap(
    ([name, , words]) =>
      [
        [`lock.${name}.acquisitions`, 'acquisitions', `Acquisitions of ${words}.`, 'count'],
        [`lock.${name}.contended`, 'acquisitions', `Acquisitions of ${words} that had to wait.`, 'count'],
        [`lock.${name}.wait`, 'ns', `Time spent waiting for ${words}, hand-over included.`, 'sum'],
      ] as const,
  ),
];

/** Every metric of the operating system. Components: `os`, and one per job, called as the job. */
export const OS_METRICS: readonly MetricDef[] = [
  ...define([...JOB_METRICS, ...SHARED_METRICS]),
  ...GUEST_METRICS,
  ...PROCESS_METRICS,
];

function registerCalls(registry: Registry, job: string, dma: DmaApi, hertz: number, operations: () => number): void {
  const { maps, unmaps, settles } = dma;
  for (const [call, meter] of [
    ['map', maps],
    ['unmap', unmaps],
    ...(dma.holdsBack ? [['settle', settles] as const] : []),
  ] as const) {
    registry.histogram(job, `${call}.latency`, meter.latency);
    for (const [step, name] of STEP_NAMES.entries()) {
      registry.gauge(job, `${call}.time.${name}`, () =>
        ratio(meter.ledger.totalPs(step) / PS_PER_NS, meter.ledger.count()),
      );
    }
  }
  for (const [step, name] of STEP_NAMES.entries()) {
    registry.gauge(job, `cycles.${name}`, () => {
      const time = maps.ledger.totalPs(step) + unmaps.ledger.totalPs(step) + settles.ledger.totalPs(step);
      return ratio((time * hertz) / PS_PER_SECOND, operations());
    });
  }
}

function registerStrategy(registry: Registry, job: string, statistics: StrategyStatistics): void {
  registry.gauge(job, 'strategy.held', (now) => statistics.held.mean(now));
  registry.gauge(job, 'strategy.held.max', () => statistics.held.max);
  registry.histogram(job, 'strategy.held.time', statistics.heldTime);
  registry.gauge(job, 'strategy.copied', () => statistics.copiedBytes);
  registry.gauge(job, 'strategy.pool', () => statistics.poolBytes);
}

function registerOffload(registry: Registry, driver: OffloadJob): void {
  const { name: job, statistics, parts } = driver;
  const gauge = (metric: string, read: () => number): void => registry.gauge(job, metric, read);
  gauge('dma.faults', () => driver.faults);
  registry.histogram(job, 'submission.latency', statistics.submission);
  gauge('submission.attempts', () => statistics.attempts);
  gauge('submission.retries', () => statistics.retries);
  gauge('submission.fallbacks', () => statistics.fallbacks);
  gauge('submission.fixups', () => statistics.fixups);
  gauge('submission.exits', () => statistics.exits);
  for (const [i, part] of OFFLOAD_PARTS.entries()) {
    gauge(`operation.time.${part}`, () => ratio(parts.totalPs(i) / PS_PER_NS, parts.count()));
  }
}

/** `hertz`: core clock of the job's socket. */
export function registerJob(registry: Registry, driver: Driver, hertz: number): void {
  const { name: job, dma } = driver;
  let start = 0;
  registry.onReset((now) => {
    driver.resetStatistics();
    start = now;
  });
  const perSecond = (count: number, now: number): number => ratio(count * PS_PER_SECOND, now - start);
  registry.gauge(job, 'operations', () => driver.operations);
  registry.gauge(job, 'operation.rate', (now) => perSecond(driver.operations, now));
  registry.gauge(job, 'page.rate', (now) => perSecond(dma.pages, now));
  registry.histogram(job, 'operation.latency', driver.latency);
  registerCalls(registry, job, dma, hertz, () => driver.operations);
  registry.gauge(job, 'map.failures', () => dma.failures);
  registry.gauge(job, 'table.pages.allocated', () => dma.mapper.tablesAllocated);
  registry.gauge(job, 'table.pages.freed', () => dma.mapper.tablesFreed);
  if (driver instanceof SvaJob) registry.gauge(job, 'dma.faults', () => driver.faults);
  if (driver instanceof OffloadJob) registerOffload(registry, driver);
  if (driver instanceof Stream) {
    registry.gauge(job, 'dma.faults', () => driver.faults);
    registry.gauge(job, 'dma.late', () => driver.lateAccesses);
  }
  const { statistics } = dma.path;
  if (statistics !== null) registerStrategy(registry, job, statistics);
  if (driver instanceof Invalidate) {
    const { ledger, latency } = driver.invalidations;
    registry.histogram(job, 'invalidate.latency', latency);
    for (const [step, name] of STEP_NAMES.entries()) {
      registry.gauge(job, `invalidate.time.${name}`, () => ratio(ledger.totalPs(step) / PS_PER_NS, ledger.count()));
    }
  }
  for (const [turn, name] of TURN_NAMES.entries()) {
    if ((turn as Turn) === Turn.Settle && !dma.holdsBack) continue;
    registry.gauge(job, `loop.cycles.${name}`, () => {
      return ratio((driver.turns.totalPs(turn) * hertz) / PS_PER_SECOND, driver.turns.count());
    });
  }
}

export function registerShared(registry: Registry, scheduler: Scheduler, statistics: OsStatistics): void {
  const { iova, flushQueue, swiotlb, invalidation, lines } = statistics;
  registry.onReset((now) => {
    scheduler.resetStatistics();
    statistics.reset(now);
  });
  const gauge = (metric: string, read: (now: number) => number): void => registry.gauge('os', metric, read);
  gauge('iova.magazine.hits', () => iova.magazineHits);
  gauge('iova.depot.fetches', () => iova.depotFetches);
  gauge('iova.depot.stores', () => iova.depotStores);
  gauge('iova.depot.trims', () => iova.depotTrims);
  gauge('iova.tree.allocations', () => iova.treeAllocations);
  gauge('iova.tree.frees', () => iova.treeFrees);
  gauge('iova.tree.visits', () => iova.treeVisits);
  gauge('iova.drains', () => iova.drains);
  gauge('iova.exhausted', () => iova.exhausted);
  gauge('iova.wide', () => iova.wentWide);
  gauge('flush_queue.queued', () => flushQueue.queued);
  gauge('flush_queue.freed', () => flushQueue.freed);
  gauge('flush_queue.full_flushes', () => flushQueue.fullFlushes);
  gauge('flush_queue.timer_flushes', () => flushQueue.timerFlushes);
  registry.histogram('os', 'flush_queue.lifetime', flushQueue.lifetime);
  registry.histogram('os', 'flush_queue.reachable', flushQueue.reachable);
  gauge('flush_queue.occupancy', (now) => flushQueue.occupancy.mean(now));
  gauge('flush_queue.occupancy.max', () => flushQueue.occupancy.max);
  gauge('swiotlb.bounced', () => swiotlb.bounced);
  gauge('swiotlb.copied', () => swiotlb.copied);
  gauge('swiotlb.full', () => swiotlb.full);
  gauge('swiotlb.other_areas', () => swiotlb.otherAreas);
  gauge('swiotlb.visits', () => swiotlb.visits);
  gauge('swiotlb.used', (now) => swiotlb.used.mean(now));
  gauge('swiotlb.used.max', () => swiotlb.used.max);
  gauge('invalidation.flushes', () => invalidation.flushes);
  gauge('invalidation.pages', () => invalidation.pages);
  gauge('invalidation.domains', () => invalidation.domains);
  gauge('invalidation.descriptors', () => invalidation.descriptors);
  gauge('invalidation.slot_waits', () => invalidation.slotWaits);
  registry.histogram('os', 'invalidation.latency', invalidation.latency);
  registry.histogram('os', 'invalidation.completion', invalidation.completion);
  registry.histogram('os', 'invalidation.submission', invalidation.submission);
  gauge('interrupt.time', () => scheduler.cpus.reduce((sum, cpu) => sum + scheduler.softTime(cpu), 0) / PS_PER_NS);
  gauge('line.accesses', () => lines.accesses);
  gauge('line.moves', () => lines.moves);
  gauge('line.attempts', () => lines.attempts);
  gauge('line.failures', () => lines.failures);
  gauge('line.wait', () => lines.wait[0]! / PS_PER_NS);
  for (const [name, kind] of LOCKS) {
    const lock = statistics[kind];
    gauge(`lock.${name}.acquisitions`, () => lock.acquisitions);
    gauge(`lock.${name}.contended`, () => lock.contended);
    gauge(`lock.${name}.wait`, () => lock.wait[0]! / PS_PER_NS);
  }
}

/** The tool's report of a benchmark job; null for other jobs. */
export function benchmarkReport(driver: Driver, windowPs: number, node: number): string[] | null {
  return driver instanceof MapBenchmark ? driver.report(windowPs, node) : null;
}
