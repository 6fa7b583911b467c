import { describe, expect, it } from 'vitest';
import { SteadyState } from './steady.js';

const SPEC = { batches: 3, batchOperations: 10, tolerance: 50_000 };

/** Feeds batches of ten operations with these mean latencies; says after which the rule is satisfied, or -1. */
function agreesAfter(means: readonly number[], start = { count: 0, sum: 0 }): number {
  const steady = new SteadyState(SPEC, start);
  let { count, sum } = start;
  return means.findIndex((mean) => {
    count += 10;
    sum += 10 * mean;
    return steady.batchDone({ count, sum });
  });
}

describe('steady state', () => {
  it('is reached when the last batches lie within the tolerance, and not one batch earlier', () => {
    expect(agreesAfter([100, 100, 100])).toBe(2);
    expect(agreesAfter([200, 100, 104, 102])).toBe(3);
    expect(agreesAfter([100, 106, 100, 106, 100])).toBe(-1);
    expect(agreesAfter([100, 105, 103])).toBe(2);
  });

  it('does not count what happened before the first batch', () => {
    expect(agreesAfter([100, 100, 100], { count: 1000, sum: 9_000_000 })).toBe(2);
  });
});
