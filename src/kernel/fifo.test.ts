import { expect, it } from 'vitest';
import { Event } from './event.js';
import { EventFifo } from './fifo.js';

it('returns events in the order they came, also after it ran empty', () => {
  const fifo = new EventFifo();
  const events = Array.from({ length: 5 }, () => new Event());
  expect(fifo.pop()).toBeNull();
  for (let round = 0; round < 2; round++) {
    for (const event of events) fifo.push(event);
    expect(fifo.length).toBe(5);
    for (const event of events) {
      expect(fifo.peek()).toBe(event);
      expect(fifo.pop()).toBe(event);
      expect(event.next).toBeNull();
    }
    expect([fifo.pop(), fifo.peek(), fifo.length]).toEqual([null, null, 0]);
  }
});

it('lets an event move from one list to another', () => {
  const first = new EventFifo();
  const second = new EventFifo();
  const [a, b] = [new Event(), new Event()];
  first.push(a);
  first.push(b);
  second.push(first.pop()!);
  expect(second.peek()).toBe(a);
  expect(second.length).toBe(1);
  expect(first.pop()).toBe(b);
});
