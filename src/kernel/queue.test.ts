import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Event } from './event.js';
import { EventQueue } from './queue.js';

/** The specification: a list kept in order by insertion behind everything that is not later. */
class NaiveQueue {
  now = 0;
  private readonly list: { at: number; id: number }[] = [];

  push(delay: number, id: number): void {
    const at = this.now + delay;
    let low = 0;
    let high = this.list.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.list[middle]!.at <= at) low = middle + 1;
      else high = middle;
    }
    this.list.splice(low, 0, { at, id });
  }

  pop(): number {
    const entry = this.list.shift();
    if (entry === undefined) return -1;
    this.now = entry.at;
    return entry.id;
  }
}

function makeEvent(id: number): Event {
  const event = new Event();
  event.id = id;
  return event;
}

function popIds(queue: EventQueue, n: number): Int32Array {
  return Int32Array.from({ length: n }, () => queue.pop()!.id);
}

/** Runs both queues side by side: after each pop, `delaysOf` says what to schedule. Returns the number of pops. */
function compare(initial: readonly number[], delaysOf: (step: number, id: number) => readonly number[]): number {
  const queue = new EventQueue();
  const naive = new NaiveQueue();
  let id = 0;
  const push = (delay: number): void => {
    queue.push(delay, makeEvent(id));
    naive.push(delay, id);
    id++;
  };
  initial.forEach(push);
  let steps = 0;
  for (;;) {
    const event = queue.pop();
    const expected = naive.pop();
    if ((event === null ? -1 : event.id) !== expected) {
      throw new Error(`pop ${steps}: event ${event?.id} instead of ${expected}`);
    }
    if (event === null) break;
    if (queue.clock[0] !== naive.now) throw new Error(`pop ${steps}: clock ${queue.clock[0]} instead of ${naive.now}`);
    delaysOf(steps, event.id).forEach(push);
    steps++;
  }
  expect(queue.size).toBe(0);
  expect(queue.popped).toBe(steps);
  return steps;
}

/** Small linear congruential sequence: the tests choose their delays themselves. */
function sequence(seed: number): (n: number) => number {
  let x = seed | 0;
  return (n) => {
    x = (Math.imul(x, 1664525) + 1013904223) | 0;
    return (x >>> 8) % n;
  };
}

const delay = fc.oneof(
  fc.constant(0),
  fc.integer({ min: 0, max: 3 }),
  fc.integer({ min: 0, max: 5000 }),
  fc.integer({ min: 0, max: 3_000_000 }),
  fc.constantFrom(2 ** 30 - 1, 2 ** 30, 2 ** 30 + 1, 2 ** 31 - 1, 2 ** 31, 2 ** 32 - 1, 2 ** 32, 2 ** 32 + 1),
  fc.constantFrom(2.2e9, 1e10, 1e11, 1e12, 9e13, 3.6e15),
);

describe('event queue', () => {
  it('agrees with a sorted list for any program of delays', () => {
    fc.assert(
      fc.property(
        fc.array(delay, { maxLength: 200 }),
        fc.array(fc.array(delay, { maxLength: 3 }), { maxLength: 300 }),
        (initial, program) => {
          compare(initial, (step) => program[step] ?? []);
        },
      ),
      { numRuns: 400 },
    );
  });

  it.each([
    ['nanoseconds', (r: (n: number) => number) => r(200_000)],
    ['ties', (r: (n: number) => number) => r(4) * 1000],
    ['zero delays', (r: (n: number) => number) => (r(3) === 0 ? r(2000) : 0)],
    ['single ticks', (r: (n: number) => number) => r(3)],
    ['nanoseconds and 10 ms', (r: (n: number) => number) => (r(2) === 0 ? 1e10 : 1000 + r(9000))],
    ['all magnitudes', (r: (n: number) => number) => Math.floor(r(1000) * 2 ** (r(36) - 4))],
    ['around the far limit', (r: (n: number) => number) => 2 ** 30 - 50_000 + r(100_000)],
    ['whole wraps of the tick', (r: (n: number) => number) => r(3) * 2 ** 32 + r(2)],
    ['clusters', (r: (n: number) => number) => (r(20) === 0 ? 5_000_000 + r(16) : r(16))],
  ])('keeps the order through many windows of tuning: %s', (_name, draw) => {
    const r = sequence(7);
    let left = 100_000;
    const initial = Array.from({ length: 500 }, () => draw(r));
    const steps = compare(initial, () => (left-- > 0 ? [draw(r)] : []));
    expect(steps).toBe(100_500);
  });

  it('keeps the order when the density changes by nine decades and back', () => {
    const r = sequence(11);
    let left = 200_000;
    const scale = (step: number): number => [1, 1_000_000, 1000, 1_000_000_000, 10][Math.floor(step / 40_000)] ?? 1;
    compare(
      Array.from({ length: 300 }, () => r(100)),
      (step) => (left-- > 0 ? [r(100) * scale(step)] : []),
    );
  });

  it('returns 100,000 events of one tick in order of scheduling', () => {
    for (const at of [0, 12_345, 2 ** 29, 2 ** 33]) {
      const queue = new EventQueue();
      for (let i = 0; i < 100_000; i++) queue.push(at, makeEvent(i));
      expect(popIds(queue, 100_000)).toEqual(Int32Array.from({ length: 100_000 }, (_, i) => i));
      expect(queue.clock[0]).toBe(at);
      expect(queue.pop()).toBeNull();
    }
  });

  it('puts zero-delay events behind a crowd of the same tick, before the next tick, without searching', () => {
    const queue = new EventQueue();
    const n = 200_000;
    for (let i = 0; i < n; i++) queue.push(5, makeEvent(i));
    queue.push(6, makeEvent(2 * n));
    const ids = new Int32Array(2 * n + 1);
    for (let i = 0; i < n; i++) {
      ids[i] = queue.pop()!.id;
      queue.push(0, makeEvent(n + i));
    }
    ids.set(popIds(queue, n + 1), n);
    expect(ids).toEqual(ids.map((_, i) => i));
    expect(queue.clock[0]).toBe(6);
  });

  it('sorts a burst of distinct ticks inside one bucket', () => {
    const r = sequence(3);
    // 500 ns between events first, so that buckets are wide; then everything at once.
    let left = 40_000;
    compare([0], (step) => {
      if (left-- > 0) return [500_000];
      return step === 40_001 ? Array.from({ length: 20_000 }, () => r(250_000)) : [];
    });
  });

  it('merges an event scheduled long ago before one scheduled later for the same time', () => {
    const queue = new EventQueue();
    const at = 2 ** 30 + 1_000_000;
    queue.push(at, makeEvent(1));
    queue.push(at - 10, makeEvent(0));
    expect(queue.pop()!.id).toBe(0);
    queue.push(10, makeEvent(2));
    expect(queue.pop()!.id).toBe(1);
    expect(queue.pop()!.id).toBe(2);
    expect(queue.clock[0]).toBe(at);
  });

  it('runs timers of 2.2 ms to 90 s and an idle hour among nanosecond events, not one tick off', () => {
    const timers = [2.2e9, 1e10, 1e11, 1e12, 9e13, 3.6e15];
    const queue = new EventQueue();
    timers.forEach((timer, i) => {
      queue.push(timer, makeEvent(i));
    });
    const busy = makeEvent(100);
    let left = 200_000;
    queue.push(777, busy);
    const due: number[] = [];
    for (let event = queue.pop(); event !== null; event = queue.pop()) {
      if (event === busy) {
        if (left-- > 0) queue.push(777, busy);
      } else {
        due.push(queue.clock[0]!);
        // A burst of short events wakes up after every pause.
        left = 100;
        queue.push(777, busy);
      }
      if (due.length === timers.length && event === busy) break;
    }
    expect(due).toEqual(timers);
  });

  it('is exact after the clock has passed 2^52', () => {
    const queue = new EventQueue();
    const late = 2 ** 52 + 12_345;
    queue.push(late, makeEvent(0));
    expect(queue.pop()!.id).toBe(0);
    queue.push(1, makeEvent(1));
    queue.push(0, makeEvent(2));
    expect(queue.pop()!.id).toBe(2);
    expect(queue.clock[0]).toBe(late);
    expect(queue.pop()!.id).toBe(1);
    expect(queue.clock[0]).toBe(late + 1);
  });

  it('refuses what is not an integer delay and stays as it was', () => {
    const queue = new EventQueue();
    queue.push(5, makeEvent(0));
    for (const bad of [-1, -(2 ** 31), 0.5, 2 ** 31 + 0.5, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 53]) {
      expect(() => queue.push(bad, makeEvent(1))).toThrow(RangeError);
    }
    expect(queue.size).toBe(1);
    expect(queue.pop()!.id).toBe(0);
    expect(queue.pop()).toBeNull();
  });

  it('can be refilled after it ran empty', () => {
    const queue = new EventQueue();
    for (let round = 0; round < 5; round++) {
      expect(queue.pop()).toBeNull();
      queue.push(round * 1e9, makeEvent(round));
      expect(queue.pop()!.id).toBe(round);
    }
    expect(queue.clock[0]).toBe(1e10);
  });

  it('orders more events than are loaded ahead', () => {
    const r = sequence(5);
    const queue = new EventQueue();
    const due = Array.from({ length: 60_000 }, () => r(50_000) * 7);
    due.forEach((at, i) => {
      queue.push(at, makeEvent(i));
    });
    const order = due.map((at, i) => ({ at, i })).sort((a, b) => a.at - b.at || a.i - b.i);
    expect(popIds(queue, due.length)).toEqual(Int32Array.from(order, ({ i }) => i));
    expect(queue.clock[0]).toBe(order.at(-1)!.at);
  });
});
