import { describe, expect, it } from 'vitest';
import type { PointSpec } from '../workload/spec.js';
import { batchSize, computePoints } from './pool.js';

const worker = new URL('./testing/fake-worker.mjs', import.meta.url);
const options = { everyEvent: false, audit: false, worker };
const specsOf = (seeds: readonly number[]): PointSpec[] => seeds.map((seed) => ({ seed }) as PointSpec);
const upTo = (n: number): number[] => Array.from({ length: n }, (_, i) => i + 1);

async function collect(seeds: readonly number[], threads: number): Promise<(string | null)[]> {
  const texts: (string | null)[] = [];
  const complete = await computePoints(specsOf(seeds), { ...options, threads }, async (index, outcome) => {
    expect(texts[index]).toBeUndefined();
    texts[index] = outcome.text;
  });
  expect(complete).toBe(true);
  return texts;
}

describe('computePoints', () => {
  it('gives the same outcomes on one, two and four threads, each exactly once', async () => {
    const one = await collect(upTo(60), 1);
    expect(one).toHaveLength(60);
    expect(JSON.parse(one[41]!).metrics[0].value).toBe(14);
    expect(await collect(upTo(60), 2)).toEqual(one);
    expect(await collect(upTo(60), 4)).toEqual(one);
  });

  it('has nothing to do without points', async () => {
    expect(await collect([], 2)).toEqual([]);
  });

  it('reports a point that throws and computes the others', async () => {
    const texts = await collect([1, 666, 2], 1);
    expect(texts.map((text) => text === null)).toEqual([false, true, false]);
  });

  it('turns the death of a worker into failed points and computes the others', async () => {
    const texts = await collect([1, 667, 2, 4, 5], 1);
    expect(texts).toHaveLength(5);
    expect(texts[1]).toBeNull();
    expect(texts[4]).not.toBeNull();
  });

  it('throws when the worker cannot be loaded', async () => {
    const broken = { ...options, worker: new URL('./testing/absent.mjs', import.meta.url), threads: 2 };
    const run = computePoints(specsOf(upTo(6)), broken, async () => undefined);
    await expect(run).rejects.toThrow(/the worker threads cannot start: .*absent\.mjs/);
  });

  it('stops in the middle of an endless point', async () => {
    const controller = new AbortController();
    const seen: number[] = [];
    const run = computePoints(
      specsOf([1, 668, 2]),
      { ...options, threads: 1, signal: controller.signal },
      async (index) => {
        seen.push(index);
        controller.abort();
      },
    );
    expect(await run).toBe(false);
    expect(seen).toEqual([0]);
  });

  it('stops and throws what the consumer throws', async () => {
    const seeds = upTo(50);
    let calls = 0;
    const run = computePoints(specsOf(seeds), { ...options, threads: 2 }, async () => {
      calls++;
      throw new Error('disk full');
    });
    await expect(run).rejects.toThrow('disk full');
    expect(calls).toBeLessThan(5);
  });

  it('never starts when the signal was raised before', async () => {
    const signal = AbortSignal.abort();
    const run = computePoints(specsOf([1]), { ...options, threads: 1, signal }, () => Promise.reject(new Error('ran')));
    expect(await run).toBe(false);
  });
});

describe('batchSize', () => {
  it('sends long points one by one and short ones in 5 ms of work', () => {
    expect(batchSize(0, 100, 4)).toBe(1);
    expect(batchSize(10, 100, 4)).toBe(1);
    expect(batchSize(1, 100, 4)).toBe(5);
    expect(batchSize(0.01, 100_000, 4)).toBe(500);
  });

  it('leaves work for the other threads', () => {
    expect(batchSize(0.01, 100, 4)).toBe(25);
    expect(batchSize(0.01, 3, 4)).toBe(1);
  });
});
