/**
 * The request queue of a virtio-iommu as its driver uses it (drivers/iommu/virtio-iommu.c: viommu_add_req, viommu_sync_req): one lock for all
 * domains, requests added without notification, and a sync that notifies and polls under the lock until everything in flight is done.
 * Requests complete in order, so that slot i always owns descriptors 2i and 2i + 1 and a buffer of 64 bytes. Not modelled: the
 * allocation of each request (its time is that of a descriptor), PROBE.
 */
import { DescriptorFlag, NO_INTERRUPT, Queue, Register, Ring, ringBytes } from '../../iommu/arch/virtio/format.js';
import type { FrameAllocator } from '../../memory/frames.js';
import { readDword, readHalf, writeDword, writeDwords, writeHalf } from '../../memory/words.js';
import { SpinLock } from '../lock.js';
import { Step } from '../step.js';
import { type Call, type Thread, Wait } from '../thread.js';
import type { UnitDriverEnvironment } from '../unit-environment.js';
import { lower, upper } from './address.js';

const PAGE = 4096;
const BUFFER = 64;
const TAIL_BYTES = 4;

/** Areas of a virtqueue in simulated memory, programmed into the device. */
export class RingMemory {
  readonly descriptors: number;
  readonly available: number;
  readonly used: number;

  constructor(
    private readonly unit: number,
    queue: Queue,
    readonly size: number,
    frames: FrameAllocator,
    private readonly environment: UnitDriverEnvironment,
  ) {
    const bytes = ringBytes(size);
    this.descriptors = frames.allocateContiguous(bytes.descriptors, PAGE);
    this.available = frames.allocateContiguous(bytes.available, PAGE);
    this.used = frames.allocateContiguous(bytes.used, PAGE);
    this.write(Register.QueueSelect, queue);
    this.write(Register.QueueSize, size);
    this.write(Register.QueueDescriptors, this.descriptors);
    this.write(Register.QueueDriver, this.available);
    this.write(Register.QueueDevice, this.used);
    this.write(Register.QueueEnable, 1);
  }

  /** Writes descriptor `index`; `next` -1 ends the chain. */
  describe(index: number, address: number, bytes: number, writable: boolean, next: number): void {
    const { memory, timing } = this.environment;
    const at = this.descriptors + Ring.DescriptorBytes * index;
    const flags = (writable ? DescriptorFlag.Write : 0) | (next < 0 ? 0 : DescriptorFlag.Next);
    writeDword(memory, at, lower(address));
    writeDword(memory, at + 4, upper(address));
    writeDword(memory, at + 8, bytes);
    writeDword(memory, at + 12, flags | (Math.max(next, 0) << 16));
    timing?.cpuWrite(upper(at), lower(at), Ring.DescriptorBytes);
  }

  /** Makes the chain that begins at `head` available as number `index`, modulo 65536. */
  offer(index: number, head: number): void {
    const { memory, timing } = this.environment;
    const entry = this.available + Ring.HeaderBytes + Ring.AvailableEntry * (index % this.size);
    writeHalf(memory, entry, head);
    writeHalf(memory, this.available, NO_INTERRUPT);
    writeHalf(memory, this.available + 2, (index + 1) & 0xffff);
    timing?.cpuWrite(upper(entry), lower(entry), Ring.AvailableEntry);
    timing?.cpuWrite(upper(this.available), lower(this.available), Ring.HeaderBytes);
  }

  private write(offset: Register, value: number): void {
    this.environment.registers.write(this.unit, offset, upper(value), lower(value), 0);
  }
}

export class RequestQueue {
  private readonly lock: SpinLock;
  private readonly ring: RingMemory;
  private readonly buffers: number;
  /** Requests that fit. */
  private readonly slots: number;
  /** Requests added and known to be done, and added when the device was last notified; each modulo 65536. */
  private added = 0;
  private done = 0;
  private notified = 0;
  private poller: Thread | null = null;

  constructor(
    private readonly unit: number,
    size: number,
    frames: FrameAllocator,
    private readonly environment: UnitDriverEnvironment,
  ) {
    const { scheduler, costs, queueLocks } = environment;
    this.lock = new SpinLock(scheduler, costs, queueLocks);
    this.ring = new RingMemory(unit, Queue.Request, size, frames, environment);
    this.slots = size / 2;
    this.buffers = frames.allocateContiguous(BUFFER * this.slots, PAGE);
  }

  /** viommu_add_req: `bytes` of `words` are what the device reads. Syncs first when the queue is full. */
  *add(thread: Thread, words: Int32Array, bytes: number): Call<void> {
    const { costs, statistics } = this.environment;
    if (thread.debt !== 0) yield Wait.Run;
    if (!this.lock.take(thread)) yield Wait.Block;
    if (((this.added - this.done) & 0xffff) === this.slots) {
      statistics.slotWaits++;
      yield* this.drain(thread, Step.SlotWait);
    }
    thread.charge(Step.Descriptor, costs.descriptor);
    yield Wait.Run;
    this.store(words, bytes);
    statistics.descriptors++;
    this.lock.release(thread);
  }

  /** viommu_sync_req. */
  *sync(thread: Thread): Call<void> {
    const { scheduler, statistics } = this.environment;
    if (thread.debt !== 0) yield Wait.Run;
    if (!this.lock.take(thread)) yield Wait.Block;
    const asked = scheduler.now();
    const waits = this.added !== this.done;
    yield* this.drain(thread, Step.Completion);
    if (waits) statistics.completion.add(scheduler.now() - asked);
    if (thread.debt !== 0) yield Wait.Run;
    this.lock.release(thread);
  }

  /** viommu_send_req_sync: returns the status. */
  *send(thread: Thread, words: Int32Array, bytes: number): Call<number> {
    yield* this.add(thread, words, bytes);
    const slot = (this.added - 1) & (this.slots - 1);
    yield* this.sync(thread);
    return readDword(this.environment.memory, this.buffers + BUFFER * slot + bytes) & 0xff;
  }

  /** Hardware has stored to memory: true if it was this queue's used ring. */
  stored(hi: number, lo: number): boolean {
    const address = (hi >>> 0) * 2 ** 32 + (lo >>> 0);
    if (address !== this.ring.used) return false;
    const { poller } = this;
    if (poller !== null && readHalf(this.environment.memory, this.ring.used + 2) === this.added) {
      this.poller = null;
      this.environment.scheduler.wake(poller, this.environment.costs.pollWord);
    }
    return true;
  }

  /** Notifies, if the device has not been told of everything, and polls until nothing is in flight. */
  private *drain(thread: Thread, step: Step): Call<void> {
    const { scheduler, costs, registers, memory } = this.environment;
    if (this.added === this.done) return;
    if (this.notified !== this.added) {
      thread.charge(Step.Doorbell, costs.mmioWrite);
      this.notified = this.added;
      yield Wait.Run;
      registers.write(this.unit, Register.Notify, 0, Queue.Request, costs.mmioFlight);
    } else if (thread.debt !== 0) yield Wait.Run;
    if (readHalf(memory, this.ring.used + 2) === this.added) {
      thread.charge(step, costs.pollWord);
      yield Wait.Run;
    } else {
      this.poller = thread;
      scheduler.block(thread, step);
      yield Wait.Block;
    }
    this.done = this.added;
  }

  private store(words: Int32Array, bytes: number): void {
    const { memory, timing } = this.environment;
    const slot = this.added & (this.slots - 1);
    const buffer = this.buffers + BUFFER * slot;
    writeDwords(memory, buffer, words, bytes / 4);
    timing?.cpuWrite(upper(buffer), lower(buffer), BUFFER);
    this.ring.describe(2 * slot, buffer, bytes, false, 2 * slot + 1);
    this.ring.describe(2 * slot + 1, buffer + bytes, TAIL_BYTES, true, -1);
    this.ring.offer(this.added, 2 * slot);
    this.added = (this.added + 1) & 0xffff;
  }
}
