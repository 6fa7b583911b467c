/** Metrics of an IOMMU unit: definitions, and where their values come from. Names follow the hardware's own counters where there are some. */
import type { MetricDef, Registry } from '../stats/registry.js';
import type { Hardware } from './architecture.js';
import type { DeviceWait } from '../protocol/ats.js';
import type { SetAssociativeCache } from '../tlb/cache.js';
import { type CommandCounters, REMOVES, type RemovalCounters } from './command-counters.js';
import type { StallCounters } from './stall-counters.js';
import type { TranslationAgent } from './translation-agent.js';
import type { IommuUnit } from './unit.js';

const CACHES: readonly [name: string, what: string][] = [
  ['iotlb', 'IOTLB'],
  ['context_cache', 'context cache'],
  ['pasid_cache', 'PASID cache'],
  ['psc_level2', 'paging-structure cache of level 2 entries (2 MiB each)'],
  ['psc_level3', 'paging-structure cache of level 3 entries (1 GiB each)'],
  ['psc_level4', 'paging-structure cache of level 4 entries (512 GiB each)'],
  ['psc_level5', 'paging-structure cache of level 5 entries (256 TiB each)'],
  ['second_stage_tlb', 'second-stage TLB (where guest-physical pages of tables lie)'],
];

const COMMANDS: readonly [name: string, what: string][] = [
  ['context', 'Device-context invalidations executed.'],
  ['pasid', 'Process-context invalidations executed.'],
  ['iotlb_global', 'IOTLB invalidations of everything executed.'],
  ['iotlb_domain', 'IOTLB invalidations of a whole domain, or of a PASID or ASID in it, executed.'],
  ['iotlb_page', 'IOTLB invalidations by address executed.'],
  ['wait', 'Commands executed that wait for, or tell of, the completion of earlier ones.'],
];

/** What each kind of invalidation names. */
const NAMES: Readonly<Record<(typeof REMOVES)[number], string>> = {
  page: 'one page',
  cover: 'a naturally aligned power of two of pages',
  range: 'pages from one to another',
  pasid: 'all of a PASID, ASID or PSCID',
  domain: 'all of a domain, VMID, GSCID, stream or endpoint',
  global: 'everything',
};

const REMOVED: readonly [name: string, what: string, read: (r: RemovalCounters) => number][] = [
  ['iotlb', 'IOTLB entries', (r) => r.leaves],
  ['psc_level2', 'entries of the paging-structure cache of level 2', (r) => r.tables[0]!],
  ['psc_level3', 'entries of the paging-structure cache of level 3', (r) => r.tables[1]!],
  ['psc_level4', 'entries of the paging-structure cache of level 4', (r) => r.tables[2]!],
  ['psc_level5', 'entries of the paging-structure cache of level 5', (r) => r.tables[3]!],
  ['second_stage_tlb', 'entries of the second-stage TLB', (r) => r.seconds],
  [
    'outside',
    'entries of all caches outside the pages that software asked for, or else that the command names,',
    (r) => r.outside,
  ],
];

const removalMetrics: MetricDef[] = REMOVES.flatMap((kind) => [
  {
    name: `iommu.invalidation.${kind}.commands`,
    unit: 'count',
    sentence: `Invalidation commands executed that name ${NAMES[kind]}.`,
    formula: 'count',
  },
  ...REMOVED.map(([name, what]) => ({
    name: `iommu.invalidation.${kind}.${name}`,
    unit: 'entries/command',
    sentence: `Mean number of ${what} removed by a command that names ${NAMES[kind]}.`,
    formula: 'entries removed / commands',
  })),
  {
    name: `iommu.invalidation.${kind}.service`,
    unit: 'ns',
    sentence: `Time the unit spends on a command that names ${NAMES[kind]}: execution, and waiting for requests that use old translations where it does that at once.`,
    formula: 'histogram',
  },
]);

const cacheMetrics: MetricDef[] = CACHES.flatMap(([name, what]) => [
  { name: `iommu.${name}.lookups`, unit: 'count', sentence: `Lookups of the ${what}.`, formula: 'count' },
  {
    name: `iommu.${name}.hit_rate`,
    unit: 'ratio',
    sentence: `Share of lookups that hit the ${what}.`,
    formula: 'hits / lookups',
  },
  {
    name: `iommu.${name}.invalidated`,
    unit: 'count',
    sentence: `Entries that invalidations removed from the ${what}.`,
    formula: 'count',
  },
  {
    name: `iommu.${name}.occupancy`,
    unit: 'entries',
    sentence: `Valid entries of the ${what} at the end of the window.`,
    formula: 'state',
  },
]);

const STALL_METRICS: readonly [name: string, unit: string, sentence: string, formula: string][] = [
  ['stalls', 'count', 'Transactions held until software resolved their page fault.', 'count'],
  ['stalls.retried', 'count', 'Held transactions that software had looked up again.', 'count'],
  ['stalls.terminated', 'count', 'Held transactions that software ended.', 'count'],
  ['stalls.waits', 'count', 'Faults that found every place for a held transaction taken.', 'count'],
  ['stalls.merged', 'count', 'Faults on a page for which a transaction was held already.', 'count'],
  ['stalls.occupancy', 'transactions', 'Held transactions, average over time.', 'time integral of held / window'],
  ['stalls.max', 'transactions', 'Most transactions held at once.', 'maximum'],
];

const AGENT: readonly [name: string, sentence: string, read: (agent: TranslationAgent) => number][] = [
  ['requests', 'Translation requests looked up.', (a) => a.counters.requests],
  ['hits', 'Translation requests answered from the IOTLB.', (a) => a.counters.hits],
  ['empty', 'Translation requests answered without any permission.', (a) => a.counters.empty],
  ['refused', 'Translation requests answered with an error.', (a) => a.counters.refused],
  ['translated', 'Requests that devices had translated.', (a) => a.counters.translated],
  ['blocked', 'Translated requests of devices that may not make them.', (a) => a.counters.blocked],
  ['invalidations', 'Invalidate Requests sent to devices.', (a) => a.invalidations.requests],
  ['itag_waits', 'Times the command queue found no free ITag of a device.', (a) => a.invalidations.itagWaits],
  ['timeouts', 'Invalidate Requests that a device did not answer in time.', (a) => a.invalidations.timeouts],
];

/** Of units with devices that have a TLB of their own. */
const AGENT_METRICS: readonly MetricDef[] = [
  ...AGENT.map(([name, sentence]) => ({ name: `iommu.ats.${name}`, unit: 'count', sentence, formula: 'count' })),
  {
    name: 'iommu.ats.invalidation.latency',
    unit: 'ns',
    sentence: 'Device-TLB round trip: from the Invalidate Request to its completion.',
    formula: 'one sample per answered request',
  },
  {
    name: 'iommu.ats.wait_time',
    unit: 'ns',
    sentence: 'Time the command queue waited for devices to answer.',
    formula: 'sum',
  },
];

export const IOMMU_METRICS: readonly MetricDef[] = [
  { name: 'iommu.requests', unit: 'count', sentence: 'Memory requests that arrived at the unit.', formula: 'count' },
  ...cacheMetrics,
  { name: 'iommu.walks', unit: 'count', sentence: 'Page walks begun.', formula: 'count' },
  {
    name: 'iommu.reads_per_walk',
    unit: 'reads',
    sentence: 'Memory reads of table entries per walk.',
    formula: 'table reads / walks',
  },
  {
    name: 'iommu.directory_reads',
    unit: 'count',
    sentence: 'Memory reads of root, context, PASID directory and PASID table entries.',
    formula: 'count',
  },
  {
    name: 'iommu.walks_merged',
    unit: 'count',
    sentence: 'Requests that waited for the walk of another request to the same page.',
    formula: 'count',
  },
  {
    name: 'iommu.walks_restarted',
    unit: 'count',
    sentence: 'Walks begun again because an invalidation overtook them.',
    formula: 'count',
  },
  {
    name: 'iommu.walk_time_lost',
    unit: 'ns',
    sentence:
      'Time in walks that began again because an invalidation overtook them: from their last beginning to then.',
    formula: 'sum',
  },
  {
    name: 'iommu.walkers.occupancy',
    unit: 'walks',
    sentence: 'Walkers in use, average over time.',
    formula: 'time integral of walks in flight / window',
  },
  {
    name: 'iommu.queue.occupancy',
    unit: 'requests',
    sentence: 'Requests in the transaction queue, average over time.',
    formula: 'time integral of queued requests / window',
  },
  {
    name: 'iommu.queue.stalls',
    unit: 'count',
    sentence: 'Requests that found the transaction queue full.',
    formula: 'count',
  },
  {
    name: 'iommu.miss_stalls',
    unit: 'count',
    sentence: 'Requests that found all miss records taken.',
    formula: 'count',
  },
  {
    name: 'iommu.aborted',
    unit: 'count',
    sentence: 'Requests refused by translation.',
    formula: 'count',
  },
  ...COMMANDS.map(([name, sentence]) => ({
    name: `iommu.invalidation.${name}`,
    unit: 'count',
    sentence,
    formula: 'count',
  })),
  {
    name: 'iommu.invalidation.utilisation',
    unit: 'ratio',
    sentence: 'Share of time the command queue was being worked on.',
    formula: 'time from doorbell to empty queue / window',
  },
  {
    name: 'iommu.invalidation.drain_time',
    unit: 'ns',
    sentence:
      'Mean time an invalidation waited for requests that still used old translations, over those that had to wait.',
    formula: 'total drain time / drains',
  },
  ...removalMetrics,
  {
    name: 'iommu.invalidation.queue_wait',
    unit: 'ns',
    sentence: 'From the doorbell that announced an invalidation command to its execution, fetch included.',
    formula: 'histogram',
  },
  {
    name: 'iommu.faults',
    unit: 'count',
    sentence: 'Translation faults, those that found no room for a record included.',
    formula: 'count',
  },
  {
    name: 'iommu.faults_lost',
    unit: 'count',
    sentence: 'Faults that found no room for a record.',
    formula: 'count',
  },
  ...STALL_METRICS.map(([name, unit, sentence, formula]) => ({ name: `iommu.${name}`, unit, sentence, formula })),
  ...AGENT_METRICS,
];

function registerAgent(
  registry: Registry,
  component: string,
  agent: TranslationAgent,
  wait: DeviceWait | undefined,
): void {
  for (const [name, , read] of AGENT) registry.gauge(component, `iommu.ats.${name}`, () => read(agent));
  registry.histogram(component, 'iommu.ats.invalidation.latency', agent.invalidations.latency);
  let before = 0;
  const held = (): number => wait?.heldPs() ?? 0;
  registry.gauge(component, 'iommu.ats.wait_time', () => (held() - before) / 1000);
  registry.onReset(() => {
    before = held();
  });
}

const rate = (hits: number, lookups: number): number => (lookups === 0 ? Number.NaN : hits / lookups);

function registerCache(registry: Registry, component: string, name: string, cache: SetAssociativeCache): void {
  registry.gauge(component, `iommu.${name}.lookups`, () => cache.lookups);
  registry.gauge(component, `iommu.${name}.hit_rate`, () => rate(cache.hits, cache.lookups));
  registry.gauge(component, `iommu.${name}.invalidated`, () => cache.invalidated);
  registry.gauge(component, `iommu.${name}.occupancy`, () => cache.occupancy);
}

/** Registers everything a unit counts under its name. */
export function registerUnit(registry: Registry, component: string, unit: IommuUnit, hardware: Hardware): void {
  const { counters, translations } = unit;
  const { contexts } = unit.architecture;
  registry.gauge(component, 'iommu.requests', () => counters.requests);
  registerCache(registry, component, 'iotlb', translations.iotlb);
  registerCache(registry, component, 'context_cache', contexts.device);
  registerCache(registry, component, 'pasid_cache', contexts.process);
  translations.structure.forEach((cache, i) => {
    registerCache(registry, component, `psc_level${i + 2}`, cache);
  });
  registerCache(registry, component, 'second_stage_tlb', translations.second);
  registry.gauge(component, 'iommu.walks', () => counters.walks);
  registry.gauge(component, 'iommu.reads_per_walk', () => rate(counters.tableReads, counters.walks));
  registry.gauge(component, 'iommu.directory_reads', () => counters.directoryReads);
  registry.gauge(component, 'iommu.walks_merged', () => counters.merged);
  registry.gauge(component, 'iommu.walks_restarted', () => counters.restarts);
  registry.gauge(component, 'iommu.walk_time_lost', () => unit.walkers.lostPs / 1000);
  registry.gauge(component, 'iommu.walkers.occupancy', (now) => unit.walkers.busy.mean(now));
  registry.gauge(component, 'iommu.queue.occupancy', (now) => unit.queue.occupancy.mean(now));
  registry.gauge(component, 'iommu.queue.stalls', () => unit.queue.stalls);
  registry.gauge(component, 'iommu.miss_stalls', () => counters.missStalls);
  registry.gauge(component, 'iommu.aborted', () => counters.aborted);
  registry.onReset((now) => unit.resetCounters(now));
  registerHardware(registry, component, hardware);
  if (unit.agent !== null) registerAgent(registry, component, unit.agent, hardware.deviceWait);
  const { stalls } = hardware;
  if (stalls !== undefined && unit.spec.faults.stalls > 0) registerStalls(registry, component, stalls);
}

function registerStalls(registry: Registry, component: string, stalls: StallCounters): void {
  registry.gauge(component, 'iommu.stalls', () => stalls.stalls);
  registry.gauge(component, 'iommu.stalls.retried', () => stalls.retried);
  registry.gauge(component, 'iommu.stalls.terminated', () => stalls.terminated);
  registry.gauge(component, 'iommu.stalls.waits', () => stalls.waits);
  registry.gauge(component, 'iommu.stalls.merged', () => stalls.merged);
  registry.gauge(component, 'iommu.stalls.occupancy', (now) => stalls.occupancy.mean(now));
  registry.gauge(component, 'iommu.stalls.max', () => stalls.occupancy.max);
  registry.onReset((now) => stalls.reset(now));
}

function registerHardware(registry: Registry, component: string, { commands, faults }: Hardware): void {
  let since = 0;
  const counts: Record<string, () => number> = {
    context: () => commands.context,
    pasid: () => commands.pasid,
    iotlb_global: () => commands.iotlbGlobal,
    iotlb_domain: () => commands.iotlbDomain,
    iotlb_page: () => commands.iotlbPage,
    wait: () => commands.wait,
  };
  for (const [name] of COMMANDS) registry.gauge(component, `iommu.invalidation.${name}`, counts[name]!);
  registry.gauge(component, 'iommu.invalidation.utilisation', (now) =>
    now > since ? commands.busyPs(now) / (now - since) : 0,
  );
  registry.gauge(component, 'iommu.invalidation.drain_time', () =>
    commands.drains === 0 ? Number.NaN : commands.drainPs() / commands.drains / 1000,
  );
  registerRemovals(registry, component, commands);
  registry.gauge(component, 'iommu.faults', () => faults.total);
  registry.gauge(component, 'iommu.faults_lost', () => faults.lost);
  registry.onReset((now) => {
    since = now;
    commands.reset(now);
    faults.reset();
  });
}

function registerRemovals(registry: Registry, component: string, commands: CommandCounters): void {
  REMOVES.forEach((kind, i) => {
    const removal = commands.removals[i]!;
    const metric = `iommu.invalidation.${kind}`;
    registry.gauge(component, `${metric}.commands`, () => removal.commands);
    for (const [name, , read] of REMOVED) {
      registry.gauge(component, `${metric}.${name}`, () => rate(read(removal), removal.commands));
    }
    registry.histogram(component, `${metric}.service`, removal.service);
  });
  registry.histogram(component, 'iommu.invalidation.queue_wait', commands.queueWait);
}
