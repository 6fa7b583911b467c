/**
 * Values as an axis shows them: nanoseconds as ns, µs or ms, ratios in percent, large counts in thousands or millions, bytes as KiB or
 * MiB at each tick.
 */

export interface Display {
  /** Shown number = value x factor. */
  readonly factor: number;
  /** Unit of the shown numbers for the title of the axis; empty when ticks carry it or there is none. */
  readonly unit: string;
  /** Unit that every tick carries. */
  readonly suffix: string;
}

/** A larger unit is used from `from` on. */
const TIMES = [
  { from: 1e10, factor: 1e-9, unit: 's' },
  { from: 1e7, factor: 1e-6, unit: 'ms' },
  { from: 1e4, factor: 1e-3, unit: 'µs' },
];
const WORDS = [
  { from: 1e9, factor: 1e-9, unit: 'billion' },
  { from: 1e6, factor: 1e-6, unit: 'million' },
  { from: 1e4, factor: 1e-3, unit: 'thousand' },
];
const BINARY = [
  { factor: 1 / 1024 ** 4, unit: 'TiB' },
  { factor: 1 / 1024 ** 3, unit: 'GiB' },
  { factor: 1 / 1024 ** 2, unit: 'MiB' },
  { factor: 1 / 1024, unit: 'KiB' },
];
/** Units that have their size in their name. */
const AS_IS: ReadonlySet<string> = new Set(['Gb/s', 'GHz', '%']);

/** How values up to `magnitude` in `unit` are shown. */
export function displayOf(unit: string, magnitude: number): Display {
  switch (unit) {
    case 'bytes': {
      const size = BINARY.find(({ factor }) => magnitude * factor >= 1);
      return { factor: size?.factor ?? 1, unit: '', suffix: size?.unit ?? 'B' };
    }
    case 'ratio':
      return { factor: 100, unit: '%', suffix: '' };
    case 'ns': {
      const time = TIMES.find(({ from }) => magnitude >= from);
      return { factor: time?.factor ?? 1, unit: time?.unit ?? 'ns', suffix: '' };
    }
    default:
      return { ...counted(unit, magnitude), suffix: '' };
  }
}

function counted(unit: string, magnitude: number): { factor: number; unit: string } {
  const noun = unit === 'count' || unit === '1' ? '' : unit;
  const word = AS_IS.has(unit) ? undefined : WORDS.find(({ from }) => magnitude >= from);
  if (word === undefined) return { factor: 1, unit: noun };
  if (noun.startsWith('1/')) return { factor: word.factor, unit: `${word.unit}${noun.slice(1)}` };
  return { factor: word.factor, unit: `${word.unit} ${noun}`.trimEnd() };
}

/** `4 KiB`, `1.5 MiB`, `64 B`. */
export function sizeText(bytes: number): string {
  const { factor, suffix } = displayOf('bytes', bytes);
  return `${numberText(bytes * factor)} ${suffix}`;
}

/** At most five significant digits for fractions; integers in full with commas; powers of ten from a million on. */
export function numberText(value: number): string {
  if (value === 0) return '0';
  const magnitude = Math.abs(value);
  const [digits = '', exponent = '0'] = magnitude.toExponential().split('e');
  if (digits === '1' && (magnitude >= 1e6 || magnitude < 1e-3))
    return `${sign(value)}10${superscript(Number(exponent))}`;
  const rounded = Number.isInteger(value) ? magnitude : Number(magnitude.toPrecision(5));
  return sign(value) + (rounded >= 1000 ? grouped(rounded) : String(rounded));
}

function sign(value: number): string {
  return value < 0 ? '−' : '';
}

function grouped(value: number): string {
  const [whole = '', fraction] = String(value).split('.');
  const groups = whole.replace(/\B(?=(\d{3})+$)/g, ',');
  return fraction === undefined ? groups : `${groups}.${fraction}`;
}

function superscript(exponent: number): string {
  const digits = String(Math.abs(exponent)).replace(/\d/g, (digit) => '⁰¹²³⁴⁵⁶⁷⁸⁹'[Number(digit)]!);
  return `${exponent < 0 ? '⁻' : ''}${digits}`;
}
