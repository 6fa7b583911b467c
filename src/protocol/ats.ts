/**
 * Address Translation Services between a device and its IOMMU (PCI Express Base Specification 6.0, chapter 10). A Translation Request is a TLP
 * whose flags have `TlpFlag.TranslationRequest`; its answer comes back in the same record: `bytes` 8 when it is a successful completion, with the
 * translated address in `outHi:outLo`, log2 of the size of the translation in `level` and permissions (`Access` bits) in `value`; `bytes` 0
 * when the completion has no data: `value` is then its status. No permission at all is a successful completion too: there is no translation.
 *
 * An Invalidate Request names the region of 2^level bytes at `addressHi:addressLo`, of the PASID in `context` (-1: of requests without PASID; `state` 1: of
 * every PASID); `value` is its ITag. Its completion is the same record with `TlpFlag.InvalidateCompletion`, sent after every write that used what went.
 */
import type { Event } from '../kernel/event.js';
import type { CreditReturn, Forwarder } from './tlp.js';

/** Completion Status (2.2.9.1). */
export const enum AtsStatus {
  Success = 0,
  /** The device may not ask at all. */
  UnsupportedRequest = 1,
  /** Something broke while the translation was looked for. */
  CompleterAbort = 4,
}

/** Bytes of a translation in a completion. */
export const TRANSLATION_BYTES = 8;

/** Bytes of the payload of an Invalidate Request. */
export const INVALIDATE_BYTES = 8;
/** ITags of a device: invalidations that may be unanswered at a time. */
export const ITAGS = 32;

/** The root port of a device, as its Translation Agent sees it. */
export interface AtsPort extends Forwarder, CreditReturn {
  /** Sends a message with `payload` bytes to the device, where it is due with Op.AtcInvalidate. */
  message(event: Event, payload: number): void;
}

/** A device that keeps translations, as the Translation Agent of its unit is told of it. */
export interface AtsEndpoint {
  readonly device: number;
  readonly port: AtsPort;
  /** First of ITAGS ledger slots of its invalidations, which nobody reads. */
  readonly firstSlot: number;
}

/** How long the command queue of a unit has waited for devices to answer invalidations: for who measures. */
export interface DeviceWait {
  /** Until now, ps. */
  heldPs(): number;
}

/** What a device TLB needs of its device. */
export interface AtcClient {
  /** The TLP has come to its end: data are there, or it is aborted. */
  done(tlp: Event): void;
  /** After a refused `send`: it may be tried again. */
  creditReady(): void;
}
