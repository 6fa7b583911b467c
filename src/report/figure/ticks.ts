/** Where the ticks of an axis stand and what they say: values of the data when there is room, round numbers otherwise. */
import { scaleLinear } from 'd3-scale';
import { type Display, numberText, sizeText } from './units.js';

export interface Tick {
  /** In the unit of the values. */
  readonly value: number;
  readonly label: string;
}

type Fits = (ticks: readonly Tick[]) => boolean;

/** About `count` round values of a linear axis; `domain` in the unit of the values. */
export function linearTicks(domain: readonly [number, number], display: Display, count: number): Tick[] {
  const scale = scaleLinear().domain(domain.map((value) => value * display.factor));
  const format = scale.tickFormat(count);
  return scale.ticks(count).map((shown) => {
    const label = display.suffix === '' ? format(shown) : shown === 0 ? '0' : `${format(shown)} ${display.suffix}`;
    return { value: shown / display.factor, label };
  });
}

/** The densest round values of a logarithmic axis that fit: powers of two for bytes, 1-2-5 steps or powers of ten for the rest. */
export function logTicks(domain: readonly [number, number], display: Display, fits: Fits): Tick[] {
  const decimal = decimalCandidates(domain, display);
  const round = display.suffix === '' ? decimal : [...binaryCandidates(domain), ...decimal];
  const even = [6, 4, 3, 2].map((count) => linearTicks(domain, display, count));
  const ends = domain.map((value) => ({ value, label: valueText(value, display) }));
  return [...round, ...even, ends].find((ticks) => ticks.length >= 2 && fits(ticks)) ?? ends.slice(0, 1);
}

/** Ticks at the values of the data themselves, or null when they are too many or too close. */
export function dataTicks(values: readonly number[], display: Display, fits: Fits): Tick[] | null {
  const ticks = values.map((value) => ({ value, label: valueText(value, display) }));
  return ticks.length <= MOST_DATA_TICKS && fits(ticks) ? ticks : null;
}

const MOST_DATA_TICKS = 14;

/** A value as a tick or a tooltip says it; the unit is there only when the axis title lacks it. */
export function valueText(value: number, display: Display): string {
  return display.suffix === '' ? numberText(clean(value * display.factor)) : sizeText(value);
}

function decimalCandidates(domain: readonly [number, number], display: Display): Tick[][] {
  const [low, high] = [domain[0] * display.factor, domain[1] * display.factor];
  const [first, last] = [exponentOf(low), exponentOf(high)];
  const steps = (mantissas: readonly number[], every: number): Tick[] => {
    const ticks: Tick[] = [];
    for (let exponent = first; exponent <= last; exponent++) {
      if (exponent % every !== 0) continue;
      for (const mantissa of mantissas) {
        const shown = Number(`${mantissa}e${exponent}`);
        const value = shown / display.factor;
        if (shown >= low && shown <= high) ticks.push({ value, label: valueText(value, display) });
      }
    }
    return ticks;
  };
  const spread = [1, 2, 3, 4, 6, 12].map((every) => steps([1], every));
  return [steps([1, 2, 5], 1), ...spread].filter((ticks) => ticks.length >= 3);
}

function binaryCandidates(domain: readonly [number, number]): Tick[][] {
  return [1, 2, 4, 5, 10].map((every) => {
    const ticks: Tick[] = [];
    let value = 1;
    for (let exponent = 0; value <= domain[1]; exponent++, value *= 2) {
      if (value >= domain[0] && exponent % every === 0) ticks.push({ value, label: sizeText(value) });
    }
    return ticks;
  });
}

/** Decimal exponent: 1 <= value / 10^exponent < 10. */
export function exponentOf(value: number): number {
  return Number(value.toExponential().split('e')[1]);
}

function clean(value: number): number {
  return Number(value.toPrecision(12));
}
