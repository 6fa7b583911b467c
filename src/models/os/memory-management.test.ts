import { expect, it } from 'vitest';
import { MmBench, mmSpec } from '../../os/mm/testing/bench.js';
import type { MmCosts } from '../../os/mm/spec.js';
import { FaultKind } from '../../os/mm/statistics.js';
import { Access } from '../../protocol/access.js';
import { type Quantity, UNITS } from '../quantity.js';
import { faultPathCosts, memoryManagementCosts, turnCosts } from './memory-management.js';

const ps = (sheet: Readonly<Record<string, Quantity>>): Record<string, number> =>
  Object.fromEntries(Object.entries(sheet).map(([key, { value, unit }]) => [key, Number(value) * UNITS.time[unit]!]));

it('the handler of an SVA fault takes 2.0 us', () => {
  const costs = ps(memoryManagementCosts) as unknown as MmCosts;
  const bench = new MmBench(mmSpec({ costs }));
  const { manager } = bench;
  const mm = manager.create();
  manager.addRegion(mm, 2 ** 40, 4096);
  bench.thread(function* (thread) {
    yield* manager.touch(thread, mm, 2 ** 40, Access.Write);
  });
  bench.run();
  expect(manager.statistics.faults[FaultKind.Minor]!.count).toBe(1);
  expect(bench.now - costs.exception).toBe(2_000_000);
});

it('with interrupt, two wake-ups and hand-off a fault is within the 10.1 to 10.6 us published, the hardware aside', () => {
  const { wakeLatency, contextSwitch, hardInterrupt, queueWork, takeWork, report } = ps({
    ...faultPathCosts,
    ...turnCosts,
  });
  const software = hardInterrupt! + 2 * (wakeLatency! + contextSwitch!) + queueWork! + takeWork! + report! + 2_000_000;
  expect(software).toBeGreaterThan(0.9 * 10_100_000);
  expect(software).toBeLessThan(10_600_000);
});
