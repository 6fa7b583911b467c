import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Event } from './event.js';
import { Kernel } from './kernel.js';
import { Meter } from './meter.js';
import { RandomStream } from './random.js';

const RELAY = 99;

function run(everyEvent: boolean): string[] {
  const kernel = new Kernel(RELAY);
  kernel.everyEvent = everyEvent;
  const log: string[] = [];
  for (let i = 0; i < 20; i++) {
    const event = new Event();
    event.id = i;
    kernel.relay(1000 * i, 77, event, 3);
  }
  for (let event = kernel.next(); event !== null; event = kernel.next()) {
    if (event.op === RELAY) kernel.relayed(event);
    else log.push(`${kernel.clock[0]} ${event.id} ${event.op}`);
  }
  expect(kernel.dispatched).toBe(everyEvent ? 40 : 20);
  return log;
}

describe('kernel', () => {
  it('sets the op and moves the clock, not one tick off', () => {
    const kernel = new Kernel();
    const early = new Event();
    const late = new Event();
    kernel.after(1001, late, 2);
    kernel.after(1000, early, 1);
    expect(kernel.pending).toBe(2);
    expect(kernel.clock[0]).toBe(0);
    expect(kernel.next()).toBe(early);
    expect([early.op, kernel.clock[0]]).toEqual([1, 1000]);
    expect(kernel.next()).toBe(late);
    expect([late.op, kernel.clock[0]]).toEqual([2, 1001]);
    expect(kernel.next()).toBeNull();
    expect([kernel.pending, kernel.dispatched]).toEqual([0, 2]);
  });

  it('relays to the same time with and without the event in between', () => {
    expect(run(true)).toEqual(run(false));
  });

  it('keeps the latency of a relay below 2^31 in both modes', () => {
    const kernel = new Kernel(RELAY);
    expect(() => kernel.relay(0, 2 ** 31, new Event(), 1)).toThrow(RangeError);
    kernel.everyEvent = true;
    expect(() => kernel.relay(0, Number.NaN, new Event(), 1)).toThrow(RangeError);
    expect(kernel.pending).toBe(0);
  });

  it('repeats a run exactly', () => {
    const trace = (): number => {
      const kernel = new Kernel();
      const random = new RandomStream(1, 'trace');
      let hash = 0;
      for (let i = 0; i < 300; i++) {
        const event = new Event();
        event.id = i;
        kernel.after(random.exponential(10_000), event, 0);
      }
      for (let i = 0; i < 50_000; i++) {
        const event = kernel.next()!;
        hash = (Math.imul(hash, 31) + event.id) ^ (kernel.clock[0]! | 0);
        kernel.after(random.exponential(10_000 + 100 * event.id), event, 0);
      }
      return hash;
    };
    expect(trace()).toBe(trace());
  });
});

describe('pass', () => {
  /** An actor steps with the delays of its list, over and over; returns who has stepped when. */
  function trace(actors: readonly (readonly number[])[], everyEvent: boolean, steps: number): string[] {
    const kernel = new Kernel(-1, new Meter());
    kernel.everyEvent = everyEvent;
    const seen: string[] = [];
    const events = actors.map((_, id) => Object.assign(new Event(), { id }));
    const turns = actors.map(() => 0);
    for (const [id, event] of events.entries()) kernel.after(actors[id]![0]!, event, 0);
    while (seen.length < steps) {
      const event = kernel.next()!;
      const delays = actors[event.id]!;
      let delay: number;
      do {
        seen.push(`${event.id}@${kernel.clock[0]}`);
        turns[event.id] = turns[event.id]! + 1;
        delay = delays[turns[event.id]! % delays.length]!;
      } while (seen.length < steps && kernel.pass(delay));
      kernel.after(delay, event, 0);
    }
    return [...seen, `${kernel.dispatched}`];
  }

  const delay = fc.oneof(
    fc.integer({ min: 0, max: 3 }),
    fc.integer({ min: 0, max: 5000 }),
    fc.integer({ min: 0, max: 2 ** 21 }),
    fc.integer({ min: 2 ** 28, max: 2 ** 33 }),
  );

  it('changes nothing but who schedules', () => {
    fc.assert(
      fc.property(
        fc.array(fc.array(delay, { minLength: 1, maxLength: 8 }), { minLength: 1, maxLength: 6 }),
        (actors) => {
          expect(trace(actors, false, 400)).toEqual(trace(actors, true, 400));
        },
      ),
    );
  });

  it('changes nothing over many turns of the clock and shapes of the ring', () => {
    const actors = [
      [700, 1300, 90],
      [2 ** 31 + 7, 5],
      [40_000, 2 ** 20],
    ];
    expect(trace(actors, false, 100_000)).toEqual(trace(actors, true, 100_000));
  });

  it('moves the clock when nothing else is due by then, and only then', () => {
    const kernel = new Kernel(-1, new Meter());
    kernel.after(1000, new Event(), 0);
    expect(kernel.pass(1000)).toBe(false);
    expect(kernel.pass(999)).toBe(true);
    expect(kernel.clock[0]).toBe(999);
    expect(kernel.pass(1)).toBe(false);
    expect(kernel.dispatched).toBe(1);
    kernel.next();
    expect(kernel.clock[0]).toBe(1000);
  });

  it('refuses when the window is over, in every-event mode and without a window', () => {
    const meter = new Meter();
    const kernel = new Kernel(-1, meter);
    meter.close();
    expect(kernel.pass(1)).toBe(false);
    meter.start(0);
    kernel.everyEvent = true;
    expect(kernel.pass(1)).toBe(false);
    expect(new Kernel().pass(1)).toBe(false);
  });
});
