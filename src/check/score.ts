/**
 * When a simulated pcie-bench series agrees with the published one. IOMMU off: 3 % of bandwidth, 10 ns of latency. IOMMU on:
 * 10 % on each point, 15 % inside the knee, and the knee in the same grid step. Knee: the first grid step whose bandwidth is
 * below 95 % (latency above 105 %) of the 256 KiB value; inside: that step and the next two.
 */
import { type PublishedSeries, windowKiB } from './published.js';
import { missReason } from './reasons.js';

export interface ScoredPoint {
  readonly window: string;
  /** NaN when nothing is published for the window. */
  readonly published: number;
  readonly simulated: number;
  /** (simulated - published) / published. */
  readonly error: number;
  readonly tolerance: number;
  readonly ok: boolean;
  /** Why the point is missed, when the data themselves are the reason; empty when not known. */
  readonly reason: string;
}

export interface ScoredSeries {
  readonly series: PublishedSeries;
  /** Only rows tagged CAL count; others are printed beside them. */
  readonly scored: boolean;
  readonly points: readonly ScoredPoint[];
  /** Window of the knee, or null for a curve without one. */
  readonly publishedKnee: string | null;
  readonly simulatedKnee: string | null;
  /** Only series with the IOMMU on have a knee to hit. */
  readonly kneeOk: boolean;
}

const KNEE_LATENCY = 1.05;
const KNEE_BANDWIDTH = 0.95;
const REFERENCE = '256KiB';

export const isLatency = (series: Pick<PublishedSeries, 'unit'>): boolean => series.unit === 'ns';

/** How far a value is beyond the knee, relative to the 256 KiB value: positive from the knee on. NaN without that value. */
export function kneeDepth(latency: boolean, windows: readonly string[], values: readonly number[]): number[] {
  const reference = values[windows.indexOf(REFERENCE)] ?? Number.NaN;
  return values.map((value) => (latency ? value / reference - KNEE_LATENCY : KNEE_BANDWIDTH - value / reference));
}

/** Index of the knee, or -1. */
export function kneeIndex(latency: boolean, windows: readonly string[], values: readonly number[]): number {
  return kneeDepth(latency, windows, values).findIndex(
    (depth, i) => windowKiB(windows[i]!) > windowKiB(REFERENCE) && depth > 0,
  );
}

/** Relative tolerance of each point of a series. */
export function tolerances(series: PublishedSeries): number[] {
  const latency = isLatency(series);
  const windows = series.points.map((p) => p.window);
  const values = series.points.map((p) => p.value);
  const knee = kneeIndex(latency, windows, values);
  return values.map((value, i) => {
    if (series.iommu === 'off') return latency ? 10 / value : 0.03;
    return knee >= 0 && i >= knee && i <= knee + 2 ? 0.15 : 0.1;
  });
}

export function scoreSeries(series: PublishedSeries, simulated: readonly number[]): ScoredSeries {
  const latency = isLatency(series);
  const windows = series.points.map((p) => p.window);
  const allowed = tolerances(series);
  const knee = kneeIndex(
    latency,
    windows,
    series.points.map((p) => p.value),
  );
  const simulatedKnee = kneeIndex(latency, windows, simulated);
  const points = series.points.map((p, i): ScoredPoint => {
    const error = (simulated[i]! - p.value) / p.value;
    const ok = Math.abs(error) <= allowed[i]!;
    return {
      window: p.window,
      published: p.value,
      simulated: simulated[i]!,
      error,
      tolerance: allowed[i]!,
      ok,
      reason: ok ? '' : missReason(series.row, p.window),
    };
  });
  return {
    series,
    scored: series.use === 'CAL',
    points,
    publishedKnee: knee < 0 ? null : windows[knee]!,
    simulatedKnee: simulatedKnee < 0 ? null : windows[simulatedKnee]!,
    kneeOk: series.iommu === 'off' || knee === simulatedKnee,
  };
}
