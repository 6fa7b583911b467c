/**
 * The second-stage table under nested translation: guest-physical memory is host memory, mapped to itself in the largest pages the
 * unit has (`largestPage`), as a host maps the memory of a guest that owns the machine. One for each unit; functional, built at boot.
 */
import type { Format } from '../pagetable/format.js';
import { PageTable, type PageTableOptions } from '../pagetable/table.js';
import { Access } from '../protocol/access.js';
import type { FrameAllocator } from '../memory/frames.js';
import type { PhysicalMemory } from '../memory/physical.js';
import { log2 } from './log2.js';

/** A range of physical memory, bytes. */
export interface MemoryRange {
  readonly base: number;
  readonly size: number;
}

/** Throws RangeError when the levels do not reach all of memory, OutOfMemory. */
export function identityTable(
  format: Format,
  memory: PhysicalMemory,
  frames: FrameAllocator,
  levels: number,
  ranges: readonly MemoryRange[],
  largestPage: number,
  options: PageTableOptions = {},
): PageTable {
  const table = new PageTable(format, memory, frames, levels, 'covered', options);
  const largestLg2 = log2(largestPage);
  for (const { base, size } of ranges) table.map(base, base, size, Access.Read | Access.Write, largestLg2);
  return table;
}
