/** Read-only description of one IOMMU unit. Times in integer picoseconds, sizes in bytes. */

import type { StructureSpec } from '../tlb/spec.js';

export type { Replacement, StructureSpec } from '../tlb/spec.js';

/**
 * Paging-structure caches by the level of the table entry they hold, counted from the leaf: with 4 KiB tables level2 covers 2 MiB an
 * entry, level3 1 GiB, level4 512 GiB, level5 256 TiB. Both stages of a nested translation share them.
 */
export interface PagingStructureCacheSpec {
  readonly level2: StructureSpec;
  readonly level3: StructureSpec;
  readonly level4: StructureSpec;
  readonly level5: StructureSpec;
}

export interface TransactionQueueSpec {
  /** Posted transactions between arrival and release to memory; also bounds hits under a miss. */
  readonly postedDepth: number;
  /** Same for non-posted transactions. */
  readonly nonPostedDepth: number;
  /**
   * What leaves in order of arrival: `all` requests in one order, each `class` (posted, non-posted) in its own, only `posted`
   * ones, or `none`: each when it is translated.
   */
  readonly order: 'all' | 'class' | 'posted' | 'none';
  /** One lookup may start every `interval`, ps. */
  readonly interval: number;
}

export interface WalkerSpec {
  /** Page walks in flight. */
  readonly count: number;
  /** Fixed time a walk occupies its walker besides its memory reads, ps. */
  readonly overhead: number;
  /** Time from the end of a walk until the waiting transaction is translated (replayed lookup); does not occupy the walker, ps. */
  readonly replay: number;
  /** A walk for a non-posted request holds its walker this much longer, ps; at most `replay`. */
  readonly readHold: number;
  /** Requests that miss on a page whose walk is under way wait for it; false: each walks for itself. */
  readonly merge: boolean;
  /** Distinct pages that may be missing at the same time (waiting for a walker included). */
  readonly outstanding: number;
}

export interface InvalidationSpec {
  /** Commands in the queue are 2^sizeLg2. */
  readonly sizeLg2: number;
  /**
   * Command queues of the unit, each with its own ring and registers, served in turn, a command each: 1 everywhere but with SMMUv3 (ECMDQ, NVIDIA virtual
   * command queues).
   */
  readonly queues: number;
  /** From the tail-register write reaching the unit to the first descriptor fetch, ps. */
  readonly start: number;
  /**
   * Execution time by kind, ps; the fetch of each descriptor and the status write are real memory accesses on top.
   * POWER: kills of one page, an endpoint (`iotlbDomain`), everything; `wait` a DMA read sync. DART: flushes of streams (`iotlbDomain`)
   * and of all. virtio-iommu: `wait` every request, and on top `context` ATTACH and DETACH, `pasid` MAP, `iotlbPage` UNMAP.
   */
  readonly context: number;
  readonly pasid: number;
  readonly iotlbGlobal: number;
  readonly iotlbDomain: number;
  readonly iotlbPage: number;
  readonly wait: number;
  /**
   * Invalidation waits for translated requests that are still on their way to memory (CAP.DRD, CAP.DWD). AMD-Vi: every command that
   * invalidates does (CP_CONTROL.CPFlushOnInv); false: COMPLETION_WAIT does it once for all before it (CPFlushOnWait).
   */
  readonly drain: boolean;
  /** The invalidation hint (VT-d IH, AMD-Vi PDE = 0) keeps non-leaf entries. Linux before late 2025 never set it: see os.invalidationHint. */
  readonly hintHonoured: boolean;
  /** What a page-selective invalidation with IH=0 removes from the paging-structure caches. */
  readonly nonLeafScope: 'range' | 'domain';
  /** Execution time of a command that invalidates a device TLB, until the request is on its way to the device, ps. */
  readonly deviceTlb: number;
  /** A device that has not answered an invalidation after so long is given up, ps. */
  readonly deviceTimeout: number;
  /** CAP.MAMV: largest address mask of a page-selective invalidation. */
  readonly maxAddressMask: number;
}

export interface FaultSpec {
  /**
   * Fault recording registers (VT-d CAP.NFR + 1), or entries of the log in memory that software gives the unit; event buffers of
   * virtio-iommu; 1 where each endpoint (POWER) or the unit (DART) has one.
   */
  readonly records: number;
  /** SMMUv3: transactions that can be stalled at a time (IDR5.STALL_MAX); 0: no stall model, here and elsewhere. */
  readonly stalls: number;
  /** Records of the page request queue (AMD-Vi: PPR log) that software sets up; 0: the unit has none. */
  readonly pageRequests: number;
}

/**
 * `vtd` Intel VT-d, `amdvi` AMD I/O virtualization, `smmuv3` Arm SMMUv3, `riscv` RISC-V IOMMU, `virtio` virtio-iommu on a host that keeps
 * shadow tables, `tce` POWER TCE tables, `dart` Apple DART, `ideal` every translation known at no cost, `none` no translation.
 */
export type ArchitectureName = 'vtd' | 'amdvi' | 'smmuv3' | 'riscv' | 'virtio' | 'tce' | 'dart' | 'ideal' | 'none';

export interface IommuSpec {
  readonly architecture: ArchitectureName;
  /** Socket whose memory controller the unit sits on. */
  readonly socket: string;
  /** VT-d: root table mode (RTADDR.TTM). `native`: the architecture has only one. */
  readonly mode: 'legacy' | 'scalable' | 'native';
  /**
   * What translates DMA mappings: first-stage tables (VT-d first stage, AMD guest tables, SMMU stage 1, RISC-V first stage),
   * second-stage tables (VT-d second stage, AMD host tables, SMMU stage 2, RISC-V G-stage; architectures with one kind of table),
   * or first-stage tables of a guest over second-stage tables of its host.
   */
  readonly stage: 'first' | 'second' | 'nested';
  /** Levels of the tables that hold DMA mappings. */
  readonly levels: number;
  /** Levels of the second-stage tables under a nested first stage; 0 otherwise. */
  readonly secondLevels: number;
  /** Smallest page of the tables that hold DMA mappings, bytes. */
  readonly granule: number;
  /** Reads from a requester id to its device context: VT-d root and context entry 2, AMD 1, SMMU stream table 1 or 2, RISC-V 1 to 3. */
  readonly deviceLevels: number;
  /** Reads from the device context to a process context: VT-d 2 (in scalable mode), AMD GCR3 1 to 3, SMMU 1 or 2, RISC-V 1 to 3; 0: no PASIDs. */
  readonly processLevels: number;
  /** Host physical address bits. */
  readonly hostAddressWidth: number;
  /** Largest leaf in bytes. */
  readonly largestPage: number;
  /** Walks snoop the CPU caches (ECAP.C / ECAP.SMPWCS); when false they read DRAM and software flushes every entry it writes. */
  readonly coherent: boolean;
  readonly queue: TransactionQueueSpec;
  /** Device contexts: VT-d context entries, AMD device table entries, SMMU stream table entries, RISC-V device contexts. */
  readonly contextCache: StructureSpec;
  /** Process contexts: VT-d PASID entries, AMD GCR3 entries, SMMU context descriptors, RISC-V process contexts. */
  readonly pasidCache: StructureSpec;
  readonly iotlb: StructureSpec;
  readonly pagingStructureCache: PagingStructureCacheSpec;
  /** Second-stage translations of table and directory addresses. */
  readonly secondStageTlb: StructureSpec;
  readonly walkers: WalkerSpec;
  readonly invalidation: InvalidationSpec;
  readonly faults: FaultSpec;
}
