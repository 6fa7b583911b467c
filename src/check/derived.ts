/**
 * Figures that the publication's data yield only by calculation, computed from simulated series as they were from published
 * ones. MISS: mean latency at 64 MiB with 4 KiB pages less that without IOMMU, cold host cache. NEFF(W): (1 - miss) * pages with
 * miss = added latency at W / added latency at 64 MiB. WALKPAR: all-miss 64 B reads a second at 64 MiB times MISS.
 */
import { type PublishedSeries, windowKiB } from './published.js';

export const DERIVED_TESTS: ReadonlySet<string> = new Set(['MISS', 'NEFF', 'WALKPAR']);

/** Tolerance of a derived figure. */
export const DERIVED_TOLERANCE = 0.1;

const ALL_MISS = '65536KiB';

/** Simulated value of a host's series at a window; NaN when it was not simulated. */
export type Lookup = (test: string, hostCache: string, iommu: PublishedSeries['iommu'], window: string) => number;

export function derivedValue(test: string, window: string, at: Lookup): number {
  const added = (w: string): number => at('LAT64', 'cold', '4KiB', w) - at('LAT64', 'cold', 'off', w);
  switch (test) {
    case 'MISS':
      return added(ALL_MISS);
    case 'NEFF':
      return (1 - added(window) / added(ALL_MISS)) * (windowKiB(window) / 4);
    case 'WALKPAR':
      // Gb/s over 512 bits is reads a nanosecond.
      return (at('BWrd64', 'device-warm', '4KiB', ALL_MISS) / 512) * added(ALL_MISS);
  }
  throw new RangeError(`${test} is not a derived figure`);
}
