/**
 * Software side of an SMMUv3 command queue (arm_smmu_cmdq_issue_cmdlist, drivers/iommu/arm/arm-smmu-v3/arm-smmu-v3.c): CPUs reserve
 * slots without a lock and fill them side by side; the first of them owns the gathering, waits until all slots reserved meanwhile are
 * written, and publishes them with one write of CMDQ_PROD. A CMD_SYNC overwrites its own first word (MSI), which its CPU polls with
 * interrupts off. Not modelled: retries of the compare-and-exchange, polling of CMDQ_CONS, command errors and time-outs. Where a batch
 * without CMD_SYNC would fill the ring it gets one, instead of a wait on CMDQ_CONS.
 */
import { COMMAND_LG2, COMMAND_WORDS, encodePlainSync, encodeSync, Register } from '../../iommu/arch/smmuv3/format.js';
import { Step } from '../step.js';
import { type Call, type Thread, Wait } from '../thread.js';
import type { UnitDriverEnvironment } from '../unit-environment.js';
import type { QueuePort } from './port.js';

/** Most commands of a batch (CMDQ_BATCH_ENTRIES); a CMD_SYNC comes on top. */
export const BATCH = 64;

/** Commands on their way into the queue. */
export class Batch {
  readonly words: Int32Array = new Int32Array(BATCH * COMMAND_WORDS);
  count = 0;

  /** Where the next command goes; it counts from now on. */
  next(): number {
    return COMMAND_WORDS * this.count++;
  }
}

interface Publication {
  readonly thread: Thread;
  /** Slots before this position are to be published. */
  until: number;
  blocked: boolean;
}

export class CommandQueue {
  /** Positions count commands since the start; the slot is the position modulo the ring. */
  private reserved = 0;
  private published = 0;
  private consumed = 0;
  private readonly written: Uint8Array;
  /** First position that is not written, as far as anybody has looked. */
  private writtenTo = 0;
  /** CPU that gathers: later ones leave the publication to it. */
  private owner: Thread | null = null;
  private publication: Publication | null = null;
  /** Owner that waits for the one before it. */
  private nextOwner: Thread | null = null;
  /** By slot of a CMD_SYNC: who polls it. */
  private readonly pollers: (Thread | null)[];
  private readonly waiters: Thread[] = [];
  private readonly sync = new Int32Array(COMMAND_WORDS);
  /** Registers of a queue in a virtual machine; null: the machine's own queue, with messages. */
  port: QueuePort | null = null;

  constructor(
    private readonly unit: number,
    /** Byte address, aligned to the size of the ring; number of commands. */
    private readonly ring: number,
    private readonly slots: number,
    private readonly environment: UnitDriverEnvironment,
  ) {
    this.written = new Uint8Array(slots);
    this.pollers = new Array<Thread | null>(slots).fill(null);
  }

  private get free(): number {
    return this.slots - (this.reserved - this.consumed);
  }

  /** Inserts the batch and empties it; with `sync` returns when hardware has completed it and everything before. */
  *submit(thread: Thread, batch: Batch, sync: boolean): Call<void> {
    const { scheduler, costs, statistics } = this.environment;
    const { count } = batch;
    if (thread.debt !== 0) yield Wait.Run;
    const begun = scheduler.now();
    thread.irqOff++;
    const most = BATCH + 1;
    if (this.free < most) {
      statistics.slotWaits++;
      while (this.free < most) {
        this.waiters.push(thread);
        scheduler.block(thread, Step.SlotWait);
        yield Wait.Block;
      }
    }
    const waits = sync || this.free < 2 * most;
    const first = this.reserved;
    const length = waits ? count + 1 : count;
    this.reserved += length;
    const owns = this.owner === null;
    if (owns) this.owner = thread;
    thread.charge(Step.Lock, costs.lock);
    thread.charge(Step.Descriptor, length * costs.descriptor);
    yield Wait.Run;
    this.write(first, batch.words, count);
    batch.count = 0;
    if (waits) this.writeSync(first + count);
    statistics.descriptors += length;
    this.advanceWritten();
    if (owns) yield* this.publish(thread, first);
    if (waits) yield* this.complete(thread, first + count);
    thread.irqOff--;
    statistics.submission.add(scheduler.now() - begun);
  }

  /** Inserts commands at this instant, without anybody's time and without waiting: boot and attachment. Throws RangeError if they do not fit. */
  post(batch: Batch): void {
    const { count } = batch;
    if (this.free < count) throw new RangeError(`command queue of unit ${this.unit} is full`);
    const first = this.reserved;
    const idle = this.owner === null && this.publication === null;
    this.reserved += count;
    this.write(first, batch.words, count);
    batch.count = 0;
    this.advanceWritten();
    // Otherwise the owner of the moment publishes them.
    if (idle) {
      this.published = this.reserved;
      this.doorbell(0);
    } else if (this.owner === null) this.publication!.until = this.reserved;
  }

  /** Hardware has stored to memory: true if it was to this queue. */
  stored(hi: number, lo: number): boolean {
    const offset = (hi >>> 0) * 2 ** 32 + (lo >>> 0) - this.ring;
    if (offset < 0 || offset >= this.slots << COMMAND_LG2) return false;
    const slot = offset >>> COMMAND_LG2;
    const poller = this.pollers[slot];
    if (poller !== null && poller !== undefined) {
      this.pollers[slot] = null;
      const { scheduler, distance } = this.environment;
      scheduler.wakePoller(poller, distance.poll(poller, this.unit));
    }
    return true;
  }

  /** The owner waits for its turn, ends its gathering, waits for its slots and rings the doorbell. */
  private *publish(thread: Thread, first: number): Call<void> {
    const { scheduler, costs, distance } = this.environment;
    if (this.published !== first) {
      this.nextOwner = thread;
      scheduler.block(thread, Step.LockWait);
      yield Wait.Block;
    }
    this.owner = null;
    const publication: Publication = { thread, until: this.reserved, blocked: false };
    this.publication = publication;
    if (this.writtenTo < publication.until) {
      publication.blocked = true;
      scheduler.block(thread, Step.LockWait);
      yield Wait.Block;
    }
    if (this.port !== null) yield* this.port.publish(thread, publication.until);
    else {
      thread.charge(Step.Doorbell, costs.mmioWrite);
      yield Wait.Run;
    }
    this.publication = null;
    this.published = publication.until;
    if (this.port === null) this.doorbell(distance.flight(thread, this.unit));
    const next = this.nextOwner;
    this.nextOwner = null;
    if (next !== null) scheduler.wake(next, costs.lockHandOver);
  }

  private *complete(thread: Thread, position: number): Call<void> {
    const { scheduler, statistics } = this.environment;
    const asked = scheduler.now();
    if (this.port !== null) yield* this.port.consumed(thread, position);
    else {
      this.pollers[position % this.slots] = thread;
      scheduler.block(thread, Step.Completion);
      yield Wait.Block;
    }
    statistics.completion.add(scheduler.now() - asked);
    // Commands are consumed in order: this one stands for all before it.
    this.consumed = Math.max(this.consumed, position + 1);
    for (const waiter of this.waiters.splice(0)) scheduler.wake(waiter, this.environment.costs.lockHandOver);
  }

  private doorbell(flightPs: number): void {
    const producer = this.published % (2 * this.slots);
    this.environment.registers.write(this.unit, Register.CommandQueueProducer, 0, producer, flightPs);
  }

  private advanceWritten(): void {
    while (this.writtenTo < this.reserved && this.written[this.writtenTo % this.slots] === 1) {
      this.written[this.writtenTo % this.slots] = 0;
      this.writtenTo++;
    }
    const { publication } = this;
    if (publication === null || !publication.blocked || this.writtenTo < publication.until) return;
    publication.blocked = false;
    this.environment.scheduler.wake(publication.thread, 0);
  }

  private write(first: number, words: Int32Array, count: number): void {
    for (let i = 0; i < count; i++) this.store(first + i, words, i * COMMAND_WORDS);
  }

  /** A CMD_SYNC that writes zero over its own first word, where there are messages. */
  private writeSync(position: number): void {
    const address = this.ring + ((position % this.slots) << COMMAND_LG2);
    if (this.port === null) encodeSync(this.sync, 0, address, 0);
    else encodePlainSync(this.sync, 0);
    this.store(position, this.sync, 0);
  }

  private store(position: number, words: Int32Array, from: number): void {
    const { memory, timing } = this.environment;
    const slot = position % this.slots;
    const address = this.ring + (slot << COMMAND_LG2);
    const hi = Math.floor(address / 2 ** 32);
    const lo = (address % 2 ** 32) | 0;
    memory.write(hi, lo, words[from + 1]!, words[from]!);
    memory.write(hi, (lo + 8) | 0, words[from + 3]!, words[from + 2]!);
    timing?.cpuWrite(hi, lo, 1 << COMMAND_LG2);
    this.written[slot] = 1;
  }
}
