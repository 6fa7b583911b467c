/**
 * Elision on the way of the operating system: threads and command queues that go on in place give the results that every event scheduled
 * gives. Without jitter threads run in lockstep, so that many events fall on one instant.
 */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Machine } from '../system/machine.js';
import type { PointResult } from './result.js';
import { runPoint } from './point.js';
import { pointOf, shipped } from './testing/point.js';

const MAPPING = `name: mapping
question: Does elision change anything?
machine: { preset: skx-8160-2s }
os: { preset: linux-7.2, dma: { mode: strict } }
devices:
  nic: { preset: nic-100g, port: port0, requester: "3:00.0" }
workload:
  near: { kind: map-benchmark, device: nic, threads: 1, granule: 1, direction: from-device, socket: s0 }
  far: { kind: map-benchmark, device: nic, threads: 1, granule: 1, direction: bidirectional, socket: s1 }
  rx: { kind: stream, device: nic, threads: 1, depth: 4, size: 4KiB, direction: from-device, socket: s0 }
seeds: 1
warmup: { operations: 40 }
stop: { operations: 400 }
`;

const knobs = fc.record({
  'os.dma.mode': fc.constantFrom('strict', 'lazy'),
  'os.jitter': fc.constantFrom('0%', '10%'),
  'os.dma.flushQueue.entries': fc.constantFrom(4, 64),
  'os.dma.iova.magazine': fc.constantFrom(2, 127),
  'machine.iommus.iommu0.mode': fc.constantFrom('legacy', 'scalable'),
  'workload.near.threads': fc.constantFrom(1, 2, 5),
  'workload.near.granule': fc.constantFrom(1, 3),
  'workload.near.transfer': fc.constantFrom('0ns', '150ns'),
  'workload.near.mode': fc.constantFrom('single', 'sg'),
  'workload.far.threads': fc.constantFrom(1, 3),
});

/** Everything there is, as text that tells every difference. */
function facts(result: PointResult): string {
  const { metrics, histograms, windows, text } = result;
  return JSON.stringify([metrics.map((m) => ({ ...m, value: String(m.value) })), histograms, windows, text]);
}

/** Events that the queue has returned while `operations` pairs were mapped and unmapped, per pair. */
function poppedPerPair(sets: readonly string[], everyEvent: boolean): number {
  const pairs = 500;
  const { machine, warmup, ...rest } = shipped('map-benchmark.yaml', sets)[0]!;
  const built = new Machine({ machine, warmup, ...rest }, { everyEvent, audit: false });
  let popped = 0;
  built.start();
  for (const operations of [300, pairs]) {
    built.meter.start(operations);
    popped = 0;
    while (built.meter.open) popped += built.dispatcher.batch(64);
  }
  return popped / pairs;
}

describe('elision', () => {
  it('changes nothing for threads that map and unmap, alone or in contention', () => {
    fc.assert(
      fc.property(knobs, fc.integer({ min: 1, max: 1000 }), (k, seed) => {
        const sets = Object.entries(k).map(([path, value]) => `${path}=${value}`);
        const spec = pointOf(MAPPING, sets, seed);
        const elided = runPoint(spec, { everyEvent: false, audit: true });
        expect(elided.audit!.violations).toEqual([]);
        expect(facts(elided)).toBe(facts(runPoint(spec, { everyEvent: true, audit: true })));
      }),
      { numRuns: 40 },
    );
  });

  it.each(['map-benchmark.yaml', 'dma-modes.yaml', 'architectures.yaml', 'command-queues.yaml', 'strategies.yaml'])(
    'changes nothing in %s',
    (file) => {
      const points = shipped(file, ['stop.operations=200', 'warmup.operations=50']);
      const step = Math.ceil(points.length / 3);
      for (const spec of points.filter((_, i) => i % step === 0)) {
        const elided = runPoint(spec, { everyEvent: false, audit: false });
        expect(facts(elided)).toBe(facts(runPoint(spec, { everyEvent: true, audit: false })));
      }
    },
  );

  it('leaves two events of thirteen to a strict pair of one thread, fewer than eleven to one of several', () => {
    expect(poppedPerPair(['workload.loop.threads=1'], true)).toBeGreaterThan(12);
    expect(poppedPerPair(['workload.loop.threads=1'], false)).toBeLessThan(2.1);
    expect(poppedPerPair(['workload.loop.threads=4'], false)).toBeLessThan(11);
  });
});
