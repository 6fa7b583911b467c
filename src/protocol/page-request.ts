/**
 * The Page Request Interface between a device and its IOMMU (PCI Express Base Specification 6.0, 10.4). A Page Request Message is an Event:
 * `source` the device, `context` the PASID or -1, `addressHi:addressLo` the page, `parent` the page request group index, `value`
 * `PageRequestBit` bits. Its answer, a Page Request Group Response, is an Event with `parent` the group index and `value` a `PageStatus`.
 */
import type { Event } from '../kernel/event.js';
import type { Access } from './access.js';
import type { Op } from './op.js';
import type { StallClient } from './stall.js';

/** The lower bits are those of `Access`. */
export const enum PageRequestBit {
  Read = 1,
  Write = 2,
  Execute = 4,
  Privileged = 8,
  /** Last request of its group. With neither Read nor Write: a stop marker, which nobody answers. */
  Last = 16,
  Access = Read | Write | Execute,
}

/** Response codes (10.4.2.2); those between Invalid and Failure count as Failure. */
export const enum PageStatus {
  /** Translation may be tried again: software has seen to the pages, or the request was lost. */
  Success = 0,
  /** The access is an error. */
  Invalid = 1,
  /** The device stops using the interface. */
  Failure = 15,
}

/** A page request as software finds it in a unit's queue, whatever the layout of its record. */
export class PageRequestRecord {
  source = 0;
  /** -1: none. */
  pasid = -1;
  /** `PageRequestBit` bits. */
  bits = 0;
  group = 0;
  addressHi = 0;
  addressLo = 0;
}

/** Group indices are 9 bits. */
export const PAGE_GROUPS = 512;

/** What a device TLB asks for pages that have no translation. */
export interface PageRequestSink {
  /**
   * Takes the TLP, whose address has no translation that permits `access`, until `PageRequestClient.pageAnswered`. False: the device does not
   * use the interface, or no longer, and the access is an error.
   */
  request(tlp: Event, access: Access): boolean;
  /** Asks for a page that nothing needs yet, if that can be done at once. */
  prefetch(pasid: number, hi: number, lo: number, access: Access): void;
  /** A TLP that was answered with success has its translation, is refused, or asks again. */
  proceeds(tlp: Event): void;
}

/** The device TLB's side: called once for each TLP that was taken, in order of their requests. */
export interface PageRequestClient {
  /** Success: the translation is to be asked for again. Otherwise the access is an error. */
  pageAnswered(tlp: Event, status: PageStatus): void;
  /** A page that was asked for ahead, and that nothing has waited for, is there. */
  pageAhead(pasid: number, hi: number, lo: number, access: Access): void;
}

/** Where a device's messages go: its link. They go in the order in which they are sent. */
export interface MessageSink {
  message(message: Event, op: Op): void;
}

/** The IOMMU's side: takes a message, which goes back to the device at once. */
export interface PageRequestReceiver {
  receive(message: Event): void;
}

/** Takes the answers of an IOMMU to the device, by device number. */
export interface PageResponsePort {
  respond(device: number, group: number, status: PageStatus): void;
}

/** What the audit wants to know of page request groups, at the root port. */
export interface PageGroupObserver {
  /** The last request of a group that expects an answer has arrived. */
  groupAsked(device: number, group: number, now: number): void;
  groupAnswered(device: number, group: number, now: number): void;
}

/** Page requests as they are measured (see `StallLog`): nothing in hardware or software depends on it. */
export interface PageRequestLog {
  /** When the device found that it needs the page, absolute ps; NaN when it does not wait for the group any more. */
  askedAt(requester: number, group: number, hi: number, lo: number): number;
  /** When the record in `slot` of the unit's queue was in memory, absolute ps. */
  recordedAt(slot: number): number;
  /** `client` is told when the answer of the group is in the device, and when the access goes on. */
  follow(requester: number, group: number, hi: number, lo: number, client: StallClient): void;
}
