/**
 * Figures that the publication's data yield only by calculation, computed from simulated series as they were from published
 * ones. MISS: mean latency at 64 MiB with 4 KiB pages less that without IOMMU, cold host cache. NEFF(W): (1 - miss) * pages with
 * miss = added latency at W / added latency at 64 MiB. WALKPAR: all-miss 64 B reads a second at 64 MiB times MISS.
 */
import { type PublishedSeries, windowKiB } from './published.js';

export const DERIVED_TESTS: ReadonlySet<string> = new Set(['MISS', 'NEFF', 'WALKPAR']);

/** Tolerance of a derived figure. */
export const DERIVED_TOLERANCE = 0.1;

/** A value of a host's curves that a derived figure is computed from. */
export type DerivedInput = Pick<PublishedSeries, 'test' | 'hostCache' | 'iommu'> & { readonly window: string };

const ALL_MISS = '65536KiB';
const ALL_MISS_READS: DerivedInput = { test: 'BWrd64', hostCache: 'device-warm', iommu: '4KiB', window: ALL_MISS };

/** Cold latency with 4 KiB pages and without IOMMU. */
function latencies(window: string): DerivedInput[] {
  const at = (iommu: '4KiB' | 'off'): DerivedInput => ({ test: 'LAT64', hostCache: 'cold', iommu, window });
  return [at('4KiB'), at('off')];
}

/** What `derivedValue` needs, in its order. */
export function derivedInputs(test: string, window: string): DerivedInput[] {
  switch (test) {
    case 'NEFF':
      return [...latencies(ALL_MISS), ...latencies(window)];
    case 'WALKPAR':
      return [...latencies(ALL_MISS), ALL_MISS_READS];
  }
  return latencies(ALL_MISS);
}

export function derivedValue(test: string, window: string, inputs: readonly number[]): number {
  const [on, off, third, fourth] = inputs as [number, number, number, number];
  const miss = on - off;
  switch (test) {
    case 'NEFF':
      return (1 - (third - fourth) / miss) * (windowKiB(window) / 4);
    case 'WALKPAR':
      // Gb/s over 512 bits is reads a nanosecond.
      return (third / 512) * miss;
  }
  return miss;
}
