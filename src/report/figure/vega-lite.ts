/** A chart as a Vega-Lite 5 specification with its data inside, for anyone who wants to restyle or explore the figure. */
import { logDomain } from './axis.js';
import { type ChartAxis, type ChartPoint, isCategorical, type LineChart, shownPoints } from './chart.js';
import { chartData, type Datum } from './data.js';
import { PAPER, seriesStyle } from './style.js';

const SCHEMA = 'https://vega.github.io/schema/vega-lite/v5.json';

type Json = string | number | boolean | null | readonly Json[] | { readonly [key: string]: Json };

/** The specification as JSON text. */
export function vegaLite(chart: LineChart): string {
  const numeric = !isCategorical(chart);
  const specification: Json = {
    $schema: SCHEMA,
    title: {
      text: chart.title,
      anchor: 'start',
      ...(chart.subtitle === undefined ? {} : { subtitle: chart.subtitle }),
    },
    ...(chart.note === undefined ? {} : { description: chart.note }),
    background: PAPER,
    width: 600,
    height: 300,
    data: { values: chartData(chart).map(row) },
    encoding: { x: xChannel(chart, numeric), ...seriesChannels(chart) },
    layer: layers(chart, numeric),
    config: { legend: { symbolOpacity: 1 } },
  };
  return `${JSON.stringify(specification, null, 2)}\n`;
}

function layers(chart: LineChart, numeric: boolean): Json[] {
  const data = chartData(chart);
  return [
    ...(data.some(({ point }) => Number.isFinite(point.low)) ? [interval(chart, numeric)] : []),
    ...(numeric ? [lines(chart)] : []),
    ...(data.some(({ kind }) => kind === 'reference') ? [references()] : []),
    markers(),
  ];
}

function row({ series, kind, point }: Datum): Json {
  const { x, low, high, n } = point;
  return {
    series,
    kind,
    x,
    y: finite(point.y),
    ...optional('low', low),
    ...optional('high', high),
    ...optional('n', n),
  };
}

function optional(key: keyof ChartPoint, value: number | undefined): { [key: string]: Json } {
  return value === undefined ? {} : { [key]: finite(value) };
}

function finite(value: number): number | null {
  return Number.isFinite(value) ? value : null;
}

function xChannel(chart: LineChart, numeric: boolean): Json {
  if (!numeric) return { field: 'x', type: 'nominal', sort: null, title: chart.x.label, axis: { labelAngle: -30 } };
  const values = [...new Set(chartData(chart).map(({ point }) => point.x as number))].sort((a, b) => a - b);
  return quantitative('x', chart.x, { values });
}

function yChannel(chart: LineChart): { [key: string]: Json } {
  const channel = quantitative('y', chart.y, {}, chart.y.zero ?? true);
  if (chart.y.scale !== 'log') return channel;
  // Without this an interval that reaches below zero would spoil the logarithm.
  return { ...channel, scale: { type: 'log', domain: logDomain(shownPoints(chart)), clamp: true } };
}

const SIZE_LABEL = [
  [1024 ** 4, 'TiB'],
  [1024 ** 3, 'GiB'],
  [1024 ** 2, 'MiB'],
  [1024, 'KiB'],
].reduceRight(
  (rest, [factor, unit]) => `datum.value >= ${factor} ? format(datum.value / ${factor}, '.4~g') + ' ${unit}' : ${rest}`,
  "datum.value + ' B'",
);

function quantitative(
  field: string,
  axis: ChartAxis,
  more: { [key: string]: Json },
  zero = false,
): { [key: string]: Json } {
  const log = axis.scale === 'log';
  const percent = axis.unit === 'ratio';
  const bytes = axis.unit === 'bytes';
  const plain = percent || bytes || axis.unit === '' || axis.unit === 'count';
  const format = { ...(percent ? { format: '~%' } : {}), ...(bytes ? { labelExpr: SIZE_LABEL } : {}) };
  return {
    field,
    type: 'quantitative',
    title: plain ? axis.label : `${axis.label} (${axis.unit})`,
    scale: log ? { type: 'log', base: bytes ? 2 : 10, nice: false } : { zero, nice: zero },
    axis: { grid: field === 'y', labelOverlap: true, ...format, ...more },
  };
}

/** Colour and marker of each series as in the SVG; they share one legend with the dash of the lines. */
function seriesChannels(chart: LineChart): { [key: string]: Json } {
  const styles = chart.series.map((series, i) => seriesStyle(series.colour ?? i, series.style ?? i));
  const domain = chart.series.map((series) => series.name);
  const channel = (range: readonly Json[]): Json => ({
    field: 'series',
    type: 'nominal',
    title: chart.legend ?? null,
    sort: null,
    scale: { domain, range },
  });
  return {
    color: channel(styles.map((style) => style.colour)),
    shape: channel(styles.map((style) => style.marker.name)),
  };
}

function only(kind: string): Json {
  return [{ filter: { field: 'kind', equal: kind } }];
}

function interval(chart: LineChart, numeric: boolean): Json {
  const bars = !numeric || chart.interval === 'bars';
  return {
    transform: only('simulated'),
    mark: bars ? { type: 'rule' } : { type: 'area', opacity: 0.18 },
    encoding: { y: { ...yChannel(chart), field: 'low' }, y2: { field: 'high' }, shape: null },
  };
}

function lines(chart: LineChart): Json {
  const styles = chart.series.map((series, i) => seriesStyle(series.colour ?? i, series.style ?? i));
  const scale = {
    domain: chart.series.map((series) => series.name),
    range: styles.map((style) => (style.dash.length === 0 ? [1, 0] : style.dash)),
  };
  return {
    transform: only('simulated'),
    mark: { type: 'line' },
    encoding: {
      y: yChannel(chart),
      strokeDash: { field: 'series', type: 'nominal', title: chart.legend ?? null, sort: null, scale },
      shape: null,
    },
  };
}

function markers(): Json {
  return {
    transform: only('simulated'),
    mark: { type: 'point', filled: true, size: 50, tooltip: { content: 'data' } },
    encoding: { y: { field: 'y', type: 'quantitative' } },
  };
}

function references(): Json {
  return {
    transform: only('reference'),
    mark: { type: 'point', filled: false, size: 90, fill: PAPER, tooltip: { content: 'data' } },
    encoding: { y: { field: 'y', type: 'quantitative' } },
  };
}
