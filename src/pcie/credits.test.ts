import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { CreditPool } from './credits.js';

describe('flow-control credits', () => {
  it('a returned credit counts exactly one return time later', () => {
    const pool = new CreditPool(1, 4, 100);
    expect(pool.take(0, 4)).toBe(true);
    expect([pool.take(0, 1), pool.nextDue()]).toEqual([false, -1]);
    pool.give(50, 4);
    expect(pool.nextDue()).toBe(150);
    expect(pool.take(149, 4)).toBe(false);
    expect(pool.take(150, 4)).toBe(true);
  });

  it('data units and headers run out separately', () => {
    const pool = new CreditPool(2, 5, 0);
    expect([pool.take(0, 4), pool.take(0, 4), pool.take(0, 1), pool.take(0, 0)]).toEqual([true, false, true, false]);
  });

  it('agrees with a list of returns at any time and in any number', () => {
    const step = fc.record({ wait: fc.nat({ max: 40 }), take: fc.boolean(), units: fc.nat({ max: 6 }) });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 400 }), fc.nat({ max: 3000 }), (steps, delay) => {
        const pool = new CreditPool(100, 300, delay);
        let [headers, data, now] = [100, 300, 0];
        let due: { at: number; units: number }[] = [];
        const held: number[] = [];
        for (const { wait, take, units } of steps) {
          now += wait;
          for (const d of due.filter(({ at }) => at <= now)) {
            headers++;
            data += d.units;
          }
          due = due.filter(({ at }) => at > now);
          if (take) {
            const possible = headers >= 1 && data >= units;
            expect(pool.take(now, units)).toBe(possible);
            if (possible) {
              headers--;
              data -= units;
              held.push(units);
            }
          } else if (held.length > 0) {
            const back = held.shift()!;
            pool.give(now, back);
            due.push({ at: now + delay, units: back });
          }
        }
      }),
    );
  });
});
