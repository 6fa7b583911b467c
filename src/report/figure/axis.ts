/** An axis laid out: from values to pixels, its ticks and its title. */
import { scaleLinear, scaleLog, scalePoint } from 'd3-scale';
import { type ChartAxis, type ChartPoint, isCategorical, type LineChart, shownPoints } from './chart.js';
import { SIZES } from './style.js';
import { textWidth } from './svg.js';
import { dataTicks, exponentOf, linearTicks, logTicks, type Tick, valueText } from './ticks.js';
import { type Display, displayOf } from './units.js';

export interface PlacedTick {
  readonly label: string;
  readonly position: number;
}

export interface PlacedAxis<Value> {
  /** Pixels from the left or top edge of the figure; values outside the axis are moved to its end. */
  readonly position: (value: Value) => number;
  readonly ticks: readonly PlacedTick[];
  readonly title: string;
  /** A value with its unit. */
  readonly describe: (value: Value) => string;
}

export interface CategoryAxis extends PlacedAxis<number | string> {
  /** Pixels between two categories; 0 on a numeric axis. */
  readonly step: number;
}

/** The vertical axis from `bottom` up to `top`. */
export function placeY(chart: LineChart, bottom: number, top: number): PlacedAxis<number> {
  const log = chart.y.scale === 'log';
  const points = shownPoints(chart);
  checkPositive(
    log,
    'y',
    points.map((point) => point.y),
  );
  const raw = log ? logDomain(points) : linearDomain(points, chart.y.zero ?? true);
  const display = displayOf(chart.y.unit, log ? raw[0] : Math.max(-raw[0], raw[1]));
  const count = Math.max(2, Math.min(8, Math.floor((bottom - top) / 48)));
  const domain = log ? raw : niceDomain(raw, display, count);
  const scale = (log ? scaleLog() : scaleLinear()).domain(domain).range([bottom, top]).clamp(true);
  const roomy = (ticks: readonly Tick[]): boolean =>
    apart(ticks.map((tick) => [scale(tick.value), SIZES.text] as const));
  const ticks = log ? logTicks(domain, display, roomy) : linearTicks(domain, display, count);
  return finish(chart.y, display, scale, ticks);
}

/** The horizontal axis from `left` to `right`. */
export function placeX(chart: LineChart, left: number, right: number): CategoryAxis {
  return isCategorical(chart) ? placeCategories(chart, left, right) : placeNumbers(chart, left, right);
}

const INSET = 14;

function placeNumbers(chart: LineChart, left: number, right: number): CategoryAxis {
  const log = chart.x.scale === 'log';
  const values = [...new Set(shownPoints(chart).map((point) => point.x as number))].sort((a, b) => a - b);
  checkPositive(log, 'x', values);
  const domain = values.length === 0 ? ([log ? 1 : 0, 1] as const) : ([values[0]!, values.at(-1)!] as const);
  const display = displayOf(chart.x.unit, log ? domain[0] : Math.max(Math.abs(domain[0]), Math.abs(domain[1])));
  const scale = (log ? scaleLog() : scaleLinear())
    .domain(domain)
    .range([left + INSET, right - INSET])
    .clamp(true);
  const fits = (ticks: readonly Tick[]): boolean =>
    apart(ticks.map((tick) => [scale(tick.value), textWidth(tick.label, SIZES.text)] as const));
  const ticks =
    dataTicks(values, display, fits) ?? (log ? logTicks(domain, display, fits) : roundTicks(domain, display, fits));
  const axis = finish(chart.x, display, scale, ticks);
  return {
    ...axis,
    position: (value) => axis.position(value as number),
    describe: (value) => axis.describe(value as number),
    step: 0,
  };
}

function roundTicks(
  domain: readonly [number, number],
  display: Display,
  fits: (ticks: readonly Tick[]) => boolean,
): Tick[] {
  return [10, 8, 6, 5, 4, 3, 2].map((count) => linearTicks(domain, display, count)).find(fits) ?? [];
}

function placeCategories(chart: LineChart, left: number, right: number): CategoryAxis {
  const names = [...new Set(chart.series.flatMap((series) => series.points.map((point) => point.x as string)))];
  const others = chart.series.flatMap((series) => (series.references ?? []).map((point) => point.x as string));
  const domain = [...new Set([...names, ...others])];
  const scale = scalePoint<string>().domain(domain).range([left, right]).padding(0.5);
  return {
    position: (value) => scale(value as string)!,
    ticks: domain.map((label) => ({ label, position: scale(label)! })),
    title: chart.x.label,
    describe: String,
    step: scale.step(),
  };
}

function finish(
  axis: ChartAxis,
  display: Display,
  scale: (value: number) => number,
  ticks: readonly Tick[],
): PlacedAxis<number> {
  const unit = display.unit === '' ? '' : ` ${display.unit}`;
  return {
    position: scale,
    ticks: ticks.map(({ value, label }) => ({ label, position: scale(value) })),
    title: display.unit === '' ? axis.label : `${axis.label} (${display.unit})`,
    describe: (value) => `${valueText(value, display)}${unit}`,
  };
}

/** Whether labels of these centres and lengths keep a distance. */
export function apart(labels: readonly (readonly [number, number])[]): boolean {
  const sorted = [...labels].sort((a, b) => a[0] - b[0]);
  return sorted.every(([centre, length], i) => {
    const next = sorted[i + 1];
    return next === undefined || next[0] - next[1] / 2 - (centre + length / 2) >= GAP;
  });
}

const GAP = 9;

function checkPositive(log: boolean, axis: string, values: readonly number[]): void {
  if (log && values.some((value) => !(value > 0)))
    throw new Error(`the logarithmic ${axis} axis has a value that is not positive`);
}

function ends(points: readonly ChartPoint[]): number[] {
  return points.flatMap((point) => [point.y, point.low ?? point.y, point.high ?? point.y]).filter(Number.isFinite);
}

/** Covers values and intervals. Intervals that reach below zero do not stretch the axis of values that are all positive. */
function linearDomain(points: readonly ChartPoint[], zero: boolean): [number, number] {
  const floor = points.some((point) => point.y < 0) ? Number.NEGATIVE_INFINITY : 0;
  const values = [...ends(points).map((value) => Math.max(value, floor)), ...(zero || points.length === 0 ? [0] : [])];
  const [low, high] = [Math.min(...values), Math.max(...values)];
  if (low < high) return [low, high];
  return low === 0 ? [0, 1] : [Math.min(low, 0), Math.max(high, 0)];
}

function niceDomain(domain: readonly [number, number], display: Display, count: number): [number, number] {
  const shown = scaleLinear()
    .domain(domain.map((value) => value * display.factor))
    .nice(count)
    .domain();
  return [shown[0]! / display.factor, shown[1]! / display.factor];
}

/** Out to the next 1, 2 or 5 times a power of ten; values within an octave get a margin of a twentieth instead. */
export function logDomain(points: readonly ChartPoint[]): [number, number] {
  const values = ends(points).filter((value) => value > 0);
  if (values.length === 0) return [1, 10];
  const low = Math.min(...values);
  const high = Math.max(...values);
  if (high < 2 * low) return [low * 0.95, high * 1.05];
  const steps = (value: number): number[] => {
    const exponent = exponentOf(value);
    return ['1', '2', '5', '10'].map((mantissa) => Number(`${mantissa}e${exponent}`));
  };
  return [steps(low).findLast((step) => step <= low)!, steps(high).find((step) => step >= high)!];
}
