import { describe, expect, it } from 'vitest';
import { decodePointFile, decodeResult, encodePointFile, encodeResult } from './encoding.js';
import { fakePlan, fakeResult } from './testing/fake.js';

const spec = fakePlan(1, 1).points[0]!.spec;
const key = { id: '0123456789abcdef', code: 'c0de', everyEvent: false, audit: true };
const result = fakeResult(spec, key);
const file = encodePointFile(key, encodeResult(result));

describe('point files', () => {
  it('give the result back bit for bit, missing values and bucket arrays included', () => {
    expect(decodeResult(encodeResult(result))).toEqual(result);
    expect(decodeResult(decodePointFile(key, file)!)).toEqual(result);
    expect(result.metrics.some((metric) => Number.isNaN(metric.value))).toBe(true);
  });

  it('are JSON documents', () => {
    expect(JSON.parse(file)).toMatchObject({ schema: 1, id: key.id, result: { events: 123456 } });
  });

  it('are refused for another point, other code and other switches', () => {
    for (const other of [{ id: 'ffffffffffffffff' }, { code: 'other' }, { everyEvent: true }, { audit: false }]) {
      expect(decodePointFile({ ...key, ...other }, file)).toBeNull();
    }
  });

  it('are refused when any byte is missing or different', () => {
    for (let i = 0; i < file.length; i++) {
      expect(decodePointFile(key, file.slice(0, i))).toBeNull();
      const flipped = file.slice(0, i) + String.fromCharCode(file.charCodeAt(i) ^ 1) + file.slice(i + 1);
      expect(decodePointFile(key, flipped)).toBeNull();
    }
  });
});
