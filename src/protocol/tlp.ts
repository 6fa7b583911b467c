/**
 * Memory requests between devices, root ports and IOMMUs. A TLP is a kernel Event whose fields mean:
 * `id` its slot in the transaction pool (latency ledger, audit); `source` the device; `parent` the DMA slot of that device;
 * `flags` TlpFlag bits; `bytes` payload (write) or requested length (read), never across a 4 KiB boundary;
 * `addressHi:addressLo` the untranslated address; `outHi:outLo` the translated one; `context` the PASID or -1.
 * Translation requests and messages of ATS travel the same way: ats.ts.
 */
import type { Event } from '../kernel/event.js';

export const enum TlpFlag {
  /** Memory write (posted); clear: memory read (non-posted). */
  Write = 1,
  /** The IOMMU refused it: a read completes with Unsupported Request, a write is dropped. */
  Aborted = 2,
  /** Drain epoch of the IOMMU at translation time (invalidation with DR/DW waits for it). */
  EpochOdd = 4,
  /** The device has counted its completion; what is left is the device's own time. */
  Settled = 8,
  /** Privileged Mode Requested (PASID prefix). */
  Privileged = 16,
  /** A read for execution (Execute Requested). */
  Execute = 32,
  /** Reads and writes at once (atomic operation); set together with Write. */
  Atomic = 64,
  /** It has been held for software to resolve its fault, and is looked up again. */
  Resumed = 128,
  /** AT = 01b: asks for a translation, not for data. */
  TranslationRequest = 256,
  /** Of a translation request, NW: the device will not write. */
  NoWrite = 512,
  /** AT = 10b: the device has translated the address itself. */
  Translated = 1024,
  /** A message that answers an Invalidate Request. */
  InvalidateCompletion = 2048,
  /** A Page Request Message. */
  PageRequest = 4096,
  /** What does not ask the IOMMU to translate and let pass. */
  Ats = TranslationRequest | Translated | InvalidateCompletion,
  /** A request whose permissions are worked out: bits 4 to 6, and translation requests. */
  Special = Privileged | Execute | Atomic | TranslationRequest,
  /** Does not go on to memory. */
  NoMemory = Aborted | TranslationRequest,
}

/** Where a TLP waits or travels: the parts its latency is split into. One current cause at a time. */
export const enum Cause {
  /** Inside the device: fixed overhead, gaps between TLPs of one DMA. */
  Device,
  /** No free tag, flow-control credit or retry-buffer entry. */
  Credits,
  /** Serialisation and flight towards the root port. */
  LinkUp,
  /** Waiting to enter the IOMMU's transaction queue. */
  Ingress,
  /** Lookup pipeline: wait for a slot and lookup time. */
  Lookup,
  /** Missed, waiting for a free miss entry or walker. */
  WalkQueue,
  /** Reading root, context, PASID directory and PASID table entries. */
  Directory,
  /** Page walk: fixed overhead, table reads and replay. */
  Walk,
  /** Waiting for another transaction's walk of the same page. */
  WalkMerged,
  /** Translated, waiting for older transactions to leave. */
  Order,
  /** Memory: cache, DRAM, interconnect. */
  Memory,
  /** Completion: waiting for the link, serialisation, flight. */
  LinkDown,
  /** Waiting in the device for older completions. */
  Retire,
  /** Held by the IOMMU until software has resolved its fault, or for a place to be held in. */
  Stalled,
  // Those from here on occur only where a device has a TLB of its own.
  /** Lookup in the device TLB. */
  DeviceTlb,
  /** Missed in the device TLB: until the answer of the request for translation is there. */
  TranslationRequest,
  /** The page has no translation: until software has answered the request for it. */
  PageRequest,
}

export const CAUSES: readonly string[] = [
  'device',
  'credits',
  'link_up',
  'ingress',
  'lookup',
  'walk_queue',
  'directory',
  'walk',
  'walk_merged',
  'order',
  'memory',
  'link_down',
  'retire',
  'stalled',
  'device_tlb',
  'translation_request',
  'page_request',
];

/** Those of requests that no device TLB looks up. */
export const CAUSES_WITHOUT_ATS: readonly string[] = CAUSES.slice(0, Cause.DeviceTlb);

/** The device's side of a link. */
export interface TlpSink {
  /** Takes the TLP if credits allow. Otherwise false, and the device gets one Op.DeviceCredit event when it may try again. */
  send(tlp: Event): boolean;
}

/** The root port's side: called by whoever frees the receive buffer the TLP occupied. */
export interface CreditReturn {
  returnCredits(tlp: Event): void;
}

/** The IOMMU's side: a root port hands over requests, and tells when memory has served one (for invalidations that drain). */
export interface Translator {
  arrive(tlp: Event): void;
  served(tlp: Event): void;
}

/** The root port's side: takes a request that has been translated (or aborted), charges its time since the lookup to `Cause.Order` and sends it on to memory. */
export interface Forwarder {
  forward(tlp: Event): void;
}
