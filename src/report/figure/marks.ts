/** The data of a figure as marks: bands or bars of the 95 % interval, lines, markers, and hollow markers of references. */
import { area, line } from 'd3-shape';
import type { CategoryAxis, PlacedAxis } from './axis.js';
import type { ChartPoint, ChartSeries, LineChart } from './chart.js';
import { markerPath, PAPER, type SeriesStyle, seriesStyle } from './style.js';
import { type Attributes, element, escapeXml, group } from './svg.js';

export const MARKER_AREA = 46;
export const REFERENCE_AREA = 78;
const BAR_CAP = 4;

interface Placed {
  readonly series: ChartSeries;
  readonly style: SeriesStyle;
  readonly x: (point: ChartPoint) => number;
  readonly y: PlacedAxis<number>;
  readonly describe: (point: ChartPoint) => string;
}

/** Markup of all series, in layers: no marker is covered by a line of another series. */
export function drawSeries(chart: LineChart, xAxis: CategoryAxis, yAxis: PlacedAxis<number>): string[] {
  const numeric = xAxis.step === 0;
  const placed = chart.series.map((series, index) => place(chart, series, index, xAxis, yAxis));
  const bands = numeric && (chart.interval ?? 'band') === 'band';
  const layers = [
    ...placed.map((each) => (bands ? band(each) : bars(each))),
    ...placed.map((each) => (numeric ? path(each) : '')),
    ...placed.map((each) => markers(each, each.series.references ?? [], REFERENCE_AREA, 'hollow')),
    ...placed.map((each) => markers(each, each.series.points, MARKER_AREA, 'filled')),
  ];
  return layers.filter((layer) => layer !== '');
}

/** On a category axis the series of one category stand side by side. */
function place(
  chart: LineChart,
  series: ChartSeries,
  index: number,
  xAxis: CategoryAxis,
  y: PlacedAxis<number>,
): Placed {
  const shift = Math.min(18, (0.7 * xAxis.step) / chart.series.length) * (index - (chart.series.length - 1) / 2);
  const name = chart.series.length > 1 ? `${series.name}, ` : '';
  return {
    series,
    style: seriesStyle(series.colour ?? index, series.style ?? index),
    x: (point) => xAxis.position(point.x) + shift,
    y,
    describe: (point) => `${name}${xAxis.describe(point.x)}: ${y.describe(point.y)}${intervalText(point, y)}`,
  };
}

function intervalText(point: ChartPoint, y: PlacedAxis<number>): string {
  return hasInterval(point) ? ` [${y.describe(point.low)}, ${y.describe(point.high)}]` : '';
}

function hasInterval(point: ChartPoint): point is ChartPoint & { low: number; high: number } {
  return Number.isFinite(point.y) && Number.isFinite(point.low) && Number.isFinite(point.high);
}

function band({ series, style, x, y }: Placed): string {
  const shape = area<ChartPoint>(
    x,
    (point) => y.position(point.low!),
    (point) => y.position(point.high!),
  )
    .defined(hasInterval)
    .digits(2)(series.points);
  if (shape === null || !series.points.some(hasInterval)) return '';
  return element('path', { d: shape, fill: style.colour, 'fill-opacity': 0.18 });
}

function bars({ series, style, x, y }: Placed): string {
  const paths = series.points.filter(hasInterval).map((point) => {
    const [centre, low, high] = [x(point), y.position(point.low), y.position(point.high)];
    const caps = [low, high].map((end) => `M${at(centre - BAR_CAP)},${at(end)}H${at(centre + BAR_CAP)}`);
    return `M${at(centre)},${at(low)}V${at(high)}${caps.join('')}`;
  });
  if (paths.length === 0) return '';
  return element('path', { d: paths.join(''), fill: 'none', stroke: style.colour, 'stroke-width': 1.4 });
}

function at(value: number): number {
  return Number(value.toFixed(2));
}

function path({ series, style, x, y }: Placed): string {
  const shape = line<ChartPoint>(x, (point) => y.position(point.y))
    .defined((point) => Number.isFinite(point.y))
    .digits(2)(series.points);
  if (shape === null) return '';
  return element('path', { d: shape, fill: 'none', ...strokeOf(style) });
}

/** Stroke of a series' line, in the figure and in the legend. */
export function strokeOf(style: SeriesStyle): Attributes {
  return {
    stroke: style.colour,
    'stroke-width': 2,
    'stroke-dasharray': style.dash.length === 0 ? undefined : style.dash.join(' '),
    'stroke-linejoin': 'round',
  };
}

type Fill = 'filled' | 'hollow';

/** Fill and stroke of markers, in the figure and in the legend. */
export function markerPaint(colour: string, fill: Fill): Attributes {
  return fill === 'filled'
    ? { fill: colour, stroke: PAPER, 'stroke-width': 0.8 }
    : { fill: PAPER, stroke: colour, 'stroke-width': 1.6 };
}

function markers(
  { series, style, x, y, describe }: Placed,
  points: readonly ChartPoint[],
  size: number,
  fill: Fill,
): string {
  const shape = markerPath(style.marker, size);
  const shown = points.filter((point) => Number.isFinite(point.y));
  const lines = shown.map((point) =>
    element(
      'path',
      { d: shape, transform: `translate(${at(x(point))},${at(y.position(point.y))})` },
      `<title>${escapeXml(describe(point))}</title>`,
    ),
  );
  return group({ 'aria-label': series.name, ...markerPaint(style.colour, fill) }, lines);
}
