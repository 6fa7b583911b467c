/**
 * Address Translation Services between a device and its IOMMU (PCI Express Base Specification 6.0, chapter 10). A Translation Request is a TLP
 * whose flags have `TlpFlag.TranslationRequest`; its answer comes back in the same record: `bytes` 8 when it is a successful completion, with the
 * translated address in `outHi:outLo`, log2 of the size of the translation in `level` and permissions (pagetable `Permission` bits) in `value`; `bytes` 0
 * when the completion has no data: `value` is then its status. No permission at all is a successful completion too: there is no translation.
 */
import type { Event } from '../kernel/event.js';

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

/** What a device TLB needs of its device. */
export interface AtcClient {
  /** The TLP has come to its end: data are there, or it is aborted. */
  done(tlp: Event): void;
  /** After a refused `send`: it may be tried again. */
  creditReady(): void;
}
