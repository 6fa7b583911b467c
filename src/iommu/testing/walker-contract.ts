/**
 * What the miss handling of every unit must do, whatever its architecture: bounded walkers and misses, first come first served, merging,
 * replay, and every request out exactly once, at the right address, in the order promised. `make` builds a machine whose device
 * numbers 0 and 1 reach pages 0 .. PAGES-1 at `iova`, read and write, through one domain, with cold caches.
 */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { encodeIotlbInvalidation, Granularity } from '../arch/vtd/format.js';
import type { Rig } from './rig.js';
import { NO_WALK_CACHES, READ_PS, type UnitChanges } from './spec.js';

export const PAGES = 12;

export interface WalkerSubject {
  readonly rig: Rig;
  readonly iova: number;
  readonly pa: number;
  readonly domain: number;
}

const ORDERS = ['all', 'class', 'posted', 'none'] as const;

interface Action {
  readonly at: number;
  readonly page: number;
  readonly write: boolean;
  readonly device: number;
  /** Instead of a request: invalidate this page. */
  readonly invalidate: boolean;
}

const action: fc.Arbitrary<Action> = fc.record({
  at: fc.integer({ min: 0, max: 2_000_000 }),
  page: fc.integer({ min: 0, max: PAGES - 1 }),
  write: fc.boolean(),
  device: fc.integer({ min: 0, max: 1 }),
  invalidate: fc.integer({ min: 0, max: 9 }).map((n) => n === 0),
});

const knobs = fc.record({
  count: fc.integer({ min: 1, max: 4 }),
  outstanding: fc.integer({ min: 1, max: 6 }),
  merge: fc.boolean(),
  overhead: fc.constantFrom(0, 30_000),
  replay: fc.constantFrom(0, 25_000),
  hold: fc.constantFrom(0, 25_000),
  order: fc.constantFrom(...ORDERS),
  posted: fc.integer({ min: 1, max: 5 }),
  nonPosted: fc.integer({ min: 1, max: 5 }),
  entries: fc.constantFrom(1, 2, 4),
  cache: fc.boolean(),
});

/** `directoryReads`: memory reads before the first table entry when nothing is cached; `levels` of the table. */
export function checkWalkerContract(
  name: string,
  make: (changes: UnitChanges) => WalkerSubject,
  directoryReads: number,
  levels: number,
): void {
  const table = levels * READ_PS;

  describe(`walker contract: ${name}`, () => {
    it('lets every request out once, translated, in the promised order, within its bounds', () => {
      fc.assert(
        fc.property(knobs, fc.array(action, { minLength: 1, maxLength: 60 }), (k, actions) => {
          const { rig, iova, pa, domain } = make({
            queue: { order: k.order, postedDepth: k.posted, nonPostedDepth: k.nonPosted, interval: 1000 },
            iotlb: { entries: k.entries, ways: k.entries, enabled: k.cache, latency: 5000 },
            contextCache: { enabled: k.cache },
            walkers: {
              count: k.count,
              outstanding: k.outstanding,
              merge: k.merge,
              overhead: k.overhead,
              replay: k.replay,
              readHold: Math.min(k.hold, k.replay),
            },
          });
          rig.servicePs = 50_000;
          const sent: { id: number; write: boolean; page: number }[] = [];
          for (const a of actions) {
            rig.after(a.at, () => {
              const address = iova + 4096 * a.page;
              if (!a.invalidate) {
                sent.push({
                  id: rig.send({ address, write: a.write, device: a.device }),
                  write: a.write,
                  page: a.page,
                });
                return;
              }
              rig.submit((words) => {
                const [hi, lo] = [Math.floor(address / 2 ** 32), address | 0];
                encodeIotlbInvalidation(words, 0, Granularity.Selective, domain, hi, lo, 0, false, true, true);
              });
            });
          }
          rig.run();
          expect(rig.departures.map((d) => d.id).sort((x, y) => x - y)).toEqual(sent.map((s) => s.id));
          for (const d of rig.departures) {
            expect(d.aborted).toBe(false);
            expect(d.output).toBe(pa + (d.address - iova));
          }
          const ordered = (ids: number[]): void => expect(ids).toEqual([...ids].sort((x, y) => x - y));
          if (k.order === 'all') ordered(rig.departures.map((d) => d.id));
          if (k.order === 'class') ordered(rig.departures.filter((d) => !d.write).map((d) => d.id));
          if (k.order !== 'none') ordered(rig.departures.filter((d) => d.write).map((d) => d.id));
          expect(rig.unit.walkers.busy.max).toBeLessThanOrEqual(k.count);
          expect(rig.unit.queue.occupancy.max).toBeLessThanOrEqual(k.posted + k.nonPosted);
        }),
        { numRuns: 200 },
      );
    });

    it('reads every directory entry and level once when everything is cold', () => {
      const { rig, iova } = make({});
      expect(rig.translate({ address: iova }).at).toBe(directoryReads * READ_PS + table);
      expect([rig.unit.counters.directoryReads, rig.unit.counters.tableReads]).toEqual([directoryReads, levels]);
    });

    it('runs as many walks at a time as there are walkers, oldest first', () => {
      for (const count of [1, 2, 3]) {
        const { rig, iova } = make({ ...NO_WALK_CACHES, walkers: { count, overhead: 7000 } });
        rig.translate({ address: iova });
        const start = rig.now;
        for (let page = 1; page <= 6; page++) rig.send({ address: iova + 4096 * page });
        rig.run();
        expect(rig.unit.walkers.busy.max).toBe(count);
        const rounds = rig.departures.slice(1).map((d) => [d.id, (d.at - start) / 1000]);
        // Walks that start together are read one picosecond after the other at the memory's port.
        rounds.forEach(([id, at], i) => {
          expect(id).toBe(i + 1);
          const round = Math.floor(i / count) + 1;
          expect(Math.round(at!)).toBe((round * (7000 + table)) / 1000);
        });
      }
    });

    it('merges misses of one page into one walk, or does not', () => {
      for (const merge of [true, false]) {
        const { rig, iova } = make({ walkers: { merge } });
        rig.translate({ address: iova });
        const before = rig.unit.counters.walks;
        for (let i = 0; i < 4; i++) rig.send({ address: iova + 4096 + 64 * i });
        rig.send({ address: iova + 4096, device: 1 });
        rig.run();
        // The other requester is another address space as far as the unit knows.
        expect(rig.unit.counters.walks - before).toBe(merge ? 2 : 5);
        expect(rig.unit.counters.merged).toBe(merge ? 3 : 0);
      }
    });

    it('holds a walker for reads until readHold, and replays after replay', () => {
      const walkers = { count: 1, overhead: 10_000, replay: 50_000, readHold: 20_000 };
      for (const write of [false, true]) {
        const { rig, iova } = make({ ...NO_WALK_CACHES, walkers });
        rig.translate({ address: iova });
        const start = rig.now;
        rig.send({ address: iova + 4096, write });
        rig.send({ address: iova + 8192, write });
        rig.run();
        const walk = 10_000 + table;
        const hold = write ? 0 : 20_000;
        expect(rig.departures.slice(1).map((d) => d.at - start)).toEqual([walk + 50_000, walk + hold + walk + 50_000]);
      }
    });

    it('takes up every parked request although the first of them hits', () => {
      const { rig, iova } = make({ walkers: { outstanding: 1, merge: false } });
      for (let i = 0; i < 5; i++) rig.send({ address: iova + 64 * i });
      rig.send({ address: iova + 4096 });
      rig.run();
      expect(rig.departures.map((d) => d.id)).toEqual([0, 1, 2, 3, 4, 5]);
      expect(rig.unit.counters.walks).toBe(2);
    });

    it('keeps a hit behind an older miss where order is asked for, and only there', () => {
      for (const order of ORDERS) {
        const { rig, iova } = make({ queue: { order } });
        rig.translate({ address: iova });
        const start = rig.now;
        for (const write of [true, false]) {
          rig.send({ address: iova + 4096, write });
          rig.send({ address: iova, write });
        }
        rig.run();
        const waits = new Map(rig.departures.map((d) => [d.id, d.at > start]));
        expect(waits.get(2)).toBe(order !== 'none');
        expect(waits.get(4)).toBe(order === 'all' || order === 'class');
      }
    });
  });
}
