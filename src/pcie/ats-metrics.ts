/** Metrics of a device TLB and of the translation requests it sends, and where their values come from. Only devices with ATS have them. */
import { CAUSES } from '../protocol/tlp.js';
import type { LatencyLedger } from '../stats/latency-ledger.js';
import type { MetricDef, Registry } from '../stats/registry.js';
import type { Atc, AtcCounters } from './atc.js';

const TLB: readonly MetricDef[] = [
  {
    name: 'device_tlb.lookups',
    unit: 'count',
    sentence: 'DMA requests looked up in the device TLB.',
    formula: 'count',
  },
  { name: 'device_tlb.hits', unit: 'count', sentence: 'Lookups that hit the device TLB.', formula: 'count' },
  {
    name: 'device_tlb.misses',
    unit: 'count',
    sentence: 'Lookups that missed the device TLB.',
    formula: 'lookups - hits',
  },
  {
    name: 'device_tlb.hit_rate',
    unit: 'ratio',
    sentence: 'Share of lookups that hit the device TLB.',
    formula: 'hits / lookups',
  },
  {
    name: 'device_tlb.occupancy',
    unit: 'entries',
    sentence: 'Valid entries of the device TLB at the end of the window.',
    formula: 'count',
  },
  {
    name: 'device_tlb.evictions',
    unit: 'count',
    sentence: 'Entries of the device TLB that gave way to others.',
    formula: 'count',
  },
];

const COUNTS: readonly [name: string, sentence: string, counter: keyof AtcCounters][] = [
  ['requests', 'Translation requests sent.', 'requests'],
  ['prefetches', 'Translation requests sent for pages ahead of those that were accessed.', 'prefetches'],
  ['prefetch_late', 'Pages asked for ahead that a DMA request needed before the answer was there.', 'prefetchLate'],
  ['merged', 'DMA requests that joined a translation request under way.', 'merged'],
  ['stalls', 'DMA requests that missed while every translation request was under way.', 'stalls'],
  ['empty', 'Translation requests answered without any permission.', 'empty'],
  ['refused', 'Translation requests answered with an error.', 'refused'],
  ['denied', 'DMA requests that ended because the device may not access the page.', 'denied'],
  ['repeated', 'Translation requests made again because of an invalidation.', 'repeated'],
  ['invalidations', 'Invalidations of the device TLB.', 'invalidations'],
  ['removed', 'Entries that invalidations removed from the device TLB.', 'removed'],
  ['drained', 'Reads under way that an invalidation waited for.', 'drained'],
  ['untranslated', 'DMA requests sent untranslated because translation was refused.', 'untranslated'],
];

export const ATS_METRICS: readonly MetricDef[] = [
  ...TLB,
  ...COUNTS.map(([name, sentence]) => ({ name: `ats.${name}`, unit: 'count', sentence, formula: 'count' })),
  {
    name: 'ats.prefetch_hits',
    unit: 'count',
    sentence: 'Translations asked for ahead that a DMA request hit.',
    formula: 'count, each at its first hit',
  },
  {
    name: 'ats.prefetch_unused',
    unit: 'count',
    sentence: 'Translations asked for ahead that were replaced or invalidated before any DMA request hit them.',
    formula: 'count',
  },
  {
    name: 'ats.request.latency',
    unit: 'ns',
    sentence: 'Time of a translation request from the miss in the device TLB until its answer is there.',
    formula: 'one sample per translation request',
  },
  ...CAUSES.map((cause) => ({
    name: `ats.request.time.${cause}`,
    unit: 'ns',
    sentence: `Mean part of the latency of a translation request spent in "${cause}"; the parts add up exactly.`,
    formula: `time charged to ${cause} / translation requests`,
  })),
];

/** Registers everything a device TLB counts under the device's name. */
export function registerAtc(registry: Registry, component: string, atc: Atc, ledger: LatencyLedger): void {
  const { cache } = atc.tlb;
  const { counters, group } = atc;
  registry.gauge(component, 'device_tlb.lookups', () => cache.lookups);
  registry.gauge(component, 'device_tlb.hits', () => cache.hits);
  registry.gauge(component, 'device_tlb.misses', () => cache.lookups - cache.hits);
  registry.gauge(component, 'device_tlb.hit_rate', () =>
    cache.lookups === 0 ? Number.NaN : cache.hits / cache.lookups,
  );
  registry.gauge(component, 'device_tlb.occupancy', () => cache.occupancy);
  registry.gauge(component, 'device_tlb.evictions', () => cache.evictions);
  for (const [name, , counter] of COUNTS) registry.gauge(component, `ats.${name}`, () => counters[counter]);
  registry.gauge(component, 'ats.prefetch_hits', () => atc.tlb.prefetchHits);
  registry.gauge(component, 'ats.prefetch_unused', () => atc.tlb.prefetchUnused);
  registry.histogram(component, 'ats.request.latency', atc.requestLatency);
  CAUSES.forEach((cause, i) => {
    registry.gauge(component, `ats.request.time.${cause}`, () => ledger.totalPs(i, group) / ledger.count(group) / 1000);
  });
  registry.onReset(() => atc.resetCounters());
}
