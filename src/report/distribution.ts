/** Latency distributions of one design over its seeds: bucket counts are added, so the merged distribution is exact. */
import type { HistogramResult } from '../run/result.js';

export interface MergedHistogram {
  readonly component: string;
  readonly metric: string;
  /** Low bound (ps) -> high bound and count. */
  readonly buckets: Map<number, { readonly high: number; count: number }>;
}

export class Distributions {
  private readonly merged = new Map<string, MergedHistogram>();

  add(histograms: readonly HistogramResult[]): void {
    for (const { component, metric, buckets } of histograms) {
      const key = `${component}.${metric}`;
      const target = this.merged.get(key) ?? { component, metric, buckets: new Map() };
      this.merged.set(key, target);
      for (let i = 0; i < buckets.length; i += 3) {
        const [low, high, count] = [buckets[i]!, buckets[i + 1]!, buckets[i + 2]!];
        const bucket = target.buckets.get(low);
        if (bucket === undefined) target.buckets.set(low, { high, count });
        else if (bucket.high !== high) throw new Error(`buckets of ${key} differ between seeds at ${low} ps`);
        else bucket.count += count;
      }
    }
  }

  /** Buckets in order of first appearance of the distribution, then of their bounds. */
  forEachBucket(fn: (component: string, metric: string, low: number, high: number, count: number) => void): void {
    for (const { component, metric, buckets } of this.merged.values()) {
      const lows = Float64Array.from(buckets.keys()).sort();
      for (const low of lows) {
        const { high, count } = buckets.get(low)!;
        fn(component, metric, low, high, count);
      }
    }
  }
}
