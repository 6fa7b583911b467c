/** Plans and results for tests of run and report: small, deterministic, without a simulation. */
import type { PlannedPoint, RunPlan } from '../../workload/plan.js';
import type { PointSpec } from '../../workload/spec.js';
import { sha256 } from '../encoding.js';
import type { PointOptions, PointResult } from '../result.js';

/** `designs` designs that sweep `os.dma.mode` and `devices.nic.size`, with `seeds` seeds each. */
export function fakePlan(designs: number, seeds: number, name = 'fake'): RunPlan {
  const points: PlannedPoint[] = [];
  for (let d = 0; d < designs; d++) {
    const swept = { 'os.dma.mode': d % 2 === 0 ? 'strict' : 'lazy', 'devices.nic.size': `${64 << d}B` };
    const design = sha256(`${name} ${d}`).slice(0, 16);
    for (let seed = 1; seed <= seeds; seed++) {
      const id = sha256(`${design} ${seed}`).slice(0, 16);
      points.push({ id, design, seed, swept, spec: fakeSpec(d, seed) });
    }
  }
  return { name, question: 'Does it work?', file: `${name}.yaml`, points, resolved: `name: ${name}\n` };
}

/** Only what `fakeResult` looks at. */
function fakeSpec(design: number, seed: number): PointSpec {
  return { seed, warmup: { time: design, operations: null } } as PointSpec;
}

/** A result that depends on design and seed only. */
export function fakeResult(spec: PointSpec, options: PointOptions): PointResult {
  const design = spec.warmup.time ?? 0;
  const operations = 1000 * (design + 1) + spec.seed;
  const metrics = [
    { component: 'nic', metric: 'operations_per_second', value: operations / 3 },
    { component: 'vtd', metric: 'iotlb_hit_rate', value: design === 0 ? Number.NaN : 1 / (spec.seed + 1) },
  ];
  return {
    metrics: design === 1 ? [...metrics, { component: 'cpu0', metric: 'busy', value: 0.25 }] : metrics,
    warmup: [{ component: 'nic', metric: 'operations_per_second', value: operations / 7 }],
    histograms: [
      {
        component: 'nic',
        metric: 'latency',
        buckets: Float64Array.from([
          1000 * design,
          1000 * design + 999,
          2,
          5_000_500 + spec.seed * 64,
          5_000_563 + spec.seed * 64,
          1,
        ]),
        count: 3,
        sum: 7_000_000,
        min: 1000,
        max: 5_000_501,
        p50: 1500,
        p90: 5_000_000,
        p99: 5_000_000,
        p999: 5_000_500,
      },
    ],
    text: design === 1 ? ['dma mapping benchmark(strict): threads:1', 'average map latency(us):1.1, "quoted"'] : [],
    windows: {
      warmupPs: 1_000_500,
      measuredPs: 9e9,
      warmupOperations: 10,
      measuredOperations: operations,
      stoppedBy: 'operations',
    },
    events: 123_456,
    audit: options.audit ? { violations: design === 2 ? ['stale translation'] : [], counts: { exposures: 4 } } : null,
  };
}
