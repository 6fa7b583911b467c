/**
 * Bounce buffers of the software IO TLB (kernel/dma/swiotlb.c: swiotlb_tbl_map_single, swiotlb_tbl_unmap_single): slots from this CPU's
 * area, else from the next one, each behind its spin lock; the buffer is copied in at every map, so that a device that writes only a
 * part destroys nothing, and back at the unmap when the device may have written. A line costs more when one of both sides is another
 * socket's memory; whether it hits the last-level cache makes no difference to the CPU.
 */
import { copyTime } from '../copy.js';
import type { MemorySystem } from '../../memory/system.js';
import type { SpinLock } from '../lock.js';
import type { Scheduler } from '../scheduler.js';
import type { CostSpec } from '../spec.js';
import { Step } from '../step.js';
import { type Call, type Thread, Wait } from '../thread.js';
import { LARGEST_BOUNCE, SLOT_BYTES, type SlotPool } from './pool.js';
import type { SwiotlbStatistics } from './statistics.js';

const LINE = 64;

export interface SwiotlbEnvironment {
  readonly scheduler: Scheduler;
  readonly costs: CostSpec;
  readonly statistics: SwiotlbStatistics;
  /** Null when nobody models the CPU caches. */
  readonly memory: MemorySystem | null;
  /** A lock for one area. */
  readonly makeLock: () => SpinLock;
  /** Socket that owns a physical address. */
  readonly socketOf: (pa: number) => number;
}

export class Swiotlb {
  private readonly locks: readonly SpinLock[];
  /** By first slot of a mapping: the buffer it stands for, and its bytes. */
  private readonly original: Float64Array;
  private readonly bytes: Float64Array;

  /** `base`: physical address of the pool. */
  constructor(
    readonly pool: SlotPool,
    readonly base: number,
    private readonly environment: SwiotlbEnvironment,
  ) {
    this.locks = Array.from({ length: pool.areas }, environment.makeLock);
    this.original = new Float64Array(pool.slots);
    this.bytes = new Float64Array(pool.slots);
  }

  /** is_swiotlb_buffer. */
  owns(pa: number): boolean {
    return pa >= this.base && pa < this.base + this.pool.bytes;
  }

  /**
   * Takes slots for [pa, pa + bytes), at a multiple of `align`, and copies the buffer there; what lies between its end and the next
   * multiple is zeroed. Returns the physical address of the copy, 0 when no area has a run of slots that is long enough.
   */
  *map(thread: Thread, pa: number, bytes: number, align = SLOT_BYTES): Call<number> {
    const { pool } = this;
    const { costs, scheduler, statistics } = this.environment;
    const padded = Math.ceil(bytes / align) * align;
    const start = thread.cpu.id % pool.areas;
    let slot = -1;
    for (let i = 0; i < pool.areas && slot < 0 && padded <= LARGEST_BOUNCE; i++) {
      const area = (start + i) % pool.areas;
      if (thread.debt !== 0) yield Wait.Run;
      if (!this.locks[area]!.take(thread)) yield Wait.Block;
      slot = pool.allocate(area, padded, align);
      statistics.visits += pool.visits;
      thread.charge(Step.Slot, pool.visits * costs.slot);
      if (thread.debt !== 0) yield Wait.Run;
      this.locks[area]!.release(thread);
      if (i > 0) statistics.otherAreas++;
    }
    if (slot < 0) {
      statistics.full++;
      return 0;
    }
    statistics.bounced++;
    statistics.used.add(scheduler.now(), Math.ceil(padded / SLOT_BYTES));
    this.original[slot] = pa;
    this.bytes[slot] = bytes;
    const bounce = this.base + slot * SLOT_BYTES;
    this.copy(thread, pa, bounce, bytes);
    if (padded > bytes) this.zero(thread, bounce + bytes, padded - bytes);
    if (thread.debt !== 0) yield Wait.Run;
    return bounce;
  }

  /** Copies back what the device may have written (`copyBack`) and gives the slots of `bounce`, which `map` returned, back. */
  *unmap(thread: Thread, bounce: number, copyBack: boolean): Call<void> {
    const { pool } = this;
    const { costs, scheduler, statistics } = this.environment;
    const slot = (bounce - this.base) / SLOT_BYTES;
    if (copyBack) this.copy(thread, bounce, this.original[slot]!, this.bytes[slot]!);
    const area = pool.areaOf(slot);
    if (thread.debt !== 0) yield Wait.Run;
    if (!this.locks[area]!.take(thread)) yield Wait.Block;
    const before = pool.usedIn(area);
    pool.free(slot);
    statistics.used.add(scheduler.now(), pool.usedIn(area) - before);
    thread.charge(Step.Slot, pool.visits * costs.slot);
    if (thread.debt !== 0) yield Wait.Run;
    this.locks[area]!.release(thread);
  }

  /** memcpy: the reads bring lines into the last-level cache of their socket, the writes leave theirs dirty in it. */
  private copy(thread: Thread, from: number, to: number, bytes: number): void {
    const { costs, memory, socketOf, statistics } = this.environment;
    const { socket } = thread.cpu;
    const remote = socketOf(from) !== socket || socketOf(to) !== socket;
    thread.charge(Step.Copy, copyTime(costs, bytes, 0, remote));
    statistics.copied += bytes;
    memory?.cpuRead(Math.floor(from / 2 ** 32), from | 0, bytes);
    memory?.cpuWrite(Math.floor(to / 2 ** 32), to | 0, bytes);
  }

  private zero(thread: Thread, at: number, bytes: number): void {
    const { costs, memory } = this.environment;
    thread.charge(Step.Copy, Math.ceil(bytes / LINE) * costs.dirtyLine);
    memory?.cpuWrite(Math.floor(at / 2 ** 32), at | 0, bytes);
  }
}
