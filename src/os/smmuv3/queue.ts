/**
 * Software side of an SMMUv3 command queue (arm_smmu_cmdq_issue_cmdlist, drivers/iommu/arm/arm-smmu-v3/arm-smmu-v3.c): CPUs reserve slots by
 * compare-and-exchange on a shadow of the producer and consumer indices and fill them side by side; each marks its slots in a bitmap. The CPU
 * that finds the OWNED flag clear gathers: it waits for the owner before it, clears the flag, waits until all slots reserved meanwhile are
 * marked, and publishes them with one write of CMDQ_PROD. Whoever waits for a CMD_SYNC shares a lock, whose last holder stores the consumer index.
 * A CMD_SYNC overwrites its own first word (MSI), or signals an event, or is seen in CMDQ_CONS; interrupts are off all the time. Not modelled: command
 * errors and time-outs. Where a batch without CMD_SYNC would fill the ring it gets one, instead of a wait on CMDQ_CONS.
 */
import {
  COMMAND_LG2,
  COMMAND_WORDS,
  Completion,
  encodeSync,
  encodeSyncSignal,
} from '../../iommu/arch/smmuv3/format.js';
import { high } from '../../pagetable/page-size.js';
import { RandomStream } from '../../kernel/random.js';
import { SharedLine } from '../shared-line.js';
import { Step } from '../step.js';
import { type Call, type Cpu, type Thread, Wait } from '../thread.js';
import type { UnitDriverEnvironment } from '../unit-environment.js';
import type { QueuePort } from './port.js';

/** Most commands of a batch (CMDQ_BATCH_ENTRIES); a CMD_SYNC comes on top. */
export const BATCH = 64;
/** Slots whose marks share a cache line, log2; commands that do, log2. */
const MARKS_LG2 = 9;
const LINE_COMMANDS = 4;

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

/** One ring of a unit. */
export interface RingLayout {
  /** Byte address, aligned to the size of the ring; number of commands. */
  readonly ring: number;
  readonly slots: number;
  /** Socket whose memory holds it. */
  readonly socket: number;
  /** Offset of its producer register. */
  readonly producer: number;
}

export class CommandQueue {
  /** Positions count commands since the start; the slot is the position modulo the ring. */
  private reserved = 0;
  private published = 0;
  /** Consumer index as software knows it (llq.cons), and that of the latest CMD_SYNC seen. */
  private consumed = 0;
  private seen = 0;
  /** Slots that are reserved, or will be by a CPU that has found room. */
  private claimed = 0;
  private readonly marked: Uint8Array;
  /** First position that is not marked, as far as anybody has looked. */
  private markedTo = 0;
  /** CPU that gathers (CMDQ_PROD_OWNED_FLAG): later ones leave the publication to it. */
  private owner: Thread | null = null;
  private publication: Publication | null = null;
  /** Owner that waits for the one before it. */
  private nextOwner: Thread | null = null;
  /** By slot of a CMD_SYNC: who polls it. */
  private readonly pollers: (Thread | null)[];
  private readonly waiters: Thread[] = [];
  /** Holders of the shared lock (cmdq->lock). */
  private syncing = 0;
  /** Line of llq, of owner_prod and lock, and lines of the bitmap. */
  private readonly indices: SharedLine;
  private readonly locks: SharedLine;
  private readonly marks: SharedLine[];
  /** CPU that has the line of the next slot. */
  private lastWriter: Cpu | null = null;
  private readonly sync = new Int32Array(COMMAND_WORDS);
  /** Registers of a queue in a virtual machine; null: the machine's own queue, with messages. */
  port: QueuePort | null = null;

  constructor(
    private readonly unit: number,
    private readonly layout: RingLayout,
    private readonly environment: UnitDriverEnvironment,
  ) {
    const { slots } = layout;
    const { scheduler, costs, lines, seed } = environment;
    const line = (name: string): SharedLine =>
      new SharedLine(scheduler, costs, lines, new RandomStream(seed, `os/smmuv3/${unit}/${layout.producer}/${name}`));
    this.marked = new Uint8Array(slots);
    this.pollers = new Array<Thread | null>(slots).fill(null);
    this.indices = line('llq');
    this.locks = line('lock');
    this.marks = Array.from({ length: Math.ceil(slots / 2 ** MARKS_LG2) }, (_, i) => line(`valid_map/${i}`));
  }

  private get free(): number {
    return this.layout.slots - (this.claimed - this.consumed);
  }

  /** Inserts the batch and empties it; with `sync` returns when hardware has completed it and everything before. */
  *submit(thread: Thread, batch: Batch, sync: boolean): Call<void> {
    const { scheduler, costs, statistics, probe } = this.environment;
    const { count } = batch;
    if (probe > 0) thread.charge(Step.Trace, probe);
    if (thread.debt !== 0 && !this.environment.scheduler.passes(thread)) yield Wait.Run;
    const asked = scheduler.now() - probe / 2;
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
    const length = waits ? count + 1 : count;
    this.claimed += length;
    yield* this.indices.exchange(thread);
    const first = this.reserved;
    this.reserved += length;
    const owns = this.owner === null;
    if (owns) this.owner = thread;
    const shared = first % LINE_COMMANDS !== 0 ? this.moveFrom(this.lastWriter, thread.cpu) : 0;
    this.lastWriter = thread.cpu;
    thread.charge(Step.Descriptor, length * costs.descriptor + shared);
    if (!this.environment.scheduler.passes(thread)) yield Wait.Run;
    this.write(first, batch.words, count);
    batch.count = 0;
    if (waits) {
      this.writeSync(first + count);
      if (this.port === null) this.pollers[(first + count) % this.layout.slots] = thread;
      yield* this.locks.access(thread, true);
      this.syncing++;
    }
    yield* this.mark(thread, first, length);
    statistics.descriptors += length;
    if (owns) yield* this.publish(thread, first);
    if (waits) yield* this.wait(thread, first + count);
    if (thread.debt !== 0 && !this.environment.scheduler.passes(thread)) yield Wait.Run;
    thread.irqOff--;
    statistics.submission.add(scheduler.now() + probe / 2 - asked);
    if (probe > 0) thread.charge(Step.Trace, probe);
  }

  /** Inserts commands at this instant, without anybody's time and without waiting: boot and attachment. Throws RangeError if they do not fit. */
  post(batch: Batch): void {
    const { count } = batch;
    if (this.free < count) throw new RangeError(`command queue of unit ${this.unit} is full`);
    const first = this.reserved;
    const idle = this.owner === null && this.publication === null;
    this.reserved += count;
    this.claimed += count;
    this.write(first, batch.words, count);
    batch.count = 0;
    for (let i = 0; i < count; i++) this.marked[(first + i) % this.layout.slots] = 1;
    this.advanceMarked(0);
    // Otherwise the owner of the moment publishes them.
    if (idle) {
      this.published = this.reserved;
      this.doorbell(0);
    } else if (this.owner === null) this.publication!.until = this.reserved;
  }

  /** Hardware has stored to memory: true if it was to this queue. */
  stored(hi: number, lo: number): boolean {
    const { ring, slots } = this.layout;
    const offset = (hi >>> 0) * 2 ** 32 + (lo >>> 0) - ring;
    if (offset < 0 || offset >= slots << COMMAND_LG2) return false;
    const slot = offset >>> COMMAND_LG2;
    const poller = this.complete(slot);
    if (poller !== null) this.environment.scheduler.wake(poller, this.look(poller.cpu));
    return true;
  }

  /** CMDQ_CONS reads `value` from now on, having moved past a CMD_SYNC. */
  passed(value: number): void {
    const { slots } = this.layout;
    const poller = this.complete((value + slots - 1) % slots);
    if (poller === null) return;
    const { scheduler, costs, completion } = this.environment;
    // An event ends the sleep, and then the register says so; without events it is read over and over.
    if (completion === 'event') scheduler.wake(poller, costs.mmioRead);
    else scheduler.wakePoller(poller, costs.mmioRead);
  }

  /** The CMD_SYNC in the slot is complete: the thread that sleeps until then, or null if none does, or not yet. */
  private complete(slot: number): Thread | null {
    const poller = this.pollers[slot] ?? null;
    this.pollers[slot] = null;
    return poller !== null && poller.waitStep === Step.Completion ? poller : null;
  }

  /** Time to see that a CMD_SYNC is complete. */
  private look(cpu: Cpu): number {
    const { costs, completion } = this.environment;
    if (completion !== 'msi') return costs.mmioRead;
    const far = cpu.socket === this.layout.socket ? 0 : costs.lineTransferRemote - costs.lineTransfer;
    return costs.pollWord + Math.max(0, far);
  }

  /** Marks slots in the bitmap, one atomic operation for each of its words that they lie in. */
  private *mark(thread: Thread, first: number, length: number): Call<void> {
    const { slots } = this.layout;
    for (let at = first; at < first + length; at = Math.ceil((at + 1) / 32) * 32) {
      yield* this.marks[(at % slots) >>> MARKS_LG2]!.access(thread, true);
    }
    if (thread.debt !== 0 && !this.environment.scheduler.passes(thread)) yield Wait.Run;
    for (let i = 0; i < length; i++) this.marked[(first + i) % slots] = 1;
    this.advanceMarked(this.environment.costs.lineTransfer);
  }

  /** The owner waits for its turn, ends its gathering, waits for its slots and rings the doorbell. */
  private *publish(thread: Thread, first: number): Call<void> {
    const { scheduler, costs, distance } = this.environment;
    yield* this.locks.access(thread, false);
    if (thread.debt !== 0 && !this.environment.scheduler.passes(thread)) yield Wait.Run;
    if (this.published !== first) {
      this.nextOwner = thread;
      scheduler.block(thread, Step.LockWait);
      yield Wait.Block;
    }
    yield* this.indices.access(thread, true);
    this.owner = null;
    const publication: Publication = { thread, until: this.reserved, blocked: false };
    this.publication = publication;
    yield* this.marks[(first % this.layout.slots) >>> MARKS_LG2]!.access(thread, false);
    if (thread.debt !== 0 && !this.environment.scheduler.passes(thread)) yield Wait.Run;
    if (this.markedTo < publication.until) {
      publication.blocked = true;
      scheduler.block(thread, Step.LockWait);
      yield Wait.Block;
    }
    if (this.port !== null) yield* this.port.publish(thread, publication.until);
    else {
      thread.charge(Step.Doorbell, costs.mmioWrite);
      if (!this.environment.scheduler.passes(thread)) yield Wait.Run;
      this.doorbellAt(publication.until, distance.flight(thread, this.unit));
    }
    this.publication = null;
    yield* this.locks.access(thread, true);
    if (thread.debt !== 0 && !this.environment.scheduler.passes(thread)) yield Wait.Run;
    this.published = publication.until;
    const next = this.nextOwner;
    this.nextOwner = null;
    if (next !== null) scheduler.wake(next, this.moveFrom(thread.cpu, next.cpu));
  }

  private *wait(thread: Thread, position: number): Call<void> {
    const { scheduler, statistics, probe, units } = this.environment;
    if (probe > 0) thread.charge(Step.Trace, probe);
    if (thread.debt !== 0 && !this.environment.scheduler.passes(thread)) yield Wait.Run;
    const asked = scheduler.now() - probe / 2;
    const { deviceWait } = units[this.unit]!;
    const heldBefore = deviceWait === null ? 0 : deviceWait.heldPs();
    if (this.port !== null) yield* this.port.consumed(thread, position);
    else if (this.pollers[position % this.layout.slots] === thread) {
      scheduler.block(thread, Step.Completion);
      yield Wait.Block;
    } else {
      thread.charge(Step.Completion, this.look(thread.cpu));
      if (!this.environment.scheduler.passes(thread)) yield Wait.Run;
    }
    if (deviceWait !== null) thread.reassign(Step.Completion, Step.DeviceTlb, deviceWait.heldPs() - heldBefore);
    statistics.completion.add(scheduler.now() + probe / 2 - asked);
    if (probe > 0) thread.charge(Step.Trace, probe);
    // Commands are consumed in order: this one stands for all before it.
    this.seen = Math.max(this.seen, position + 1);
    yield* this.locks.access(thread, false);
    if (this.syncing === 1) {
      yield* this.indices.access(thread, true);
      this.consumed = this.seen;
      for (const waiter of this.waiters.splice(0)) scheduler.wake(waiter, this.moveFrom(thread.cpu, waiter.cpu));
    }
    yield* this.locks.access(thread, true);
    this.syncing--;
  }

  private moveFrom(from: Cpu | null, to: Cpu): number {
    const { costs } = this.environment;
    if (from === null || from === to) return 0;
    return from.socket === to.socket ? costs.lineTransfer : costs.lineTransferRemote;
  }

  private doorbell(flightPs: number): void {
    this.doorbellAt(this.published, flightPs);
  }

  private doorbellAt(position: number, flightPs: number): void {
    const { slots, producer } = this.layout;
    this.environment.registers.write(this.unit, producer, 0, position % (2 * slots), flightPs);
  }

  /** The CPU that made the last mark hands it to the owner that waits for it, a line move later. */
  private advanceMarked(movePs: number): void {
    const { slots } = this.layout;
    while (this.markedTo < this.reserved && this.marked[this.markedTo % slots] === 1) {
      this.marked[this.markedTo % slots] = 0;
      this.markedTo++;
    }
    const { publication } = this;
    if (publication === null || !publication.blocked || this.markedTo < publication.until) return;
    publication.blocked = false;
    this.environment.scheduler.wake(publication.thread, movePs);
  }

  private write(first: number, words: Int32Array, count: number): void {
    for (let i = 0; i < count; i++) this.store(first + i, words, i * COMMAND_WORDS);
  }

  /** A CMD_SYNC that writes zero over its own first word, signals an event or does nothing else. */
  private writeSync(position: number): void {
    const completion = this.port === null ? this.environment.completion : 'register';
    if (completion === 'msi') {
      const address = this.layout.ring + ((position % this.layout.slots) << COMMAND_LG2);
      encodeSync(this.sync, 0, address, 0);
    } else encodeSyncSignal(this.sync, 0, completion === 'event' ? Completion.Event : Completion.None);
    this.store(position, this.sync, 0);
  }

  private store(position: number, words: Int32Array, from: number): void {
    const { memory, timing } = this.environment;
    const slot = position % this.layout.slots;
    const address = this.layout.ring + (slot << COMMAND_LG2);
    const hi = high(address);
    const lo = address | 0;
    memory.writeWords(hi, lo, words, from, 1 << (COMMAND_LG2 - 2));
    timing?.cpuWrite(hi, lo, 1 << COMMAND_LG2);
  }
}
