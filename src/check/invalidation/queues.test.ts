import { describe, expect, it } from 'vitest';
import { runPoint } from '../../run/point.js';
import type { PointSpec } from '../../workload/spec.js';
import { InvalidationBench, measuredValue } from './experiment.js';

const bench = new InvalidationBench();

/** 16 threads that map and unmap, on a whole machine and under the audit. */
function run(change: Partial<PointSpec['os']>, queues: number, threads = '16') {
  const original = bench.spec({ experiment: 'threads', machine: 'kunpeng-920', point: threads });
  const iommus = Object.fromEntries(
    Object.entries(original.machine.iommus).map(([name, unit]) => {
      return [name, { ...unit, invalidation: { ...unit.invalidation, queues } }];
    }),
  );
  const strategy = { ...original.os.dma.strategy, kind: queues > 1 ? ('per-cpu-queues' as const) : ('linux' as const) };
  const spec: PointSpec = {
    ...original,
    machine: { ...original.machine, iommus },
    os: { ...original.os, dma: { ...original.os.dma, strategy }, traced: false, ...change },
    warmup: { time: null, operations: 200 },
    stop: { time: null, operations: 3000, steady: null },
  };
  const result = runPoint(spec, { everyEvent: false, audit: true });
  const metric = (name: string): number => result.metrics.find((m) => m.metric === name)!.value;
  const ns = (what: 'unmap' | 'completion'): number =>
    measuredValue(spec, result, { experiment: 'threads', metric: what, unit: 'ns' });
  return { metric, ns, result };
}

describe('command queues of SMMUv3 on a whole machine', () => {
  it.each(['msi', 'event', 'register'] as const)('complete by %s, and strict unmaps stay strict', (completion) => {
    const { metric } = run({ completion }, 1);
    expect(metric('invalidation.flushes')).toBeGreaterThanOrEqual(3000);
  });

  it('several of them take contention away, not the work of the hardware', () => {
    // Near memory: lines of a far queue would take the hardware as long as the CPUs.
    const one = run({ queueMemory: 'near' }, 1);
    const sixteen = run({ queueMemory: 'near' }, 16);
    expect(one.metric('line.failures')).toBeGreaterThan(0);
    expect(sixteen.metric('line.failures')).toBe(0);
    expect(sixteen.metric('line.moves')).toBe(0);
    expect(sixteen.ns('unmap')).toBeLessThan(one.ns('unmap'));
    // One engine serves all of them in turn.
    expect(sixteen.ns('completion')).toBeGreaterThan(run({ queueMemory: 'near' }, 16, '1').ns('completion'));
  });

  it('of an idle unit complete later when their memory is on another node', () => {
    const near = run({ queueMemory: 'near' }, 1, '1').ns('completion');
    const far = run({ queueMemory: 'first' }, 1, '1').ns('completion');
    expect(far - near).toBeGreaterThan(200);
    expect(far - near).toBeLessThan(400);
  });
});
