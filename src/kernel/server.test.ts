import fc from 'fast-check';
import { expect, it } from 'vitest';
import { FifoServer } from './server.js';

it('starts work at once when idle and behind earlier work otherwise', () => {
  const server = new FifoServer();
  expect(server.book(100, 50)).toBe(0);
  expect(server.book(100, 50)).toBe(50);
  expect(server.book(149, 10)).toBe(51);
  expect(server.book(210, 5)).toBe(0);
  expect(server.book(214, 5)).toBe(1);
  expect(server.backlogPs(214)).toBe(6);
});

it('may idle for an hour', () => {
  const server = new FifoServer();
  server.book(0, 10);
  expect(server.book(3.6e15, 10)).toBe(0);
  expect(server.book(3.6e15, 10)).toBe(10);
});

it('measures busy time exactly, as a tick-by-tick server does', () => {
  fc.assert(
    fc.property(
      fc.array(fc.record({ gap: fc.nat(20), service: fc.nat(30) }), { maxLength: 40 }),
      fc.nat(300),
      fc.nat(300),
      (work, resetAt, window) => {
        const server = new FifoServer();
        const busy = new Uint8Array(3000);
        const end = resetAt + window;
        let now = 0;
        let free = 0;
        let done = false;
        const reset = (): void => {
          server.reset(resetAt);
          done = true;
        };
        for (const { gap, service } of work) {
          if (now + gap > end) break;
          if (!done && now + gap >= resetAt) reset();
          now += gap;
          const start = Math.max(now, free);
          expect(server.book(now, service)).toBe(start - now);
          free = start + service;
          busy.fill(1, start, free);
        }
        if (!done) reset();
        expect(server.busyPs(end)).toBe(busy.subarray(resetAt, end).reduce((sum, b) => sum + b, 0));
      },
    ),
  );
});
