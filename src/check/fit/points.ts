/** Points as a fit simulates them: shorter than validation, since a search needs many, and each with the same random numbers. */
import type { PointSpec } from '../../workload/spec.js';
import { benchJob } from '../pcie-bench.js';

/** Operations of warm-up and measurement. With a cold host cache the table lines must come into it first. */
const WARMUP = { latency: 4000, cold: 10_000, bandwidth: 2000 };
const MEASURED = { latency: 4000, bandwidth: 8000 };

/** `effort`: share of the usual number of operations. */
export function fitPoint(spec: PointSpec, seed: number, effort: number): PointSpec {
  const latency = benchJob(spec).outstanding === 1;
  const cold = spec.machine.hostCache === 'cold';
  const warmup = latency ? (cold ? WARMUP.cold : WARMUP.latency) : WARMUP.bandwidth;
  const measured = latency ? MEASURED.latency : MEASURED.bandwidth;
  return {
    ...spec,
    seed,
    warmup: { time: null, operations: Math.ceil(warmup * effort) },
    stop: { time: null, operations: Math.ceil(measured * effort), steady: null },
  };
}
