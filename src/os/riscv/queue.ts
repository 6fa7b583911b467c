/**
 * Software side of the command queue (riscv_iommu_cmd_send, riscv_iommu_cmd_sync in drivers/iommu/riscv/iommu.c): a ring in simulated
 * memory, one tail-register write for each command, under a raw spin lock; completion is IOFENCE.C, seen by polling the head register.
 * A full ring (one slot stays empty) is waited for with the lock held. A fence that a device holds up too long is
 * repeated. Not modelled: time-outs of software, illegal commands.
 */
import { COMMAND_LG2, encodeFence, QueueControl, Register } from '../../iommu/arch/riscv/format.js';
import { high } from '../../pagetable/page-size.js';
import { SpinLock } from '../lock.js';
import { Step } from '../step.js';
import { type Call, type Thread, Wait } from '../thread.js';
import type { UnitDriverEnvironment } from '../unit-environment.js';

/** Dwords of a command. */
export const COMMAND_WORDS = 4;

export class CommandQueue {
  private readonly lock: SpinLock;
  /** Thread that polls until the head has passed a slot. */
  private readonly pollers: (Thread | null)[];
  /** The lock's holder, when it waits for a slot. */
  private spaceWaiter: Thread | null = null;
  /** Slots: next to be executed, next to be filled. */
  private head = 0;
  private tail = 0;
  private readonly fence = new Int32Array(COMMAND_WORDS);

  /** `ring`: byte address of 2^n slots, aligned to its size or 4 KiB. */
  constructor(
    private readonly unit: number,
    private readonly ring: number,
    private readonly slots: number,
    private readonly environment: UnitDriverEnvironment,
  ) {
    const { scheduler, costs, queueLocks } = environment;
    this.lock = new SpinLock(scheduler, costs, queueLocks);
    this.pollers = new Array<Thread | null>(slots).fill(null);
    encodeFence(this.fence, 0, true);
  }

  /** Queues one command and rings the doorbell; returns its slot. */
  *send(thread: Thread, words: Int32Array): Call<number> {
    const { scheduler, costs, distance, registers, statistics } = this.environment;
    if (thread.debt !== 0) yield Wait.Run;
    if (!this.lock.take(thread)) yield Wait.Block;
    if (this.full) {
      statistics.slotWaits++;
      if (thread.debt !== 0) yield Wait.Run;
      while (this.full) {
        this.spaceWaiter = thread;
        scheduler.block(thread, Step.SlotWait);
        yield Wait.Block;
      }
    }
    thread.charge(Step.Descriptor, costs.descriptor + distance.access(thread, this.unit));
    thread.charge(Step.Doorbell, costs.mmioWrite);
    yield Wait.Run;
    const slot = this.tail;
    this.store(slot, words);
    this.tail = (slot + 1) % this.slots;
    statistics.descriptors++;
    registers.write(this.unit, Register.CommandQueueTail, 0, this.tail, distance.flight(thread, this.unit));
    this.lock.release(thread);
    return slot;
  }

  /** Returns when every command queued before has been executed. */
  *sync(thread: Thread): Call<void> {
    const { scheduler, statistics, units } = this.environment;
    const { deviceWait } = units[this.unit]!;
    const slot = yield* this.send(thread, this.fence);
    const rung = scheduler.now();
    const heldBefore = deviceWait === null ? 0 : deviceWait.heldPs();
    this.pollers[slot] = thread;
    scheduler.block(thread, Step.Completion);
    yield Wait.Block;
    if (deviceWait !== null) thread.reassign(Step.Completion, Step.DeviceTlb, deviceWait.heldPs() - heldBefore);
    statistics.completion.add(scheduler.now() - rung);
  }

  /** The unit's head register has moved past the slot at the address: true if it is one of this queue's. */
  stored(hi: number, lo: number): boolean {
    const address = (hi >>> 0) * 2 ** 32 + (lo >>> 0);
    const slot = (address - this.ring) / 2 ** COMMAND_LG2;
    if (slot < 0 || slot >= this.slots) return false;
    const { scheduler, distance } = this.environment;
    this.head = (slot + 1) % this.slots;
    const poller = this.pollers[slot]!;
    this.pollers[slot] = null;
    if (poller !== null) scheduler.wakePoller(poller, distance.poll(poller, this.unit));
    const waiter = this.spaceWaiter;
    this.spaceWaiter = null;
    if (waiter !== null) scheduler.wakePoller(waiter, distance.poll(waiter, this.unit));
    return true;
  }

  /** cqcsr has changed; cmd_to: the handler of the queue's interrupt writes it back, and the fence runs again (riscv_iommu_cmdq_process). */
  changed(offset: number, value: number): void {
    if ((offset as Register) !== Register.CommandQueueControl || (value & QueueControl.CommandTimeout) === 0) return;
    const { costs, registers } = this.environment;
    registers.write(this.unit, offset, 0, value, costs.timer + costs.mmioRead + costs.mmioWrite);
  }

  private get full(): boolean {
    return (this.tail + 1) % this.slots === this.head;
  }

  private store(slot: number, words: Int32Array): void {
    const { memory, timing } = this.environment;
    const address = this.ring + slot * 2 ** COMMAND_LG2;
    const hi = high(address);
    const lo = address | 0;
    memory.writeWords(hi, lo, words, 0, 1 << (COMMAND_LG2 - 2));
    timing?.cpuWrite(hi, lo, 1 << COMMAND_LG2);
  }
}
