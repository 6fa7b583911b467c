/**
 * One page that is being looked up in memory: its walk, the address space it belongs to and the transactions that wait for it.
 * Built once per outstanding miss; the walk event carries the record's number.
 */
import { Event } from '../kernel/event.js';
import { EventFifo } from '../kernel/fifo.js';
import { TwoStageWalk } from '../pagetable/two-stage.js';
import type { Walk } from '../pagetable/walk.js';
import { AddressSpace } from './address-space.js';

/** What the next word from memory is. */
export const enum Phase {
  Idle,
  /** Waiting for a walker. */
  Queued,
  /** An entry of the directory; `entry` says which. */
  Directory,
  /** A second-stage entry on the way to the host address of a directory entry. */
  Pointer,
  Table,
  /** The entry of an intercepted address. */
  Intercepted,
  /** The walk is over; its result is on the way back. */
  Replay,
}

export class Miss {
  phase: Phase = Phase.Idle;
  requester = 0;
  pasid = -1;
  /** TlpFlag bits of the transaction that started it. */
  flags = 0;
  /** PASID used in the directory: the request's, or the requester's own. */
  effectivePasid = 0;
  /** Kind of the directory entry to read next: the architecture's own numbers. */
  entry = 0;
  /** 1: readHi:readLo is a guest-physical address. */
  guest: 0 | 1 = 0;
  /** Bytes of the directory entry to read next. */
  bytes = 0;
  /** 4 KiB page number of the input address, as an int32 pair. */
  pageLo = 0;
  pageHi = 0;
  /** Input byte address of the transaction that started it. */
  inputHi = 0;
  inputLo = 0;
  /** An invalidation overtook it: when the walk ends, its result is dropped and it starts again. */
  stale = false;
  /** The address space is known (the directory phases are over). */
  located = false;
  /** Outcome: 0 = translated, else the architecture's fault code. */
  fault = 0;
  /** Time spent in the directory phases, ps; for the latency breakdown. */
  directoryPs = 0;
  readonly space: AddressSpace = new AddressSpace();
  readonly two: TwoStageWalk = new TwoStageWalk();
  /** The only stage, or the first of two. */
  readonly walk: Walk = this.two.first;
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
