/**
 * What a fit minimises, for one series: the squares of errors measured in tolerances, with an extra charge close to and beyond
 * the limit, and for series with the IOMMU on a charge for a knee that lies in another grid step, or is about to.
 */
import { windowKiB, type PublishedSeries } from '../published.js';
import { isLatency, kneeDepth, kneeIndex, tolerances } from '../score.js';

/** Beyond this many tolerances an error costs in proportion, not squared: one outlier must not pull a curve. */
const STRAIGHT = 2;
/** An error of more than this share of its tolerance is charged extra. */
const CLOSE = 0.8;
/** Tolerance of a latency in ns, with the IOMMU on too: published latencies repeat to a nanosecond and pin what bandwidths leave open. */
const LATENCY = 10;
/** Depth, relative to the 256 KiB value, by which a knee should be clear of its threshold, and the charge for missing it. */
const KNEE_MARGIN = 0.008;
const KNEE_SCALE = 0.01;
const KNEE_CAP = 6;

/** The published series cut down to the windows that the fit looks at. */
export function fitWindows(series: PublishedSeries): PublishedSeries {
  const values = series.points.map((p) => p.value);
  const windows = series.points.map((p) => p.window);
  const flat = Math.max(...values) < 1.02 * Math.min(...values);
  const knee = kneeIndex(isLatency(series), windows, values);
  const wanted = flat ? FLAT : series.iommu === '4KiB' ? WALKED : CACHED;
  const points = series.points.filter((p, i) => wanted.has(p.window) || (knee >= 0 && i >= knee - 1 && i <= knee + 1));
  return { ...series, points };
}

const FLAT = new Set(['16KiB', '256KiB', '2048KiB', '65536KiB']);
const CACHED = new Set([
  '16KiB',
  '256KiB',
  '512KiB',
  '1024KiB',
  '1536KiB',
  '2048KiB',
  '3072KiB',
  '4096KiB',
  '8192KiB',
  '65536KiB',
]);
const WALKED = new Set(['16KiB', '256KiB', '512KiB', '1024KiB', '2048KiB', '4096KiB', '8192KiB', '65536KiB']);

export function seriesCost(series: PublishedSeries, simulated: readonly number[]): number {
  const allowed = isLatency(series) ? series.points.map(({ value }) => LATENCY / value) : tolerances(series);
  const points = series.points.reduce((sum, { value }, i) => {
    const error = Math.abs(simulated[i]! - value) / value / allowed[i]!;
    const squared = error < STRAIGHT ? error * error : STRAIGHT * (2 * error - STRAIGHT);
    return sum + 0.3 * squared + 4 * Math.max(0, error - CLOSE);
  }, 0);
  return points + (series.iommu === 'off' ? 0 : kneeCost(series, simulated));
}

function kneeCost(series: PublishedSeries, simulated: readonly number[]): number {
  const latency = isLatency(series);
  const windows = series.points.map((p) => p.window);
  const knee = kneeIndex(
    latency,
    windows,
    series.points.map((p) => p.value),
  );
  const charge = (missing: number): number => Math.min(KNEE_CAP, (Math.max(0, missing) / KNEE_SCALE) ** 2);
  return kneeDepth(latency, windows, simulated).reduce((sum, depth, i) => {
    if (windowKiB(windows[i]!) <= 256 || (knee >= 0 && i > knee)) return sum;
    return sum + charge(i === knee ? KNEE_MARGIN - depth : KNEE_MARGIN + depth);
  }, 0);
}
