import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Prefetcher } from './prefetcher.js';

/** A prefetcher and what it has asked for, in order: `PASID:page`. `room`: how many more it gets. */
function rig(distance: number, streams = 4) {
  const state = { room: Number.POSITIVE_INFINITY, asked: [] as string[] };
  const prefetcher = new Prefetcher({ distance, streams, pageRequests: true }, (pasid, page) => {
    if (state.room === 0) return false;
    state.room--;
    state.asked.push(`${pasid}:${page}`);
    return true;
  });
  const see = (pasid: number, ...pages: number[]): string[] => {
    state.asked = [];
    for (const page of pages) prefetcher.saw(pasid, page, true);
    return state.asked;
  };
  return { state, see };
}

describe('a device that follows its accesses', () => {
  it('is a distance ahead once a page has followed another, and stays so', () => {
    const { see } = rig(3);
    expect(see(1, 10)).toEqual([]);
    expect(see(1, 11)).toEqual(['1:12', '1:13', '1:14']);
    expect(see(1, 11, 11)).toEqual([]);
    expect(see(1, 12)).toEqual(['1:15']);
    expect(see(1, 14)).toEqual(['1:16', '1:17']);
  });

  it('asks for nothing where pages do not follow each other', () => {
    expect(rig(8).see(1, 100, 300, 200, 400, 50)).toEqual([]);
  });

  it('keeps streams of PASIDs apart, and as many as it can', () => {
    const { see } = rig(1, 2);
    see(1, 10, 11);
    see(2, 10, 11);
    expect(see(1, 12)).toEqual(['1:13']);
    expect(see(2, 12)).toEqual(['2:13']);
    // A third takes the place of the one that was used least recently, PASID 1's.
    see(3, 70);
    expect(see(2, 13)).toEqual(['2:14']);
    expect(see(1, 13)).toEqual([]);
  });

  it('accesses that are a little out of order belong to the stream and ask for nothing twice', () => {
    const { see } = rig(4);
    expect(see(1, 10, 11, 13, 12, 14)).toEqual(['12', '13', '14', '15', '16', '17', '18'].map((page) => `1:${page}`));
  });

  it('asks later for what it could not ask for at once', () => {
    const { state, see } = rig(4);
    see(1, 10);
    state.room = 2;
    expect(see(1, 11)).toEqual(['1:12', '1:13']);
    state.room = 1;
    expect(see(1, 11)).toEqual(['1:14']);
    state.room = 9;
    expect(see(1, 12)).toEqual(['1:15', '1:16']);
  });

  it('never asks for a page of a stream twice, nor for one further ahead than the distance', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 16 }),
        fc.array(fc.record({ pasid: fc.integer({ min: 0, max: 2 }), skip: fc.integer({ min: 0, max: 2 }) })),
        (distance, steps) => {
          const at = [0, 0, 0];
          const seen = new Set<string>();
          const { see } = rig(distance, 3);
          for (const { pasid, skip } of steps) {
            at[pasid]! += skip;
            for (const asked of see(pasid, at[pasid]!)) {
              expect(seen.has(asked)).toBe(false);
              seen.add(asked);
              const page = Number(asked.split(':')[1]);
              expect(page).toBeGreaterThan(at[pasid]!);
              expect(page).toBeLessThanOrEqual(at[pasid]! + distance);
            }
          }
        },
      ),
    );
  });
});
