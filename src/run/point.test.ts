import { existsSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { ONE_DEVICE, pointOf, run, shipped, TWO_UNITS, value } from './testing/point.js';
import type { PointSpec, StopSpec, WindowSpec } from '../workload/spec.js';
import { encodeResult } from './encoding.js';
import { computePoints } from './pool.js';

const US = 1_000_000;

function windows(warmup: Partial<WindowSpec>, stop: Partial<StopSpec>, base: PointSpec = pointOf(ONE_DEVICE)) {
  const none = { time: null, operations: null };
  const spec = { ...base, warmup: { ...none, ...warmup }, stop: { ...none, steady: null, ...stop } };
  return { spec, result: run(spec) };
}

describe('windows', () => {
  it('of operations end with exactly the last of them', () => {
    const { result } = windows({ operations: 37 }, { operations: 211 });
    expect(result.windows).toMatchObject({ warmupOperations: 37, measuredOperations: 211, stoppedBy: 'operations' });
    // One DMA at a time, all alike: the window is as long as its operations.
    const read = result.histograms.find((h) => h.metric === 'dma.read.latency')!;
    expect([read.count, read.sum]).toEqual([211, result.windows.measuredPs]);
  });

  it('of time end at exactly that time, and both are reported', () => {
    const { result } = windows({ time: 3 * US }, { time: 10 * US });
    expect(result.windows).toMatchObject({ warmupPs: 3 * US, measuredPs: 10 * US, stoppedBy: 'time' });
    expect(value(result, 'run', 'run.window')).toBe(10_000);
  });

  it('end by what comes first; the end of the other window means nothing', () => {
    // The warm-up ends by count long before its time, which then lies in the middle of the measured window.
    const { result } = windows({ time: 20 * US, operations: 5 }, { operations: 100 });
    expect(result.windows).toMatchObject({ warmupOperations: 5, measuredOperations: 100, stoppedBy: 'operations' });
    const late = windows({ time: 20 * US, operations: 5 }, { time: 50 * US }).result;
    expect(late.windows).toMatchObject({ measuredPs: 50 * US, stoppedBy: 'time' });
    const both = windows({ operations: 0 }, { time: 1000 * US, operations: 7 }).result;
    expect(both.windows).toMatchObject({ measuredOperations: 7, stoppedBy: 'operations' });
  });

  it('cut a run in two without changing it', () => {
    const whole = windows({ operations: 0 }, { operations: 300 }).result;
    const parts = windows({ operations: 100 }, { operations: 200 }).result;
    expect(parts.windows.warmupPs + parts.windows.measuredPs).toBe(whole.windows.measuredPs);
    expect(parts.events).toBe(whole.events);
  });

  it('end when the latency is steady, after whole batches, never beyond the count', () => {
    const steady = { batches: 3, batchOperations: 20, tolerance: 10_000 };
    const { result } = windows({ operations: 50 }, { operations: 10_000, steady });
    expect(result.windows).toMatchObject({ measuredOperations: 60, stoppedBy: 'steady' });
    const short = windows({ operations: 50 }, { operations: 45, steady }).result;
    expect(short.windows).toMatchObject({ measuredOperations: 45, stoppedBy: 'operations' });
    const mixed = windows({ time: 20 * US, operations: 5 }, { operations: 10_000, steady }).result;
    expect(mixed.windows.measuredOperations % 20).toBe(0);
  });

  it('steady state of driver threads leaves the warm-up out', () => {
    const steady = { batches: 2, batchOperations: 100, tolerance: 999_999 };
    const { result } = windows({ operations: 500 }, { operations: 10_000, steady }, pointOf(TWO_UNITS));
    expect(result.windows).toMatchObject({ measuredOperations: 200, stoppedBy: 'steady' });
  });

  it('end when nothing will ever happen again', () => {
    const base = pointOf(ONE_DEVICE);
    // A read needs more tags than the link can ever have: the device is stuck from the first DMA on.
    const dev = base.devices['dev']!;
    const stuck = { ...base, devices: { dev: { ...dev, engine: { ...dev.engine, outstandingReadBytes: 32 } } } };
    const { result } = windows({ operations: 0 }, { operations: 10 }, stuck);
    expect(result.windows).toMatchObject({ measuredOperations: 0, stoppedBy: 'idle' });
  });
});

describe('threads', () => {
  const worker = new URL('../../dist/run/worker.js', import.meta.url);
  it.skipIf(!existsSync(worker))('give the same bytes for one and two of them', async () => {
    const sets = ['stop.operations=300', 'warmup.operations=20'];
    const specs = [...shipped('quickstart.yaml', sets), ...shipped('two-units.yaml', sets)];
    const compute = async (threads: number): Promise<(string | null)[]> => {
      const texts: (string | null)[] = [];
      await computePoints(specs, { everyEvent: false, audit: false, threads, worker }, async (index, outcome) => {
        texts[index] = outcome.text;
      });
      return texts;
    };
    const one = await compute(1);
    expect(await compute(2)).toEqual(one);
    expect(one.every((text) => text !== null)).toBe(true);
    expect(encodeResult(run(specs[0]!)).length).toBeGreaterThan(1000);
  });
});
