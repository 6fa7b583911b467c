/** Read-only description of the memory side of a machine. Times in integer picoseconds, sizes in bytes, rates in bits per second. */

export interface LlcSpec {
  /** Capacity in bytes; size / (ways * 64) sets, any number of sets (cores contribute slices). */
  readonly size: number;
  readonly ways: number;
  /** Ways that device writes may allocate into (Intel DDIO: 2 of 20). 0 sends device writes to DRAM. */
  readonly ddioWays: number;
  /**
   * Share of lines, in millionths, whose set does not follow from the line number but from a hash of it: the imbalance that the
   * slice hash and scattered page frames cause.
   */
  readonly scatter: number;
  /** Load-to-use time of a hit as seen at the root complex, ps. A miss adds the DRAM latency to it. */
  readonly latency: number;
  /** Bandwidth of the LLC port towards I/O, bit/s. */
  readonly bandwidth: number;
}

export interface DramSpec {
  /** Capacity in bytes. */
  readonly size: number;
  readonly channels: number;
  /** Added to the LLC latency by a miss, ps. */
  readonly latency: number;
  /** Per channel, bit/s. */
  readonly bandwidth: number;
}

export interface SocketSpec {
  readonly cores: number;
  /** Core clock in hertz; converts cycles and time in software cost tables. */
  readonly frequency: number;
  readonly llc: LlcSpec;
  readonly dram: DramSpec;
}

/** Link between sockets (QPI/UPI): a request from socket A to memory of socket B pays `latency` once and `bandwidth` per byte. */
export interface InterconnectSpec {
  readonly latency: number;
  readonly bandwidth: number;
}

/** State of the last-level cache when a run starts. */
export type HostCacheState =
  /** Nothing of the DMA windows or tables is cached. */
  | 'cold'
  /** Devices wrote their windows through DDIO before the run: at most the DDIO share is warm; tables are cached. */
  | 'device-warm'
  /** The CPU wrote the windows before the run: all ways may hold them; tables are cached. */
  | 'host-warm';

export interface MemorySpec {
  readonly sockets: Readonly<Record<string, SocketSpec>>;
  readonly interconnect: InterconnectSpec;
  readonly hostCache: HostCacheState;
}
