/**
 * Confidence intervals over independent repetitions (seeds): Student's t, two-sided 95 %.
 */

import { mean, sampleStandardDeviation } from 'simple-statistics';

export interface Interval {
  readonly mean: number;
  /** Bounds; NaN with a single value, which says nothing about its spread. */
  readonly low: number;
  readonly high: number;
  /** Number of values. */
  readonly n: number;
}

/** 97.5 % quantile of Student's t for 1 to 30 degrees of freedom (recomputed in the test). */
const T_TABLE = [
  12.7062047362, 4.3026527297, 3.1824463053, 2.7764451052, 2.5705818356, 2.4469118511, 2.364624251, 2.3060041352,
  2.2621571628, 2.228138852, 2.2009851601, 2.1788128297, 2.1603686565, 2.1447866879, 2.1314495456, 2.1199052992,
  2.1098155778, 2.1009220402, 2.0930240544, 2.0859634473, 2.0796138447, 2.0738730679, 2.0686576104, 2.0638985616,
  2.0595385528, 2.0555294386, 2.0518305165, 2.0484071418, 2.0452296421, 2.0422724563,
];
/** 97.5 % quantile of the normal distribution. */
const Z = 1.9599639845400545;

/**
 * 97.5 % quantile of Student's t with `df` degrees of freedom (an integer from 1 on). Above 30 by the expansion in 1/df
 * (Abramowitz and Stegun 26.7.5), error below 1e-7.
 */
export function studentT975(df: number): number {
  if (!Number.isSafeInteger(df) || df < 1) throw new RangeError(`degrees of freedom: ${df}`);
  const exact = T_TABLE[df - 1];
  if (exact !== undefined) return exact;
  const z2 = Z * Z;
  const g1 = (z2 + 1) / 4;
  const g2 = ((5 * z2 + 16) * z2 + 3) / 96;
  const g3 = (((3 * z2 + 19) * z2 + 17) * z2 - 15) / 384;
  const g4 = ((((79 * z2 + 776) * z2 + 1482) * z2 - 1920) * z2 - 945) / 92160;
  return Z * (1 + (g1 + (g2 + (g3 + g4 / df) / df) / df) / df);
}

/** Mean of `values` and its 95 % confidence interval. Throws RangeError without values. */
export function confidence95(values: readonly number[]): Interval {
  const n = values.length;
  if (n === 0) throw new RangeError('no values');
  const centre = mean([...values]);
  if (n === 1) return { mean: centre, low: Number.NaN, high: Number.NaN, n };
  const half = (studentT975(n - 1) * sampleStandardDeviation([...values])) / Math.sqrt(n);
  return { mean: centre, low: centre - half, high: centre + half, n };
}
