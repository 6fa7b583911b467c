/**
 * A data accelerator of the DSA class (Intel DSA Architecture Specification, 3): work queues that software fills through portals, and engines
 * that take descriptors from them in turn and move memory: read the source, write the target, write the completion record.
 * A shared queue refuses a deferrable write when it is full; a write to a dedicated queue that is full is lost, which software must avoid.
 * Not modelled: groups (every engine serves every queue), priorities, batches, operations other than moves, interrupts, block-on-fault off.
 */
import { Event } from '../kernel/event.js';
import type { Kernel } from '../kernel/kernel.js';
import { Access } from '../protocol/access.js';
import { Op } from '../protocol/op.js';
import {
  RECORD_BYTES,
  type WorkClient,
  type WorkDescriptor,
  type WorkQueueConfig,
  WorkStatus,
} from '../protocol/portal.js';
import { DmaStatus } from '../protocol/queue.js';
import { TimeAverage } from '../stats/time-average.js';
import type { AcceleratorSpec } from './spec.js';

/** Posts a DMA of the device's engine. */
export type PostDma = (tag: number, hi: number, lo: number, bytes: number, access: Access, pasid: number) => void;

const enum Phase {
  Source,
  Target,
  Record,
  Count,
}

interface Job {
  readonly tag: number;
  readonly client: WorkClient;
  readonly descriptor: WorkDescriptor;
  status: WorkStatus;
}

interface Queue {
  readonly config: WorkQueueConfig;
  readonly client: WorkClient;
  readonly waiting: Job[];
}

export class Accelerator {
  /** Descriptors in all queues, and in all engines. */
  readonly queued = new TimeAverage();
  readonly processing = new TimeAverage();
  taken = 0;
  refused = 0;
  moved = 0;
  /** Next dispatch. */
  readonly step = new Event();
  private scheduled = false;
  private readonly queues: Queue[] = [];
  private turn = 0;
  /** By place in an engine. */
  private readonly jobs: (Job | null)[];
  private readonly free: number[] = [];
  private readonly clock: Float64Array;

  /** `firstTag`: its DMAs carry the tags from it on. */
  constructor(
    private readonly kernel: Kernel,
    unit: number,
    private readonly spec: AcceleratorSpec,
    private readonly firstTag: number,
    private readonly post: PostDma,
  ) {
    this.clock = kernel.clock;
    this.step.unit = unit;
    const places = spec.engines * spec.descriptors;
    this.jobs = new Array<Job | null>(places).fill(null);
    for (let place = places - 1; place >= 0; place--) this.free.push(place);
  }

  /** Throws RangeError when the device has no more queues or entries. */
  configure(config: WorkQueueConfig, client: WorkClient): number {
    const used = this.queues.reduce((sum, queue) => sum + queue.config.entries, 0);
    if (this.queues.length === this.spec.queues) throw new RangeError(`all ${this.spec.queues} work queues are in use`);
    if (used + config.entries > this.spec.entries) {
      throw new RangeError(
        `${this.spec.entries - used} entries of work queues are left, ${config.entries} are asked for`,
      );
    }
    this.queues.push({ config, client, waiting: [] });
    return this.queues.length - 1;
  }

  /** Whether a write to the queue's portal is deferrable: the CPU waits for its answer. */
  shared(queue: number): boolean {
    return this.queues[queue]!.config.mode === 'shared';
  }

  clientOf(queue: number): WorkClient {
    return this.queues[queue]!.client;
  }

  /** A descriptor arrives; false: the queue is full. Throws for a dedicated queue, whose software has lost count. */
  arrive(number: number, tag: number, descriptor: WorkDescriptor): boolean {
    const { config, client, waiting } = this.queues[number]!;
    if (waiting.length >= config.entries) {
      if (config.mode === 'dedicated')
        throw new Error(`a descriptor is written to dedicated queue ${number}, which is full`);
      this.refused++;
      return false;
    }
    this.taken++;
    this.queued.add(this.clock[0]!, 1);
    waiting.push({ tag, client, descriptor, status: WorkStatus.Success });
    client.accepted(tag);
    this.arrange();
    return true;
  }

  /** Op.AcceleratorDispatch: a descriptor goes to an engine. */
  dispatch(): void {
    this.scheduled = false;
    const now = this.clock[0]!;
    const job = this.next();
    if (job === null) return;
    const place = this.free.pop()!;
    this.jobs[place] = job;
    this.queued.add(now, -1);
    this.processing.add(now, 1);
    job.client.dispatched(job.tag);
    const { sourceHi, sourceLo, bytes, pasid } = job.descriptor;
    this.post(this.tagOf(place, Phase.Source), sourceHi, sourceLo, bytes, Access.Read, pasid);
    this.arrange();
  }

  /** Whether the tag is of one of its own DMAs. */
  owns(tag: number): boolean {
    return tag >= this.firstTag;
  }

  /** One of its DMAs is done. */
  completed(tag: number, status: DmaStatus): void {
    const number = tag - this.firstTag;
    const place = Math.floor(number / Phase.Count);
    const job = this.jobs[place]!;
    if (status !== DmaStatus.Ok) job.status = WorkStatus.Fault;
    const { targetHi, targetLo, recordHi, recordLo, bytes, pasid } = job.descriptor;
    const phase: Phase = number % Phase.Count;
    if (phase === Phase.Source && job.status === WorkStatus.Success) {
      this.post(this.tagOf(place, Phase.Target), targetHi, targetLo, bytes, Access.Write, pasid);
    } else if (phase !== Phase.Record) {
      this.post(this.tagOf(place, Phase.Record), recordHi, recordLo, RECORD_BYTES, Access.Write, pasid);
    } else this.finish(place, job);
  }

  resetCounters(now: number): void {
    this.queued.reset(now);
    this.processing.reset(now);
    this.taken = 0;
    this.refused = 0;
    this.moved = 0;
  }

  private finish(place: number, job: Job): void {
    this.jobs[place] = null;
    this.free.push(place);
    this.processing.add(this.clock[0]!, -1);
    if (job.status === WorkStatus.Success) this.moved += job.descriptor.bytes;
    job.client.finished(job.tag, job.status);
    this.arrange();
  }

  private tagOf(place: number, phase: Phase): number {
    return this.firstTag + place * Phase.Count + phase;
  }

  /** The first of the next queue in turn that holds one. */
  private next(): Job | null {
    const { queues } = this;
    for (let k = 0; k < queues.length; k++) {
      const i = (this.turn + k) % queues.length;
      const job = queues[i]!.waiting.shift();
      if (job === undefined) continue;
      this.turn = (i + 1) % queues.length;
      return job;
    }
    return null;
  }

  private arrange(): void {
    if (this.scheduled || this.free.length === 0) return;
    if (this.queues.every(({ waiting }) => waiting.length === 0)) return;
    this.scheduled = true;
    this.kernel.after(this.spec.dispatch, this.step, Op.AcceleratorDispatch);
  }
}
