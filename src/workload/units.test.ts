import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type Dimension, formatQuantity, parseQuantity, quantityPattern } from './units.js';

describe('quantities', () => {
  test.each([
    ['150ns', 'time', 150_000],
    ['1.5us', 'time', 1_500_000],
    ['10 ms', 'time', 1e10],
    ['1.2345ns', 'time', 1235],
    ['1.005us', 'time', 1_005_000],
    ['0ns', 'time', 0],
    ['64KiB', 'size', 65_536],
    ['1.5KiB', 'size', 1536],
    ['4MiB', 'size', 4_194_304],
    ['200Gbps', 'rate', 2e11],
    ['25.6GBps', 'rate', 204.8e9],
    ['2.2GHz', 'frequency', 2.2e9],
    ['12.5%', 'share', 12.5],
  ] as const)('%s is %s %d', (text, dimension, value) => {
    expect(parseQuantity(text, dimension)).toBe(value);
  });

  test.each([
    ['150', 'time', 'E201', 'a time such as 150ns'],
    ['150KiB', 'time', 'E202', '"KiB" is a unit of size'],
    ['64KB', 'size', 'E202', 'did you mean "KiB"?'],
    ['200gbps', 'rate', 'E202', 'did you mean "Gbps"?'],
    ['fast', 'rate', 'E202', 'a rate such as 200Gbps'],
    ['1_000ns', 'time', 'E202', 'got "1_000ns"'],
    ['-1ns', 'time', 'E204', 'negative'],
    ['1.3B', 'size', 'E203', 'whole number of bytes'],
    ['0.4ps', 'time', 'E204', 'rounds to zero'],
    ['1e400s', 'time', 'E205', '1e400s'],
    ['20000s', 'time', 'E204', 'too large'],
    ['', 'size', 'E202', 'got ""'],
  ] as const)('%s as %s is %s', (text, dimension, code, part) => {
    const fault = parseQuantity(text, dimension);
    expect(fault).toMatchObject({ code });
    expect((fault as { message: string }).message).toContain(part);
  });

  const whole: Dimension[] = ['time', 'size', 'rate', 'frequency'];
  test('formatting is exact: it reads back as the same number, and editors accept it', () => {
    fc.assert(
      fc.property(fc.constantFrom(...whole), fc.integer({ min: 0, max: 2 ** 50 }), (dimension, value) => {
        const text = formatQuantity(value, dimension);
        expect(parseQuantity(text, dimension)).toBe(value);
        expect(text).toMatch(new RegExp(quantityPattern(dimension)));
      }),
      { numRuns: 2000 },
    );
  });

  test('formatting prefers the largest short unit', () => {
    expect(formatQuantity(1_500_000, 'time')).toBe('1.5us');
    expect(formatQuantity(980, 'time')).toBe('980ps');
    expect(formatQuantity(1234, 'time')).toBe('1.234ns');
    expect(formatQuantity(34_603_008, 'size')).toBe('33MiB');
    expect(formatQuantity(136.512e9, 'rate')).toBe('136.512Gbps');
    expect(formatQuantity(0, 'time')).toBe('0ps');
  });
});
