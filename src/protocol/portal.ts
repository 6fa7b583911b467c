/**
 * Work submission by 64-byte register writes to the portals of an accelerator's work queues: ENQCMD makes a Deferrable Memory Write
 * (PCI Express Base Specification 6.0, 2.2.7.1.4: non-posted, answered with Success or Request Retry), MOVDIR64B a posted write. The
 * descriptor's PASID travels in its first bits, put there by the processor or by software.
 */

/** A memory move, by tag: what the 64 bytes of a descriptor say. */
export interface WorkDescriptor {
  pasid: number;
  bytes: number;
  sourceHi: number;
  sourceLo: number;
  targetHi: number;
  targetLo: number;
  /** Completion record, 32 bytes. */
  recordHi: number;
  recordLo: number;
}

/** Bytes of a descriptor, and of a completion record (Intel DSA Architecture Specification, 8). */
export const DESCRIPTOR_BYTES = 64;
export const RECORD_BYTES = 32;

export interface WorkQueueConfig {
  readonly mode: 'shared' | 'dedicated';
  /** Descriptors it holds. */
  readonly entries: number;
}

export const enum WorkStatus {
  Success = 0,
  /** One of its transactions was not translated: the record says so. */
  Fault = 1,
}

/** Who submits work. */
export interface WorkClient {
  /** The processor has the answer to a deferrable write. */
  answered(tag: number, accepted: boolean): void;
  /** The device has taken the descriptor into its queue. */
  accepted(tag: number): void;
  /** The descriptor has left its queue for an engine. */
  dispatched(tag: number): void;
  /** Software can see the completion record. */
  finished(tag: number, status: WorkStatus): void;
}

/** The portals of a device, as processors reach them. */
export interface Portals {
  /** Sets up a work queue of the device; returns its number. Throws RangeError when the device has no more queues or entries. */
  configure(device: number, config: WorkQueueConfig, client: WorkClient): number;
  /** Writes a descriptor to the portal of a queue. `flightPs`: from the core to the root complex, and back. */
  submit(device: number, queue: number, tag: number, descriptor: WorkDescriptor, flightPs: number): void;
}
