/**
 * A recoverable I/O page fault on its way through software (struct iopf_fault, struct iopf_group, include/linux/iommu.h), with where its time
 * went. Faults are pooled: whoever reports one gets it from `FaultQueue.fault` and does not keep it.
 */
import type { Access } from '../protocol/access.js';
import type { StallClient } from '../protocol/stall.js';
import type { FaultDevice } from './fault-device.js';
import type { Call, Thread } from './thread.js';
import type { Work, Workqueue } from './workqueue.js';

/** Answers as PCI Express carries them (page request group response; base specification 10.4.2.2). */
export const enum PageResponse {
  /** The device may try again. */
  Success = 0,
  /** This access is an error; others may go on. */
  Invalid = 1,
  /** The device stops using the interface until it is reset. */
  Failure = 15,
}

/** Where the time of a fault goes, from its arrival (at the IOMMU's queue, or in hardware where that tells) to its end, in order. The parts add up. */
export const enum FaultStage {
  /** From the fault in hardware to its arrival in the queue. */
  Device,
  /** From its arrival in the queue to the end of the interrupt handler that found it there. */
  Interrupt,
  /** Until the interrupt's thread runs. */
  Wake,
  /** Until the thread has come to it: requests in front of it in the queue. */
  Queue,
  /** Until the last request of its group has come. */
  Group,
  /** Until a worker takes up the group. */
  HandOff,
  /** Memory management, for it and for the requests of its group in front of it and behind it. */
  Handler,
  /** Until the answer is given; where the hardware tells, until it has arrived. */
  Response,
  /** Until the transaction goes on, where the hardware tells. */
  Retry,
  Count,
}

export const FAULT_STAGES: readonly string[] = [
  'device',
  'interrupt',
  'wake',
  'queue',
  'group',
  'hand_off',
  'handler',
  'response',
  'retry',
];

const SINCE: number = FaultStage.Count;
const ARRIVED: number = FaultStage.Count + 1;

/** Who accounts for faults whose end the hardware tells. */
export interface FaultOwner {
  ended(fault: PageFault, resumedAt: number, now: number): void;
}

/** One page request, or one stalled transaction. */
export class PageFault implements StallClient {
  /** PASID, -1 for a request without one. */
  pasid = -1;
  /** Byte address; the upper half of a canonical address space is beyond 2^53, where only its being there matters. */
  address = 0;
  access = 0 as Access;
  privileged = false;
  /** Page request group index, or stall tag. */
  group = 0;
  /** Last of its group. */
  last = true;
  /** Who is told of its end, where the hardware tells; null: it ends with its answer. */
  owner: FaultOwner | null = null;
  /** Software has thrown it away; the hardware still tells of its end. */
  abandoned = false;
  /** Time spent by stage; charged up to; arrival. ps. */
  private readonly times = new Float64Array(FaultStage.Count + 2);

  ended(resumedAt: number, now: number): void {
    this.owner!.ended(this, resumedAt, now);
  }

  /** The request reached the IOMMU's queue, or faulted in hardware, at `now`, which may be before the present. */
  arrive(now: number): void {
    for (let stage = 0; stage < FaultStage.Count; stage++) this.times[stage] = 0;
    this.times[SINCE] = now;
    this.times[ARRIVED] = now;
  }

  /** Charges the time up to `now` to a stage; nothing if that time has been charged already. */
  charge(stage: FaultStage, now: number): void {
    const since = this.times[SINCE]!;
    if (now <= since) return;
    this.times[stage] = this.times[stage]! + now - since;
    this.times[SINCE] = now;
  }

  spent(stage: FaultStage): number {
    return this.times[stage]!;
  }

  /** Time since its arrival. Throws unless the stages add up to it. */
  latency(now: number): number {
    let sum = 0;
    for (let stage = 0; stage < FaultStage.Count; stage++) sum += this.times[stage]!;
    const latency = now - this.times[ARRIVED]!;
    if (sum !== latency) throw new Error(`the stages of a page fault take ${sum} ps, the fault ${latency} ps`);
    return latency;
  }
}

/** Where groups come from, and where their answers go: `FaultQueue`. */
export interface GroupQueue {
  readonly workqueue: Workqueue;
  /** Answers a group. */
  respond(thread: Thread, group: FaultGroup, code: PageResponse): Call<void>;
  /** Charges the time up to now to a stage of all its requests. */
  charge(group: FaultGroup, stage: FaultStage): void;
}

const NONE: readonly PageFault[] = [];

/** The requests that one answer is for. */
export class FaultGroup implements Work {
  /** Those that end with the answer. */
  readonly untold: readonly PageFault[];
  /** No answer has been given yet. */
  pending = true;

  constructor(
    readonly queue: GroupQueue,
    readonly device: FaultDevice,
    readonly pasid: number,
    readonly index: number,
    private readonly handler: FaultHandler,
    /** In order of arrival, the last one last. */
    readonly faults: readonly PageFault[],
  ) {
    const [first] = faults;
    const told = faults.length === 1 && first!.owner !== null;
    this.untold = told ? NONE : faults.filter(({ owner }) => owner === null);
  }

  run(worker: Thread): Call<void> {
    return this.handler.handle(worker, this);
  }
}

/** Who resolves the faults of a domain. */
export interface FaultHandler {
  /** Takes a complete group on; answers it once, later, with `GroupQueue.respond`. Returns false if it cannot: the group then fails. */
  accept(thread: Thread, group: FaultGroup): boolean;
  /** In a worker. */
  handle(worker: Thread, group: FaultGroup): Call<void>;
}
