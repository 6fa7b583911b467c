/** Metrics of a unit's page request queue, and where their values come from. Only units with devices that ask for pages have these. */
import type { MetricDef, Registry } from '../stats/registry.js';
import type { PageRequestCounters, PageRequestQueue } from './page-request-queue.js';

const COUNTS: readonly [name: string, sentence: string, counter: keyof PageRequestCounters][] = [
  ['requests', 'Page requests that reached the unit.', 'requests'],
  ['queued', 'Page requests written to the queue.', 'queued'],
  ['overflows', 'Times the queue overflowed.', 'overflows'],
  [
    'auto_success',
    'Groups that hardware answered because their last request was lost in an overflow: try again.',
    'success',
  ],
  ['auto_invalid', 'Groups that hardware answered because their device may not ask.', 'invalid'],
  ['auto_failure', 'Groups that hardware answered because it could not tell.', 'failure'],
  ['dropped', 'Page requests neither queued nor answered: others of their group follow.', 'dropped'],
  ['responses', 'Groups that software answered.', 'responses'],
  ['interrupts', 'Interrupts of the page request queue.', 'interrupts'],
];

export const PAGE_REQUEST_METRICS: readonly MetricDef[] = [
  ...COUNTS.map(([name, sentence]) => ({
    name: `iommu.page_requests.${name}`,
    unit: 'count',
    sentence,
    formula: 'count',
  })),
  {
    name: 'iommu.page_requests.occupancy',
    unit: 'requests',
    sentence: 'Page requests in the queue that software has not taken out.',
    formula: 'time-weighted mean',
  },
  {
    name: 'iommu.page_requests.occupancy.max',
    unit: 'requests',
    sentence: 'Most page requests in the queue.',
    formula: 'maximum',
  },
];

export function registerPageRequests(registry: Registry, component: string, { counters }: PageRequestQueue): void {
  for (const [name, , counter] of COUNTS) {
    registry.gauge(component, `iommu.page_requests.${name}`, () => counters[counter] as number);
  }
  registry.gauge(component, 'iommu.page_requests.occupancy', (now) => counters.occupancy.mean(now));
  registry.gauge(component, 'iommu.page_requests.occupancy.max', () => counters.occupancy.max);
  registry.onReset((now) => counters.reset(now));
}
