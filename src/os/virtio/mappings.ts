/**
 * What a virtio-iommu domain has instead of a page table (drivers/iommu/virtio-iommu.c, viommu_add_mapping): an interval for each map. The
 * table it is derived from stays empty: nobody but this class writes it, and no unit reads it.
 */
import type { FrameAllocator } from '../../memory/frames.js';
import type { PhysicalMemory } from '../../memory/physical.js';
import type { Format } from '../../pagetable/format.js';
import { type Interval, Intervals } from '../../pagetable/intervals.js';
import { PageTable } from '../../pagetable/table.js';
import { PageTableError } from '../../pagetable/work.js';
import type { Access } from '../../protocol/access.js';

export class MappingTable extends PageTable {
  readonly mappings = new Intervals();

  constructor(format: Format, memory: PhysicalMemory, frames: FrameAllocator, levels: number) {
    super(format, memory, frames, levels);
  }

  /** Throws PageTableError `overlap`. */
  override map(iova: number, pa: number, bytes: number, access: Access): void {
    if (!this.mappings.add({ start: iova, end: iova + bytes, pa, access })) {
      throw new PageTableError('overlap', `0x${iova.toString(16)} is mapped already`);
    }
  }

  /** Removes whole mappings. Throws PageTableError `partial`, with those before it removed, at one that reaches beyond. */
  override unmap(iova: number, bytes: number): number {
    const { removed, split } = this.mappings.remove(iova, iova + bytes);
    if (split) throw new PageTableError('partial', `0x${iova.toString(16)} is inside a mapping, which cannot be split`);
    return removed.reduce((sum, { start, end }) => sum + end - start, 0);
  }

  override lookup(iova: number): number {
    const found = this.mappings.find(iova);
    return found === null ? -1 : found.pa + iova - found.start;
  }

  override leafBytes(iova: number): number {
    const found = this.mappings.find(iova);
    return found === null ? 0 : found.end - found.start;
  }

  /** The mapping that begins at `iova`. */
  at(iova: number): Interval {
    const found = this.mappings.find(iova);
    if (found === null) throw new Error(`0x${iova.toString(16)} is not mapped`);
    return found;
  }
}
