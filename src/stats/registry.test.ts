import { expect, it } from 'vitest';
import { Histogram } from './histogram.js';
import { type MetricDef, Registry } from './registry.js';

const DEFS: MetricDef[] = [
  { name: 'hits', unit: '1', sentence: 'Hits.', formula: 'count' },
  { name: 'latency', unit: 'ps', sentence: 'Latency.', formula: 'end - start' },
];

it('collects in order of registration', () => {
  const registry = new Registry();
  registry.define(DEFS);
  const latency = new Histogram();
  registry.gauge('iommu1', 'hits', () => 1);
  registry.histogram('iommu0', 'latency', latency);
  registry.gauge('iommu0', 'hits', (now) => now);
  expect(registry.collect(42)).toEqual([
    { component: 'iommu1', metric: 'hits', value: 1 },
    { component: 'iommu0', metric: 'hits', value: 42 },
  ]);
  expect(registry.histograms()).toEqual([{ component: 'iommu0', metric: 'latency', histogram: latency }]);
  expect(registry.definitions()).toEqual(DEFS);
});

it('clears histograms and calls reset functions with the time', () => {
  const registry = new Registry();
  registry.define(DEFS);
  const latency = new Histogram();
  latency.add(5);
  const calls: string[] = [];
  registry.histogram('dev0', 'latency', latency);
  registry.onReset((now) => calls.push(`a ${now} ${latency.count}`));
  registry.onReset((now) => calls.push(`b ${now}`));
  registry.reset(9);
  expect(calls).toEqual(['a 9 0', 'b 9']);
});

it('rejects what is undefined, doubled or contradictory, and infinite values', () => {
  const registry = new Registry();
  expect(() => registry.gauge('dev0', 'hits', () => 0)).toThrow("'hits' of dev0 is not defined");
  registry.define(DEFS);
  registry.define(DEFS);
  expect(() => registry.define([{ ...DEFS[0]!, unit: 's' }])).toThrow('defined twice');
  registry.gauge('dev0', 'hits', () => 0 / 0);
  expect(() => registry.gauge('dev0', 'hits', () => 0)).toThrow('registered twice');
  expect(() => registry.histogram('dev0', 'hits', new Histogram())).toThrow('registered twice');
  expect(registry.collect(0)).toEqual([{ component: 'dev0', metric: 'hits', value: Number.NaN }]);
  registry.gauge('dev1', 'hits', () => 1 / 0);
  expect(() => registry.collect(0)).toThrow("'hits' of dev1 is Infinity");
});
