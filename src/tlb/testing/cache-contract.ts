/**
 * What every cache structure must do, whatever its geometry and policy: behave like a naive list of entries per set.
 * Property-based; exported so that a new structure or policy is held to the same suite.
 */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { SetAssociativeCache } from '../cache.js';
import type { StructureSpec } from '../spec.js';

const key = (n: number): [number, number, number] => [n & 63, n >> 6, (n * 7) & 3];

type Action = { kind: 'lookup' | 'fill' | 'drop' | 'clear'; n: number };

const action: fc.Arbitrary<Action> = fc.record({
  kind: fc.constantFrom('lookup', 'lookup', 'fill', 'fill', 'drop', 'clear') as fc.Arbitrary<Action['kind']>,
  n: fc.integer({ min: 0, max: 200 }),
});

export function checkCacheContract(spec: StructureSpec): void {
  const name = `${spec.entries} entries, ${spec.ways} ways, ${spec.replacement}`;
  describe(`cache contract: ${name}`, () => {
    it('holds exactly what was filled and not evicted or dropped', () => {
      fc.assert(
        fc.property(fc.array(action, { maxLength: 400 }), (actions) => {
          const cache = new SetAssociativeCache(spec, 1, 'test');
          const held = new Map<number, number>(); // entry -> key number
          for (const { kind, n } of actions) {
            const where = [...held].find(([, k]) => k === n)?.[0] ?? -1;
            if (kind === 'lookup') expect(cache.lookup(...key(n))).toBe(where);
            else if (kind === 'drop') {
              const entry = cache.find(...key(n));
              expect(entry).toBe(where);
              if (entry >= 0) cache.invalidate(entry);
              held.delete(entry);
            } else if (kind === 'clear') {
              if (n < 4) {
                cache.invalidateAll();
                held.clear();
              }
            } else {
              const entry = cache.fill(...key(n));
              expect(entry).toBeGreaterThanOrEqual(0);
              if (where >= 0) expect(entry).toBe(where);
              held.set(entry, n);
            }
            expect(cache.occupancy).toBe(held.size);
          }
          for (const [entry, n] of held) expect(cache.find(...key(n))).toBe(entry);
        }),
      );
    });

    it('fills every way of a set before it evicts', () => {
      const cache = new SetAssociativeCache(spec, 1, 'test');
      for (let n = 0; n < 100_000 && cache.occupancy < spec.entries; n++) {
        const before = cache.occupancy;
        const evictions = cache.evictions;
        cache.fill(n, n >> 16, 5);
        expect(cache.occupancy - before + (cache.evictions - evictions)).toBe(1);
      }
      expect(cache.occupancy).toBe(spec.entries);
    });

    it('counts lookups and hits', () => {
      const cache = new SetAssociativeCache(spec, 1, 'test');
      cache.fill(1, 2, 3);
      cache.lookup(1, 2, 3);
      cache.lookup(1, 2, 4);
      expect([cache.lookups, cache.hits]).toEqual([2, 1]);
    });
  });
}

/** Exact victim order of a one-set structure under LRU, against a list. */
export function checkLruOrder(spec: StructureSpec): void {
  it(`evicts the least recently used entry (${spec.entries} entries)`, () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: spec.entries * 2 }), { maxLength: 300 }), (trace) => {
        const cache = new SetAssociativeCache(spec, 1, 'test');
        const order: number[] = []; // least recent first
        for (const n of trace) {
          const at = order.indexOf(n);
          expect(cache.lookup(n, 0, 0) >= 0).toBe(at >= 0);
          if (at >= 0) order.splice(at, 1);
          else {
            if (order.length === spec.entries) order.shift();
            cache.fill(n, 0, 0);
          }
          order.push(n);
        }
      }),
    );
  });
}
