/**
 * DMA windows of PowerNV (arch/powerpc/platforms/powernv: pci-ioda.c, pci-ioda-tce.c): one page size and up to five levels of tables of one
 * size, large enough for all memory as far as the page allocator's largest block (16 MiB) lets a level grow.
 */
import { compileFormat, type Format } from '../../pagetable/format.js';
import { tce } from '../../pagetable/formats/tce.js';
import type { MemoryRange } from '../identity-table.js';
import type { UnitSpec } from '../spec.js';
import { log2 } from '../log2.js';

/** log2 of the TCEs in a 4 KiB table and in the largest block. */
const LEAST_INDEX = 9;
const MOST_INDEX = 21;

export interface Window {
  readonly format: Format;
  readonly pageLg2: number;
  readonly indexBits: number;
  /** Bits of its addresses. */
  readonly bits: number;
}

export function windowFor(spec: UnitSpec, ranges: readonly MemoryRange[]): Window {
  const { levels, hostAddressWidth } = spec;
  const pageLg2 = log2(spec.granule);
  const wanted = log2(endOfMemory(ranges)) - pageLg2;
  const indexBits = Math.min(MOST_INDEX, Math.max(LEAST_INDEX, Math.ceil(wanted / levels)));
  const format = compileFormat(tce({ hostAddressWidth, pageLg2, indexBits }));
  return { format, pageLg2, indexBits, bits: Math.min(pageLg2 + levels * indexBits, 59) };
}

/** First address above all memory. */
export function endOfMemory(ranges: readonly MemoryRange[]): number {
  return Math.max(...ranges.map(({ base, size }) => base + size));
}
