import fc from 'fast-check';
import { expect, it } from 'vitest';
import { Access } from '../protocol/access.js';
import { Intervals } from './intervals.js';

const PAGES = 40;
const piece = fc.tuple(fc.integer({ min: 0, max: PAGES - 1 }), fc.integer({ min: 1, max: 8 }), fc.boolean());

it('agree with a page-by-page dictionary on random programs', () => {
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 60 }), (program) => {
      const intervals = new Intervals();
      let naive: { start: number; end: number; pa: number }[] = [];
      for (const [start, length, adds] of program) {
        const end = start + length;
        if (adds) {
          const free = naive.every((other) => other.end <= start || other.start >= end);
          const pa = 1000 + start;
          expect(intervals.add({ start, end, pa, access: Access.Read })).toBe(free);
          if (free) naive.push({ start, end, pa });
        } else {
          const { removed, split } = intervals.remove(start, end);
          const touched = naive.filter((other) => other.end > start && other.start < end);
          touched.sort((a, b) => a.start - b.start);
          const stop = touched.findIndex((other) => other.start < start || other.end > end);
          const whole = stop < 0 ? touched : touched.slice(0, stop);
          expect([removed.map((each) => each.start), split]).toEqual([whole.map((each) => each.start), stop >= 0]);
          naive = naive.filter((other) => !whole.includes(other));
        }
        expect(intervals.size).toBe(naive.length);
        for (let page = 0; page < PAGES + 8; page++) {
          const expected = naive.find((other) => other.start <= page && page < other.end) ?? null;
          expect(intervals.find(page)?.pa ?? null).toBe(expected?.pa ?? null);
        }
      }
      expect([...intervals].map(({ start }) => start)).toEqual(naive.map(({ start }) => start).sort((a, b) => a - b));
    }),
  );
});

it('gives the intervals that have an address of a range, in order', () => {
  const intervals = new Intervals();
  for (const [start, end] of [
    [0, 10],
    [20, 30],
    [30, 40],
  ] as const) {
    intervals.add({ start, end, pa: 0, access: Access.Read });
  }
  const starts = (from: number, to: number): number[] => intervals.within(from, to).map(({ start }) => start);
  expect(starts(0, Infinity)).toEqual([0, 20, 30]);
  expect(starts(9, 20)).toEqual([0]);
  expect(starts(10, 21)).toEqual([20]);
  expect(starts(10, 20)).toEqual([]);
  expect(intervals.size).toBe(3);
});
