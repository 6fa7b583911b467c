/** The plotted numbers as tidy CSV: one record for each marker, in the units of the result files. */
import { csvText } from '../csv.js';
import { formatNumber } from '../number.js';
import type { ChartAxis, ChartPoint, LineChart } from './chart.js';

/** `simulated`: a point of a line. `reference`: a hollow marker. */
export type Kind = 'simulated' | 'reference';

export interface Datum {
  readonly series: string;
  readonly kind: Kind;
  readonly point: ChartPoint;
}

/** All points, series by series, references of a series after its own points. */
export function chartData(chart: LineChart): Datum[] {
  return chart.series.flatMap((series) => [
    ...series.points.map((point) => ({ series: series.name, kind: 'simulated', point }) as const),
    ...(series.references ?? []).map((point) => ({ series: series.name, kind: 'reference', point }) as const),
  ]);
}

const HEADER = ['series', 'kind', 'x_name', 'x_unit', 'x', 'y_name', 'y_unit', 'y', 'low', 'high', 'n'];

/** A value that is missing is the empty field. */
export function chartCsv(chart: LineChart): string {
  const records = chartData(chart).map(({ series, kind, point }) => [
    ...[series, kind, ...nameAndUnit(chart.x)],
    typeof point.x === 'number' ? formatNumber(point.x) : point.x,
    ...nameAndUnit(chart.y),
    ...[point.y, point.low, point.high, point.n].map((value) => formatNumber(value ?? Number.NaN)),
  ]);
  return csvText([HEADER, ...records]);
}

function nameAndUnit(axis: ChartAxis): string[] {
  return [axis.name ?? axis.label, axis.unit];
}
