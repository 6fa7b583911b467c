/** Values of a swept path as the places of an axis: numbers in one unit where all are numbers or quantities, texts otherwise. */
import type { Dimension } from '../../models/quantity.js';
import { dimensionOf } from '../../models/quantity.js';
import { parseQuantity } from '../../workload/units.js';

export interface AxisValues {
  /** Unit of the numbers, as `ChartAxis` names it. */
  readonly unit: string;
  /** One for each text; null = the texts are names. */
  readonly numbers: readonly number[] | null;
}

/** Base units of quantities -> units of the result files. */
const SHOWN: Readonly<Record<Dimension, { readonly unit: string; readonly divisor: number }>> = {
  time: { unit: 'ns', divisor: 1e3 },
  size: { unit: 'bytes', divisor: 1 },
  rate: { unit: 'Gb/s', divisor: 1e9 },
  frequency: { unit: 'GHz', divisor: 1e9 },
  share: { unit: '%', divisor: 1 },
};

const NUMBER = /^[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?$/;
const UNIT = /[A-Za-z%]+$/;
/** Values that span this factor are spread evenly by a logarithmic axis. */
const WIDE = 32;

export function axisValues(texts: readonly string[]): AxisValues {
  const names = { unit: '', numbers: null };
  if (texts.length === 0) return names;
  if (texts.every((text) => NUMBER.test(text))) return { unit: '', numbers: texts.map(Number) };
  const dimension = dimensionOf(UNIT.exec(texts[0]!)?.[0] ?? '');
  if (dimension === null) return names;
  const quantities = texts.map((text) => parseQuantity(text, dimension)).filter((value) => typeof value === 'number');
  if (quantities.length < texts.length) return names;
  const { unit, divisor } = SHOWN[dimension];
  return { unit, numbers: quantities.map((value) => value / divisor) };
}

/** Whether a logarithmic axis shows these values better. */
export function isWide(values: readonly number[]): boolean {
  return values.length > 0 && Math.min(...values) > 0 && Math.max(...values) >= WIDE * Math.min(...values);
}
