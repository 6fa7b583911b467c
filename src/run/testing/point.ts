/** Points for tests of the whole machine: a short workload text, changed by settings as `--set` takes them. */
import { readFileSync } from 'node:fs';
import { runPoint } from '../point.js';
import type { PointResult } from '../result.js';
import { resolveWorkload } from '../../workload/resolve.js';
import type { PointSpec } from '../../workload/spec.js';

/** One Broadwell socket with a VT-d unit and the pcie-bench device, which reads one page of 4 KiB, one DMA at a time. */
export const ONE_DEVICE = `name: one-device
question: How long does it take?
machine: { preset: bdw-e5-2630v4, hostCache: host-warm }
os: { preset: linux-7.2, superpages: false, dma: { mode: lazy } }
devices:
  dev: { preset: nfp6000, port: port0, requester: "5:00.0" }
workload:
  dma: { kind: dma, device: dev, size: 64B, window: 4KiB, outstanding: 1, memory: s0 }
seeds: 1
warmup: { operations: 100 }
stop: { operations: 200 }
`;

/** Two sockets with a unit, a port and a device each; driver threads of all kinds. */
export const TWO_UNITS = `name: two-units
question: Does it hold together?
machine: { preset: skx-8160-2s }
os: { preset: linux-7.2, dma: { mode: strict } }
devices:
  nic: { preset: nic-100g, port: port0, requester: "3:00.0" }
  drive: { preset: nvme-gen4, port: port1, requester: "81:00.0" }
workload:
  rx: { kind: stream, device: nic, threads: 2, depth: 8, size: 4KiB, direction: from-device, socket: s0 }
  tx: { kind: stream, device: drive, threads: 2, depth: 8, size: 1500B, direction: to-device, socket: s1 }
  loop: { kind: map-benchmark, device: nic, threads: 1, granule: 3, direction: bidirectional, transfer: 100ns, socket: s0 }
  window: { kind: dma, device: drive, size: 512B, window: 1MiB, reads: 50%, outstanding: 8, memory: s0 }
seeds: 1
warmup: { operations: 100 }
stop: { operations: 1500 }
`;

/** The first point of a workload text with settings; of several for one path the last counts. */
export function pointOf(text: string, sets: readonly string[] = [], seed = 1): PointSpec {
  const last = new Map(sets.map((set) => [set.slice(0, set.indexOf('=')), set]));
  return { ...resolveWorkload(text, 'test', [...last.values()]).points[0]!.spec, seed };
}

/** All points of a shipped workload file, one seed. */
export function shipped(file: string, sets: readonly string[]): PointSpec[] {
  const text = readFileSync(new URL(`../../../workloads/${file}`, import.meta.url), 'utf8');
  return resolveWorkload(text, file, sets, '1').points.map(({ spec }) => spec);
}

export function run(spec: PointSpec, audit = false, everyEvent = false): PointResult {
  return runPoint(spec, { everyEvent, audit });
}

/** A metric of a component; throws when there is none. */
export function value(result: PointResult, component: string, metric: string): number {
  const found = result.metrics.find((m) => m.component === component && m.metric === metric);
  if (found === undefined) throw new Error(`no metric ${metric} of ${component}`);
  return found.value;
}

/** A metric summed over components. */
export function total(result: PointResult, metric: string): number {
  return result.metrics.filter((m) => m.metric === metric).reduce((sum, m) => sum + m.value, 0);
}
