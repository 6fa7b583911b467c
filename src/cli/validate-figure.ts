/** A figure of `validate`: the bandwidth curves of one host, published points as hollow markers, simulation as lines. */
import { join } from 'node:path';
import { windowKiB } from '../check/published.js';
import type { ScoredSeries } from '../check/score.js';
import type { Validation } from '../check/validation.js';
import { figureFiles } from '../report/figure/files.js';
import type { ChartSeries, LineChart } from '../report/figure.js';
import { writeAtomically } from './write.js';

/** Order and names of the curves in the legend. */
const CURVES: readonly [test: string, name: string][] = [
  ['BWrd64', 'read 64 B'],
  ['BWrd128', 'read 128 B'],
  ['BWrd256', 'read 256 B'],
  ['BWrd512', 'read 512 B'],
  ['BWwr64', 'write 64 B'],
  ['BWwr256', 'write 256 B'],
];

function curve({ points }: ScoredSeries, name: string): ChartSeries {
  const at = (window: string): number => windowKiB(window) * 1024;
  return {
    name,
    points: points.map(({ window, simulated }) => ({ x: at(window), y: simulated })),
    references: points.map(({ window, published }) => ({ x: at(window), y: published })),
  };
}

/** The chart of a host's scored bandwidth curves with 4 KiB pages; null when there are none. */
function bandwidthChart(validation: Validation, host: string): LineChart | null {
  const mine = validation.series.filter(({ series }) => series.host === host && series.iommu === '4KiB');
  const series = CURVES.flatMap(([test, name]) => {
    const scored = mine.find((s) => s.series.test === test);
    return scored === undefined ? [] : [curve(scored, name)];
  });
  if (series.length === 0) return null;
  return {
    title: `${host}: DMA bandwidth against the window it falls into`,
    subtitle: 'Random DMA through the IOMMU with 4 KiB pages, device-warm cache.',
    x: { label: 'window', unit: 'bytes', scale: 'log' },
    y: { label: 'payload bandwidth', unit: 'Gb/s', zero: true },
    series,
    references: 'published (pcie-bench)',
  };
}

/** Writes SVG, CSV and Vega-Lite files for every host of the validation that has such curves. Throws OutputError. */
export function writeFigures(validation: Validation, folder: string): void {
  for (const host of new Set(validation.series.map(({ series }) => series.host))) {
    const chart = bandwidthChart(validation, host);
    if (chart === null) continue;
    for (const file of figureFiles(chart, `pcie-bench-${host}`)) {
      writeAtomically(join(folder, file.name), file.chunks.join(''));
    }
  }
}
