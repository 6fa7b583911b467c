/** A machine, or a port, without an IOMMU: DMA addresses are physical addresses and there is nothing to attach or invalidate. */
import type { PageTable } from '../pagetable/table.js';
import type { IommuDriver } from './iommu-driver.js';
import type { Call } from './thread.js';

export class DirectDriver implements IommuDriver {
  readonly syncsMaps = false;

  createTable(): PageTable {
    throw new Error('no IOMMU unit, no page table');
  }

  apertureBits(): number {
    return 52;
  }

  supportsPasid(): boolean {
    return false;
  }

  reserved(): readonly (readonly [number, number])[] {
    return [];
  }

  attach(): void {}

  *detach(): Call<void> {}

  *syncMap(): Call<void> {}

  *flushRange(): Call<void> {}

  *flushAll(): Call<void> {}

  stored(): void {}
}
