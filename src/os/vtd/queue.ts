/**
 * Software side of a VT-d invalidation queue (qi_submit_sync and reclaim_free_desc in drivers/iommu/intel/dmar.c; VT-d specification
 * 6.5.2): a ring of descriptors and a status word per slot, both in simulated memory. Submitters share q_lock. One that waits looks
 * at its status word and reads the fault status register, both under q_lock, gives the lock up and takes it again: submitters and other pollers come in
 * between, and wait for each look. A device that does not answer an invalidation is taken for removed: who finds the time-out error clears it and gives
 * up. Not modelled: other queue errors; completion by interrupt, which Linux does not use.
 */
import { encodeWait, FaultStatusBit, Register, WaitFlag } from '../../iommu/arch/vtd/format.js';
import type { MemorySystem } from '../../memory/system.js';
import { high } from '../../pagetable/page-size.js';
import { SpinLock } from '../lock.js';
import { Step } from '../step.js';
import { type Call, NOTHING, type Thread, Wait } from '../thread.js';
import type { UnitDriverEnvironment } from '../unit-environment.js';
import type { Doorbell } from './doorbell.js';
import { Submission } from './submission.js';

/** State of a slot; `InUse` and `Done` are also what its status word in memory holds (QI_IN_USE, QI_DONE). */
const enum Slot {
  Free = 0,
  InUse = 1,
  Done = 2,
}

/** Dwords of a descriptor buffer; a queue of 128-bit descriptors takes the first four. */
export const DESCRIPTOR_WORDS = 8;

export interface QueueLayout {
  /** Byte address of the ring, aligned to its size or 4 KiB. */
  readonly ring: number;
  /** Byte address of the status words, 4 bytes a slot. */
  readonly status: number;
  /** A power of two. */
  readonly slots: number;
  /** log2 of a descriptor's bytes: 4, or 5 in scalable mode. */
  readonly descriptorLg2: number;
}

export class InvalidationQueue {
  readonly lock: SpinLock;
  private readonly state: Uint8Array;
  /** Thread that polls the status word of a slot. */
  private readonly pollers: (Thread | null)[];
  private firstWaiter: Thread | null = null;
  private lastWaiter: Thread | null = null;
  private freeHead = 0;
  private freeTail = 0;
  private freeSlots: number;
  /** Slot of the wait descriptor that a time-out has dropped, or -1. */
  private aborted = -1;
  private readonly wait = new Int32Array(DESCRIPTOR_WORDS);
  /** Records of submissions that are over. */
  readonly idle: Submission[] = [];
  /** Where the tail register of an emulated unit leads; null: to the hardware. */
  doorbell: Doorbell | null = null;

  constructor(
    private readonly unit: number,
    private readonly layout: QueueLayout,
    private readonly environment: UnitDriverEnvironment,
  ) {
    const { scheduler, costs, queueLocks } = environment;
    this.lock = new SpinLock(scheduler, costs, queueLocks);
    this.state = new Uint8Array(layout.slots);
    this.pollers = new Array<Thread | null>(layout.slots).fill(null);
    this.freeSlots = layout.slots;
  }

  /**
   * Submits the first `count` descriptors of `words` (DESCRIPTOR_WORDS each) and a wait descriptor, and returns when hardware has completed
   * them. The caller has interrupts off. `waitFlags`: further `WaitFlag` bits. `empty`: where `words` goes when it has been read; null: it
   * stays the caller's.
   */
  submit(
    thread: Thread,
    words: Int32Array,
    count: number,
    waitFlags = 0,
    empty: Int32Array[] | null = null,
  ): Call<void> {
    const { slots } = this.layout;
    if (count + 2 > slots) throw new Error(`${count} descriptors do not fit a ring of ${slots}`);
    const submission = this.idle.pop() ?? new Submission(this, this.environment);
    submission.begin(thread, words, count, waitFlags, empty);
    return submission;
  }

  /** Whether `count` descriptors and the wait descriptor can be added; one slot stays free. */
  hasRoom(count: number): boolean {
    return this.freeSlots >= count + 2;
  }

  /** Charges for `count` descriptors and a wait descriptor, and takes their slots. Returns the first. Nothing reads them before `ring`. */
  reserve(thread: Thread, count: number): number {
    const { costs, distance } = this.environment;
    thread.charge(Step.Descriptor, (count + 1) * costs.descriptor + distance.access(thread, this.unit));
    if (this.doorbell === null) thread.charge(Step.Doorbell, costs.mmioWrite);
    const first = this.freeHead;
    this.freeHead = this.after(first, count + 1);
    this.freeSlots -= count + 1;
    this.setStates(first, count + 1, Slot.InUse);
    return first;
  }

  /** Stores the descriptors in the slots from `first` on and announces them. */
  announce(thread: Thread, words: Int32Array, first: number, count: number, waitFlags: number): Call<void> {
    const { distance, registers, statistics, timing } = this.environment;
    for (let i = 0; i < count; i++) this.store(this.after(first, i), words, i * DESCRIPTOR_WORDS);
    const last = this.after(first, count);
    const status = this.layout.status + 4 * last;
    encodeWait(this.wait, 0, WaitFlag.StatusWrite | waitFlags, high(status), status | 0, Slot.Done);
    this.store(last, this.wait, 0);
    if (timing !== null) this.touch(timing, this.layout.ring, 1 << this.layout.descriptorLg2, first, count + 1);
    statistics.descriptors += count + 1;
    const tail = this.freeHead;
    if (this.doorbell !== null) return this.doorbell.ring(thread, tail);
    const flight = distance.flight(thread, this.unit);
    registers.write(this.unit, Register.InvalidationQueueTail, 0, tail << this.layout.descriptorLg2, flight);
    return NOTHING;
  }

  /** The thread polls the status word of the wait descriptor. */
  expect(thread: Thread, slot: number): void {
    // An emulated unit has completed everything before the write of its tail returns.
    if (this.doorbell === null || this.statusWord(slot) !== Slot.Done) this.pollers[slot] = thread;
  }

  /** One look at it; false: it was there already. */
  looks(thread: Thread, slot: number): boolean {
    if (this.pollers[slot] === null) return false;
    this.lock.poll(thread, this.environment.distance.poll(thread, this.unit), Step.Completion);
    return true;
  }

  /** Time that hardware has spent waiting for devices, ps. */
  heldPs(): number {
    return this.environment.units[this.unit]!.deviceWait?.heldPs() ?? 0;
  }

  /** What a submission has to do when its wait descriptor, in `slot`, has been dropped. */
  recovery(thread: Thread, slot: number): Call<void> {
    return this.aborted === slot ? this.recover(thread) : NOTHING;
  }

  /** The descriptors in the slots from `first` on are complete. */
  release(thread: Thread, first: number, count: number): void {
    this.setStates(first, count + 1, Slot.Free);
    this.reclaim();
    this.lock.release(thread);
  }

  /** Slot `count` places behind another. */
  after(slot: number, count: number): number {
    return (slot + count) & (this.layout.slots - 1);
  }

  /** qi_check_fault: head, error and tail are read, the error is cleared, and hardware goes on. */
  private *recover(thread: Thread): Call<void> {
    const { costs, distance, registers } = this.environment;
    this.aborted = -1;
    thread.charge(Step.Completion, 3 * Math.max(costs.mmioRead, distance.flight(thread, this.unit)) + costs.mmioWrite);
    yield Wait.Run;
    registers.write(
      this.unit,
      Register.FaultStatus,
      0,
      FaultStatusBit.InvalidationTimeout,
      distance.flight(thread, this.unit),
    );
  }

  /**
   * A register that pollers look at has changed. `hi` with the time-out error: the wait descriptor of the oldest of them has been dropped (QI_ABORT);
   * 0: none has, and who looks next lets the hardware go on.
   */
  changed(offset: number, hi: number, lo: number): void {
    if ((offset as Register) !== Register.FaultStatus || (lo & FaultStatusBit.InvalidationTimeout) === 0) return;
    const { slots } = this.layout;
    let slot = this.freeTail;
    while (slot !== this.freeHead && this.pollers[slot] === null) slot = (slot + 1) % slots;
    const poller = this.pollers[slot] ?? null;
    if (poller === null || hi === 0) {
      const { costs, registers } = this.environment;
      registers.write(this.unit, Register.FaultStatus, 0, FaultStatusBit.InvalidationTimeout, costs.mmioRead);
      return;
    }
    this.pollers[slot] = null;
    this.aborted = slot;
    this.lock.noticed(poller);
  }

  /** Hardware has stored to memory: true if it was this queue's status page. */
  stored(hi: number, lo: number): boolean {
    const address = (hi >>> 0) * 2 ** 32 + (lo >>> 0);
    const { status, slots } = this.layout;
    if (address < status || address >= status + 4 * slots) return false;
    // Both status words of the 64-bit word: hardware may name either address.
    const slot = ((address - status) >> 3) << 1;
    this.complete(slot);
    this.complete(slot + 1);
    return true;
  }

  private complete(slot: number): void {
    const poller = this.pollers[slot];
    if (poller === null || poller === undefined || this.statusWord(slot) !== Slot.Done) return;
    this.pollers[slot] = null;
    this.lock.noticed(poller);
  }

  /** Gives the lock up and waits until slots are reclaimed. */
  waitForSlots(thread: Thread): void {
    this.lock.release(thread);
    thread.next = null;
    if (this.lastWaiter === null) this.firstWaiter = thread;
    else this.lastWaiter.next = thread;
    this.lastWaiter = thread;
    this.environment.scheduler.block(thread, Step.SlotWait);
  }

  /** Slots become free in ring order, from the oldest on, whoever used them; then spinning submitters look again. */
  private reclaim(): void {
    while (this.state[this.freeTail] === Slot.Free && this.freeTail !== this.freeHead) {
      this.freeTail = this.after(this.freeTail, 1);
      this.freeSlots++;
    }
    const { scheduler, costs } = this.environment;
    let waiter = this.firstWaiter;
    this.firstWaiter = null;
    this.lastWaiter = null;
    while (waiter !== null) {
      const next: Thread | null = waiter.next;
      waiter.next = null;
      scheduler.wake(waiter, costs.lockHandOver);
      waiter = next;
    }
  }

  /** States of `count` slots from `first` on, and their status words in memory, which the CPU writes with the descriptors. */
  private setStates(first: number, count: number, value: Slot): void {
    const { memory, timing } = this.environment;
    const { status } = this.layout;
    for (let i = 0; i < count; i++) this.state[this.after(first, i)] = value;
    const beforeEnd = Math.min(count, this.layout.slots - first);
    const address = status + 4 * first;
    memory.fillHalves(high(address), address | 0, beforeEnd, value);
    if (beforeEnd < count) memory.fillHalves(high(status), status | 0, count - beforeEnd, value);
    if (timing !== null) this.touch(timing, status, 4, first, count);
  }

  /** The CPU has stored to `count` slots from `first` on of an array of `bytes` a slot. */
  private touch(timing: MemorySystem, array: number, bytes: number, first: number, count: number): void {
    const beforeEnd = Math.min(count, this.layout.slots - first);
    const address = array + bytes * first;
    timing.cpuWrite(high(address), address | 0, bytes * beforeEnd);
    if (beforeEnd < count) timing.cpuWrite(high(array), array | 0, bytes * (count - beforeEnd));
  }

  private statusWord(slot: number): number {
    const { memory } = this.environment;
    const address = this.layout.status + 4 * slot;
    memory.read(high(address), address | 0);
    return (slot & 1) === 0 ? memory.wordLo : memory.wordHi;
  }

  private store(slot: number, words: Int32Array, from: number): void {
    const { memory } = this.environment;
    const { ring, descriptorLg2 } = this.layout;
    const bytes = 1 << descriptorLg2;
    const address = ring + slot * bytes;
    memory.writeWords(high(address), address | 0, words, from, bytes >> 2);
  }
}
