/** The shipped workloads that compare groups of page requests, and who keeps a device from waiting for pages, hold what their headers say. */
import { describe, expect, it } from 'vitest';
import type { PointSpec } from '../workload/spec.js';
import type { PointResult } from './result.js';
import { run, shipped, value } from './testing/point.js';

const OPERATIONS = 40;
const PAGES = 16;

const atsOf = ({ devices }: PointSpec) => devices['accelerator']!.ats;

function mean(result: PointResult, metric: string): number {
  const { sum, count } = result.histograms.find((each) => each.metric === metric)!;
  return sum / count;
}

describe('sva-groups.yaml', () => {
  const rows = shipped('sva-groups.yaml', [`stop.operations=${OPERATIONS}`]).map((spec) => {
    const result = run(spec);
    return {
      architecture: spec.machine.iommus['iommu0']!.architecture,
      workers: spec.os.processes.faults.workers,
      group: atsOf(spec).pri.group,
      cpu: value(result, 'os', 'fault.cpu_time.fault'),
      busy: mean(result, 'pri.busy'),
      responses: value(result, 'iommu0', 'iommu.page_requests.responses'),
    };
  });
  /** By group, 1 to 16. */
  const series = (architecture: string, workers: number) =>
    rows
      .filter((row) => row.architecture === architecture && row.workers === workers)
      .sort((a, b) => a.group - b.group);

  it.each(['vtd', 'amdvi', 'smmuv3', 'riscv'])('%s: a group of n pages takes less CPU time than n groups', (name) => {
    for (const workers of [1, 4]) {
      const of = series(name, workers);
      expect(of.map(({ group }) => group)).toEqual([1, 2, 4, 8, 16]);
      expect(of.map(({ group, responses }) => group * responses)).toEqual(of.map(() => PAGES * OPERATIONS));
      for (let i = 1; i < of.length; i++) expect(of[i]!.cpu).toBeLessThan(of[i - 1]!.cpu);
    }
  });

  it.each(['vtd', 'amdvi', 'smmuv3', 'riscv'])(
    '%s: several workers handle groups, not the pages of one, side by side',
    (name) => {
      const [one, four] = [series(name, 1), series(name, 4)];
      // Alone, small groups cost more than some larger ones, but the largest has to be complete before anybody begins.
      expect(one[2]!.busy).toBeLessThan(one[0]!.busy);
      expect(one[4]!.busy).toBeGreaterThan(one[2]!.busy);
      expect(one[4]!.busy < one[0]!.busy).toBe(name === 'vtd');
      expect(four[4]!.busy).toBeGreaterThan(2 * four[0]!.busy);
      expect(four[4]!.busy).toBe(one[4]!.busy);
      expect(four[0]!.busy).toBeLessThan(0.5 * one[0]!.busy);
    },
  );
});

describe('sva-prefetch.yaml', () => {
  it('pinned memory, pages asked for by the device, pages touched by a CPU, and first touch, in this order', () => {
    const rates = new Map(
      shipped('sva-prefetch.yaml', ['stop.operations=400']).map((spec) => {
        const { prefault } = spec.workload['copy'] as { prefault: string };
        const result = run(spec);
        return [`${prefault} ${atsOf(spec).prefetch.distance}`, value(result, 'copy', 'operation.rate')];
      }),
    );
    const order = ['all 16', 'none 16', 'none 4', 'ahead 16', 'ahead 0', 'none 0'].map((key) => rates.get(key)!);
    for (let i = 1; i < order.length; i++) expect(order[i]!).toBeLessThan(order[i - 1]!);
  });
});

it('a window in which faults are handled and none ends has no CPU time for each', () => {
  const specs = shipped('fault-storm-stall.yaml', ['stop.operations=200']);
  const result = run(
    specs.find(
      ({ machine, devices }) => machine.iommus['iommu0']!.faults.stalls === 1 && devices['storm']!.port === 'port1',
    )!,
  );
  expect(value(result, 'os', 'fault.cpu_time')).toBeGreaterThan(0);
  expect(value(result, 'os', 'fault.cpu_time.fault')).toBeNaN();
});
