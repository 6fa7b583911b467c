import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { isTooLarge, splitRange } from './ranges.js';

const K = 1024;
const M = K * K;
const G = K * M;

/** NUM and SCALE as encoded. */
function split(bytes: number, leaf = true): [number, number][] {
  return splitRange(0, bytes, 12, leaf).map(({ number, scale }) => [number, scale]);
}

describe('range commands', () => {
  // As arm_smmu_cmdq_batch_add_range makes them, 4 KiB granule.
  it.each([
    [4 * K, [[0, 0]]],
    [8 * K, [[0, 1]]],
    [64 * K, [[0, 4]]],
    [17 * 4 * K, [[16, 0]]],
    [
      33 * 4 * K,
      [
        [0, 0],
        [0, 5],
      ],
    ],
    [
      511 * 4 * K,
      [
        [30, 0],
        [14, 5],
      ],
    ],
    [2 * M, [[0, 9]]],
    [
      256 * M - 4 * K,
      [
        [30, 0],
        [30, 5],
        [30, 10],
        [0, 15],
      ],
    ],
    [G, [[0, 18]]],
    [4 * G, [[0, 20]]],
  ])('%i bytes', (bytes, commands) => {
    expect(split(bytes)).toEqual(commands);
  });

  it('never leaves one page of unknown level: that encoding is reserved', () => {
    expect(split(4 * K, false)).toEqual([[0, 1]]);
    expect(split(M + 4 * K, false)).toEqual([
      [0, 1],
      [0, 8],
    ]);
    expect(split(2 * M + 4 * K)).toEqual([
      [0, 1],
      [0, 9],
    ]);
  });

  it.each([12, 14, 16])('cover the range in order without gaps, granule 2^%i', (granuleLg2) => {
    const pages = fc.integer({ min: 1, max: 2 ** 24 });
    fc.assert(
      fc.property(pages, fc.integer({ min: 0, max: 2 ** 20 }), fc.boolean(), (count, start, leaf) => {
        const granule = 2 ** granuleLg2;
        const commands = splitRange(start * granule, count * granule, granuleLg2, leaf);
        let at = start * granule;
        for (const { address, number, scale, ttl } of commands) {
          expect(address).toBe(at);
          expect(number).toBeGreaterThanOrEqual(0);
          expect(number).toBeLessThanOrEqual(30);
          expect(number + scale + ttl).toBeGreaterThan(0);
          at += (number + 1) * 2 ** scale * granule;
        }
        const extra = at / granule - start - count;
        expect(extra === 0 || extra === 1).toBe(true);
      }),
    );
  });

  it('without ranges a table of granules is too much', () => {
    expect(isTooLarge(2 * M - 4 * K, 4 * K)).toBe(false);
    expect(isTooLarge(2 * M, 4 * K)).toBe(true);
    expect(isTooLarge(2048 * 16 * K, 16 * K)).toBe(true);
    expect(isTooLarge(8191 * 64 * K, 64 * K)).toBe(false);
  });
});
