import { expect, test } from 'vitest';
import { displayOf, numberText, sizeText } from './units.js';

test.each([
  ['ns', 1392, 1, 'ns'],
  ['ns', 9999, 1, 'ns'],
  ['ns', 1e4, 1e-3, 'µs'],
  ['ns', 5e8, 1e-6, 'ms'],
  ['ns', 1e10, 1e-9, 's'],
  ['ratio', 0.3, 100, '%'],
  ['Gb/s', 1e6, 1, 'Gb/s'],
  ['1/s', 65e6, 1e-6, 'million/s'],
  ['1/s', 9000, 1, '1/s'],
  ['count', 2e4, 1e-3, 'thousand'],
  ['count', 20, 1, ''],
  ['entries', 3e9, 1e-9, 'billion entries'],
])('%s up to %d: factor %d, unit %s', (unit, magnitude, factor, shown) => {
  expect(displayOf(unit, magnitude)).toEqual({ factor, unit: shown, suffix: '' });
});

test('bytes carry their unit at each tick', () => {
  expect(displayOf('bytes', 1024 ** 2)).toEqual({ factor: 1024 ** -2, unit: '', suffix: 'MiB' });
  expect([0, 64, 4096, 1536 * 1024, 64 * 1024 ** 2, 2 ** 40].map(sizeText)).toEqual([
    '0 B',
    '64 B',
    '4 KiB',
    '1.5 MiB',
    '64 MiB',
    '1 TiB',
  ]);
});

test.each([
  [0, '0'],
  [0.1 + 0.2, '0.3'],
  [33.3568188776, '33.357'],
  [999, '999'],
  [1234567, '1,234,567'],
  [-50_000, '−50,000'],
  [1e6, '10⁶'],
  [1e-12, '10⁻¹²'],
])('%d reads %s', (value, text) => {
  expect(numberText(value)).toBe(text);
});
