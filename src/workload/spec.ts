/**
 * The resolved description of one simulation point: plain data, every quantity a number in base units (ps, bytes, bit/s, Hz).
 * A point's id is the content hash of this record; everything a run computes follows from it.
 */
import type { AcceleratorSpec, EngineSpec } from '../devices/spec.js';
import type { IommuSpec } from '../iommu/spec.js';
import type { HostCacheState, InterconnectSpec, SocketSpec } from '../memory/spec.js';
import type { OsSpec } from '../os/spec.js';
import type { AtsSpec, LinkSpec, PortSpec } from '../pcie/spec.js';

export interface MachineSpec {
  readonly sockets: Readonly<Record<string, SocketSpec>>;
  readonly interconnect: InterconnectSpec;
  readonly iommus: Readonly<Record<string, IommuSpec>>;
  readonly ports: Readonly<Record<string, PortSpec>>;
  readonly hostCache: HostCacheState;
}

export interface DeviceSpec {
  /** Root port it is plugged into. */
  readonly port: string;
  /** Requester id, bus:device.function as one number (bus << 8 | devfn). */
  readonly requester: number;
  readonly link: LinkSpec;
  readonly engine: EngineSpec;
  readonly ats: AtsSpec;
  /** Work queues in front of the engine; null: it has none. */
  readonly accelerator: AcceleratorSpec | null;
}

/** Random DMA over a window that stays mapped (pcie-bench). */
export interface DmaJobSpec {
  readonly kind: 'dma';
  readonly device: string;
  /** Share of reads in percent; the rest are writes. */
  readonly reads: number;
  /** Bytes per DMA. */
  readonly size: number;
  /** Bytes of I/O address space touched: the beginning of a buffer of whole 2 MiB that stays mapped. */
  readonly window: number;
  readonly pattern: 'random' | 'sequential';
  /** DMAs kept in flight; at most the engine's limit. Closed loop. */
  readonly outstanding: number;
  /** Open loop: mean time between DMAs, ps, exponentially distributed; 0 = closed loop. */
  readonly interarrival: number;
  /** Socket whose memory holds the window. */
  readonly memory: string;
  /** PASID the DMA carries (scalable mode); -1 = none. */
  readonly pasid: number;
}

/** map -> DMA -> unmap by driver threads that recycle buffers: the NIC-like inner loop. */
export interface StreamJobSpec {
  readonly kind: 'stream';
  readonly device: string;
  readonly threads: number;
  /** Buffers each thread keeps posted. */
  readonly depth: number;
  /** Completions that one turn of the loop handles at most. */
  readonly burst: number;
  /** Bytes of a buffer, or of one segment of it. */
  readonly size: number;
  /** Segments of a buffer; more than one: it is mapped as a scatter list. */
  readonly segments: number;
  readonly placement: 'contiguous' | 'scattered';
  /** Most bytes of a mapped segment of a list. */
  readonly maxSegment: number;
  /** `from-device`: the device writes the buffer; `to-device`: reads it. */
  readonly direction: 'to-device' | 'from-device';
  /** Socket of the CPUs. */
  readonly socket: string;
  /** Socket whose memory holds the buffers; null: `socket`. */
  readonly memory: string | null;
  /** Threads on further CPUs that unmap what the device reports; 0: each thread unmaps its own buffers. */
  readonly completers: number;
  /** Percent of buffers the device touches once more `lateAfter` ps after it reported them complete (a misbehaving device). */
  readonly lateAccess: number;
  readonly lateAfter: number;
}

/** The kernel's dma_map_benchmark closed loop. */
export interface MapBenchmarkJobSpec {
  readonly kind: 'map-benchmark';
  readonly device: string;
  readonly threads: number;
  readonly mode: 'single' | 'sg';
  /** Pages per mapping; segments in mode sg. */
  readonly granule: number;
  readonly placement: 'contiguous' | 'scattered';
  readonly direction: 'bidirectional' | 'to-device' | 'from-device';
  /** dma_trans_ns: pause between map and unmap, ps. */
  readonly transfer: number;
  /** Bytes copied after each unmap. */
  readonly copy: number;
  readonly socket: string;
  /** Socket whose memory holds the buffers; null: `socket`. */
  readonly memory: string | null;
}

/** Processes that map and unmap a buffer of theirs for a device, a system call each. */
export interface UserMapJobSpec {
  readonly kind: 'user-map';
  readonly device: string;
  readonly threads: number;
  /** Bytes of a thread's buffer, whole pages. */
  readonly size: number;
  /** Bytes of frames that follow each other, whole pages. */
  readonly run: number;
  readonly socket: string;
}

/** DMA in the address spaces of processes. */
export interface SvaJobSpec {
  readonly kind: 'sva';
  readonly device: string;
  readonly processes: number;
  /** Percent of reads. */
  readonly reads: number;
  readonly size: number;
  /** Bytes of each process. */
  readonly window: number;
  readonly pattern: 'random' | 'sequential';
  readonly outstanding: number;
  readonly prefault: 'none' | 'ahead' | 'all';
  /** Pages. */
  readonly ahead: number;
  readonly huge: boolean;
  /** ps; 0: never. */
  readonly pageOut: number;
  /** ps; 0: never. */
  readonly munmap: number;
  readonly socket: string;
}

/** Processes whose threads have an accelerator move their memory. */
export interface OffloadJobSpec {
  readonly kind: 'offload';
  readonly device: string;
  readonly threads: number;
  readonly processes: number;
  readonly queue: 'shared' | 'dedicated';
  readonly entries: number;
  readonly depth: number;
  readonly size: number;
  /** Bytes of each thread's source, and of its target. */
  readonly window: number;
  readonly pattern: 'random' | 'sequential';
  /** Refusals before a thread copies by itself, 0: never; ps. */
  readonly retries: { readonly limit: number; readonly pause: number };
  readonly virtualMachines: number;
  readonly translation: 'ahead' | 'demand';
  readonly prefault: 'none' | 'all';
  readonly socket: string;
}

/** Threads that invalidate translations of a DMA job's window while it runs. */
export interface InvalidateJobSpec {
  readonly kind: 'invalidate';
  /** Device and PASID of the DMA job. */
  readonly device: string;
  readonly pasid: number;
  readonly threads: number;
  readonly granularity: 'range' | 'domain' | 'global';
  /** Bytes of a range. */
  readonly size: number;
  readonly align: 'natural' | 'page';
  /** Ranges that one call names. */
  readonly batch: number;
  readonly tables: boolean;
  /** From the start of one invalidation of a thread to the next, ps. */
  readonly interval: number;
  readonly socket: string;
}

export type JobSpec =
  | DmaJobSpec
  | StreamJobSpec
  | MapBenchmarkJobSpec
  | UserMapJobSpec
  | SvaJobSpec
  | OffloadJobSpec
  | InvalidateJobSpec;

/** When a window ends: the first condition met; absent conditions are Infinity-like nulls. */
export interface WindowSpec {
  /** Simulated time, ps. */
  readonly time: number | null;
  /** Completed operations, all jobs together. */
  readonly operations: number | null;
}

export interface StopSpec extends WindowSpec {
  /** Stop when the batch means of the last `batches` batches of the mean latency agree within `tolerance` (millionths); null = off. */
  readonly steady: { readonly batches: number; readonly batchOperations: number; readonly tolerance: number } | null;
}

export interface PointSpec {
  readonly machine: MachineSpec;
  readonly os: OsSpec;
  readonly devices: Readonly<Record<string, DeviceSpec>>;
  readonly workload: Readonly<Record<string, JobSpec>>;
  readonly warmup: WindowSpec;
  readonly stop: StopSpec;
  readonly seed: number;
}
