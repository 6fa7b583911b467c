/** Metrics of a VT-d unit's invalidation queue and fault log. */
import type { MetricDef, Registry } from '../../../stats/registry.js';
import { DescriptorType, Granularity } from './format.js';
import type { Vtd } from './vtd.js';

const COMMANDS: readonly [name: string, what: string][] = [
  ['context', 'Context-cache invalidations executed.'],
  ['pasid', 'PASID-cache invalidations executed.'],
  ['iotlb_global', 'Global IOTLB invalidations executed.'],
  [
    'iotlb_domain',
    'Domain-selective IOTLB invalidations executed, and PASID-selective ones of the PASID-based command.',
  ],
  ['iotlb_page', 'Page-selective IOTLB invalidations executed.'],
  ['wait', 'Invalidation wait descriptors executed.'],
];

export const VTD_METRICS: readonly MetricDef[] = [
  ...COMMANDS.map(([name, sentence]) => ({
    name: `iommu.invalidation.${name}`,
    unit: 'count',
    sentence,
    formula: 'count',
  })),
  {
    name: 'iommu.invalidation.utilisation',
    unit: 'ratio',
    sentence: 'Share of time the invalidation queue was being worked on.',
    formula: 'time from doorbell to empty queue / window',
  },
  {
    name: 'iommu.invalidation.drain_time',
    unit: 'ns',
    sentence:
      'Mean time an invalidation waited for requests that still used old translations, over those that had to wait.',
    formula: 'total drain time / drains',
  },
  {
    name: 'iommu.faults',
    unit: 'count',
    sentence: 'Translation faults, those that found the fault log full included.',
    formula: 'count',
  },
  {
    name: 'iommu.faults_lost',
    unit: 'count',
    sentence: 'Faults that found every fault recording register in use.',
    formula: 'count',
  },
];

export function registerVtd(registry: Registry, component: string, vtd: Vtd): void {
  const { queue, faults } = vtd;
  let since = 0;
  const counts: Record<string, () => number> = {
    context: () => queue.executed[DescriptorType.ContextCache]!,
    pasid: () => queue.executed[DescriptorType.PasidCache]!,
    iotlb_global: () => queue.iotlbByGranularity[Granularity.Global]!,
    iotlb_domain: () => queue.iotlbByGranularity[Granularity.Domain]!,
    iotlb_page: () => queue.iotlbByGranularity[Granularity.Selective]!,
    wait: () => queue.executed[DescriptorType.Wait]!,
  };
  for (const [name] of COMMANDS) registry.gauge(component, `iommu.invalidation.${name}`, counts[name]!);
  registry.gauge(component, 'iommu.invalidation.utilisation', (now) =>
    now > since ? queue.busyPs(now) / (now - since) : 0,
  );
  registry.gauge(component, 'iommu.invalidation.drain_time', () =>
    queue.drains === 0 ? Number.NaN : queue.drainPs() / queue.drains / 1000,
  );
  registry.gauge(component, 'iommu.faults', () => faults.total);
  registry.gauge(component, 'iommu.faults_lost', () => faults.lost);
  registry.onReset((now) => {
    since = now;
    queue.resetCounters(now);
    faults.resetCounters();
  });
}
