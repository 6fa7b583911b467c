import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { formatHuman, formatNumber, formatPsAsNs } from './number.js';

describe('formatNumber', () => {
  it('writes integers in full', () => {
    expect([0, -0, 7, -12, 123_456_789_012_345, 2 ** 53 - 1].map(formatNumber)).toEqual([
      '0',
      '0',
      '7',
      '-12',
      '123456789012345',
      '9007199254740991',
    ]);
  });

  it('rounds other numbers to 12 significant digits, without trailing zeros or exponent', () => {
    expect(formatNumber(0.1 + 0.2)).toBe('0.3');
    expect(formatNumber(1 / 3)).toBe('0.333333333333');
    expect(formatNumber(1234567.125)).toBe('1234567.125');
    expect(formatNumber(-98765.4321098765)).toBe('-98765.4321099');
    expect(formatNumber(1.5e-7)).toBe('0.00000015');
    expect(formatNumber(-2 / 3e9)).toBe('-0.000000000666666666667');
    expect(formatNumber(9.9999999999999e-7)).toBe('0.000001');
    expect(formatNumber(0.99999999999999)).toBe('1');
    expect(formatNumber(2 ** 60)).toBe('1152921504610000000');
  });

  it('leaves the field empty when there is no value', () => {
    expect([Number.NaN, Infinity, -Infinity].map(formatNumber)).toEqual(['', '', '']);
  });

  it('is read back within half a unit of the 12th digit', () => {
    fc.assert(
      fc.property(fc.double({ noNaN: true, noDefaultInfinity: true }), (value) => {
        const text = formatNumber(value);
        if (Math.abs(value) >= 1e-11 && Math.abs(value) < 1e20) expect(text).toMatch(/^-?\d+(\.\d*[1-9])?$/);
        expect(Math.abs(Number(text) - value)).toBeLessThanOrEqual(Math.abs(value) * 5.1e-12);
      }),
      { numRuns: 2000 },
    );
  });
});

describe('formatPsAsNs', () => {
  it('is exact', () => {
    expect([0, 1, 10, 999, 1000, 1500, 123_456_789_012_345].map(formatPsAsNs)).toEqual([
      '0',
      '0.001',
      '0.01',
      '0.999',
      '1',
      '1.5',
      '123456789012.345',
    ]);
  });
});

describe('formatHuman', () => {
  it('scales value and interval together', () => {
    expect(formatHuman(1_234_567, 12_345, 'op/s')).toBe('1.235 ±0.012 M');
    expect(formatHuman(812.4, 3, 'ns')).toBe('812.4 ±3.0 ns');
    expect(formatHuman(12_345, 0, 'ns')).toBe('12.35 us');
    expect(formatHuman(0.982, 0.001, 'ratio')).toBe('98.20 ±0.10 %');
    expect(formatHuman(0, Number.NaN, '1')).toBe('0');
    expect(formatHuman(Number.NaN, 1, '1')).toBe('-');
    expect(formatHuman(0.5, 0, 'ns')).toBe('0.500 ns');
    expect(formatHuman(5e18, 0, 'op/s')).toBe('5000 P');
  });
});
