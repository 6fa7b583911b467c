/**
 * One PHB4 as firmware and kernel see it (skiboot hw/phb4.c; arch/powerpc/platforms/powernv/pci-ioda.c): RTT, endpoints, windows, and TCE
 * kills under the PHB lock. Boot is functional. Endpoints are one for each requester. Not modelled: the cost of entering the firmware,
 * EEH recovery.
 */
import {
  encodeBypassTve,
  encodeTranslatingTve,
  iodaAddressHi,
  IodaTable,
  KillBit,
  PES,
  PEST_ENTRY,
  Register,
  RESERVED_PE,
  RTT_BYTES,
  rteWord,
  TOP,
  withRte,
} from '../../iommu/arch/tce/format.js';
import type { FrameAllocator } from '../../memory/frames.js';
import { SpinLock } from '../lock.js';
import { Step } from '../step.js';
import { type Call, type Thread, Wait } from '../thread.js';
import type { UnitDriverEnvironment } from '../unit-environment.js';
import type { Window } from './windows.js';

const PAGE = 4096;

export class PhbFirmware {
  private readonly lock: SpinLock;
  private readonly rtt: number;
  private readonly freePes: number[] = [];
  private nextPe = RESERVED_PE + 1;
  /** What the polled registers say. */
  private killing = false;
  private syncing = false;
  /** Who polls, and whether for the kill or for the sync. */
  private poller: Thread | null = null;
  private pollsKill = false;

  constructor(
    readonly id: number,
    frames: FrameAllocator,
    private readonly environment: UnitDriverEnvironment,
  ) {
    const { scheduler, costs, queueLocks } = environment;
    this.lock = new SpinLock(scheduler, costs, queueLocks);
    this.rtt = frames.allocateContiguous(RTT_BYTES, RTT_BYTES);
    const pest = frames.allocateContiguous(PES * PEST_ENTRY, PAGE);
    this.write(Register.RttBar, TOP | upper(this.rtt), lower(this.rtt));
    this.write(Register.PestBar, TOP | upper(pest), lower(pest));
    this.write(Register.RtcInvalidate, TOP, 0);
  }

  /** Gives the requester an endpoint with the window, or with untranslated ones of [0, `end`). Throws RangeError when none is left. */
  addEndpoint(requester: number, window: Window | null, root: number, levels: number, end: number): number {
    const pe = this.freePes.pop() ?? this.nextPe++;
    if (pe >= PES) throw new RangeError(`PHB ${this.id} has no endpoint left for requester ${requester}`);
    if (window === null) {
      // Linux uses the window of address bit 59; DMA addresses are doubles here, so the one without the bit passes as well.
      const bypass = encodeBypassTve(0, end);
      this.setWindow(pe, 0, bypass);
      this.setWindow(pe, 1, bypass);
    } else {
      this.setWindow(pe, 0, encodeTranslatingTve(root, levels, window.indexBits, window.pageLg2));
      this.setWindow(pe, 1, [0, 0]);
    }
    for (const table of [IodaTable.PestA, IodaTable.PestB]) this.setIoda(table, pe, 0, 0);
    this.setRte(requester, pe);
    this.invalidateRequester(requester);
    return pe;
  }

  /** pnv_pci_ioda2_release_pe_dma, then the kill that makes it safe. */
  *removeEndpoint(thread: Thread, requester: number, pe: number): Call<void> {
    if (thread.debt !== 0) yield Wait.Run;
    this.setWindow(pe, 0, [0, 0]);
    this.setWindow(pe, 1, [0, 0]);
    this.setRte(requester, RESERVED_PE);
    this.invalidateRequester(requester);
    yield* this.kill(thread, pe);
    this.freePes.push(pe);
  }

  /**
   * phb4_tce_kill: whatever was asked for, everything of the endpoint is killed (erratum HW560152). Slot, kill and sync are polled
   * without pause under the lock.
   */
  *kill(thread: Thread, pe: number): Call<void> {
    const { scheduler, costs, statistics } = this.environment;
    if (thread.debt !== 0) yield Wait.Run;
    if (!this.lock.take(thread)) yield Wait.Block;
    // Nobody else kills under the lock: one look finds the slot free.
    thread.charge(Step.SlotWait, costs.poll);
    thread.charge(Step.Doorbell, 2 * costs.mmioWrite);
    yield Wait.Run;
    this.killing = true;
    this.syncing = true;
    const { mmioFlight } = costs;
    this.environment.registers.write(this.id, Register.TceKill, KillBit.Pe, pe, mmioFlight);
    this.environment.registers.write(this.id, Register.DmaReadSync, TOP, 0, mmioFlight);
    statistics.domains++;
    statistics.descriptors++;
    const rung = scheduler.now();
    yield* this.poll(thread, true);
    yield* this.poll(thread, false);
    statistics.completion.add(scheduler.now() - rung);
    this.lock.release(thread);
  }

  /** Spins until the kill, or the sync, is over. */
  private *poll(thread: Thread, kill: boolean): Call<void> {
    const { scheduler, costs } = this.environment;
    if (kill ? this.killing : this.syncing) {
      this.poller = thread;
      this.pollsKill = kill;
      scheduler.block(thread, Step.Completion);
      yield Wait.Block;
    } else {
      thread.charge(Step.Completion, costs.poll);
      yield Wait.Run;
    }
  }

  /** A status register has changed. */
  changed(offset: number): void {
    if ((offset as Register) === Register.QuiesceDma) this.killing = false;
    else if ((offset as Register) === Register.DmaReadSync) this.syncing = false;
    const { poller } = this;
    if (poller === null || (this.pollsKill ? this.killing : this.syncing)) return;
    this.poller = null;
    this.environment.scheduler.wakePoller(poller, this.environment.costs.poll);
  }

  private setWindow(pe: number, window: 0 | 1, [hi, lo]: readonly [number, number]): void {
    this.setIoda(IodaTable.Tvt, 2 * pe + window, hi, lo);
  }

  private setIoda(table: IodaTable, index: number, hi: number, lo: number): void {
    this.write(Register.IodaAddress, iodaAddressHi(table, false), index);
    this.write(Register.IodaData0, hi, lo);
  }

  private setRte(requester: number, pe: number): void {
    const { memory, timing } = this.environment;
    const address = this.rtt + rteWord(requester);
    const hi = upper(address);
    const lo = lower(address);
    memory.read(hi, lo);
    const [wordHi, wordLo] = withRte(requester, pe, memory.wordHi, memory.wordLo);
    memory.write(hi, lo, wordHi, wordLo);
    timing?.cpuWrite(hi, lo, 8);
  }

  private invalidateRequester(requester: number): void {
    this.write(Register.RtcInvalidate, requester, 0);
  }

  private write(offset: Register, hi: number, lo: number): void {
    this.environment.registers.write(this.id, offset, hi, lo, 0);
  }
}

function upper(address: number): number {
  return Math.floor(address / 2 ** 32);
}

function lower(address: number): number {
  return address | 0;
}
