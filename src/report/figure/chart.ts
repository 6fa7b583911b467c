/**
 * What a figure shows: the input of `lineChart` and of the files beside it. Values are in the units of the result files; the
 * figure chooses prefixes and percent signs itself.
 */

export interface ChartPoint {
  /** A number on a numeric axis, a text on a category axis; one kind for the whole chart. */
  readonly x: number | string;
  /** NaN = no value: the line has a gap here. */
  readonly y: number;
  /** 95 % interval of `y`; absent when there is none. */
  readonly low?: number;
  readonly high?: number;
  /** Number of values behind `y`. */
  readonly n?: number;
}

export interface ChartSeries {
  /** Text of the legend. */
  readonly name: string;
  /** In the order of the axis. */
  readonly points: readonly ChartPoint[];
  /** Points from elsewhere, such as published measurements: hollow markers of the series' colour, without a line. */
  readonly references?: readonly ChartPoint[];
  /** Index of the colour; default: position of the series. Series that share it differ in `style`. */
  readonly colour?: number;
  /** Index of dash and marker; default: position of the series. */
  readonly style?: number;
}

export interface ChartAxis {
  /** What is shown, without its unit. */
  readonly label: string;
  /** Name of the quantity in the data files; default: the label. */
  readonly name?: string;
  /** `bytes`, `ns`, `ratio`, `Gb/s`, `1/s`, a word for what is counted, or empty. */
  readonly unit: string;
  /** Default: linear. A logarithmic axis needs positive values. */
  readonly scale?: 'linear' | 'log';
}

export interface LineChart {
  readonly title: string;
  /** One sentence under the title. */
  readonly subtitle?: string;
  readonly x: ChartAxis;
  /** `zero`: a linear axis starts at zero (default: true). */
  readonly y: ChartAxis & { readonly zero?: boolean };
  readonly series: readonly ChartSeries[];
  /** What the series differ in; stands before the legend. */
  readonly legend?: string;
  /** What the hollow markers are, for the legend; needed when a series has references. */
  readonly references?: string;
  /** How intervals are drawn; default: a band. On a category axis always bars. */
  readonly interval?: 'band' | 'bars';
  /** Small print under the figure. */
  readonly note?: string;
  /** Pixels; defaults: 720 x 440. The height grows by extra lines of legend, title and note. */
  readonly width?: number;
  readonly height?: number;
}

/** Finite points of all series, references included. */
export function shownPoints(chart: LineChart): ChartPoint[] {
  return chart.series.flatMap((series) =>
    [...series.points, ...(series.references ?? [])].filter((point) => Number.isFinite(point.y)),
  );
}

/** Whether x values are texts. @throws Error when numbers and texts are mixed. */
export function isCategorical(chart: LineChart): boolean {
  const kinds = new Set(
    chart.series.flatMap((series) => [...series.points, ...(series.references ?? [])].map((point) => typeof point.x)),
  );
  if (kinds.size > 1) throw new Error('the x values of a chart are all numbers or all texts');
  return kinds.has('string');
}
