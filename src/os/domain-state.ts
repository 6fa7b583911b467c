/**
 * An I/O address space (struct iommu_domain) as its driver sees it: identity, or DMA with a page table, an IOVA allocator and, in
 * lazy mode, a flush queue. Who is attached, and under which hardware tag, is kept here for the invalidations (struct cache_tag,
 * intel/cache.c).
 */
import type { PageTable } from '../pagetable/table.js';
import type { FlushQueue } from './flush-queue.js';
import type { FaultHandler } from './page-fault.js';
import type { Endpoint } from './endpoint.js';
import type { IovaAllocator } from './iova/allocator.js';
import type { SpinLock } from './lock.js';
import type { TableProfile } from './table-costs.js';

/** `sva`: the address space of a process. */
export type DomainType = 'identity' | 'dma' | 'sva';

/** What hardware has to be told of a table that it walks. A `PageTable` has it, and so has a process page table. */
export interface TableRoot {
  readonly root: number;
  readonly levels: number;
  readonly inputLg2: number;
}

/** One address space as one unit knows it: what an invalidation has to name. `pasid` is -1 where the tag has none. */
export interface CacheTag {
  readonly unit: number;
  /** Domain id (DID) on that unit. */
  readonly id: number;
  readonly pasid: number;
  /** Attachments that share the tag. */
  users: number;
}

/** A device TLB that may hold translations of the domain (CACHE_TAG_DEVTLB). `pasid` -1: of requests without PASID. */
export interface DeviceTag {
  readonly unit: number;
  readonly requester: number;
  readonly pasid: number;
  /** Unanswered invalidations that the device takes. */
  readonly queueDepth: number;
}

/** The parts of a DMA domain; other domains have none. */
export interface DmaSpace {
  readonly table: PageTable;
  /** What the code that maintains the table costs. */
  readonly code: TableProfile;
  readonly iova: IovaAllocator;
  /** Null in strict mode. */
  readonly queue: FlushQueue | null;
  /** Bytes of the smallest page of the table. */
  readonly page: number;
  /** log2 of the largest leaf used. */
  readonly largestLg2: number;
  /** Walkers snoop the CPU caches. */
  readonly coherent: boolean;
}

/** Domains without device TLBs share it. Never changed: the first tag replaces it. */
const NO_DEVICE_TAGS: DeviceTag[] = [];

export class DomainState {
  /** Null in domains that are not for DMA mappings. */
  space: DmaSpace | null = null;
  /** The process page table of an SVA domain. */
  process: TableRoot | null = null;
  /** Who takes recoverable page faults of the domain (iopf_handler); null: they are errors. */
  faultHandler: FaultHandler | null = null;
  /** Ordered by unit, as the kernel keeps them, so that each unit gets one batch. */
  tags: CacheTag[] = [];
  /** In order of attachment. */
  deviceTags: DeviceTag[] = NO_DEVICE_TAGS;
  /** Invalidation commands its driver is building, under `cacheLock`. */
  batch: Int32Array | null = null;

  constructor(
    readonly id: number,
    readonly type: DomainType,
    /** Held over every invalidation of the domain, waiting included (domain->cache_lock). */
    readonly cacheLock: SpinLock,
  ) {}

  /** The table that hardware walks; null in an identity domain. */
  get table(): TableRoot | null {
    return this.process ?? this.space?.table ?? null;
  }

  /** Tag of this domain on a unit; creates it with the id that `allocate` returns. Second-stage tags carry no PASID. */
  addTag(unit: number, pasid: number, allocate: () => number): CacheTag {
    const same = this.tags.find((tag) => tag.unit === unit && tag.pasid === pasid);
    if (same !== undefined) {
      same.users++;
      return same;
    }
    const id = this.tags.find((tag) => tag.unit === unit)?.id ?? allocate();
    const tag = { unit, id, pasid, users: 1 };
    const at = this.tags.findIndex((other) => other.unit > unit);
    // An array that grew from nothing has room for seventeen, and there may be a million domains.
    if (this.tags.length === 0) this.tags = [tag];
    else this.tags.splice(at < 0 ? this.tags.length : at, 0, tag);
    return tag;
  }

  /** Drops one user; returns true when the unit has no tag of this domain any more, so that its id may be reused. */
  dropTag(unit: number, pasid: number): boolean {
    const at = this.tags.findIndex((tag) => tag.unit === unit && tag.pasid === pasid);
    const tag = this.tags[at];
    if (tag === undefined) throw new Error(`domain ${this.id} has no tag for unit ${unit}, PASID ${pasid}`);
    tag.users--;
    if (tag.users === 0) this.tags.splice(at, 1);
    return !this.tags.some((other) => other.unit === unit);
  }

  /** A device with a TLB of its own is attached. */
  addDeviceTag({ unit, requester, ats }: Endpoint, pasid: number): void {
    if (ats === null) return;
    this.deviceTags = [...this.deviceTags, { unit, requester, pasid, queueDepth: ats.queueDepth }];
  }

  dropDeviceTag({ unit, requester }: Endpoint, pasid: number): void {
    this.deviceTags = this.deviceTags.filter(
      (tag) => tag.unit !== unit || tag.requester !== requester || tag.pasid !== pasid,
    );
  }
}
