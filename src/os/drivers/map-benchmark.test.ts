import { describe, expect, it } from 'vitest';
import { Registry } from '../../stats/registry.js';
import { STEP_NAMES, TURN_NAMES } from '../step.js';
import { testTableCosts } from '../testing/costs.js';
import { type MachineOptions, TestMachine } from '../testing/machine.js';
import type { MapBenchmarkSpec } from './map-benchmark.js';

const SPEC: MapBenchmarkSpec = {
  threads: 1,
  mode: 'single',
  placement: 'contiguous',
  granule: 1,
  direction: 'bidirectional',
  transfer: 0,
  copy: 0,
};

function start(spec: Partial<MapBenchmarkSpec>, options: MachineOptions = {}) {
  const machine = new TestMachine(options);
  const job = machine.os.jobs.addMapBenchmark('bench', { ...SPEC, ...spec }, 0, 0);
  const registry = new Registry();
  machine.os.registerMetrics(registry);
  machine.os.start();
  const metric = (name: string): number =>
    registry.collect(machine.now).find(({ component, metric }) => component === 'bench' && metric === name)!.value;
  return { machine, job, registry, metric };
}

/** Costs under which a map takes 450 ns and an unmap 1.25 us. */
const COSTS = { mapCall: 420_000, iovaCache: 30_000, unmapCall: 220_000, poll: 1000, dirtyLine: 6000 };

describe('map benchmark', () => {
  it('prints the lines of the tool, in 100 ns and rounded down as the kernel does', () => {
    const { machine, job, registry } = start(
      { threads: 4 },
      { costs: COSTS, invalidation: 1_000_000, mode: 'passthrough' },
    );
    registry.reset(0);
    machine.run(1e9);
    expect(machine.os.benchmarkReport(job, 1e12)).toEqual([
      'dma mapping benchmark(SINGLE_MODE): threads:4 seconds:1 node:0 dir:BIDIRECTIONAL granule:1',
      'average map latency(us):0.4 standard deviation:0.0',
      'average unmap latency(us):0.2 standard deviation:0.0',
    ]);
  });

  it('maps a list of pages in mode sg, and says so', () => {
    const costs = { ...COSTS, segment: 10_000 };
    const single = start({ granule: 8 }, { costs });
    const list = start({ granule: 8, mode: 'sg' }, { costs });
    const apart = start(
      { granule: 8, mode: 'sg', placement: 'scattered' },
      { costs: { ...costs, table: testTableCosts({ call: 50_000 }) } },
    );
    for (const { machine } of [single, list, apart]) machine.runOperations(50);
    expect(list.machine.os.benchmarkReport(list.job, 1e12)).toEqual([
      'dma mapping benchmark(SG_MODE): threads:1 seconds:1 node:0 dir:BIDIRECTIONAL granule:8',
      'average map latency(us):0.5 standard deviation:0.0',
      'average unmap latency(us):0.3 standard deviation:0.0',
    ]);
    expect(list.metric('map.time.call') - single.metric('map.time.call')).toBe(80);
    expect(apart.metric('map.time.table')).toBe(8 * 50);
  });

  it('averages over all loops with integer divisions and a truncated square root', () => {
    // Lock hand-over makes unmaps of two threads differ: a spread without randomness.
    const { machine, job } = start({ threads: 2, direction: 'from-device' }, { costs: COSTS, invalidation: 1_000_000 });
    machine.run(1e9);
    const [first, map, unmap] = machine.os.benchmarkReport(job, 20e12)!;
    expect(first).toContain('seconds:20 node:0 dir:FROM_DEVICE');
    expect(map).toMatch(/^average map latency\(us\):0\.\d standard deviation:\d\.\d$/);
    expect(unmap).toMatch(/^average unmap latency\(us\):[12]\.\d standard deviation:\d\.\d$/);
  });

  it('writes the buffer before the map unless only the device writes', () => {
    for (const [direction, dirty] of [
      ['bidirectional', 2 * 64 * 6000],
      ['to-device', 2 * 64 * 6000],
      ['from-device', 0],
    ] as const) {
      const { machine, metric } = start({ direction, granule: 2 }, { costs: COSTS });
      machine.runOperations(10);
      expect(metric('loop.cycles.dirty')).toBe((dirty * 3e9) / 1e12);
    }
  });

  it('does not count the pause between map and unmap in either latency', () => {
    const { machine, metric, registry } = start(
      { transfer: 5_000_000, copy: 0 },
      { costs: COSTS, mode: 'passthrough' },
    );
    machine.runOperations(10);
    expect(metric('loop.cycles.transfer')).toBe(15_000);
    const latencies = registry.histograms().filter(({ component }) => component === 'bench');
    const mean = (name: string): number => latencies.find(({ metric }) => metric === name)!.histogram.mean();
    expect(mean('map.latency')).toBe(420_000);
    expect(mean('unmap.latency')).toBe(220_000);
    expect(mean('operation.latency')).toBe(64 * 6000 + 420_000 + 5_000_000 + 220_000);
  });

  it('maps, in each direction, with the permissions of the direction', () => {
    for (const [direction, bits] of [
      ['to-device', 1],
      ['from-device', 2],
      ['bidirectional', 3],
    ] as const) {
      const accesses: number[] = [];
      const observer = new Proxy({} as never, {
        get:
          (_target, name) =>
          (...told: number[]): void => {
            if (name === 'mapped') accesses.push(told[4]!);
          },
      });
      const { machine } = start({ direction }, { costs: COSTS, observer });
      machine.runOperations(2);
      expect(new Set(accesses)).toEqual(new Set([bits]));
    }
  });

  it('has steps that add up to the latencies, and parts that add up to the loop', () => {
    const { machine, metric, registry } = start(
      { threads: 3, transfer: 100_000, copy: 0 },
      {
        costs: {
          ...COSTS,
          lock: 8000,
          lockHandOver: 50_000,
          descriptor: 10_000,
          mmioWrite: 100_000,
          mmioFlight: 150_000,
          poll: 560_000,
        },
      },
    );
    machine.runOperations(300);
    const mean = (name: string): number =>
      registry
        .histograms()
        .find((h) => h.component === 'bench' && h.metric === name)!
        .histogram.mean();
    for (const call of ['map', 'unmap']) {
      const sum = STEP_NAMES.reduce((total, step) => total + metric(`${call}.time.${step}`), 0);
      expect(1000 * sum).toBeCloseTo(mean(`${call}.latency`), 3);
    }
    expect(metric('unmap.time.lock_wait')).toBeGreaterThan(100);
    // Nothing is held back, so no turn ends with a burst.
    const loop = TURN_NAMES.filter((turn) => turn !== 'settle').reduce(
      (total, turn) => total + metric(`loop.cycles.${turn}`),
      0,
    );
    expect(loop).toBeCloseTo((mean('operation.latency') * 3e9) / 1e12, 3);
  });

  it('ends a thread that finds no address space', () => {
    const { machine, metric } = start({ granule: 1024 }, { iova: { addressBits: 20 }, costs: COSTS });
    machine.run();
    expect(metric('operations')).toBe(0);
    expect(metric('map.failures')).toBe(1);
  });

  it('refuses to run when nothing costs any time', () => {
    const { machine } = start({ direction: 'from-device' }, { mode: 'passthrough' });
    expect(() => machine.run()).toThrow('takes no time');
  });
});
