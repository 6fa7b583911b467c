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
import { type Call, type Cpu, NOTHING, type Thread } from '../thread.js';
import type { UnitDriverEnvironment } from '../unit-environment.js';
import type { QueuePort } from './port.js';
import { Publication } from './publication.js';
import { Submission } from './submission.js';
import { SyncWait } from './sync-wait.js';
import { ValidMap } from './valid-map.js';

/** Most commands of a batch (CMDQ_BATCH_ENTRIES); a CMD_SYNC comes on top. */
export const BATCH = 64;
/** Commands that share a cache line. */
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
  private readonly valid: ValidMap;
  /** Slot of a position: the number of slots is a power of two. */
  private readonly slotMask: number;
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
  /** Line of llq, of owner_prod and lock. */
  private readonly indices: SharedLine;
  private readonly locks: SharedLine;
  /** CPU that has the line of the next slot. */
  private lastWriter: Cpu | null = null;
  private readonly sync = new Int32Array(COMMAND_WORDS);
  /** Records of calls that are over. */
  private readonly idle: Submission[] = [];
  private readonly idlePublications: Publication[] = [];
  private readonly idleWaits: SyncWait[] = [];
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
    this.slotMask = slots - 1;
    this.valid = new ValidMap(slots, (i) => line(`valid_map/${i}`));
    this.pollers = new Array<Thread | null>(slots).fill(null);
    this.indices = line('llq');
    this.locks = line('lock');
  }

  /**
   * Inserts the batch and empties it; with `sync` returns when hardware has completed it and everything before. `empty`: where the batch
   * goes when it is empty; null: it stays the caller's.
   */
  submit(thread: Thread, batch: Batch, sync: boolean, empty: Batch[] | null = null): Call<void> {
    const submission = this.idle.pop() ?? new Submission(this, this.environment);
    submission.begin(thread, batch, sync, empty);
    return submission;
  }

  submitted(submission: Submission): void {
    this.idle.push(submission);
  }

  private get free(): number {
    return this.layout.slots - (this.claimed - this.consumed);
  }

  /** Whether so many of the largest batches can be added. */
  hasRoom(batches: number): boolean {
    return this.free >= batches * (BATCH + 1);
  }

  waitForRoom(thread: Thread): void {
    this.waiters.push(thread);
    this.environment.scheduler.block(thread, Step.SlotWait);
  }

  /** Moves the producer index on; `reserve` must follow. */
  claim(thread: Thread, length: number): Call<void> {
    this.claimed += length;
    return this.indices.exchange(thread);
  }

  /** Takes slots and charges for filling them. Returns the first position. */
  reserve(thread: Thread, length: number): number {
    const first = this.reserved;
    this.reserved += length;
    this.owner ??= thread;
    const shared = (first & (LINE_COMMANDS - 1)) !== 0 ? this.moveFrom(this.lastWriter, thread.cpu) : 0;
    this.lastWriter = thread.cpu;
    thread.charge(Step.Descriptor, length * this.environment.costs.descriptor + shared);
    return first;
  }

  /** Whether the thread gathers. */
  gathers(thread: Thread): boolean {
    return this.owner === thread;
  }

  /** Stores the commands of the batch, which is then empty. */
  fill(first: number, batch: Batch): void {
    for (let i = 0; i < batch.count; i++) this.store(first + i, batch.words, i * COMMAND_WORDS);
    batch.count = 0;
  }

  /** Stores a CMD_SYNC that the thread waits for, and takes the shared lock; `locked` must follow. */
  fillSync(thread: Thread, position: number): Call<void> {
    this.writeSync(position);
    if (this.port === null) this.pollers[position & this.slotMask] = thread;
    return this.locks.access(thread, true);
  }

  locked(): void {
    this.syncing++;
  }

  /** One atomic operation on the word of the bitmap that the position lies in; `ValidMap.afterWord` says where the next begins. */
  mark(thread: Thread, position: number): Call<void> {
    return this.valid.access(thread, position, true);
  }

  /** The slots are marked from now on. */
  marked(first: number, length: number): void {
    this.valid.mark(first, length);
    this.notice(this.environment.costs.lineTransfer);
  }

  /** For the thread that gathers, from position `first` on. */
  publish(thread: Thread, first: number): Call<void> {
    const publication = this.idlePublications.pop() ?? new Publication(this, this.environment.scheduler);
    publication.begin(thread, first);
    return publication;
  }

  lookAtLock(thread: Thread): Call<void> {
    return this.locks.access(thread, false);
  }

  storeLock(thread: Thread): Call<void> {
    return this.locks.access(thread, true);
  }

  storeIndices(thread: Thread): Call<void> {
    return this.indices.access(thread, true);
  }

  /** Whether everything before `first` has been published; if not, the thread waits for its turn. */
  follows(thread: Thread, first: number): boolean {
    if (this.published === first) return true;
    this.nextOwner = thread;
    this.environment.scheduler.block(thread, Step.LockWait);
    return false;
  }

  /** Later ones gather anew. What has been reserved by now is published. */
  endGathering(publication: Publication, first: number): Call<void> {
    this.owner = null;
    publication.until = this.reserved;
    this.publication = publication;
    return this.valid.access(publication.thread!, first, false);
  }

  /** Whether all slots of the publication are marked; if not, its thread waits for that. */
  allMarked(publication: Publication): boolean {
    if (this.valid.end >= publication.until) return true;
    publication.blocked = true;
    this.environment.scheduler.block(publication.thread!, Step.LockWait);
    return false;
  }

  /** Announces what is published; when its time has passed, `rung` must follow. */
  ring({ thread, until }: Publication): Call<void> {
    if (this.port !== null) return this.port.publish(thread!, until);
    thread!.charge(Step.Doorbell, this.environment.costs.mmioWrite);
    return NOTHING;
  }

  /** Gives the turn away; `handOver` must follow. */
  rung({ thread, until }: Publication): Call<void> {
    if (this.port === null) this.doorbellAt(until, this.environment.distance.flight(thread!, this.unit));
    this.publication = null;
    return this.locks.access(thread!, true);
  }

  handOver(publication: Publication): void {
    this.published = publication.until;
    const next = this.nextOwner;
    this.nextOwner = null;
    if (next !== null) this.environment.scheduler.wake(next, this.moveFrom(publication.thread!.cpu, next.cpu));
    this.idlePublications.push(publication);
  }

  /** For the CMD_SYNC at the position, which the thread has put there. */
  wait(thread: Thread, position: number): Call<void> {
    const wait = this.idleWaits.pop() ?? new SyncWait(this, this.environment);
    wait.begin(thread, position);
    return wait;
  }

  /** Time that hardware has spent waiting for devices, ps. */
  heldPs(): number {
    return this.environment.units[this.unit]!.deviceWait?.heldPs() ?? 0;
  }

  /** The thread waits until the CMD_SYNC is complete; false: it is, and the look is charged. */
  polls(thread: Thread, position: number): boolean {
    if (this.pollers[position & this.slotMask] === thread) {
      this.environment.scheduler.block(thread, Step.Completion);
      return true;
    }
    thread.charge(Step.Completion, this.look(thread.cpu));
    return false;
  }

  /** The CMD_SYNC at the position is complete, and with it everything before. Looks who else holds the shared lock. */
  see(thread: Thread, position: number): Call<void> {
    this.seen = Math.max(this.seen, position + 1);
    return this.locks.access(thread, false);
  }

  /** Nobody else holds the shared lock. */
  get lastHolder(): boolean {
    return this.syncing === 1;
  }

  /** The consumer index is stored: those that wait for room look again. */
  consume(thread: Thread): void {
    this.consumed = this.seen;
    const { scheduler } = this.environment;
    for (const waiter of this.waiters.splice(0)) scheduler.wake(waiter, this.moveFrom(thread.cpu, waiter.cpu));
  }

  unlocked(wait: SyncWait): void {
    this.syncing--;
    this.idleWaits.push(wait);
  }

  /** Inserts commands at this instant, without anybody's time and without waiting: boot and attachment. Throws RangeError if they do not fit. */
  post(batch: Batch): void {
    const { count } = batch;
    if (this.free < count) throw new RangeError(`command queue of unit ${this.unit} is full`);
    const first = this.reserved;
    const idle = this.owner === null && this.publication === null;
    this.reserved += count;
    this.claimed += count;
    this.fill(first, batch);
    this.valid.mark(first, count);
    this.notice(0);
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
    const poller = this.complete((value - 1) & this.slotMask);
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
    this.environment.registers.write(this.unit, producer, 0, position & (2 * slots - 1), flightPs);
  }

  /** If that was what the owner waits for, it goes on when it has the line of the last mark. */
  private notice(movePs: number): void {
    const { publication, reserved, valid } = this;
    valid.advance(reserved);
    if (publication === null || !publication.blocked || valid.end < publication.until) return;
    publication.blocked = false;
    this.environment.scheduler.wake(publication.thread!, movePs);
  }

  /** A CMD_SYNC that writes zero over its own first word, signals an event or does nothing else. */
  private writeSync(position: number): void {
    const completion = this.port === null ? this.environment.completion : 'register';
    if (completion === 'msi') {
      const address = this.layout.ring + ((position & this.slotMask) << COMMAND_LG2);
      encodeSync(this.sync, 0, address, 0);
    } else encodeSyncSignal(this.sync, 0, completion === 'event' ? Completion.Event : Completion.None);
    this.store(position, this.sync, 0);
  }

  private store(position: number, words: Int32Array, from: number): void {
    const { memory, timing } = this.environment;
    const slot = position & this.slotMask;
    const address = this.layout.ring + (slot << COMMAND_LG2);
    const hi = high(address);
    const lo = address | 0;
    memory.writeWords(hi, lo, words, from, 1 << (COMMAND_LG2 - 2));
    timing?.cpuWrite(hi, lo, 1 << COMMAND_LG2);
  }
}
