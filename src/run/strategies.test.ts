/** Strategies of the driver on whole machines: what physics demands of their order, and the audit on random programs. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { STRATEGIES } from '../os/dma/strategies/catalogue.js';
import { STRATEGY_KINDS, type StrategyKind } from '../os/spec.js';
import { STEP_NAMES } from '../os/step.js';
import type { PointResult } from './result.js';
import { pointOf, run, value } from './testing/point.js';

const NIC = `name: strategies
question: What does the strategy change?
machine: { preset: icx-8362 }
os: { preset: linux-7.2, jitter: 0%, dma: { mode: strict } }
devices:
  nic: { preset: nic-100g, port: port0, requester: "3:00.0" }
workload:
  rx: { kind: stream, device: nic, threads: 2, depth: 64, burst: 32, size: 4KiB, direction: from-device, socket: s0 }
seeds: 1
warmup: { operations: 500 }
stop: { operations: 2000 }
`;

const UNIT = 'machine.iommus.iommu0';
/** Settings that a kind needs. */
const NEEDS: Readonly<Partial<Record<StrategyKind, readonly string[]>>> = {
  'per-cpu-queues': [`${UNIT}.preset=mmu-600`, `${UNIT}.invalidation.queues=3`],
};
/** SMMUv3 with and without commands for ranges. */
const UNITS: Readonly<Record<string, readonly string[]>> = {
  vtd: [],
  'vtd first stage': [`${UNIT}.preset=vtd-spr`],
  'mmu-600': [`${UNIT}.preset=mmu-600`],
  'mmu-700': [`${UNIT}.preset=mmu-700`],
  amdvi: [`${UNIT}.preset=amdvi-genoa`],
  virtio: [`${UNIT}.preset=virtio-kvm`],
};

function outcome(kind: StrategyKind, sets: readonly string[] = [], text = NIC): PointResult {
  const result = run(pointOf(text, [`os.dma.strategy.kind=${kind}`, ...sets, ...(NEEDS[kind] ?? [])]), true);
  expect(result.audit!.violations).toEqual([]);
  return result;
}

const rate = (result: PointResult): number => value(result, 'rx', 'operation.rate');

/** CPU cycles of map, unmap and the end of bursts, per operation. */
function cycles(result: PointResult): number {
  return STEP_NAMES.reduce((sum, step) => sum + value(result, 'rx', `cycles.${step}`), 0);
}

describe('what strategies cost', () => {
  const linux = outcome('linux');
  const reads = (result: PointResult): number => value(result, 'iommu0', 'iommu.reads_per_walk');

  it('Linux before is slower than Linux today, and refills its walk caches', () => {
    const before = outcome('linux-before');
    expect(rate(before)).toBeLessThan(rate(linux));
    expect(reads(before)).toBeGreaterThan(1.5 * reads(linux));
    // With larger buffers every page has an invalidation of its own.
    const [today, perPage] = (['linux', 'linux-before'] as const).map((kind) =>
      rate(outcome(kind, ['workload.rx.size=16KiB'])),
    );
    expect(perPage!).toBeLessThan(0.5 * today!);
  });

  it('a batch shares one invalidation', () => {
    const batched = outcome('batched');
    expect(cycles(batched)).toBeLessThan(0.5 * cycles(linux));
    expect(value(batched, 'os', 'invalidation.flushes')).toBeLessThan(0.5 * value(linux, 'os', 'invalidation.flushes'));
    // It takes the paging-structure caches along.
    expect(reads(batched)).toBeGreaterThan(1.5 * reads(linux));
  });

  it('contiguous addresses invalidate by ranges and keep the walk caches, which kernels without the hint lose', () => {
    const contiguous = outcome('contiguous');
    const parts = ['walkPerLeaf', 'flushPerPage', 'legacyCode'];
    const noHint = outcome(
      'linux-before',
      parts.map((part) => `os.dma.strategy.before.${part}=false`),
    );
    expect(cycles(contiguous)).toBeLessThan(0.5 * cycles(linux));
    expect(reads(contiguous)).toBeLessThan(0.7 * reads(noHint));
    expect(reads(contiguous)).toBeLessThan(1.1);
    expect(value(contiguous, 'iommu0', 'iommu.psc_level2.invalidated')).toBe(0);
    expect(value(contiguous, 'rx', 'table.pages.freed')).toBe(0);
  });

  it('scattered addresses give ranges nothing to join; a single thread has neighbours', () => {
    const alone = outcome('ranged', ['workload.rx.threads=1']);
    const two = outcome('ranged');
    const perOperation = (result: PointResult): number =>
      value(result, 'os', 'invalidation.flushes') / value(result, 'rx', 'operations');
    expect(perOperation(alone)).toBeLessThan(0.25);
    expect(perOperation(two)).toBeGreaterThan(2 * perOperation(alone));
  });

  it('a ring allocates neither addresses nor tables', () => {
    const ring = outcome('ring');
    expect(cycles(ring)).toBeLessThan(0.5 * cycles(linux));
    expect(value(ring, 'os', 'iova.magazine.hits') + value(ring, 'os', 'iova.tree.allocations')).toBe(0);
    expect(value(ring, 'rx', 'table.pages.allocated')).toBe(0);
  });

  it('shadows cost by the byte and nothing by the invalidation', () => {
    const slow = `${UNIT}.invalidation.iotlbPage=20us`;
    expect(rate(outcome('linux', [slow]))).toBeLessThan(0.5 * rate(linux));
    const shadow = outcome('shadow');
    expect(rate(outcome('shadow', [slow]))).toBe(rate(shadow));
    const copied = (bytes: number): number =>
      value(outcome('shadow', [`workload.rx.size=${bytes}B`]), 'rx', 'unmap.time.copy');
    expect(copied(1024)).toBeCloseTo(16 * 8, 6);
    expect(copied(4096)).toBeCloseTo(64 * 8, 6);
    expect(value(shadow, 'rx', 'strategy.copied')).toBe(4096 * unmaps(shadow));
  });

  it.each([8, 16])('queues of CPUs end the contention of %i threads for one', (threads) => {
    const queues = ['iommu0', 'iommu1'].map((name) => `machine.iommus.${name}.invalidation.queues=16`);
    const sets = [
      'machine.preset=kunpeng-920-2s',
      'os.preset=linux-5.14-kunpeng-920',
      ...queues,
      `workload.rx.threads=${threads}`,
    ];
    const point = (kind: StrategyKind): PointResult =>
      run(pointOf(NIC, [`os.dma.strategy.kind=${kind}`, ...sets]), true);
    const [one, many] = [point('linux'), point('per-cpu-queues')];
    expect(one.audit!.violations).toEqual([]);
    expect(many.audit!.violations).toEqual([]);
    expect(rate(many)).toBeGreaterThan(1.2 * rate(one));
    expect(value(one, 'os', 'line.failures')).toBeGreaterThan(0);
    expect(value(many, 'os', 'line.failures')).toBe(0);
  });

  it('a pool costs a look-up more than passthrough', () => {
    const pool = outcome('pool');
    const passthrough = outcome('linux', ['os.dma.mode=passthrough']);
    const hertz = 2.8e9;
    expect(cycles(pool) - cycles(passthrough)).toBeCloseTo(10e-9 * hertz, 0);
    expect(value(pool, 'os', 'invalidation.flushes')).toBe(0);
    expect(value(pool, 'rx', 'strategy.pool')).toBe(2 * 64 * 4096);
  });
});

function unmaps(result: PointResult): number {
  return result.histograms.find(({ component, metric }) => component === 'rx' && metric === 'unmap.latency')!.count;
}

describe('what strategies protect', () => {
  const LATE = ['workload.rx.lateAccess=30%', 'workload.rx.lateAfter=5us', 'workload.rx.depth=4'];
  const exposure = (result: PointResult): [number, number] => [
    value(result, 'audit', 'audit.stale_accesses'),
    result.histograms.find(({ metric }) => metric === 'audit.exposure')!.count,
  ];

  it.each(STRATEGY_KINDS)('%s: nothing reaches a buffer that may be reused', (kind) => {
    const result = outcome(kind, LATE);
    expect(exposure(result)).toEqual([0, 0]);
    expect(value(result, 'rx', 'dma.late')).toBeGreaterThan(100);
    // What stays mapped never faults.
    const stays = kind === 'shadow' || kind === 'pool';
    expect(value(result, 'nic', 'dma.aborted') === 0).toBe(stays);
  });

  it.each(['linux', 'linux-before'] as const)('%s: in lazy mode the exposure is counted', (kind) => {
    const [, samples] = exposure(outcome(kind, [...LATE, 'os.dma.mode=lazy']));
    expect(samples).toBeGreaterThan(1000);
  });

  it('every kind says what it protects', () => {
    expect(Object.keys(STRATEGIES)).toEqual([...STRATEGY_KINDS]);
  });
});

describe('the audit on random programs', () => {
  const program = fc.record({
    kind: fc.constantFrom(...STRATEGY_KINDS),
    unit: fc.constantFrom(...Object.keys(UNITS)),
    threads: fc.integer({ min: 1, max: 4 }),
    depth: fc.integer({ min: 1, max: 40 }),
    burst: fc.integer({ min: 1, max: 50 }),
    size: fc.constantFrom(64, 1500, 4096, 9000, 40000),
    direction: fc.constantFrom('from-device', 'to-device'),
    segments: fc.constantFrom(1, 1, 3),
    completers: fc.integer({ min: 0, max: 2 }),
    late: fc.constantFrom(0, 20, 100),
    batch: fc.integer({ min: 1, max: 40 }),
    chunk: fc.constantFrom(1, 4, 64, 256),
    slots: fc.integer({ min: 120, max: 150 }),
    granule: fc.constantFrom(1, 2, 7, 40),
    hint: fc.boolean(),
  });

  it('finds nothing', () => {
    fc.assert(
      fc.property(program, (p) => {
        const loop = `  loop: { kind: map-benchmark, device: nic, threads: 2, granule: ${p.granule}, direction: bidirectional, socket: s0 }`;
        const sets = [
          ...UNITS[p.unit]!,
          `workload.rx.threads=${p.threads}`,
          `workload.rx.depth=${p.depth}`,
          `workload.rx.burst=${p.burst}`,
          `workload.rx.size=${p.size}B`,
          `workload.rx.direction=${p.direction}`,
          `workload.rx.segments=${p.segments}`,
          `workload.rx.completers=${p.completers}`,
          `workload.rx.lateAccess=${p.late}%`,
          'workload.rx.lateAfter=1us',
          `os.dma.strategy.batch=${p.batch}`,
          `os.dma.strategy.chunk=${p.chunk}`,
          `os.dma.strategy.slots=${p.slots}`,
          `os.invalidationHint=${p.hint}`,
          'warmup.operations=0',
          'stop.operations=300',
        ];
        const result = outcome(p.kind, sets, NIC.replace('seeds: 1', `${loop}\nseeds: 1`));
        expect(value(result, 'rx', 'dma.faults')).toBe(0);
        expect(result.windows.stoppedBy).toBe('operations');
      }),
      { numRuns: 30, seed: 7 },
    );
  });
});
