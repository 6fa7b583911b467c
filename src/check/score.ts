/**
 * When a simulated pcie-bench series agrees with the published one. IOMMU off: 3 % of bandwidth, 10 ns of latency. IOMMU on:
 * 10 % on each point, 15 % inside the knee, and the knee in the same grid step. Knee: the first grid step whose bandwidth is
 * below 95 % (latency above 105 %) of the 256 KiB value; inside: that step and the next two.
 */
import { type PublishedSeries, windowKiB } from './published.js';

export interface ScoredPoint {
  readonly window: string;
  readonly published: number;
  readonly simulated: number;
  /** (simulated - published) / published. */
  readonly error: number;
  readonly tolerance: number;
  readonly ok: boolean;
}

export interface ScoredSeries {
  readonly series: PublishedSeries;
  readonly points: readonly ScoredPoint[];
  /** Window of the knee, or null for a curve without one. */
  readonly publishedKnee: string | null;
  readonly simulatedKnee: string | null;
  readonly kneeOk: boolean;
}

const isLatency = (series: PublishedSeries): boolean => series.unit === 'ns';

/** Index of the knee, or -1. */
export function kneeIndex(latency: boolean, windows: readonly string[], values: readonly number[]): number {
  const reference = values[windows.indexOf('256KiB')];
  if (reference === undefined) return -1;
  return values.findIndex(
    (value, i) => windowKiB(windows[i]!) > 256 && (latency ? value > 1.05 * reference : value < 0.95 * reference),
  );
}

export function scoreSeries(series: PublishedSeries, simulated: readonly number[]): ScoredSeries {
  const latency = isLatency(series);
  const windows = series.points.map((p) => p.window);
  const values = series.points.map((p) => p.value);
  const knee = kneeIndex(latency, windows, values);
  const simulatedKnee = kneeIndex(latency, windows, simulated);
  const points = series.points.map((p, i): ScoredPoint => {
    const error = (simulated[i]! - p.value) / p.value;
    const inside = knee >= 0 && i >= knee && i <= knee + 2;
    const tolerance = series.iommu === 'off' ? (latency ? 10 / p.value : 0.03) : inside ? 0.15 : 0.1;
    return {
      window: p.window,
      published: p.value,
      simulated: simulated[i]!,
      error,
      tolerance,
      ok: Math.abs(error) <= tolerance,
    };
  });
  return {
    series,
    points,
    publishedKnee: knee < 0 ? null : windows[knee]!,
    simulatedKnee: simulatedKnee < 0 ? null : windows[simulatedKnee]!,
    kneeOk: series.iommu === 'off' || knee === simulatedKnee,
  };
}
