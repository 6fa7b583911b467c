import { expect, it } from 'vitest';
import { Event } from './event.js';
import { Semaphore } from './semaphore.js';

it('grants its units, then queues, then hands over in order', () => {
  const semaphore = new Semaphore(2);
  const [a, b] = [new Event(), new Event()];
  expect([semaphore.tryAcquire(), semaphore.tryAcquire(), semaphore.tryAcquire()]).toEqual([true, true, false]);
  semaphore.park(a);
  semaphore.park(b);
  expect([semaphore.free, semaphore.waiting]).toEqual([0, 2]);
  expect(semaphore.release()).toBe(a);
  expect(semaphore.tryAcquire()).toBe(false);
  expect(semaphore.release()).toBe(b);
  expect(semaphore.release()).toBeNull();
  expect([semaphore.free, semaphore.waiting]).toEqual([1, 0]);
  expect(semaphore.tryAcquire()).toBe(true);
});

it('reports misuse', () => {
  expect(() => new Semaphore(0)).toThrow(RangeError);
  expect(() => new Semaphore(1.5)).toThrow(RangeError);
  expect(() => new Semaphore(1).release()).toThrow('more often');
  expect(() => new Semaphore(1).park(new Event())).toThrow('free unit');
});
