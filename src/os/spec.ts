/** Read-only description of the operating system's I/O address-space software. Times in integer picoseconds unless said otherwise. */
import type { GuestSpec } from './guest/spec.js';
import type { ProcessSpec } from './process-spec.js';
import type { UserMapCosts } from './uapi/spec.js';
import type { TableCode, TableCosts, TableFormat } from './table-costs.js';

export const DMA_MODES = ['strict', 'lazy', 'passthrough', 'bounce'] as const;
export type DmaMode = (typeof DMA_MODES)[number];

/** Which buffers of a translated device are copied: none, those that share a page with something else, or all. */
export const BOUNCE_RULES = ['never', 'untrusted', 'always'] as const;
export type BounceRule = (typeof BOUNCE_RULES)[number];

export interface SwiotlbSpec {
  /** Bytes of the pool, rounded up to a power of two. */
  readonly size: number;
  /** Areas with a lock each, rounded up to a power of two; 0 = one for each CPU. */
  readonly areas: number;
}

/** A ring for each CPU, or one for all behind one lock. */
export const FLUSH_QUEUE_KINDS = ['per-cpu', 'single'] as const;

export interface FlushQueueSpec {
  readonly kind: (typeof FLUSH_QUEUE_KINDS)[number];
  /** Entries of a ring (one stays free). */
  readonly entries: number;
  readonly timeout: number;
}

export interface IovaSpec {
  /** PFNs per magazine. */
  readonly magazine: number;
  /** Cached size classes 2^0 .. 2^(orders-1) pages. */
  readonly cachedOrders: number;
  /** Depot trim period, ps. */
  readonly trim: number;
  /** Device DMA mask in bits. */
  readonly addressBits: number;
  /** Ranges that long-lived mappings of random sizes hold when the run begins, with holes between them. */
  readonly aged: number;
}

/** What the driver does with the hardware it has; one file each in `dma/strategies/`. */
export const STRATEGY_KINDS = [
  'linux',
  'linux-before',
  'batched',
  'ranged',
  'contiguous',
  'shadow',
  'pool',
  'ring',
  'per-cpu-queues',
] as const;
export type StrategyKind = (typeof STRATEGY_KINDS)[number];

/** The kind, and the parameters of those that have some. */
export interface StrategySpec {
  readonly kind: StrategyKind;
  /** linux-before, in parts: each can be switched off by itself. */
  readonly before: {
    /** The page-table code is called, and begins at the root, for each leaf. Excludes `perPageCallbacks`, which gives such calls times of their own. */
    readonly walkPerLeaf: boolean;
    /** An invalidation of its own, waited for, for each page. */
    readonly flushPerPage: boolean;
    /** Invalidations never say that table pages are as they were. */
    readonly noHint: boolean;
    /** Page-table code from before generic_pt, whatever `tableCode` says. */
    readonly legacyCode: boolean;
  };
  /** Unmapped buffers of a CPU held back at most (batched, ranged, contiguous, ring). */
  readonly batch: number;
  /** contiguous: pages of a chunk of I/O addresses, a power of two. */
  readonly chunk: number;
  /** ring: slots of a ring. */
  readonly slots: number;
}

/** Software costs where no mechanism decides the shape; each is one step of the breakdown. ps. */
export interface CostSpec {
  /** Entering and leaving dma_map_page / dma_unmap_page: attribute checks, address arithmetic. */
  readonly mapCall: number;
  readonly unmapCall: number;
  /** dma_map_sg / dma_unmap_sg: one segment of the list. */
  readonly segment: number;
  /** Pop or push of a loaded magazine; the swap of loaded and previous; one exchange with the depot. */
  readonly iovaCache: number;
  readonly iovaDepot: number;
  /** Red-black tree: per allocation or free, plus per node visited. */
  readonly iovaTree: number;
  readonly iovaTreeNode: number;
  /** Page-table code by format and generation; and, whichever it is, one table page allocated or freed. */
  readonly table: TableCosts;
  readonly tablePage: number;
  /** One cache-line flush of a table line, paid on non-coherent walkers only. */
  readonly cacheLineFlush: number;
  /** Uncontended acquire and release of a spin lock. */
  readonly lock: number;
  /** Hand-over of a contended lock to the next waiter, same socket and other socket. */
  readonly lockHandOver: number;
  readonly lockHandOverRemote: number;
  /** One atomic operation, load or store of a shared line that the CPU has; and the move of the line from another CPU's cache, same socket and other socket. */
  readonly atomic: number;
  readonly lineTransfer: number;
  readonly lineTransferRemote: number;
  /** Building and storing one invalidation descriptor. */
  readonly descriptor: number;
  /** CPU time of a posted register write; the write reaches the unit `mmioFlight` later. */
  readonly mmioWrite: number;
  readonly mmioFlight: number;
  /** One way over the link between sockets: register writes, queue stores and polls of a CPU on another socket than the unit. */
  readonly socketHop: number;
  /** One turn of the completion polling loop (uncached status-register read included). */
  readonly poll: number;
  /** From a store of hardware to a word until the CPU that polls the word has seen it. */
  readonly pollWord: number;
  /** One uncached read of a register. */
  readonly mmioRead: number;
  /** Adding an entry to a flush queue. */
  readonly queueIova: number;
  /** Bounce pool: one slot looked at, taken or given back. */
  readonly slot: number;
  /** One 64-byte line copied by a CPU (`copyTime`): bounce buffers, shadow buffers, map benchmark; and if one side is another socket's memory. */
  readonly copyLine: number;
  readonly copyLineRemote: number;
  /** Timer interrupt entry and exit. */
  readonly timer: number;
  /** CPU write bandwidth when a benchmark dirties its buffer, per 64-byte line. */
  readonly dirtyLine: number;
  /** Finding the I/O address of a buffer that stays mapped. */
  readonly poolLookup: number;
  /** `traced`: a probe at the entry or at the exit of a function. */
  readonly probe: number;
  /** `perPageCallbacks`: one call of the driver's map or unmap function for one page, with its share of the loop around it. */
  readonly mapCallback: number;
  readonly unmapCallback: number;
  /** From a device completion to the driver's code: polling driver's loop turn. */
  readonly completion: number;
}

export interface OsSpec {
  readonly dma: {
    readonly mode: DmaMode;
    readonly flushQueue: FlushQueueSpec;
    readonly iova: IovaSpec;
    readonly strategy: StrategySpec;
    readonly bounce: BounceRule;
    readonly swiotlb: SwiotlbSpec;
  };
  /** Use large leaves when alignment allows (intel_iommu=sp_off clears it). */
  readonly superpages: boolean;
  /** The driver passes the invalidation hint when no table page was freed. */
  readonly invalidationHint: boolean;
  /**
   * SMMUv3: how a CPU learns that its CMD_SYNC is complete. `msi`: the unit stores over the command (ARM_SMMU_OPT_MSIPOLL); `event`: it signals an
   * event, which ends the CPU's wait, and the CPU reads CMDQ_CONS; `register`: the CPU reads CMDQ_CONS over and over.
   */
  readonly completion: 'msi' | 'event' | 'register';
  /** SMMUv3: command queues lie in memory of the unit's socket, or of the first one (the default CMA of a kernel without one for each node). */
  readonly queueMemory: 'near' | 'first';
  /** Timer tick, ps: timeouts round up to it (1/HZ). */
  readonly tick: number;
  /**
   * Spread of software times, in millionths: each charged step takes its cost, more or less by an evenly distributed amount of
   * up to this share (cache state, interrupts, frequency). 0 = every step takes exactly its cost.
   */
  readonly jitter: number;
  /**
   * The functions of the unmap path are traced, as most published latencies of its parts were taken (kprobes): dma_unmap, the function that puts
   * commands into the queue, and the wait for completion (SMMUv3). Half of each probe falls into the time measured.
   */
  readonly traced: boolean;
  /**
   * The core calls its driver once for every page (iommu_map and iommu_unmap before Linux 5.14), instead of once for a range of pages of one size
   * (map_pages, unmap_pages): what those calls cost, `mapCallback` and `unmapCallback` each, where it has been measured. The strategy `linux-before`
   * (`before.walkPerLeaf`) makes the same calls at the cost of the page-table code's own call, to compare strategies; not both at once.
   */
  readonly perPageCallbacks: boolean;
  /** Generation of the page-table code that maintains tables of each format. */
  readonly tableCode: Readonly<Record<TableFormat, TableCode>>;
  readonly guest: GuestSpec;
  readonly userMap: UserMapCosts;
  readonly processes: ProcessSpec;
  readonly costs: CostSpec;
}

/**
 * What the operating system knows of one IOMMU unit from its capability registers and firmware. `IommuSpec` of the hardware
 * fits it; the OS takes no more.
 */
export interface UnitSpec {
  readonly architecture: 'vtd' | 'amdvi' | 'smmuv3' | 'riscv' | 'virtio' | 'tce' | 'dart' | 'ideal' | 'none';
  /** VT-d: root table mode that the driver programs. */
  readonly mode: 'legacy' | 'scalable' | 'native';
  /** Tables used for DMA mappings. `nested`: first-stage tables over second-stage tables that map memory to itself. */
  readonly stage: 'first' | 'second' | 'nested';
  readonly levels: number;
  readonly secondLevels: number;
  /** Smallest page in bytes. */
  readonly granule: number;
  /** Levels of the device directory and of the process directory (0: no PASIDs). */
  readonly deviceLevels: number;
  readonly processLevels: number;
  readonly hostAddressWidth: number;
  /** Largest leaf in bytes. */
  readonly largestPage: number;
  /** Walks snoop the CPU caches. */
  readonly coherent: boolean;
  readonly invalidation: {
    /** Ring of 2^sizeLg2 commands. */
    readonly sizeLg2: number;
    /** log2 of the most pages that one command by address can name. */
    readonly maxAddressMask: number;
    /** Command queues: 1, or several (SMMUv3: ECMDQ, virtual command queues), of which strategy per-cpu-queues uses all and others the first. */
    readonly queues: number;
  };
  readonly faults: {
    /** Entries of a fault log in memory. */
    readonly records: number;
    /** Transactions that can be stalled at a time; 0: faults are errors. */
    readonly stalls: number;
    /** Records of the page request queue to set up. */
    readonly pageRequests: number;
  };
}
