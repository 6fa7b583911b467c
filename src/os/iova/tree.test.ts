import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { NIL, RangeTree } from './rbtree.js';
import { IovaTree } from './tree.js';

const LIMIT_32BIT = 2 ** 20 - 1;
const LIMIT_48BIT = 2 ** 36 - 1;

describe('red-black tree of ranges', () => {
  it('keeps its rules and its order under any sequence of insertions and removals', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.boolean(), fc.nat(200)), { maxLength: 400 }), (actions) => {
        const tree = new RangeTree();
        const nodes = new Map<number, number>();
        for (const [adds, key] of actions) {
          const node = nodes.get(key);
          if (adds && node === undefined) nodes.set(key, tree.insert(key * 10, key * 10 + 4, NIL));
          if (!adds && node !== undefined) {
            tree.remove(node);
            nodes.delete(key);
          }
          tree.check();
        }
        const keys = [...nodes.keys()].sort((a, b) => a - b);
        expect(tree.size).toBe(keys.length);
        for (let i = 0; i < keys.length; i++) {
          const node = nodes.get(keys[i]!)!;
          expect(tree.find(keys[i]! * 10 + 4)).toBe(node);
          expect(tree.find(keys[i]! * 10 + 5)).toBe(NIL);
          expect(tree.following(node)).toBe(i + 1 < keys.length ? nodes.get(keys[i + 1]!)! : NIL);
          expect(tree.previous(node)).toBe(i > 0 ? nodes.get(keys[i - 1]!)! : NIL);
        }
      }),
      { numRuns: 200 },
    );
  });

  it('visits about log2(n) nodes to find one of n', () => {
    const tree = new RangeTree();
    for (let i = 0; i < 1023; i++) tree.insert(i * 2, i * 2, NIL);
    tree.visits = 0;
    tree.find(2044);
    expect(tree.visits).toBeGreaterThan(8);
    expect(tree.visits).toBeLessThanOrEqual(20);
  });
});

describe('IOVA tree', () => {
  it('allocates top-down from the limit, below what is allocated', () => {
    const tree = new IovaTree();
    expect(tree.allocate(1, LIMIT_32BIT)).toBe(0xfffff);
    expect(tree.allocate(1, LIMIT_32BIT)).toBe(0xffffe);
    expect(tree.allocate(1, LIMIT_48BIT)).toBe(LIMIT_48BIT);
  });

  it('aligns to the size rounded up to a power of two, and takes only the pages asked for', () => {
    const tree = new IovaTree();
    expect(tree.allocate(1, LIMIT_32BIT)).toBe(0xfffff);
    expect(tree.allocate(24, LIMIT_32BIT)).toBe(0xfffe0);
    expect(tree.allocate(1, LIMIT_32BIT)).toBe(0xfffdf);
    expect(tree.allocate(4, LIMIT_32BIT)).toBe(0xfffd8);
  });

  it('never hands out page 0 nor reserved pages', () => {
    const tree = new IovaTree();
    tree.reserve(0xfee00, 0xfeeff);
    const seen = new Set<number>();
    for (;;) {
      const pfn = tree.allocate(0x1000, LIMIT_32BIT);
      if (pfn === 0) break;
      for (let p = pfn; p < pfn + 0x1000; p += 0x100) {
        expect(seen.has(p)).toBe(false);
        seen.add(p);
        expect(p).not.toBe(0xfee00);
      }
    }
    // 256 ranges of 0x1000 pages, without the one at 0 and the one around the MSI window.
    expect(seen.size).toBe(254 * 16);
  });

  it('remembers that a 32-bit size failed until something below 4 GiB is freed', () => {
    const tree = new IovaTree();
    const half = tree.allocate(2 ** 19, LIMIT_32BIT);
    expect(half).toBe(2 ** 19);
    expect(tree.allocate(2 ** 19, LIMIT_32BIT)).toBe(0);
    expect(tree.allocate(2 ** 19, LIMIT_32BIT)).toBe(0);
    expect(tree.visits).toBe(0);
    tree.free(half);
    expect(tree.allocate(2 ** 19, LIMIT_32BIT)).toBe(half);
  });

  it('finds a hole above the cached node by searching once more from the limit', () => {
    const tree = new IovaTree();
    const top = tree.allocate(2 ** 18, LIMIT_32BIT);
    tree.allocate(2 ** 18, LIMIT_32BIT);
    const low = tree.allocate(2 ** 18, LIMIT_32BIT);
    tree.free(top);
    tree.free(low);
    const again = tree.allocate(2 ** 18, LIMIT_32BIT);
    const last = tree.allocate(2 ** 18, LIMIT_32BIT);
    expect([again, last].sort((a, b) => a - b)).toEqual([low, top]);
  });

  it('behaves like a naive allocator: no overlap, aligned, and fails only when no aligned hole exists', () => {
    const space = 2 ** 9;
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.boolean(), fc.nat(40)), { maxLength: 200 }), (actions) => {
        const tree = new IovaTree();
        const live: { pfn: number; pages: number }[] = [];
        const used = new Uint8Array(space);
        used[0] = 1;
        for (const [frees, n] of actions) {
          if (frees) {
            const range = live.splice(n % Math.max(live.length, 1), 1)[0];
            if (range === undefined) continue;
            tree.free(range.pfn);
            used.fill(0, range.pfn, range.pfn + range.pages);
          } else {
            const pages = n + 1;
            let align = 1;
            while (align < pages) align *= 2;
            const pfn = tree.allocate(pages, space - 1);
            if (pfn === 0) {
              for (let at = align; at + pages <= space; at += align) {
                expect(used.subarray(at, at + pages).some((bit) => bit === 1)).toBe(true);
              }
            } else {
              expect(pfn % align).toBe(0);
              expect(pfn + pages).toBeLessThanOrEqual(space);
              expect(used.subarray(pfn, pfn + pages).every((bit) => bit === 0)).toBe(true);
              used.fill(1, pfn, pfn + pages);
              live.push({ pfn, pages });
            }
          }
          tree.check();
          expect(tree.ranges).toBe(live.length);
        }
      }),
      { numRuns: 200 },
    );
  });

  it('refuses to free what is not allocated', () => {
    const tree = new IovaTree();
    const pfn = tree.allocate(8, LIMIT_32BIT);
    expect(() => tree.free(pfn + 1)).toThrow('freed but not allocated');
    tree.free(pfn);
    expect(() => tree.free(pfn)).toThrow('freed but not allocated');
  });
});
