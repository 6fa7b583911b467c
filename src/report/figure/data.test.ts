import { expect, test } from 'vitest';
import { parseCsv } from '../testing/parse.js';
import type { LineChart } from './chart.js';
import { chartCsv } from './data.js';
import { vegaLite } from './vega-lite.js';

const chart: LineChart = {
  title: 't',
  x: { label: 'window', name: 'workload.reads.window', unit: 'bytes', scale: 'log' },
  y: { label: 'bandwidth', name: 'nic.bandwidth', unit: 'Gb/s' },
  references: 'published',
  series: [
    {
      name: 'a, b',
      points: [
        { x: 1024, y: 1.5, low: 1, high: 2, n: 3 },
        { x: 4096, y: Number.NaN, low: Number.NaN, high: Number.NaN, n: 0 },
      ],
      references: [{ x: 4096, y: 7 }],
    },
  ],
};

test('the CSV has every point with names and units; missing values are empty', () => {
  const names = ['workload.reads.window', 'bytes'];
  const metric = ['nic.bandwidth', 'Gb/s'];
  expect(parseCsv(chartCsv(chart))).toEqual([
    ['series', 'kind', 'x_name', 'x_unit', 'x', 'y_name', 'y_unit', 'y', 'low', 'high', 'n'],
    ['a, b', 'simulated', ...names, '1024', ...metric, '1.5', '1', '2', '3'],
    ['a, b', 'simulated', ...names, '4096', ...metric, '', '', '', '0'],
    ['a, b', 'reference', ...names, '4096', ...metric, '7', '', '', ''],
  ]);
});

test('the Vega-Lite specification has the same points and axes', () => {
  const spec = JSON.parse(vegaLite(chart));
  expect(spec.$schema).toBe('https://vega.github.io/schema/vega-lite/v5.json');
  expect(spec.data.values).toEqual([
    { series: 'a, b', kind: 'simulated', x: 1024, y: 1.5, low: 1, high: 2, n: 3 },
    { series: 'a, b', kind: 'simulated', x: 4096, y: null, low: null, high: null, n: 0 },
    { series: 'a, b', kind: 'reference', x: 4096, y: 7 },
  ]);
  expect(spec.encoding.x).toMatchObject({
    type: 'quantitative',
    scale: { type: 'log', base: 2 },
    axis: { values: [1024, 4096] },
  });
  expect(spec.encoding.color.scale).toEqual({ domain: ['a, b'], range: ['#0072b2'] });
  expect(spec.layer.map((layer: { mark: { type: string } }) => layer.mark.type)).toEqual([
    'area',
    'line',
    'point',
    'point',
  ]);
});

test('a category axis has names, rules for intervals and no line', () => {
  const points = ['strict', 'lazy'].map((x) => ({ x, y: 1, low: 0.5, high: 2 }));
  const spec = JSON.parse(vegaLite({ ...chart, series: [{ name: 's', points }] }));
  expect(spec.encoding.x).toMatchObject({ type: 'nominal', sort: null });
  expect(spec.layer.map((layer: { mark: { type: string } }) => layer.mark.type)).toEqual(['rule', 'point']);
});
