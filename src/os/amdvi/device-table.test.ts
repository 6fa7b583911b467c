import { expect, it } from 'vitest';
import type { FrameAllocator } from '../../memory/frames.js';
import { PhysicalMemory } from '../../memory/physical.js';
import { Gcr3Table } from './device-table.js';

it.each([1, 2])('a GCR3 table of %d levels takes 9 bits of PASID a level', (levels) => {
  let next = 0x1000;
  const frames = { allocate: () => (next += 0x1000) } as unknown as FrameAllocator;
  const table = new Gcr3Table(levels, new PhysicalMemory(), frames);
  table.set(2 ** (9 * levels) - 1, 0x5000);
  expect(() => table.set(2 ** (9 * levels), 0x5000)).toThrow(RangeError);
});
