import { describe, expect, it } from 'vitest';
import type { PointSpec } from '../workload/spec.js';
import type { Outcome } from './batch.js';
import { computeRun } from './compute.js';
import { encodeResult } from './encoding.js';
import { computeInline, oneStep, type PointSteps } from './inline.js';
import { fakeResult } from './testing/fake.js';
import { ONE_DEVICE, pointOf, run } from './testing/point.js';

const options = { everyEvent: false, audit: false };
const specs = [1, 2, 3].map((seed) => ({ seed, warmup: { time: 0, operations: null } }) as PointSpec);
const fake = oneStep(fakeResult);

/** A point that never ends. */
const endless: PointSteps = () => ({ next: () => ({ done: false, value: undefined }) });

describe('computeInline', () => {
  it('hands over the outcome of each spec in order', async () => {
    const seen: [number, string | null][] = [];
    const done = await computeInline(specs, options, fake, async (index, { text }) => {
      seen.push([index, text]);
    });
    expect(done).toBe(3);
    expect(seen).toEqual(specs.map((spec, index) => [index, encodeResult(fakeResult(spec, options))]));
  });

  it('stops in the middle of a point that never ends', async () => {
    const controller = new AbortController();
    setTimeout(() => controller.abort(), 30);
    const { signal } = controller;
    const unexpected = async () => Promise.reject(new Error('finished'));
    expect(await computeInline(specs, { ...options, signal }, endless, unexpected)).toBe(0);
  });

  it('begins no point after its budget, but always the first', async () => {
    const begun: number[] = [];
    const slow: PointSteps = (spec, point) => {
      begun.push(spec.seed);
      const start = performance.now();
      while (performance.now() - start < 5);
      return fake(spec, point);
    };
    expect(await computeInline(specs, { ...options, budgetMilliseconds: 1 }, slow, async () => undefined)).toBe(1);
    expect(begun).toEqual([1]);
  });

  it('reports a point that throws and computes the others', async () => {
    const outcomes: Outcome[] = [];
    const failing = oneStep((spec, point) => {
      if (spec.seed === 2) throw new Error('no such device');
      return fakeResult(spec, point);
    });
    await computeInline(specs, options, failing, async (_, outcome) => {
      outcomes.push(outcome);
    });
    expect(outcomes.map(({ error }) => error)).toEqual(['', 'no such device', '']);
  });

  it('throws what the consumer throws', async () => {
    const full = async () => Promise.reject(new Error('disk full'));
    await expect(computeInline(specs, options, fake, full)).rejects.toThrow('disk full');
  });
});

describe('computeRun', () => {
  it('gives a short run the bytes that a worker gives', async () => {
    const spec = pointOf(ONE_DEVICE);
    const texts: (string | null)[] = [];
    const complete = await computeRun([spec], { ...options, threads: 2 }, async (_, { text }) => {
      texts.push(text);
    });
    expect(complete).toBe(true);
    expect(texts).toEqual([encodeResult(run(spec))]);
  });

  it('leaves a worker that was chosen to the pool', async () => {
    const worker = new URL('./testing/fake-worker.mjs', import.meta.url);
    const texts: (string | null)[] = [];
    await computeRun(specs, { ...options, threads: 1, worker }, async (index, { text }) => {
      texts[index] = text;
    });
    expect(texts.map((text) => JSON.parse(text!).metrics[0].value)).toEqual([1 / 3, 2 / 3, 1]);
  });
});
