/**
 * Where the time of a dma_map or dma_unmap call goes, and where the time of a driver's loop goes. Every picosecond of a call
 * belongs to exactly one step; a ledger asserts it when the call returns.
 */

/** Steps of one dma_map / dma_unmap call. */
export const enum Step {
  /** Entry and exit of the DMA API, address arithmetic. */
  Call,
  /** IOVA allocation: magazines, depot, tree. */
  Iova,
  /** Page-table code: entries, levels, table pages. */
  Table,
  /** Cache-line flushes for a walker that does not snoop. */
  CacheFlush,
  /** Uncontended lock operations. */
  Lock,
  /** Spinning for a contended lock, hand-over included. */
  LockWait,
  /** Building and storing invalidation descriptors. */
  Descriptor,
  /** Spinning for free slots of the invalidation queue. */
  SlotWait,
  /** Tail register write. */
  Doorbell,
  /** Polling for the status write of the wait descriptor. */
  Completion,
  /** Giving IOVAs and table pages back. */
  IovaFree,
  /** Flush-queue bookkeeping. */
  Queue,
  /** Finding, taking and giving back slots of the bounce pool. */
  Slot,
  /** Copying between a buffer and its bounce buffer or shadow. */
  Copy,
  /** Timer work that ran on this CPU meanwhile. */
  Interrupt,
  /** Leaving a virtual machine for its monitor, and coming back. */
  Exit,
  /** Sleeping for the monitor's lock, hand-over included. */
  HostLock,
  /** The monitor's own code. */
  Emulation,
  /** In the host's kernel on behalf of the guest: mapping, unmapping, invalidating, the wait for hardware included. */
  HostCall,
  /** Entering and leaving a system call that maps or unmaps memory for a user or a monitor, with its bookkeeping. */
  Syscall,
  /** Pinning and unpinning pages. */
  Pin,
  /** Probes of traced functions. */
  Trace,
  /** Device-TLB round trip: of the wait for the hardware, what its command queue spent waiting for devices to answer. */
  DeviceTlb,
  /** How many there are: the steps of memory management follow. */
  Count,
}

export const STEP_NAMES: readonly string[] = [
  'call',
  'iova',
  'table',
  'cache_flush',
  'lock',
  'lock_wait',
  'descriptor',
  'slot_wait',
  'doorbell',
  'completion',
  'iova_free',
  'queue',
  'slot',
  'copy',
  'interrupt',
  'exit',
  'host_lock',
  'emulation',
  'host_call',
  'syscall',
  'pin',
  'trace',
  'device_tlb',
];

/** Parts of one turn of a driver's loop. The first values are shared by every driver so that all turns use one ledger layout. */
export const enum Turn {
  Map,
  Unmap,
  /** Writing the buffer before it is mapped. */
  Dirty,
  /** The benchmark's pause between map and unmap. */
  Transfer,
  /** Waiting for a completion of the device. */
  Idle,
  /** The polling driver's own code for one completion. */
  Completion,
  Interrupt,
  /** Ends of bursts: invalidating what unmaps held back. */
  Settle,
  /** Copying memory after the unmap. */
  Copy,
}

export const TURN_NAMES: readonly string[] = [
  'map',
  'unmap',
  'dirty',
  'transfer',
  'idle',
  'completion',
  'interrupt',
  'settle',
  'copy',
];
