/**
 * Numbers of model sheets: a value, its unit, where it was found and how far it can be trusted. The unit table is also
 * what workload files are read with, so that a sheet and a file spell a quantity alike.
 */

/** `spec`: a data sheet, specification or source code. `measured`: a published measurement of this part. `fitted`: chosen so that a run reproduces published rows. `assumed`: an estimate. */
export type Confidence = 'spec' | 'measured' | 'fitted' | 'assumed';

export interface Quantity {
  readonly value: number | string | boolean;
  /** A unit of `UNITS`, or a word for what is counted (`entries`, `lanes`); empty for names and switches. */
  readonly unit: string;
  readonly source: string;
  readonly confidence: Confidence;
}

export type Dimension = 'time' | 'size' | 'rate' | 'frequency' | 'share';

/** Factor to the base unit of each dimension: ps, byte, bit/s, Hz, and percent. */
export const UNITS: Readonly<Record<Dimension, Readonly<Record<string, number>>>> = {
  time: { ps: 1, ns: 1e3, us: 1e6, ms: 1e9, s: 1e12 },
  size: { B: 1, KiB: 1024, MiB: 1024 ** 2, GiB: 1024 ** 3, TiB: 1024 ** 4 },
  rate: { bps: 1, kbps: 1e3, Mbps: 1e6, Gbps: 1e9, Tbps: 1e12, MBps: 8e6, GBps: 8e9 },
  frequency: { Hz: 1, kHz: 1e3, MHz: 1e6, GHz: 1e9 },
  share: { '%': 1 },
};

const KNOWN: ReadonlySet<string> = new Set(Object.values(UNITS).flatMap((units) => Object.keys(units)));

/** Dimension that owns a unit; null for words such as `entries`. */
export function dimensionOf(unit: string): Dimension | null {
  for (const dimension of Object.keys(UNITS) as Dimension[]) {
    if (Object.hasOwn(UNITS[dimension], unit)) {
      return dimension;
    }
  }
  return null;
}

/** The quantity as a workload file writes it: text with a unit, or a plain number, name or switch. */
export function quantityInput(quantity: Quantity): string | number | boolean {
  return KNOWN.has(quantity.unit) ? `${quantity.value}${quantity.unit}` : quantity.value;
}

type Value = Quantity['value'];

export function spec(value: Value, unit: string, source: string): Quantity {
  return { value, unit, source, confidence: 'spec' };
}

export function measured(value: Value, unit: string, source: string): Quantity {
  return { value, unit, source, confidence: 'measured' };
}

export function assumed(value: Value, unit: string, source: string): Quantity {
  return { value, unit, source, confidence: 'assumed' };
}
