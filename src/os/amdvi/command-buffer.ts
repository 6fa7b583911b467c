/**
 * Software side of a command buffer (iommu_queue_command and iommu_completion_wait in drivers/iommu/amd/iommu.c; specification 2.4): a
 * ring of 16-byte commands, a tail register that is written for every single command under iommu->lock, and one completion word per
 * unit to which each COMPLETION_WAIT stores the next sequence number. Waiters poll it with udelay(1) outside the lock.
 * Linux reads the head register when the ring looks full; here the completion word tells how far hardware has come, and a wait that
 * nobody polls is queued after every quarter ring of other commands. Not modelled: time-outs, stopped command buffers.
 */
import { encodeCompletionWait, ENTRY_LG2, Register } from '../../iommu/arch/amdvi/format.js';
import { high } from '../../pagetable/page-size.js';
import { SpinLock } from '../lock.js';
import { Step } from '../step.js';
import { type Call, type Thread, Wait } from '../thread.js';
import type { UnitDriverEnvironment } from '../unit-environment.js';

/** Dwords of a command. */
export const COMMAND_WORDS = 4;
/** udelay(1) between two looks at the completion word, ps. */
const POLL = 1_000_000;
/** Free commands at which the ring counts as full. */
const RESERVE = 2;

export interface RingLayout {
  /** Byte addresses of the ring and of the 64-bit completion word. */
  readonly ring: number;
  readonly semaphore: number;
  readonly slots: number;
}

interface Waiter {
  readonly thread: Thread;
  readonly sequence: number;
}

export class CommandBuffer {
  private readonly lock: SpinLock;
  /** Commands written, and those known to have been executed. */
  private issued = 0;
  private executed = 0;
  /** Sequence number of the last COMPLETION_WAIT queued, and of the last completed. */
  private sequence = 0;
  private completed = 0;
  /** Commands have been queued that no COMPLETION_WAIT covers yet (iommu->need_sync), and how many. */
  private uncovered = 0;
  /** Value of `issued` after each COMPLETION_WAIT under way, oldest first. */
  private readonly covered: number[] = [];
  private pollers: Waiter[] = [];
  private spaceWaiter: Thread | null = null;
  private readonly wait = new Int32Array(COMMAND_WORDS);
  /** Where the tail register of an emulated unit leads; null: to the hardware. */
  doorbell: { ring(thread: Thread, tail: number): Call<void> } | null = null;

  constructor(
    private readonly unit: number,
    private readonly layout: RingLayout,
    private readonly environment: UnitDriverEnvironment,
  ) {
    const { scheduler, costs, queueLocks } = environment;
    this.lock = new SpinLock(scheduler, costs, queueLocks);
  }

  /** Queues the command in `words` (COMMAND_WORDS); it has taken effect when a later `completion` returns. */
  *queue(thread: Thread, words: Int32Array): Call<void> {
    if (thread.debt !== 0 && !this.environment.scheduler.passes(thread)) yield Wait.Run;
    if (!this.lock.take(thread)) yield Wait.Block;
    yield* this.push(thread, words);
    this.uncovered++;
    if (this.uncovered >= this.layout.slots / 4) yield* this.pushWait(thread);
    this.lock.release(thread);
  }

  /** Returns when hardware has executed every command queued before. */
  *completion(thread: Thread): Call<void> {
    const { scheduler, statistics, units } = this.environment;
    const { deviceWait } = units[this.unit]!;
    if (thread.debt !== 0 && !this.environment.scheduler.passes(thread)) yield Wait.Run;
    if (!this.lock.take(thread)) yield Wait.Block;
    if (this.uncovered > 0) yield* this.pushWait(thread);
    else if (thread.debt !== 0 && !scheduler.passes(thread)) yield Wait.Run;
    const { sequence } = this;
    this.lock.release(thread);
    if (this.completed >= sequence) return;
    const asked = scheduler.now();
    const heldBefore = deviceWait === null ? 0 : deviceWait.heldPs();
    this.pollers.push({ thread, sequence });
    scheduler.block(thread, Step.Completion);
    yield Wait.Block;
    if (deviceWait !== null) thread.reassign(Step.Completion, Step.DeviceTlb, deviceWait.heldPs() - heldBefore);
    statistics.completion.add(scheduler.now() - asked);
  }

  /** Hardware has stored to memory: true if it was this unit's completion word. */
  stored(hi: number, lo: number): boolean {
    const { distance, memory, scheduler } = this.environment;
    if ((hi >>> 0) * 2 ** 32 + (lo >>> 0) !== this.layout.semaphore) return false;
    memory.read(hi, lo);
    while (this.completed < memory.wordLo) {
      this.completed++;
      this.executed = this.covered.shift()!;
    }
    const polling = this.pollers;
    this.pollers = [];
    for (const waiter of polling) {
      if (waiter.sequence <= this.completed)
        scheduler.wakePoller(waiter.thread, POLL + distance.access(waiter.thread, this.unit));
      else this.pollers.push(waiter);
    }
    const { spaceWaiter } = this;
    this.spaceWaiter = null;
    if (spaceWaiter !== null) scheduler.wakePoller(spaceWaiter, POLL + distance.access(spaceWaiter, this.unit));
    return true;
  }

  /** Under the lock: the next sequence number, stored when all commands so far have been executed. */
  private *pushWait(thread: Thread): Call<void> {
    this.sequence++;
    encodeCompletionWait(this.wait, 0, this.layout.semaphore, 0, this.sequence);
    this.uncovered = 0;
    this.covered.push(this.issued + 1);
    yield* this.push(thread, this.wait);
  }

  /** Under the lock: copies the command and writes the tail register. */
  private *push(thread: Thread, words: Int32Array): Call<void> {
    const { costs, distance, memory, timing, registers, statistics } = this.environment;
    const { ring, slots } = this.layout;
    if (this.issued - this.executed + 1 + RESERVE >= slots) yield* this.waitForSpace(thread);
    thread.charge(Step.Descriptor, costs.descriptor + distance.access(thread, this.unit));
    if (this.doorbell === null) thread.charge(Step.Doorbell, costs.mmioWrite);
    // The stores precede the register write; nothing reads them before it.
    if (!this.environment.scheduler.passes(thread)) yield Wait.Run;
    const address = ring + ((this.issued % slots) << ENTRY_LG2);
    const hi = high(address);
    const lo = address | 0;
    memory.writeWords(hi, lo, words, 0, 1 << (ENTRY_LG2 - 2));
    timing?.cpuWrite(hi, lo, 1 << ENTRY_LG2);
    this.issued++;
    statistics.descriptors++;
    const tail = this.issued % slots;
    if (this.doorbell !== null) {
      yield* this.doorbell.ring(thread, tail);
      this.stored(Math.floor(this.layout.semaphore / 2 ** 32), this.layout.semaphore | 0);
      return;
    }
    const flight = distance.flight(thread, this.unit);
    registers.write(this.unit, Register.CommandTail, 0, tail << ENTRY_LG2, flight);
  }

  /** Under the lock, as in the kernel: spins until hardware has executed some commands. */
  private *waitForSpace(thread: Thread): Call<void> {
    const { scheduler, statistics } = this.environment;
    statistics.slotWaits++;
    if (thread.debt !== 0 && !this.environment.scheduler.passes(thread)) yield Wait.Run;
    while (this.issued - this.executed + 1 + RESERVE >= this.layout.slots) {
      this.spaceWaiter = thread;
      scheduler.block(thread, Step.SlotWait);
      yield Wait.Block;
    }
  }
}
