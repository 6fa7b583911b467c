/** The device TLB against a plain list of translations. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { DeviceTlb } from './device-tlb.js';

const SPEC = { enabled: true, entries: 64, ways: 64, replacement: 'lru', latency: 0 } as const;
const hiOf = (address: number): number => Math.floor(address / 2 ** 32) | 0;
const loOf = (address: number): number => (address % 2 ** 32) | 0;

interface Plain {
  readonly pasid: number;
  readonly page: number;
  readonly out: number;
  readonly sizeLg2: number;
  readonly permission: number;
}

const pasids = fc.constantFrom(-1, 0, 7, 2 ** 20 - 1);
const addresses = fc
  .tuple(fc.constantFrom(0, 2 ** 32 - 2 ** 21, 2 ** 46), fc.nat(1023), fc.nat(4095))
  .map(([base, page, offset]) => base + 4096 * page + offset);
const sizes = fc.constantFrom(12, 13, 16, 21);
const step = fc.oneof(
  fc.record({
    kind: fc.constant('fill' as const),
    pasid: pasids,
    at: addresses,
    sizeLg2: sizes,
    permission: fc.integer({ min: 1, max: 3 }),
  }),
  fc.record({ kind: fc.constant('use' as const), pasid: pasids, at: addresses, needed: fc.constantFrom(1, 2) }),
  fc.record({
    kind: fc.constant('drop' as const),
    pasid: pasids,
    every: fc.boolean(),
    at: addresses,
    sizeLg2: fc.constantFrom(12, 14, 20, 30, 64),
  }),
);

describe('device TLB', () => {
  it('knows what was put in and not taken out, of its PASID, with its permission', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const tlb = new DeviceTlb(SPEC, 21, 1, 'test');
        let plain: Plain[] = [];
        const covers = (p: Plain, pasid: number, at: number): boolean =>
          p.pasid === pasid && at >= p.page && at < p.page + 2 ** p.sizeLg2;
        for (const s of steps) {
          if (s.kind === 'fill') {
            // Pages of several sizes over one address would answer by size: not what is looked at here.
            const page = s.at - (s.at % 2 ** s.sizeLg2);
            const meets = (p: Plain): boolean =>
              p.pasid === s.pasid && p.page < page + 2 ** s.sizeLg2 && page < p.page + 2 ** p.sizeLg2;
            if (plain.some((p) => meets(p) && p.sizeLg2 !== s.sizeLg2)) continue;
            const out = page + 2 ** 40;
            tlb.fill(s.pasid, hiOf(s.at), loOf(s.at), hiOf(out), loOf(out), s.sizeLg2, s.permission);
            plain = [...plain.filter((p) => !meets(p)), { ...s, page, out }];
          } else if (s.kind === 'use') {
            const known = plain.find((p) => covers(p, s.pasid, s.at));
            const hit = tlb.lookup(s.pasid, hiOf(s.at), loOf(s.at), s.needed);
            expect(hit).toBe(known !== undefined && (known.permission & s.needed) !== 0);
            expect(tlb.holds(s.pasid, hiOf(s.at), loOf(s.at))).toBe(known !== undefined);
            if (hit) {
              const output = (tlb.outHi >>> 0) * 2 ** 32 + (tlb.outLo >>> 0);
              expect(output).toBe(known!.out + (s.at - known!.page));
            }
          } else {
            const size = 2 ** s.sizeLg2;
            const start = s.sizeLg2 === 64 ? 0 : s.at - (s.at % size);
            const goes = (p: Plain): boolean =>
              (s.every || p.pasid === s.pasid) && p.page < start + size && start < p.page + 2 ** p.sizeLg2;
            const removed = tlb.invalidate(s.pasid, s.every, hiOf(start), loOf(start), s.sizeLg2);
            expect(removed).toBe(plain.filter(goes).length);
            plain = plain.filter((p) => !goes(p));
          }
          expect(tlb.cache.occupancy).toBe(plain.length);
        }
      }),
      { numRuns: 300 },
    );
  });

  it('holds of a large translation the part that was asked for', () => {
    const tlb = new DeviceTlb(SPEC, 16, 1, 'test');
    tlb.fill(-1, 0, 0x12345678, 0x5, 0x12345678, 30, 3);
    expect(tlb.lookup(-1, 0, 0x1234ffff, 1)).toBe(true);
    expect([tlb.outHi, tlb.outLo]).toEqual([5, 0x1234ffff]);
    expect(tlb.lookup(-1, 0, 0x12350000, 1)).toBe(false);
  });
});
