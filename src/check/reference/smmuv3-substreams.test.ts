/** CD tables and S1DSS on hand-made machines. */
import { describe, expect, test } from 'vitest';
import {
  CD,
  code,
  CONFIG,
  IOVA,
  IPA,
  one,
  put,
  stage1,
  stage2,
  STE,
  TABLES1,
  V1,
  type Words,
} from '../testing/smmuv3-machine.js';

describe('substreams', () => {
  const NUMBER = 70;
  const config = [
    ['stage', 'nested'],
    ['ssid', '12'],
  ] as const;

  /** Linear table of 2^7 CDs; CD 70 and CD 0 translate. */
  function linear(defaultSubstream: bigint, contextsLg2 = 7n): Words {
    const words = stage1();
    words.set(STE, V1 | CONFIG.s1 | CD | (contextsLg2 << 59n));
    words.set(STE + 8n, defaultSubstream);
    put(words, CD + BigInt(NUMBER * 64), words.get(CD) ?? 0n, TABLES1);
    return words;
  }

  test.each([
    // S1DSS, PASID, outcome
    [0n, NUMBER, 'ok'],
    [0n, null, 0x06],
    [0n, 0, 'ok'],
    [0n, 71, 0x0a],
    [0n, 128, 0x08],
    [1n, NUMBER, 'ok'],
    [1n, null, 'bypass'],
    [1n, 0, 'ok'],
    [2n, NUMBER, 'ok'],
    [2n, null, 'ok'],
    [2n, 0, 0x06],
    [3n, null, 0x06],
    [3n, 0, 'ok'],
  ] as const)('S1DSS %d, PASID %s: %s', (defaultSubstream, pasid, expected) => {
    const answer = one(linear(defaultSubstream), { iova: IOVA, pasid }, { config });
    const outcome = answer.ok && answer.pa === IOVA ? 'bypass' : code(answer);
    // The default bypass is checked against the output address size.
    expect(outcome === 0x11 && IOVA >> 44n !== 0n ? 'bypass' : outcome).toBe(expected);
  });

  test.each([
    ['S1CDMax beyond SSIDSIZE', 13n, NUMBER, 4],
    ['S1CDMax 0', 0n, NUMBER, 8],
  ] as const)('%s', (_name, contextsLg2, pasid, expected) => {
    expect(code(one(linear(2n, contextsLg2), { iova: IOVA, pasid }, { config }))).toBe(expected);
  });

  test('a PASID where stage 1 is off, or where the unit has none', () => {
    expect(code(one(new Map([[STE, V1 | CONFIG.bypass]]), { pasid: 1 }, { config }))).toBe(8);
    expect(code(one(stage2(), { iova: IPA, pasid: 0 }, { config }))).toBe(8);
    expect(code(one(linear(0n), { iova: IOVA, pasid: NUMBER }))).toBe(8);
  });

  test.each([
    [1n, 6],
    [2n, 10],
  ])('S1Fmt %d: leaves of 2^%d CDs', (format, leafLg2) => {
    const number = 1300;
    const outer = 0x1_0c00_0000n;
    const leaf = 0x1_0d00_0000n;
    const words = stage1();
    words.set(STE, V1 | CONFIG.s1 | outer | (format << 4n) | (12n << 59n));
    words.set(outer + BigInt((number >> leafLg2) * 8), leaf | 1n);
    put(words, leaf + BigInt((number & (2 ** leafLg2 - 1)) * 64), words.get(CD) ?? 0n, TABLES1);
    const access = { iova: IOVA, pasid: number };
    expect(one(words, access, { config }).accesses.map(({ bytes }) => bytes)).toEqual([64, 8, 64, 8, 8, 8, 8]);
    expect(code(one(words, access, { config }))).toBe('ok');
    expect(code(one(words, { ...access, pasid: 2 ** leafLg2 * 3 }, { config }))).toBe(8);
    words.set(outer + BigInt((number >> leafLg2) * 8), leaf | (1n << 44n) | 1n);
    expect(code(one(words, access, { config }))).toBe(8);
  });
});
