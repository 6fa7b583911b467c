/** Properties of whole machines: pure, independent of the order of keys and of elision, isolated from each other, never stuck. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { PointResult } from './result.js';
import { runPoint } from './point.js';
import type { PointSpec } from '../workload/spec.js';
import { ONE_DEVICE, pointOf, run, shipped, TWO_UNITS, total } from './testing/point.js';

const UNIT = 'machine.iommus.iommu0';

/** Everything but the number of events, as text that tells every difference. */
function facts({ metrics, histograms, windows, text }: PointResult): string {
  const plain = histograms.map((h) => ({ ...h, buckets: [...h.buckets] }));
  return JSON.stringify({
    metrics: metrics.map((m) => [m.component, m.metric, String(m.value)]),
    plain,
    windows,
    text,
  });
}

function reversed<T>(record: Readonly<Record<string, T>>): Record<string, T> {
  return Object.fromEntries(Object.entries(record).reverse());
}

const knobs = fc.record({
  'os.dma.mode': fc.constantFrom('strict', 'lazy', 'passthrough'),
  [`${UNIT}.queue.order`]: fc.constantFrom('all', 'class', 'posted', 'none'),
  [`${UNIT}.queue.postedDepth`]: fc.constantFrom(1, 4, 64),
  [`${UNIT}.queue.nonPostedDepth`]: fc.constantFrom(1, 4, 64),
  [`${UNIT}.walkers.count`]: fc.constantFrom(1, 4),
  [`${UNIT}.walkers.outstanding`]: fc.constantFrom(1, 3, 16),
  [`${UNIT}.walkers.merge`]: fc.boolean(),
  [`${UNIT}.iotlb.entries`]: fc.constant(4),
  [`${UNIT}.iotlb.ways`]: fc.constant(4),
  [`${UNIT}.contextCache.enabled`]: fc.boolean(),
  [`${UNIT}.invalidation.nonLeafScope`]: fc.constantFrom('range', 'domain'),
  'workload.rx.lateAccess': fc.constantFrom('0%', '50%'),
  'workload.rx.lateAfter': fc.constantFrom('300ns', '1500ns'),
  'workload.rx.threads': fc.constantFrom(1, 4),
  'workload.rx.depth': fc.constantFrom(1, 8),
  'os.invalidationHint': fc.boolean(),
  'os.superpages': fc.boolean(),
  'os.dma.flushQueue.entries': fc.constantFrom(8, 256),
  'devices.drive.port': fc.constantFrom('port0', 'port1'),
  'machine.ports.port0.postedHeaders': fc.constantFrom(1, 64),
  'machine.ports.port0.nonPostedHeaders': fc.constantFrom(1, 64),
  'devices.drive.link.tags': fc.constantFrom(1, 64),
});
const hardware = fc.constantFrom(
  [`${UNIT}.mode=legacy`],
  [`${UNIT}.mode=scalable`],
  [`${UNIT}.mode=scalable`, `${UNIT}.stage=first`],
);

describe('a machine', () => {
  it('runs to its end without a violation, with and without elision, in any configuration', () => {
    fc.assert(
      fc.property(knobs, hardware, fc.integer({ min: 1, max: 1000 }), (k, mode, seed) => {
        const sets = Object.entries(k).map(([path, value]) => `${path}=${value}`);
        const spec = pointOf(TWO_UNITS, [...sets, ...mode, 'stop.operations=600', 'warmup.operations=50'], seed);
        const elided = runPoint(spec, { everyEvent: false, audit: true });
        const plain = runPoint(spec, { everyEvent: true, audit: true });
        expect(elided.audit!.violations).toEqual([]);
        expect(elided.windows.stoppedBy).toBe('operations');
        expect(facts(plain)).toBe(facts(elided));
        expect(plain.events).toBeGreaterThan(elided.events);
      }),
      { numRuns: 50 },
    );
  });

  it('gives the same result twice, whatever ran in the process before', () => {
    const specs = ['legacy', 'scalable'].map((mode) =>
      pointOf(TWO_UNITS, [`${UNIT}.mode=${mode}`, 'stop.operations=500']),
    );
    const first = specs.map((spec) => facts(run(spec)));
    expect(specs.map((spec) => facts(run(spec))).reverse()).toEqual(first.reverse());
    expect(first[0]).not.toBe(first[1]);
    expect(facts(run({ ...specs[0]!, seed: 2 }))).not.toBe(facts(run(specs[0]!)));
  });

  it('does not change with the order of keys', () => {
    const spec = pointOf(TWO_UNITS, ['stop.operations=500']);
    const { machine } = spec;
    const shuffled: PointSpec = {
      ...spec,
      machine: {
        ...machine,
        sockets: reversed(machine.sockets),
        iommus: reversed(machine.iommus),
        ports: reversed(machine.ports),
      },
      devices: reversed(spec.devices),
      workload: reversed(spec.workload),
    };
    expect(facts(run(shuffled))).toBe(facts(run(spec)));
  });

  it('does not change with the audit on', () => {
    const spec = pointOf(TWO_UNITS, ['stop.operations=500']);
    const audited = run(spec, true);
    const withoutAudit = {
      ...audited,
      metrics: audited.metrics.filter((m) => m.component !== 'audit'),
      histograms: audited.histograms.filter((h) => h.component !== 'audit'),
    };
    expect(facts(withoutAudit)).toBe(facts(run(spec)));
  });

  it('elision changes nothing in the shipped workloads', () => {
    for (const file of ['quickstart.yaml', 'two-units.yaml', 'walkers.yaml', 'iotlb-reach.yaml']) {
      const spec = shipped(file, ['stop.operations=600', 'warmup.operations=50'])[0]!;
      expect(facts(runPoint(spec, { everyEvent: true, audit: false }))).toBe(facts(run(spec)));
    }
  });

  it('spends at most eight events on a small DMA', () => {
    const result = run(pointOf(ONE_DEVICE, ['workload.dma.outstanding=16', 'workload.dma.window=64MiB']));
    expect(result.events / 300).toBeLessThan(8);
  });
});

describe('two units with a device each', () => {
  const mine = (result: PointResult): [string, string, number][] =>
    result.metrics
      .filter(({ component }) => ['nic', 'iommu0', 'receive', 's0'].includes(component))
      .map(({ component, metric, value }) => [component, metric, value]);

  it('do not touch each other', () => {
    const [spec] = shipped('two-units.yaml', ['stop.operations=1']);
    const timed: PointSpec = {
      ...spec!,
      warmup: { time: 100_000_000, operations: null },
      stop: { ...spec!.stop, operations: null, time: 1_000_000_000 },
    };
    const { receive } = timed.workload;
    const alone = mine(run({ ...timed, workload: { receive: receive! } }));
    expect(alone.length).toBeGreaterThan(50);
    expect(mine(run(timed))).toEqual(alone);
  });

  it('behind one unit they do', () => {
    const both = run(pointOf(TWO_UNITS, ['devices.drive.port=port0']));
    expect(both.metrics.find((m) => m.component === 'iommu1' && m.metric === 'iommu.requests')!.value).toBe(0);
    expect(total(both, 'iommu.requests')).toBeGreaterThan(1000);
  });
});
