import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type ChartPoint, type LineChart, lineChart } from './figure.js';
import { textWidth } from './figure/svg.js';
import { findAll, markersOf, readSvg, textsOf } from './testing/svg.js';

const KIB = 1024;
const MIB = 1024 * KIB;

const chart: LineChart = {
  title: 'iotlb-reach: read bandwidth',
  subtitle: 'Payload read per second.',
  x: { label: 'window', unit: 'bytes', scale: 'log' },
  y: { label: 'bandwidth', unit: 'Gb/s' },
  legend: 'superpages',
  references: 'published',
  series: [
    {
      name: 'false',
      points: [4 * KIB, 64 * KIB, MIB, 64 * MIB].map((x, i) => ({
        x,
        y: 30 - 5 * i,
        low: 28 - 5 * i,
        high: 32 - 5 * i,
        n: 3,
      })),
      references: [{ x: MIB, y: 21 }],
    },
    { name: 'true', points: [4 * KIB, 64 * KIB, MIB, 64 * MIB].map((x) => ({ x, y: 30 })) },
  ],
  note: 'Mean and 95 % interval over 3 seeds.',
};

const draw = (changes: Partial<LineChart> = {}) => readSvg(lineChart({ ...chart, ...changes }));

describe('a figure', () => {
  it('says what it shows: title, axes with units, ticks, legend and note', () => {
    expect(textsOf(draw())).toEqual([
      'iotlb-reach: read bandwidth',
      'Payload read per second.',
      ...['superpages:', 'false', 'true', 'published'],
      'bandwidth (Gb/s)',
      ...['0', '5', '10', '15', '20', '25', '30', '35'],
      ...['4 KiB', '64 KiB', '1 MiB', '64 MiB'],
      'window',
      'Mean and 95 % interval over 3 seeds.',
    ]);
  });

  it('puts points where the scales say', () => {
    const markers = markersOf(draw());
    expect(markers.map(({ tip }) => tip)).toEqual([
      'false, 1 MiB: 21 Gb/s',
      'false, 4 KiB: 30 Gb/s [28 Gb/s, 32 Gb/s]',
      'false, 64 KiB: 25 Gb/s [23 Gb/s, 27 Gb/s]',
      'false, 1 MiB: 20 Gb/s [18 Gb/s, 22 Gb/s]',
      'false, 64 MiB: 15 Gb/s [13 Gb/s, 17 Gb/s]',
      'true, 4 KiB: 30 Gb/s',
      'true, 64 KiB: 30 Gb/s',
      'true, 1 MiB: 30 Gb/s',
      'true, 64 MiB: 30 Gb/s',
    ]);
    const [reference, first, second, third, last] = markers;
    expect(reference!.x).toBe(third!.x);
    expect(second!.x - first!.x).toBeCloseTo(third!.x - second!.x, 1);
    expect(last!.x - third!.x).toBeCloseTo((6 / 4) * (second!.x - first!.x), 1);
    expect(second!.y - first!.y).toBeCloseTo(third!.y - second!.y, 1);
    expect(third!.y - reference!.y).toBeCloseTo((second!.y - first!.y) / 5, 1);
  });

  it('draws hollow references, a band where there is an interval, and lines with gaps', () => {
    const root = draw();
    expect(findAll(root, 'path').filter((path) => path.attributes['fill-opacity'] === '0.18')).toHaveLength(1);
    const groups = findAll(root, 'g').filter((group) => group.attributes['aria-label'] !== undefined);
    expect(groups.map(({ attributes }) => [attributes['fill'], attributes['stroke']])).toEqual([
      ['#ffffff', '#0072b2'],
      ['#0072b2', '#ffffff'],
      ['#d55e00', '#ffffff'],
    ]);
    const points = [1, 2, 3, 4, 5].map((x) => ({ x, y: x === 3 ? Number.NaN : x }));
    const gap = draw({ series: [{ name: 'a', points }], x: { label: 'x', unit: '' } });
    const [line] = findAll(gap, 'path').filter((path) => path.attributes['stroke-width'] === '2');
    expect(line!.attributes['d']!.match(/M/g)).toHaveLength(2);
    expect(markersOf(gap)).toHaveLength(4);
  });

  it('draws bars on request, and always on a category axis, where series stand side by side', () => {
    const bars = (root: ReturnType<typeof readSvg>) =>
      findAll(root, 'path').filter((path) => path.attributes['stroke-width'] === '1.4');
    expect(bars(draw({ interval: 'bars' }))).toHaveLength(1);
    const points = ['strict', 'lazy'].map((x, i) => ({ x, y: i + 1, low: i, high: i + 2 }));
    const root = draw({ x: { label: 'mode', unit: '' }, series: ['1', '2'].map((name) => ({ name, points })) });
    expect(bars(root)).toHaveLength(2);
    expect(findAll(root, 'path').filter((path) => path.attributes['stroke-width'] === '2')).toEqual([]);
    const [a, b, c, d] = markersOf(root);
    expect(c!.x - a!.x).toBeCloseTo(18);
    expect(d!.x - b!.x).toBeCloseTo(18);
    expect(b!.x - c!.x).toBeGreaterThan(100);
  });

  it('slants category names that do not fit side by side, inside the figure', () => {
    const points = Array.from({ length: 12 }, (_, i) => ({ x: `a rather long name of a mode ${i}`, y: i }));
    const root = draw({ x: { label: 'mode', unit: '' }, series: [{ name: 'a', points }] });
    const slanted = findAll(root, 'text').filter((each) =>
      (each.attributes['transform'] ?? '').includes('rotate(-30)'),
    );
    expect(slanted).toHaveLength(12);
    for (const { attributes, text } of slanted) {
      const x = Number(/translate\(([\d.]+)/.exec(attributes['transform']!)![1]);
      expect(x - 0.866 * textWidth(text, 12)).toBeGreaterThan(0);
    }
  });

  it('starts at zero unless told otherwise', () => {
    const series = [{ name: 'a', points: [1, 2].map((x) => ({ x, y: 400 + x })) }];
    const x = { label: 'x', unit: '' };
    expect(textsOf(draw({ series, x, legend: 'l' }))).toContain('0');
    const fitted = textsOf(draw({ series, x, y: { ...chart.y, zero: false } }));
    expect(fitted).toContain('401.0');
    expect(fitted).not.toContain('0');
  });

  it('an interval below zero does not stretch the axis of a positive quantity', () => {
    const series = [{ name: 'a', points: [{ x: 1, y: 1, low: -50, high: 2 }] }];
    expect(textsOf(draw({ series, x: { label: 'x', unit: '' } })).join()).not.toContain('−');
  });

  it('refuses what it cannot show', () => {
    const zero = [{ name: 'a', points: [{ x: 0, y: 0 }] }];
    expect(() => draw({ series: zero })).toThrow('the logarithmic x axis has a value that is not positive');
    const logY = { x: { label: 'x', unit: '' }, y: { ...chart.y, scale: 'log' as const } };
    expect(() => draw({ series: zero, ...logY })).toThrow('the logarithmic y axis');
    const mixed = [
      {
        name: 'a',
        points: [
          { x: 1, y: 0 },
          { x: 'b', y: 0 },
        ],
      },
    ];
    expect(() => draw({ series: mixed })).toThrow('all numbers or all texts');
    const { references: _, ...unnamed } = chart;
    expect(() => lineChart(unnamed)).toThrow('a chart with references says what they are');
  });
});

/** Left and right edge of a level text. */
function extent(
  node: { text: string; attributes: Readonly<Record<string, string>> },
  anchor: string,
): [number, number] {
  const x = Number(node.attributes['x']);
  const width = textWidth(node.text, 12);
  return anchor === 'middle' ? [x - width / 2, x + width / 2] : anchor === 'end' ? [x - width, x] : [x, x + width];
}

const positive = fc.double({ min: 1e-6, max: 1e12, noNaN: true });
const charts = fc
  .record({
    xs: fc.uniqueArray(positive, { minLength: 1, maxLength: 20 }),
    count: fc.integer({ min: 1, max: 12 }),
    values: fc.array(fc.tuple(positive, positive, positive), { minLength: 1, maxLength: 40 }),
    unit: fc.constantFrom('bytes', 'ns', 'ratio', 'Gb/s', '1/s', 'count', 'entries', ''),
    scales: fc.tuple(fc.constantFrom('linear', 'log'), fc.constantFrom('linear', 'log')),
    text: fc.string({ unit: 'binary', maxLength: 90 }),
    zero: fc.boolean(),
  })
  .map(({ xs, count, values, unit, scales, text, zero }): LineChart => {
    const sorted = [...xs].sort((a, b) => a - b);
    const point = (x: number, i: number): ChartPoint => {
      const [low, y, high] = [...values[i % values.length]!].sort((a, b) => a - b);
      return { x, y: y!, low: low!, high: high! };
    };
    return {
      title: text,
      subtitle: text,
      x: { label: 'x', unit, scale: scales[0] as 'log' },
      y: { label: text, unit, scale: scales[1] as 'log', zero },
      series: Array.from({ length: count }, (_, s) => ({
        name: `${s} ${text}`,
        points: sorted.map((x, i) => point(x, i + s)),
      })),
      legend: text,
      note: text,
    };
  });

it('any chart is well-formed, inside its frame, without labels that overlap, and the same each time', () => {
  fc.assert(
    fc.property(charts, (any) => {
      const markup = lineChart(any);
      expect(lineChart(any)).toBe(markup);
      const root = readSvg(markup);
      const width = Number(root.attributes['width']);
      const groups = findAll(root, 'g');
      const xTicks = groups.find((group) => group.attributes['text-anchor'] === 'middle')?.children ?? [];
      const yTicks = groups.find((group) => group.attributes['text-anchor'] === 'end')?.children ?? [];
      expect(yTicks.length).toBeGreaterThanOrEqual(1);
      const xs = xTicks.map((tick) => extent(tick, 'middle')).sort((a, b) => a[0] - b[0]);
      for (const [i, [left]] of xs.entries()) expect(left).toBeGreaterThan(xs[i - 1]?.[1] ?? Number.NEGATIVE_INFINITY);
      const ys = yTicks.map((tick) => Number(tick.attributes['y'])).sort((a, b) => a - b);
      for (const [i, y] of ys.entries()) expect(y - (ys[i - 1] ?? Number.NEGATIVE_INFINITY)).toBeGreaterThan(12);
      for (const tick of yTicks) expect(extent(tick, 'end')[0]).toBeGreaterThanOrEqual(0);
      const baseline = findAll(root, 'line').find((line) => line.attributes['stroke'] === '#5a5a5a')!;
      const bottom = Number(baseline.attributes['y1']);
      expect(bottom).toBeLessThan(Number(root.attributes['height']));
      for (const { x, y } of markersOf(root)) {
        expect(x).toBeGreaterThan(0);
        expect(x).toBeLessThan(width);
        expect(y).toBeGreaterThan(bottom - 271);
        expect(y).toBeLessThanOrEqual(bottom);
      }
    }),
    { numRuns: 200 },
  );
});
