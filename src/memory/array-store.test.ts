import { describe, expect, it } from 'vitest';
import { ArrayLoan, ArrayStore } from './array-store.js';
import { Llc } from './llc.js';
import { PhysicalMemory } from './physical.js';

describe('arrays that one machine leaves to the next', () => {
  it('an array given back is taken again, as zeros, and only for the same length', () => {
    const store = new ArrayStore();
    const loan = new ArrayLoan(store);
    const first = loan.take(100);
    first.fill(7);
    loan.end();
    expect(store.take(99)).not.toBe(first);
    const again = store.take(100);
    expect(again).toBe(first);
    expect(again.every((word) => word === 0)).toBe(true);
    expect(store.take(100)).not.toBe(first);
  });

  it('what a machine holds is not handed to another before its loan ends', () => {
    const store = new ArrayStore();
    const [a, b] = [new ArrayLoan(store), new ArrayLoan(store)];
    const held = a.take(64);
    b.take(64);
    b.end();
    expect(b.take(64)).not.toBe(held);
    a.end();
    a.end();
    expect(store.take(64)).toBe(held);
    expect(store.take(64)).not.toBe(held);
  });

  it('keeps no more than 64 MiB', () => {
    const store = new ArrayStore();
    const arrays: Int32Array[] = Array.from({ length: 5 }, () => new Int32Array(2 ** 22));
    for (const array of arrays) store.give(array);
    const taken = Array.from({ length: 5 }, () => store.take(2 ** 22));
    expect(taken.filter((array) => arrays.includes(array))).toHaveLength(4);
  });

  it('a cache and a memory on used arrays are as good as new', () => {
    const store = new ArrayStore();
    const spec = { size: 64 * 1024, ways: 4, ddioWays: 2, scatter: 0, latency: 0, bandwidth: 1 };
    const loan = new ArrayLoan(store);
    const cache = new Llc(spec, loan);
    const memory = new PhysicalMemory(loan);
    for (let lo = 0; lo < 2 ** 18; lo += 64) {
      cache.cpuWrite(1, lo);
      memory.write(1, lo, 1, 2);
    }
    loan.end();
    const next = new ArrayLoan(store);
    const fresh = new Llc(spec, next);
    const empty = new PhysicalMemory(next);
    for (let lo = 0; lo < 2 ** 18; lo += 64) {
      expect(fresh.contains(1, lo)).toBe(false);
      empty.read(1, lo);
      expect([empty.wordHi, empty.wordLo]).toEqual([0, 0]);
    }
    expect(empty.lines).toBe(0);
  });
});
