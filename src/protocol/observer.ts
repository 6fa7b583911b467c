import type { Access } from './access.js';

/**
 * What the audit wants to know. Components hold `Observer | null` and call it only when it is there, so a run without
 * audit pays one comparison. Addresses are doubles (exact below 2^53), `domain` is the OS's domain number, `unit` the IOMMU.
 */
export interface Observer {
  /** `identity`: the domain passes addresses through. */
  attached(domain: number, unit: number, requester: number, pasid: number, identity: boolean): void;
  /** The domain is the address space of a process: `holds` tells whether a physical page is memory of processes at the moment. */
  shared(domain: number, holds: (page: number) => boolean): void;
  detached(domain: number, unit: number, requester: number, pasid: number): void;
  iovaAllocated(domain: number, iova: number, bytes: number): void;
  mapped(domain: number, iova: number, pa: number, bytes: number, access: Access): void;
  /** Table entries are cleared; the unmap call has not returned. */
  unmapping(domain: number, iova: number, bytes: number, now: number): void;
  /** The unmap call has returned. Strict: nothing may be translated by it from now on. Lazy: stale until `flushed`. */
  unmapped(domain: number, iova: number, bytes: number, strict: boolean, now: number): void;
  /** A flush of the whole domain that started at `startedAt` has completed: it covers all entries cleared before. */
  flushed(domain: number, startedAt: number, now: number): void;
  iovaFreed(domain: number, iova: number, bytes: number, now: number): void;
  /** A transaction leaves the IOMMU for memory with this translation. */
  translated(
    unit: number,
    requester: number,
    pasid: number,
    iova: number,
    output: number,
    bytes: number,
    access: Access,
    now: number,
  ): void;
  closed(now: number): void;
}
