import fc from 'fast-check';
import { expect, it } from 'vitest';
import { TimeAverage } from './time-average.js';

it('is the average over ticks', () => {
  fc.assert(
    fc.property(
      fc.array(fc.record({ gap: fc.nat(10), delta: fc.integer({ min: -3, max: 3 }) }), { maxLength: 30 }),
      fc.nat(10),
      (steps, rest) => {
        const average = new TimeAverage();
        let now = 0;
        let level = 0;
        let area = 0;
        let max = 0;
        for (const { gap, delta } of steps) {
          area += level * gap;
          now += gap;
          level += delta;
          max = Math.max(max, level);
          average.add(now, delta);
        }
        area += level * rest;
        now += rest;
        expect(average.mean(now)).toBe(now === 0 ? level : area / now);
        expect([average.max, average.value]).toEqual([max, level]);
      },
    ),
  );
});

it('starts a window with the level it has', () => {
  const average = new TimeAverage();
  average.set(0, 7);
  average.set(50, 4);
  average.reset(100);
  expect([average.mean(100), average.max]).toEqual([4, 4]);
  average.add(110, 1);
  expect([average.mean(120), average.max]).toEqual([4.5, 5]);
});
