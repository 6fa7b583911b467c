import { describe, expect, it } from 'vitest';
import { Dram, linePs } from './dram.js';

const SPEC = { size: 2 ** 34, channels: 4, latency: 70_000, bandwidth: 136.512e9 };
const SERVICE = 3751;

describe('Dram', () => {
  it('books a channel for the time of one line', () => {
    expect(linePs(136.512e9)).toBe(SERVICE);
    const clock = new Float64Array(1);
    const dram = new Dram(SPEC, clock);
    clock[0] = 1e15;
    expect([dram.read(0, 1, 0), dram.read(0, 1, 0), dram.write(0, 1, 0)]).toEqual([0, SERVICE, 2 * SERVICE]);
    expect(dram.read(3 * SERVICE - 1, 1, 0)).toBe(1);
    clock[0] = 1e15 + 4 * SERVICE - 1;
    expect(dram.read(0, 1, 0)).toBe(1);
    clock[0] = 1e15 + 5 * SERVICE;
    expect(dram.read(0, 1, 0)).toBe(0);
    expect([...dram.counts]).toEqual([5, 1]);
  });

  it('serves different channels side by side', () => {
    const dram = new Dram(SPEC, new Float64Array(1));
    const waits = Array.from({ length: 8 }, (_, line) => dram.read(0, 1, line << 6));
    expect(waits).toEqual([0, 0, 0, 0, SERVICE, SERVICE, SERVICE, SERVICE]);
  });

  it.each([1, 2, 3, 4, 6, 8, 12])('spreads lines, page heads and 2 MiB heads evenly over %i channels', (channels) => {
    const dram = new Dram({ ...SPEC, channels }, new Float64Array(1));
    for (const step of [64, 4096, 2 ** 21]) {
      const counts = new Array<number>(channels).fill(0);
      for (let i = 0; i < 120; i++) {
        const address = 2 ** 38 + i * step;
        const channel = dram.channelOf(Math.floor(address / 2 ** 32), (address % 2 ** 32) | 0);
        counts[channel] = counts[channel]! + 1;
      }
      expect(Math.max(...counts)).toBeLessThanOrEqual((120 / channels) * 1.5);
    }
  });

  it('reports the busy share of its channels, with work carried over a reset', () => {
    const clock = new Float64Array(1);
    const dram = new Dram(SPEC, clock);
    for (let i = 0; i < 10; i++) dram.read(0, 1, 0);
    expect(dram.bank.utilisation(5 * SERVICE)).toBeCloseTo(0.25, 12);
    expect(dram.bank.utilisation(20 * SERVICE)).toBeCloseTo(0.125, 12);
    dram.bank.reset(5 * SERVICE);
    expect(dram.bank.utilisation(5 * SERVICE)).toBe(0);
    expect(dram.bank.utilisation(10 * SERVICE)).toBeCloseTo(0.25, 12);
    expect(dram.bank.utilisation(15 * SERVICE)).toBeCloseTo(0.125, 12);
  });
});
