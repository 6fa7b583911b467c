/** Whole machines whose processes submit work to an accelerator's queues, watched by the audit. */
import { describe, expect, it } from 'vitest';
import type { PointResult } from './result.js';
import { pointOf, run, value } from './testing/point.js';

const OFFLOAD = `name: offload
question: What does a submission cost?
machine: { preset: spr-8480 }
os: { preset: linux-7.2, jitter: 0% }
devices:
  dsa: { preset: dsa, port: port0, requester: "6a:01.0" }
workload:
  move: { kind: offload, device: dsa, threads: 1, entries: 16, depth: 1, size: 4KiB, window: 64KiB, socket: s0 }
seeds: 1
warmup: { operations: 0 }
stop: { operations: 400 }
`;

/** Mean and longest of a latency of the job, ps. */
function latency(result: PointResult, metric: string): { mean: number; max: number } {
  const { sum, count, max } = result.histograms.find((h) => h.component === 'move' && h.metric === metric)!;
  return { mean: sum / count, max };
}

const job = (result: PointResult, metric: string): number => value(result, 'move', metric);

function audited(...sets: string[]): PointResult {
  const result = run(pointOf(OFFLOAD, sets), true);
  expect(result.audit!.violations).toEqual([]);
  expect(job(result, 'dma.faults')).toBe(0);
  return result;
}

describe('work queues', () => {
  it('the first submission pays for the register, all for the way there and back', () => {
    const { os, devices } = pointOf(OFFLOAD);
    const { costs, processes } = os;
    const { link } = devices['dsa']!;
    const result = audited();
    const shortest = costs.mmioWrite + 2 * costs.mmioFlight + 2 * link.latency;
    const { mean, max } = latency(result, 'submission.latency');
    // 64 + 44 bytes on a link of 63 GB/s take 1.7 ns.
    expect(mean).toBeGreaterThan(shortest + 1700);
    expect(mean).toBeLessThan(shortest + 3000 + processes.enqcmd.fixup / 400);
    expect(max).toBeGreaterThan(shortest + processes.enqcmd.fixup);
    expect([job(result, 'submission.attempts'), job(result, 'submission.fixups')]).toEqual([400, 1]);
  });

  it('the parts of an operation add up to its latency', () => {
    for (const sets of [[], ['workload.move.threads=8', 'workload.move.entries=2', 'workload.move.retries.limit=3']]) {
      const result = audited(...sets);
      const parts = ['submission', 'queue', 'engine', 'notice', 'copy'].map((p) => job(result, `operation.time.${p}`));
      const sum = parts.reduce((a, b) => a + b, 0);
      expect(sum).toBeCloseTo(latency(result, 'operation.latency').mean / 1000, 6);
    }
  });

  it('a full shared queue refuses; threads try again, or copy', () => {
    const crowd = ['workload.move.threads=16', 'workload.move.depth=4', 'workload.move.entries=2'];
    const forever = audited(...crowd, 'workload.move.retries.limit=0');
    const patient = audited(...crowd, 'workload.move.retries.limit=2');
    for (const result of [forever, patient]) {
      expect(job(result, 'submission.retries')).toBeGreaterThan(0);
      expect(value(result, 'dsa', 'work_queue.refused')).toBeGreaterThanOrEqual(job(result, 'submission.retries'));
      expect(value(result, 'dsa', 'work_queue.occupancy.max')).toBe(2);
    }
    expect(job(forever, 'submission.fallbacks')).toBe(0);
    expect(job(patient, 'submission.fallbacks')).toBeGreaterThan(0);
    expect(job(patient, 'operation.time.copy')).toBeGreaterThan(0);
    const paused = audited(...crowd, 'workload.move.retries.limit=0', 'workload.move.retries.pause=5us');
    expect(job(paused, 'submission.retries')).toBeLessThan(job(forever, 'submission.retries'));
  });

  it('a dedicated queue for each thread costs a posted write and is never refused', () => {
    const sets = ['workload.move.threads=4', 'workload.move.depth=8'];
    const [shared, dedicated] = ['shared', 'dedicated'].map((q) => audited(...sets, `workload.move.queue=${q}`));
    expect(latency(dedicated!, 'submission.latency').mean).toBeLessThan(
      latency(shared!, 'submission.latency').mean / 2,
    );
    expect(job(dedicated!, 'submission.retries')).toBe(0);
    expect(job(dedicated!, 'submission.fixups')).toBe(0);
    expect(job(shared!, 'submission.fixups')).toBe(4);
  });

  it('machines whose guests use the same PASIDs stay apart; an absent entry is an exit', () => {
    const sets = ['workload.move.threads=6', 'workload.move.processes=6', 'workload.move.virtualMachines=2'];
    const ahead = audited(...sets);
    const demand = audited(...sets, 'workload.move.translation=demand');
    expect(job(ahead, 'submission.exits')).toBe(0);
    expect(job(demand, 'submission.exits')).toBe(6);
    const native = audited(...sets.slice(0, 2));
    expect(latency(ahead, 'submission.latency').mean).toBeGreaterThan(latency(native, 'submission.latency').mean);
  });

  it('the same with every event scheduled', () => {
    const spec = pointOf(OFFLOAD, ['workload.move.threads=8', 'workload.move.depth=4', 'workload.move.entries=4']);
    const facts = [false, true].map((every) => {
      const { metrics, windows } = run(spec, true, every);
      return JSON.stringify([metrics.map((m) => [m.component, m.metric, String(m.value)]), windows]);
    });
    expect(facts[1]).toBe(facts[0]);
  });
});
