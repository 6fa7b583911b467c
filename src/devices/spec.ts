/** Read-only description of a parametric DMA engine. Times in integer picoseconds, sizes in bytes. */

export interface EngineSpec {
  /** Fixed time between the decision to read and the request on the link plus from the last completion to done, ps; part of the latency the device sees. */
  readonly readOverhead: number;
  /** The same for a write, whose last byte is globally visible so long before it is done, ps. */
  readonly writeOverhead: number;
  /** Smallest time between two DMAs, ps: a table by largest size, ascending; the first row whose `size` is at least the DMA's applies, the last row to all larger. */
  readonly readInterval: readonly IntervalRow[];
  readonly writeInterval: readonly IntervalRow[];
  /** DMA operations in flight. */
  readonly outstanding: number;
  /** `in-order`: a DMA's place is free again only when all older ones are complete (a descriptor ring); `any`: at once. */
  readonly retire: 'in-order' | 'any';
  /** Read bytes in flight. */
  readonly outstandingReadBytes: number;
  /**
   * Reads in flight by DMA size: the first row whose `size` is at least the DMA's applies, the last row to all larger. Unlike the
   * places counted by `outstanding`, one of these is free as soon as its read is complete, whatever the order.
   */
  readonly readSlots: readonly SlotRow[];
}

export interface SlotRow {
  readonly size: number;
  readonly slots: number;
}

export interface IntervalRow {
  readonly size: number;
  readonly interval: number;
}

/** An accelerator with work queues, as it is in front of the DMA engine of its device. */
export interface AcceleratorSpec {
  /** Work queues, and descriptors that all of them together can hold. */
  readonly queues: number;
  readonly entries: number;
  /** Engines, and descriptors in process in each. */
  readonly engines: number;
  readonly descriptors: number;
  /** From one descriptor leaving the queues to the next at the earliest, ps. */
  readonly dispatch: number;
}
