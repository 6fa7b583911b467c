import { describe, expect, it } from 'vitest';
import { Event } from './event.js';
import { Kernel } from './kernel.js';
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
