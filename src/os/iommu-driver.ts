/**
 * What the DMA API needs from the driver of an IOMMU architecture (struct iommu_ops, struct iommu_domain_ops). One driver serves
 * all units of its architecture; a further architecture is a further implementation.
 */
import type { PageTable } from '../pagetable/table.js';
import type { PageRequestLog } from '../protocol/page-request.js';
import type { StallLog } from '../protocol/stall.js';
import type { DomainState } from './domain-state.js';
import type { Endpoint } from './endpoint.js';
import type { FaultDevice, PageResponder } from './fault-device.js';
import type { InterruptCosts } from './interrupt.js';
import type { FaultQueue } from './iopf.js';
import type { Call, Cpu, Thread } from './thread.js';

export type { AtsCapability, Endpoint } from './endpoint.js';

/** What recoverable page faults of one unit go through. */
export interface FaultPath {
  readonly queue: FaultQueue;
  /** CPU of the interrupt and its thread. */
  readonly cpu: Cpu;
  readonly interrupt: InterruptCosts;
  /** For measurement; null: nobody tells. */
  readonly stalls: StallLog | null;
  readonly pages: PageRequestLog | null;
  /** By requester id; null: a stream that no driver owns. */
  deviceOf(requester: number): FaultDevice | null;
}

export interface IommuDriver {
  /** An empty table for DMA mappings on the unit. */
  createTable(unit: number): PageTable;
  /** Input address bits that software may use in such a table. */
  apertureBits(unit: number): number;
  /** Whether the unit can attach a device by PASID. */
  supportsPasid(unit: number): boolean;

  /** Input byte ranges that are not translated as DMA (message-signalled interrupts), last byte included. */
  reserved(unit: number): readonly (readonly [first: number, last: number])[];
  /** A map has to tell the unit before its address can be used (`syncMap`). */
  readonly syncsMaps: boolean;
  /** false: Linux has no deferred invalidation for the architecture (IOMMU_CAP_DEFERRED_FLUSH); lazy mode is strict mode then. */
  readonly defersFlush?: boolean;

  /** Writes the device's translation entries, without simulated time. `pasid` -1: requests without PASID. */
  attach(domain: DomainState, device: Endpoint, pasid: number): void;
  /** Clears them and removes every cached translation of the attachment before it returns. */
  detach(thread: Thread, domain: DomainState, device: Endpoint, pasid: number): Call<void>;

  /** iotlb_sync_map: what a new mapping of [iova, iova + bytes) needs before devices may use it. */
  syncMap(thread: Thread, domain: DomainState, iova: number, bytes: number): Call<void>;
  /** The same for a mapping made before the run, without simulated time. Drivers of units that read tables need nothing. */
  mapAtBoot?(domain: DomainState, iova: number, bytes: number): void;
  /**
   * unmap_pages of units that are told of every unmap besides waiting for its effect (flushRange, or flushAll in lazy mode):
   * called when the mapping is gone from the table.
   */
  forgetRange?(thread: Thread, domain: DomainState, iova: number, bytes: number): Call<void>;
  /**
   * Removes cached translations of [iova, iova + bytes) on every unit of the domain and waits until they are gone.
   * `tablesFreed`: the unmap unlinked table pages, so cached non-leaf entries have to go too.
   */
  flushRange(thread: Thread, domain: DomainState, iova: number, bytes: number, tablesFreed: boolean): Call<void>;
  /**
   * The same for several ranges of equal length, with one wait for as many of them as a submission takes. Absent: the driver flushes range by
   * range.
   */
  flushRanges?(
    thread: Thread,
    domain: DomainState,
    iovas: readonly number[],
    bytes: number,
    tablesFreed: boolean,
  ): Call<void>;
  /** The same for everything in the domain. */
  flushAll(thread: Thread, domain: DomainState): Call<void>;
  /** The same for everything in the domain's units, whatever domain it is of. Absent: the driver has no such command. */
  flushGlobal?(thread: Thread, domain: DomainState): Call<void>;

  /**
   * Where the second stage belongs to a host: removes every cached translation of the guest, on all units, by the host's queues, and
   * waits until they are gone.
   */
  flushStage2?(thread: Thread): Call<void>;

  /**
   * Makes page faults of processes on the unit recoverable: sets up its interrupt, and returns who answers for its devices. Domains of processes
   * attached from then on have their faults resolved. Absent: faults are errors.
   */
  recoverFaults?(unit: number, path: FaultPath): PageResponder;
  /** The same for devices that ask for pages (PRI). */
  recoverPageRequests?(unit: number, path: FaultPath): PageResponder;
  /** `StoreWatch.interrupted`. */
  interrupted?(unit: number): void;
  /** `StoreWatch.pagesRequested`. */
  pagesRequested?(unit: number): void;

  /** `StoreWatch.stored`. */
  stored(hi: number, lo: number): void;
  /** `StoreWatch.changed`. */
  changed?(unit: number, offset: number, hi: number, lo: number): void;
}
