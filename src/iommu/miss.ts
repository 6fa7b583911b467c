/**
 * One page that is being looked up in memory: its walk, the address space it belongs to and the transactions that wait for it.
 * Built once per outstanding miss; the walk event carries the record's number.
 */
import { Event } from '../kernel/event.js';
import { EventFifo } from '../kernel/fifo.js';
import { Walk } from '../pagetable/walk.js';
import { AddressSpace } from './address-space.js';

/** What the next word from memory is. */
export const enum Phase {
  Idle,
  /** Waiting for a walker. */
  Queued,
  Root,
  Context,
  PasidDirectory,
  PasidEntry,
  Table,
  /** The walk is over; its result is on the way back. */
  Replay,
}

export class Miss {
  phase: Phase = Phase.Idle;
  requester = 0;
  pasid = -1;
  /** PASID used in the directory: the request's, or the requester's own (RID_PASID). */
  effectivePasid = 0;
  /** A directory entry on the way asks not to record qualified faults (FPD). */
  suppressFaults = false;
  /** 4 KiB page number of the input address, as an int32 pair. */
  pageLo = 0;
  pageHi = 0;
  /** An invalidation overtook it: when the walk ends, its result is dropped and it starts again. */
  stale = false;
  /** The address space is known (the directory phases are over). */
  located = false;
  /** Outcome: 0 = translated, else the architecture's fault code. */
  fault = 0;
  /** Time spent in the directory phases, ps; for the latency breakdown. */
  directoryPs = 0;
  readonly space: AddressSpace = new AddressSpace();
  readonly walk: Walk = new Walk();
  readonly event: Event = new Event();
  /** First is the transaction that started the walk; the others were merged. */
  readonly waiters: EventFifo = new EventFifo();
  /** Where the next words are read: address of the directory entry. */
  readHi = 0;
  readLo = 0;

  constructor(id: number) {
    this.event.id = id;
  }
}
