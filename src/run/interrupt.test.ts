import { expect, it } from 'vitest';
import { catchInterrupt } from './interrupt.js';

it.each(['SIGINT', 'SIGTERM'] as const)('turns %s into an aborted signal and gives it back', (name) => {
  const before = process.listenerCount(name);
  const interrupt = catchInterrupt();
  expect(interrupt.signal.aborted).toBe(false);
  process.emit(name, name);
  expect(interrupt.signal.aborted).toBe(true);
  interrupt.dispose();
  expect(process.listenerCount(name)).toBe(before);
});
