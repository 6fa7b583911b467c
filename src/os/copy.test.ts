import { describe, expect, it } from 'vitest';
import { copyTime } from './copy.js';

const costs = { copyLine: 8000, copyLineRemote: 12_000 };

describe('the time of a copy', () => {
  it('is that of the lines it touches', () => {
    expect(copyTime(costs, 4096)).toBe(64 * 8000);
    expect(copyTime(costs, 64)).toBe(8000);
    expect(copyTime(costs, 65)).toBe(16_000);
    expect(copyTime(costs, 64, 4097)).toBe(16_000);
    expect(copyTime(costs, 0)).toBe(0);
  });

  it('is longer where one side is on another socket', () => {
    expect(copyTime(costs, 1500, 0, true)).toBe(24 * 12_000);
  });
});
