/**
 * Numbers as text. In files: plain decimals with at most 12 significant digits, integers exact, the same on every host and in
 * every locale. On the terminal: three or four digits with a unit prefix.
 */

const SIGNIFICANT_DIGITS = 12;

/**
 * A number for a CSV field. Integers below 2^53 in full; other values rounded to 12 significant digits without trailing zeros
 * and without an exponent, except below 1e-12 and from 1e21 on. Values that are not finite give the empty field.
 */
export function formatNumber(value: number): string {
  if (!Number.isFinite(value)) return '';
  if (Number.isSafeInteger(value)) return String(value === 0 ? 0 : value);
  const rounded = Number(value.toPrecision(SIGNIFICANT_DIGITS));
  const magnitude = Math.abs(rounded);
  if (magnitude < 1e-12 || magnitude >= 1e-6) return String(rounded);
  return plain(rounded);
}

/** Decimal form of a number that JavaScript would print as `1.5e-7`. */
function plain(value: number): string {
  const [mantissa = '', exponent = '0'] = Math.abs(value).toExponential().split('e');
  const digits = mantissa.replace('.', '');
  return `${value < 0 ? '-' : ''}0.${'0'.repeat(-Number(exponent) - 1)}${digits}`;
}

/** Integer picoseconds as exact nanoseconds: at most three decimals. */
export function formatPsAsNs(ps: number): string {
  const whole = Math.floor(ps / 1000);
  const rest = ps - whole * 1000;
  if (rest === 0) return String(whole);
  return `${whole}.${String(rest).padStart(3, '0').replace(/0+$/, '')}`;
}

const PREFIXES = ['', 'k', 'M', 'G', 'T', 'P'] as const;
const TIMES = [
  ['ns', 1],
  ['us', 1e3],
  ['ms', 1e6],
  ['s', 1e9],
] as const;

/** A value for a person, with its 95 % half interval when that is a number: `1.234M ±0.012M`, `812 ns ±3 ns`, `98.2 %`. */
export function formatHuman(value: number, half: number, unit: string): string {
  if (!Number.isFinite(value)) return '-';
  const { scale, suffix } = scaleOf(value, unit);
  const decimals = decimalsOf(value / scale);
  const interval = half > 0 && Number.isFinite(half) ? ` ±${(half / scale).toFixed(decimals)}` : '';
  return `${(value / scale).toFixed(decimals)}${interval}${suffix}`;
}

function scaleOf(value: number, unit: string): { scale: number; suffix: string } {
  const magnitude = Math.abs(value);
  if (unit === 'ratio') return { scale: 0.01, suffix: ' %' };
  if (unit === 'ns') {
    const [suffix, scale] = TIMES.findLast(([, size]) => magnitude >= size) ?? TIMES[0];
    return { scale, suffix: ` ${suffix}` };
  }
  let scale = 1;
  let index = 0;
  while (magnitude >= 1000 * scale && index < PREFIXES.length - 1) {
    scale *= 1000;
    index++;
  }
  return { scale, suffix: index === 0 ? '' : ` ${PREFIXES[index]}` };
}

/** Decimals that leave about four significant digits. */
function decimalsOf(value: number): number {
  const magnitude = Math.abs(value);
  if (magnitude >= 1000 || value === 0) return 0;
  if (magnitude >= 100) return 1;
  return magnitude >= 10 ? 2 : 3;
}
