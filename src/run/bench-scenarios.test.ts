import { describe, expect, it } from 'vitest';
import type { PointSpec } from '../workload/spec.js';
import { runPoint } from './point.js';

interface Scenarios {
  readonly SCENARIOS: Readonly<Record<string, PointSpec>>;
  readonly sweepPoint: (seed: number, operations: number) => PointSpec;
}

/** They are written out as resolved specifications, which no schema checks. */
describe('scenarios of the benchmarks', async () => {
  const file = new URL('../../bench/scenarios.mjs', import.meta.url).href;
  const { SCENARIOS, sweepPoint } = (await import(file)) as Scenarios;
  const points: Scenarios['SCENARIOS'] = { ...SCENARIOS, sweep: sweepPoint(1, 1) };

  it.each(Object.keys(points))('%s runs', (name) => {
    const stop = { time: null, operations: 20, steady: null };
    const { windows } = runPoint({ ...points[name]!, stop }, { everyEvent: false, audit: true });
    expect(windows).toMatchObject({ measuredOperations: 20, stoppedBy: 'operations' });
  });
});
