/** Page requests of the devices of a unit as they are measured: what the device knows of a request, and the unit of its record. */
import type { PageRequestQueue } from '../iommu/page-request-queue.js';
import type { Pri } from '../pcie/pri.js';
import type { PageRequestLog } from '../protocol/page-request.js';
import type { StallClient } from '../protocol/stall.js';

export class PageLog implements PageRequestLog {
  /** `pris`: by requester id. */
  constructor(
    private readonly queue: PageRequestQueue,
    private readonly pris: ReadonlyMap<number, Pri>,
  ) {}

  askedAt(requester: number, group: number, hi: number, lo: number): number {
    return this.pris.get(requester)!.askedAt(group, hi, lo);
  }

  recordedAt(slot: number): number {
    return this.queue.recordedAt(slot);
  }

  follow(requester: number, group: number, hi: number, lo: number, client: StallClient): void {
    this.pris.get(requester)!.follow(group, hi, lo, client);
  }
}
