/** Metrics of a device's page requests, and where their values come from. Only devices that make them have these. */
import type { MetricDef, Registry } from '../stats/registry.js';
import type { Pri, PriCounters } from './pri.js';

const COUNTS: readonly [name: string, sentence: string, counter: keyof PriCounters][] = [
  ['requests', 'Page requests sent.', 'requests'],
  ['groups', 'Page request groups sent.', 'groups'],
  ['merged', 'Accesses that joined the page request of another.', 'merged'],
  ['waits', 'Pages that found every request that is allowed without an answer.', 'waits'],
  ['success', 'Groups answered: try again.', 'success'],
  ['invalid', 'Groups answered: the access is an error.', 'invalid'],
  ['failure', 'Groups answered: the interface is stopped.', 'failure'],
  ['prefetches', 'Page requests for pages that nothing needed yet.', 'prefetches'],
  ['prefetch_late', 'Pages asked for ahead that an access needed before the answer was there.', 'prefetchLate'],
  ['unexpected', 'Answers for groups that nobody waited for.', 'unexpected'],
  ['stop_markers', 'Stop markers sent.', 'stopMarkers'],
];

export const PRI_METRICS: readonly MetricDef[] = [
  ...COUNTS.map(([name, sentence]) => ({ name: `pri.${name}`, unit: 'count', sentence, formula: 'count' })),
  {
    name: 'pri.latency',
    unit: 'ns',
    sentence: 'Time of a page request group from its first page being asked for until its answer is there.',
    formula: 'one sample per group',
  },
  {
    name: 'pri.busy',
    unit: 'ns',
    sentence:
      'Time from a page being asked for while no other is, until all that are asked for meanwhile are answered.',
    formula: 'one sample per such period',
  },
  {
    name: 'pri.outstanding',
    unit: 'requests',
    sentence: 'Page requests without an answer.',
    formula: 'time-weighted mean',
  },
  {
    name: 'pri.outstanding.max',
    unit: 'requests',
    sentence: 'Most page requests without an answer.',
    formula: 'maximum',
  },
];

export function registerPri(registry: Registry, component: string, pri: Pri): void {
  for (const [name, , counter] of COUNTS) registry.gauge(component, `pri.${name}`, () => pri.counters[counter]);
  registry.histogram(component, 'pri.latency', pri.latency);
  registry.histogram(component, 'pri.busy', pri.busy);
  registry.gauge(component, 'pri.outstanding', (now) => pri.occupancy.mean(now));
  registry.gauge(component, 'pri.outstanding.max', () => pri.occupancy.max);
  registry.onReset((now) => pri.resetCounters(now));
}
