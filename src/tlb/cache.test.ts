import { describe, expect, it } from 'vitest';
import { SetAssociativeCache } from './cache.js';
import type { Replacement, StructureSpec } from './spec.js';
import { checkCacheContract, checkLruOrder } from './testing/cache-contract.js';

const spec = (entries: number, ways: number, replacement: Replacement): StructureSpec => ({
  enabled: true,
  entries,
  ways,
  replacement,
  latency: 0,
});

for (const replacement of ['lru', 'plru', 'fifo', 'random'] as const) {
  checkCacheContract(spec(8, 2, replacement));
  checkCacheContract(spec(16, 16, replacement));
  checkCacheContract(spec(64, 32, replacement));
}
checkCacheContract(spec(116, 116, 'random'));
checkLruOrder(spec(4, 4, 'lru'));
checkLruOrder(spec(40, 40, 'lru'));

describe('replacement policies', () => {
  it('first in first out ignores hits', () => {
    const cache = new SetAssociativeCache(spec(2, 2, 'fifo'), 1, 'test');
    cache.fill(1, 0, 0);
    cache.fill(2, 0, 0);
    cache.lookup(1, 0, 0);
    cache.fill(3, 0, 0);
    expect(cache.find(1, 0, 0)).toBe(-1);
    expect(cache.find(2, 0, 0)).toBeGreaterThanOrEqual(0);
  });

  it('tree pseudo-LRU never evicts the entry used last', () => {
    const cache = new SetAssociativeCache(spec(8, 8, 'plru'), 1, 'test');
    for (let n = 0; n < 8; n++) cache.fill(n, 0, 0);
    for (let n = 8; n < 200; n++) {
      const used = n - 1 - (n % 3 === 0 ? 1 : 0);
      const hit = cache.lookup(used, 0, 0) >= 0;
      cache.fill(n, 0, 0);
      if (hit) expect(cache.find(used, 0, 0)).toBeGreaterThanOrEqual(0);
    }
  });

  it('random replacement depends on the seed alone', () => {
    const run = (seed: number): string => {
      const cache = new SetAssociativeCache(spec(16, 4, 'random'), seed, 'test');
      for (let n = 0; n < 500; n++) cache.fill(n, 0, 0);
      return [...cache.k0].join();
    };
    expect(run(1)).toBe(run(1));
    expect(run(1)).not.toBe(run(2));
  });

  it('is absent when disabled and refuses impossible geometries', () => {
    const cache = new SetAssociativeCache({ ...spec(8, 8, 'lru'), enabled: false }, 1, 'test');
    expect(cache.fill(1, 2, 3)).toBe(-1);
    expect(cache.lookup(1, 2, 3)).toBe(-1);
    expect(() => new SetAssociativeCache(spec(12, 4, 'lru'), 1, 'test')).toThrow(/power-of-two/);
  });
});
