import { expect, test } from 'vitest';
import { axisValues, isWide } from './values.js';

test.each([
  [['1', '2.5', '1e3'], { unit: '', numbers: [1, 2.5, 1000] }],
  [['64KiB', '1MiB'], { unit: 'bytes', numbers: [65536, 1048576] }],
  [['150ns', '1.5us'], { unit: 'ns', numbers: [150, 1500] }],
  [['200Gbps', '25GBps'], { unit: 'Gb/s', numbers: [200, 200] }],
  [['2.2GHz'], { unit: 'GHz', numbers: [2.2] }],
  [['50%', '100%'], { unit: '%', numbers: [50, 100] }],
  [['strict', 'lazy'], { unit: '', numbers: null }],
  [['true', 'false'], { unit: '', numbers: null }],
  [['1', 'unlimited'], { unit: '', numbers: null }],
  [['64KiB', '150ns'], { unit: '', numbers: null }],
  [[''], { unit: '', numbers: null }],
  [[], { unit: '', numbers: null }],
])('%j', (texts, expected) => {
  expect(axisValues(texts)).toEqual(expected);
});

test('wide values span a factor of 32 and are positive', () => {
  expect(isWide([1, 32])).toBe(true);
  expect(isWide([1, 31])).toBe(false);
  expect(isWide([0, 32])).toBe(false);
  expect(isWide([])).toBe(false);
});
