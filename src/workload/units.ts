/** Quantities as text: `64KiB`, `1.5us`, `200Gbps`, `50%`. Base units: ps, bytes, bit/s, Hz, percent. */
import { type Dimension, dimensionOf, UNITS } from '../models/quantity.js';
import type { ErrorCode } from './errors.js';
import { nearest } from './nearest.js';

export type { Dimension } from '../models/quantity.js';

const QUANTITY = /^([+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)\s*([A-Za-z%/]*)$/;

const NAMES: Readonly<Record<Dimension, string>> = {
  time: 'a time such as 150ns or 1.5us',
  size: 'a size such as 64KiB or 4MiB',
  rate: 'a rate such as 200Gbps or 25.6GBps',
  frequency: 'a frequency such as 2.2GHz',
  share: 'a share such as 50%',
};

/** What to write: `a time such as 150ns or 1.5us`. */
export function expectedQuantity(dimension: Dimension): string {
  return NAMES[dimension];
}

/** Regular expression of the dimension's spelling, for editors. */
export function quantityPattern(dimension: Dimension): string {
  return `^\\d+(\\.\\d+)?\\s*(${Object.keys(UNITS[dimension]).join('|')})$`;
}

export interface QuantityFault {
  readonly code: ErrorCode;
  readonly message: string;
}

/**
 * The quantity in its base unit, rounded to a whole number where `whole` (times to the nearest picosecond; sizes must be whole
 * bytes as they are), or what is wrong with it.
 */
export function parseQuantity(text: string, dimension: Dimension): number | QuantityFault {
  const match = QUANTITY.exec(text.trim());
  const expected = `expected ${NAMES[dimension]}`;
  if (match === null) {
    return { code: 'E202', message: `${expected}, got "${clip(text)}"` };
  }
  const [, digits, unit] = match as unknown as [string, string, string];
  const number = Number(digits);
  if (unit === '') {
    return { code: 'E201', message: `${expected}, got ${clip(text)} without a unit` };
  }
  const units = UNITS[dimension];
  if (!Object.hasOwn(units, unit)) {
    return { code: 'E202', message: `${expected}, ${unitFault(unit, dimension)}` };
  }
  if (!Number.isFinite(number)) {
    return { code: 'E205', message: `${expected}, got ${clip(text)}` };
  }
  const value = number * units[unit]!;
  if (value < 0) {
    return { code: 'E204', message: `${clip(text)} is negative` };
  }
  if (value > Number.MAX_SAFE_INTEGER) {
    return {
      code: 'E204',
      message: `${clip(text)} is too large: ${formatQuantity(2 ** 53, dimension)} is out of reach`,
    };
  }
  return rounded(value, text, dimension);
}

function rounded(value: number, text: string, dimension: Dimension): number | QuantityFault {
  if (dimension === 'share') {
    return value;
  }
  const whole = Math.round(value);
  if (dimension === 'size' && Math.abs(value - whole) > 1e-6) {
    return { code: 'E203', message: `${clip(text)} is not a whole number of bytes` };
  }
  if (whole === 0 && value > 0) {
    return { code: 'E204', message: `${clip(text)} rounds to zero` };
  }
  return whole;
}

function unitFault(unit: string, dimension: Dimension): string {
  const units = Object.keys(UNITS[dimension]);
  const other = dimensionOf(unit);
  if (other !== null) {
    return `but "${unit}" is a unit of ${other}`;
  }
  const spelling = unit.toLowerCase();
  const alike = units.find((name) => [name, name.replace('i', '')].some((text) => text.toLowerCase() === spelling));
  const close = alike ?? nearest(unit, units);
  return `unknown unit "${clip(unit)}" (${units.join(', ')})${close === null ? '' : `; did you mean "${close}"?`}`;
}

/** The value with the largest unit that writes it exactly and shortly; reads back as the same number. */
export function formatQuantity(value: number, dimension: Dimension): string {
  const units = Object.entries(UNITS[dimension]).filter(([unit]) => !/^(MBps|GBps)$/.test(unit));
  const decimals = dimension === 'size' ? 0 : 3;
  for (const [unit, factor] of units.reverse()) {
    if (value >= factor && isShort(value / factor, decimals)) {
      return `${value / factor}${unit}`;
    }
  }
  return `${value}${units.at(-1)![0]}`;
}

function isShort(value: number, decimals: number): boolean {
  const scaled = value * 10 ** decimals;
  return Math.abs(scaled - Math.round(scaled)) === 0 && String(value).length <= 12;
}

function clip(text: string): string {
  return text.length > 40 ? `${text.slice(0, 40)}...` : text;
}
