import { beforeAll, describe, expect, test } from 'vitest';
import { PcieBench } from '../pcie-bench.js';
import type { PublishedSeries } from '../published.js';
import { EFFORT, localEvaluator, SEED, syntheticSeries } from '../testing/synthetic.js';
import { fitPcieBench } from './fit.js';
import { type Host, HOSTS, startValues, type Value, type Values } from './parameters.js';
import { fittedSource, PCIE_BENCH_TARGET } from './source.js';

let bench: PcieBench;
beforeAll(() => {
  bench = new PcieBench();
});

const host = (label: string): Host => HOSTS.find((h) => h.label === label)!;

function value(sheet: string, path: string, amount: number, unit: string): Value {
  return { sheet, path, value: amount, unit, rows: 'known' };
}

async function fitted(published: readonly PublishedSeries[], of: Host): Promise<{ values: Values; log: string }> {
  const lines: string[] = [];
  const values = await fitPcieBench({
    published,
    bench,
    evaluator: localEvaluator(),
    seed: SEED,
    effort: EFFORT,
    host: of,
    values: startValues(),
    log: (line) => lines.push(line),
  });
  return { values, log: lines.join('\n') };
}

const OFF = { test: 'LAT64', iommu: 'off', unit: 'ns' } as const;

describe('a fit to rows that the simulator made', () => {
  test('finds the memory of a host again, and a repetition gives the same text', async () => {
    const snb = host('SNB');
    const sheet = snb.machine;
    const known = startValues().with([
      value(sheet, 'sockets.s0.llc.latency', 131, 'ns'),
      value(sheet, 'sockets.s0.llc.scatter', 30, '%'),
      value(sheet, 'sockets.s0.llc.ddioWays', 1, 'ways'),
    ]);
    const windows = ['16KiB', '256KiB', '512KiB', '1024KiB', '1536KiB', '2048KiB'];
    const published = [
      await syntheticSeries(bench, snb, { ...OFF, hostCache: 'device-warm' }, windows, known),
      await syntheticSeries(bench, snb, { ...OFF, hostCache: 'cold' }, ['16KiB', '256KiB'], known),
    ];
    const first = await fitted(published, snb);
    expect(first.values.get(sheet, 'sockets.s0.llc.ddioWays')).toBe(1);
    expect(Math.abs(first.values.get(sheet, 'sockets.s0.llc.latency')! - 131)).toBeLessThanOrEqual(1);
    expect(Math.abs(first.values.get(sheet, 'sockets.s0.llc.scatter')! - 30)).toBeLessThanOrEqual(6);
    const second = await fitted(published, snb);
    const source = (values: Values): string => fittedSource(values, 'test', PCIE_BENCH_TARGET);
    expect(source(second.values)).toBe(source(first.values));
    expect(second.log).toBe(first.log);
  });

  test("finds an IOMMU's entries and the split of a walk again", async () => {
    const bdw = host('BDW');
    const sheet = bdw.unit;
    const known = startValues().with([
      value(sheet, 'iotlb.entries', 90, 'entries'),
      value(sheet, 'iotlb.ways', 90, 'ways'),
      value(sheet, 'walkers.overhead', 140, 'ns'),
      value(sheet, 'walkers.replay', 120, 'ns'),
      value(sheet, 'walkers.readHold', 40, 'ns'),
    ]);
    const on = { hostCache: 'device-warm', iommu: '4KiB' } as const;
    const windows = ['256KiB', '512KiB', '16384KiB'];
    const published = await Promise.all([
      syntheticSeries(bench, bdw, { ...on, test: 'LAT64', unit: 'ns' }, windows, known),
      syntheticSeries(bench, bdw, { ...on, test: 'BWrd64', unit: 'Gb/s' }, windows, known),
      syntheticSeries(bench, bdw, { ...on, test: 'BWwr64', unit: 'Gb/s' }, windows, known),
    ]);
    const { values } = await fitted(published, bdw);
    const near = (path: string, wanted: number, distance: number): void => {
      expect(Math.abs(values.get(sheet, path)! - wanted), path).toBeLessThanOrEqual(distance);
    };
    near('iotlb.entries', 90, 4);
    near('walkers.overhead', 140, 8);
    near('walkers.replay', 120, 12);
    near('walkers.readHold', 40, 10);
  });
});
