/** Read-only description of a PCI Express link and root port, and of a device's use of ATS. Times in integer picoseconds, sizes in bytes. */
import type { StructureSpec } from '../tlb/spec.js';

export interface LinkSpec {
  /** 1 to 5. Sets the transfer rate and the line code. */
  readonly generation: number;
  /** Lanes: 1, 2, 4, 8, 16. */
  readonly width: number;
  /** Max_Payload_Size. */
  readonly maxPayload: number;
  /** Max_Read_Request_Size. */
  readonly maxReadRequest: number;
  /** Framing, sequence number, LCRC and header of a memory request (4 DW header), bytes. */
  readonly requestOverhead: number;
  /** The same for a completion (3 DW header), bytes. */
  readonly completionOverhead: number;
  /** Share of the link taken by DLLPs (acknowledge, flow control) and skip ordered sets, in millionths. */
  readonly dllpShare: number;
  /** Time of flight and fixed pipeline delay of one direction, ps. */
  readonly latency: number;
  /** Outstanding non-posted requests of the device (tags). */
  readonly tags: number;
}

export interface PortSpec {
  /** Socket the root port belongs to. */
  readonly socket: string;
  /** Name of the IOMMU unit in front of it; null: none, addresses are physical. */
  readonly iommu: string | null;
  /** Flow-control credits advertised to the device. */
  readonly postedHeaders: number;
  /** In units of 16 bytes. */
  readonly postedData: number;
  readonly nonPostedHeaders: number;
  /** From a buffer being freed until the device may use the credit, ps. */
  readonly creditReturn: number;
}

/** Page Request Interface of a device with ATS. `enabled: false`: a page without translation is an error. */
export interface PriSpec {
  readonly enabled: boolean;
  /** Page requests without an answer that software allows (Outstanding Page Request Allocation). */
  readonly outstanding: number;
  /** Pages of a group at most. */
  readonly group: number;
  /** Time that a group waits for further pages, ps; 0: it goes at once, with what has had to wait for credit. */
  readonly gather: number;
}

/** What a device asks for before it needs it, by following its own accesses. */
export interface PrefetchSpec {
  /** Units that it is ahead of its accesses; 0: it asks for what it needs. */
  readonly distance: number;
  /** Sequential streams that it follows at a time. */
  readonly streams: number;
  /** It asks software for the pages of them that have no translation. */
  readonly pageRequests: boolean;
}

/** Address Translation Services of a device; the structure is its device TLB. `enabled: false`: all requests are untranslated. */
export interface AtsSpec extends StructureSpec {
  /** One lookup may start every `interval`, ps. */
  readonly interval: number;
  /** Smallest translation unit, bytes: translations are asked for in units of it. */
  readonly stu: number;
  /** Most bytes that an entry covers. */
  readonly largestPage: number;
  /** Translation requests under way. */
  readonly outstanding: number;
  /** DMA requests that the device TLB holds: being looked up, or waiting for a translation. */
  readonly queue: number;
  /** Following units that a miss asks for too. */
  readonly ahead: number;
  readonly prefetch: PrefetchSpec;
  /** Invalidations that the device accepts at a time (Invalidate Queue Depth of the ATS capability). */
  readonly queueDepth: number;
  readonly pri: PriSpec;
  /** From an Invalidate Request to its effect: one is worked on at a time. Reads under way then still have to end. ps */
  readonly invalidation: number;
  /** false: the device never answers an Invalidate Request: it is dead, or has been pulled out. */
  readonly answers: boolean;
}
