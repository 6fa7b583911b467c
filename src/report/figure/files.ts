/** The three files of a figure: the picture, its numbers, and a specification to draw it anew. */
import type { ReportFile } from '../../run/store.js';
import { lineChart } from '../figure.js';
import type { LineChart } from './chart.js';
import { chartCsv } from './data.js';
import { vegaLite } from './vega-lite.js';

/** `STEM.svg`, `STEM.csv` and `STEM.vl.json`. @throws Error as `lineChart` does. */
export function figureFiles(chart: LineChart, stem: string): readonly ReportFile[] {
  return [
    { name: `${stem}.svg`, chunks: [lineChart(chart)] },
    { name: `${stem}.csv`, chunks: [chartCsv(chart)] },
    { name: `${stem}.vl.json`, chunks: [vegaLite(chart)] },
  ];
}
