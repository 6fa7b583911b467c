/** What a virtual machine reports of its exits. Component: `os`. */
import type { MetricDef, Registry } from '../../stats/registry.js';
import { STEP_NAMES } from '../step.js';
import type { Monitor } from './monitor.js';

const PS_PER_NS = 1000;

export const GUEST_METRICS: readonly MetricDef[] = [
  ['guest.exits', 'exits', 'Accesses to registers of a virtual IOMMU that left the guest.', 'count'],
  ['guest.exits.contended', 'exits', "Of these, those that found the monitor's lock taken.", 'count'],
  ['guest.emulated', 'commands', 'Commands and register reads that the monitor emulated.', 'count'],
  ['guest.shadow.maps', 'leaves', 'Leaves that the monitor entered into shadow tables.', 'count'],
  ['guest.shadow.unmaps', 'leaves', 'Leaves that the monitor removed from shadow tables.', 'count'],
  ['guest.exit.latency', 'ns', 'From a trapped access until the guest goes on.', 'histogram'],
  ['guest.lock.wait', 'ns', "Waiting for the monitor's lock, hand-over included, where it was taken.", 'histogram'],
  [
    'guest.call.latency',
    'ns',
    "One call of the monitor into the host's kernel, its wait for hardware included.",
    'histogram',
  ],
  [
    'guest.host.completion',
    'ns',
    "From the doorbell write of the host's queue to the poll that sees its completion.",
    'histogram',
  ],
  [
    'guest.stage2.flush',
    'ns',
    'Removing all translations of the guest after a change of its second stage.',
    'histogram',
  ],
  ...STEP_NAMES.map(
    (step) =>
      [
        `guest.call.time.${step}`,
        'ns',
        `Mean time of a call into the host's kernel spent in step ${step}; the steps add up to the mean latency.`,
        'time in the step / calls',
      ] as const,
  ),
].map(([name, unit, sentence, formula]) => ({ name: name!, unit: unit!, sentence: sentence!, formula: formula! }));

/** Nothing is registered without a virtual machine. */
export function registerGuest(registry: Registry, monitor: Monitor | null): void {
  if (monitor === null) return;
  const { statistics, calls, host } = monitor;
  registry.onReset(() => monitor.resetStatistics());
  const gauge = (metric: string, read: () => number): void => registry.gauge('os', `guest.${metric}`, read);
  gauge('exits', () => statistics.exits);
  gauge('exits.contended', () => statistics.contended);
  gauge('emulated', () => statistics.emulated);
  gauge('shadow.maps', () => statistics.shadowMaps);
  gauge('shadow.unmaps', () => statistics.shadowUnmaps);
  registry.histogram('os', 'guest.exit.latency', statistics.exit);
  registry.histogram('os', 'guest.lock.wait', statistics.lockWait);
  registry.histogram('os', 'guest.call.latency', statistics.call);
  registry.histogram('os', 'guest.host.completion', host.statistics.completion);
  registry.histogram('os', 'guest.stage2.flush', statistics.stage2);
  for (const [step, name] of STEP_NAMES.entries()) {
    gauge(`call.time.${name}`, () => calls.totalPs(step) / PS_PER_NS / calls.count());
  }
}
