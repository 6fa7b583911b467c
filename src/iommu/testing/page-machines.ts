/** A unit of each architecture with a page request queue, and software's hand on its registers, for tests. */
import type { PhysicalMemory } from '../../memory/physical.js';
import type { Kernel } from '../../kernel/kernel.js';
import { PageRequestRecord, PageStatus } from '../../protocol/page-request.js';
import * as amdvi from '../arch/amdvi/format.js';
import { REQUESTERS as AMDVI_REQUESTERS, Rig as AmdviRig } from '../arch/amdvi/testing/rig.js';
import * as riscv from '../arch/riscv/format.js';
import { RiscvRig } from './riscv-rig.js';
import * as smmu from '../arch/smmuv3/format.js';
import { SmmuRig } from '../arch/smmuv3/testing/rig.js';
import {
  decodePageRequest,
  encodePageGroupResponse,
  encodePageRequestAddress,
  PAGE_REQUEST_LG2,
  PageRequestStatus,
  Register,
} from '../arch/vtd/format.js';
import type { PageRequestQueue } from '../page-request-queue.js';
import { REQUESTERS, Rig } from './rig.js';

/** What every architecture's record says. */
export interface RecordedRequest {
  source: number;
  pasid: number;
  bits: number;
  group: number;
  addressHi: number;
  addressLo: number;
}

export interface PageMachine {
  readonly kernel: Kernel;
  readonly queue: PageRequestQueue;
  /** Of the one device. */
  readonly requester: number;
  /** How hardware answers where page requests are off. */
  readonly refusal: PageStatus;
  onInterrupt: () => void;
  /** Until nothing is left to do. */
  run(): void;
  record(slot: number): RecordedRequest;
  /** Software has seen the interrupt. */
  acknowledge(): void;
  /** Software has taken so many records. */
  take(count: number): void;
  clearOverflow(): void;
  /** A response command, executed. */
  respond(requester: number, pasid: number, group: number, status: PageStatus): void;
}

const upper = (address: number): number => Math.floor(address / 2 ** 32);

/** 32-bit words of memory from an 8-aligned address on. */
function wordsAt(physical: PhysicalMemory, address: number, count: number): Int32Array {
  return Int32Array.from({ length: count }, (_, i) => {
    const at = address + 4 * (i & ~1);
    physical.read(upper(at), at | 0);
    return (i & 1) === 0 ? physical.wordLo : physical.wordHi;
  });
}

/** log2 of the records of rings. */
const ENTRIES_LG2 = 7;

class VtdPages implements PageMachine {
  readonly rig = new Rig({ mode: 'scalable', stage: 'first' });
  readonly requester: number = REQUESTERS[0]!;
  readonly refusal = PageStatus.Invalid;
  readonly queue: PageRequestQueue = this.rig.vtd.pages;
  onInterrupt = (): void => {};
  private readonly base: number;
  private head = 0;

  constructor(enabled: boolean) {
    const { rig } = this;
    rig.tables.context(this.requester, { pageRequestEnable: enabled });
    rig.vtd.connect({ stored: () => {}, pagesRequested: () => this.onInterrupt() });
    this.base = rig.frames.allocate();
    rig.vtd.write(
      Register.PageRequestAddress,
      Math.floor(this.base / 2 ** 32),
      encodePageRequestAddress(this.base, ENTRIES_LG2),
    );
    this.write(Register.PageRequestEventControl, 0);
  }

  get kernel(): Kernel {
    return this.rig.kernel;
  }

  run(): void {
    this.rig.run();
  }

  private write(register: Register, value: number): void {
    this.rig.vtd.write(register, 0, value);
  }

  record(slot: number): RecordedRequest {
    const words = wordsAt(this.rig.physical, this.base + (slot << PAGE_REQUEST_LG2), 8);
    const out = new PageRequestRecord();
    decodePageRequest(words, out);
    return out;
  }

  acknowledge(): void {
    this.write(Register.PageRequestStatus, PageRequestStatus.Pending);
  }

  take(count: number): void {
    this.head = (this.head + count) % 2 ** ENTRIES_LG2;
    this.write(Register.PageRequestHead, this.head << PAGE_REQUEST_LG2);
  }

  clearOverflow(): void {
    this.write(Register.PageRequestStatus, PageRequestStatus.Overflow);
  }

  respond(requester: number, pasid: number, group: number, status: PageStatus): void {
    this.rig.submit((words) => encodePageGroupResponse(words, 0, requester, pasid, true, status, group));
    this.rig.run();
  }
}

class SmmuPages implements PageMachine {
  readonly rig = new SmmuRig();
  readonly requester = 0x100;
  readonly refusal = PageStatus.Failure;
  readonly queue: PageRequestQueue = this.rig.smmu.pages;
  onInterrupt = (): void => {};
  private readonly base: number;
  private consumer = 0;

  constructor(enabled: boolean) {
    const { rig } = this;
    rig.unit.requesters = Int32Array.of(this.requester);
    rig.smmu.connect({ stored: () => {}, pagesRequested: () => this.onInterrupt() });
    this.base = rig.frames.allocate();
    rig.smmu.write(smmu.Register.PageRequestQueueBase, upper(this.base), smmu.encodeQueueBase(this.base, ENTRIES_LG2));
    rig.smmu.write(smmu.Register.InterruptControl, 0, smmu.InterruptBit.PRIQ);
    const bits = smmu.Control0Bit.SMMUEN | smmu.Control0Bit.CMDQEN | smmu.Control0Bit.EVTQEN;
    rig.smmu.write(smmu.Register.Control0, 0, enabled ? bits | smmu.Control0Bit.PRIQEN : bits);
  }

  get kernel(): Kernel {
    return this.rig.kernel;
  }

  run(): void {
    this.rig.run();
  }

  record(slot: number): RecordedRequest {
    const at = this.base + (slot << smmu.PAGE_REQUEST_LG2);
    const out = new PageRequestRecord();
    smmu.decodePageRequest(
      Int32Array.from({ length: 4 }, (_, i) => this.rig.word(at, i)),
      out,
    );
    return out;
  }

  acknowledge(): void {}

  take(count: number): void {
    this.consumer = (this.consumer & smmu.OVERFLOW_FLAG) | ((this.consumer + count) & (2 * 2 ** ENTRIES_LG2 - 1));
    this.write();
  }

  /** The acknowledgement takes the value of the flag, whatever it is. */
  clearOverflow(): void {
    if (this.queue.overflow) this.consumer ^= smmu.OVERFLOW_FLAG;
    this.write();
  }

  private write(): void {
    this.rig.smmu.write(smmu.PAGE_1 + smmu.Register.PageRequestQueueConsumer, 0, this.consumer);
  }

  respond(requester: number, pasid: number, group: number, status: PageStatus): void {
    const response =
      status === PageStatus.Success
        ? smmu.PriResponse.Success
        : status === PageStatus.Invalid
          ? smmu.PriResponse.Invalid
          : smmu.PriResponse.Failure;
    this.rig.submit((words) => smmu.encodePriResponse(words, 0, requester, pasid, group, response));
  }
}

class AmdviPages implements PageMachine {
  readonly rig = new AmdviRig();
  readonly requester: number = AMDVI_REQUESTERS[0]!;
  readonly refusal = PageStatus.Invalid;
  readonly queue: PageRequestQueue = this.rig.hardware.pages;
  onInterrupt = (): void => {};
  private readonly base: number;
  private head = 0;
  private static readonly log2 = 8;
  private static readonly control =
    amdvi.ControlBit.IommuEnable |
    amdvi.ControlBit.CommandBufferEnable |
    amdvi.ControlBit.EventLogEnable |
    amdvi.ControlBit.GuestTranslationEnable |
    amdvi.ControlBit.PageRequestInterruptEnable |
    amdvi.ControlBit.PageRequestEnable;

  constructor(enabled: boolean) {
    const { rig } = this;
    rig.device(this.requester, (entry) => {
      entry.valid = true;
      entry.pageRequests = enabled;
    });
    rig.hardware.connect({ stored: () => {}, pagesRequested: () => this.onInterrupt() });
    this.base = rig.frames.allocate();
    const hi = amdvi.encodeRingBaseHi(this.base, AmdviPages.log2);
    rig.hardware.write(amdvi.Register.PageRequestLogBase, hi, this.base | 0);
    this.control(true);
  }

  private control(log: boolean): void {
    const bits = log ? AmdviPages.control | amdvi.ControlBit.PageRequestLogEnable : AmdviPages.control;
    this.rig.hardware.write(amdvi.Register.Control, amdvi.ControlHighBit.PageRequestAutoResponse, bits);
  }

  get kernel(): Kernel {
    return this.rig.kernel;
  }

  run(): void {
    this.rig.run();
  }

  record(slot: number): RecordedRequest {
    const words = wordsAt(this.rig.physical, this.base + (slot << amdvi.ENTRY_LG2), 4);
    const out = new PageRequestRecord();
    amdvi.decodePageRequest(words, out);
    return out;
  }

  acknowledge(): void {
    this.rig.hardware.write(amdvi.Register.Status, 0, amdvi.StatusBit.PageRequestInterrupt);
  }

  take(count: number): void {
    this.head = (this.head + count) % 2 ** AmdviPages.log2;
    this.rig.hardware.write(amdvi.Register.PageRequestHead, 0, this.head << amdvi.ENTRY_LG2);
  }

  clearOverflow(): void {
    this.control(false);
    this.rig.hardware.write(amdvi.Register.Status, 0, amdvi.StatusBit.PageRequestOverflow);
    this.control(true);
  }

  respond(requester: number, pasid: number, group: number, status: PageStatus): void {
    this.rig.submit((words) => amdvi.encodeCompletePageRequest(words, 0, requester, pasid, group, status));
    this.rig.run();
  }
}

class RiscvPages implements PageMachine {
  readonly rig = new RiscvRig({ capabilities: [riscv.Capability.Ats] });
  readonly requester = 0x123;
  readonly refusal = PageStatus.Invalid;
  readonly queue: PageRequestQueue = this.rig.hardware.pages;
  onInterrupt = (): void => {};
  private readonly base: number;
  private head = 0;
  private static readonly control = riscv.QueueControl.Enable | riscv.QueueControl.InterruptEnable;

  constructor(enabled: boolean) {
    const { rig } = this;
    rig.unit.requesters = Int32Array.of(this.requester);
    const control = riscv.Control.AtsEnable | (enabled ? riscv.Control.PageRequests : 0);
    rig.device({ control }, this.requester);
    rig.hardware.connect({ stored: () => {}, pagesRequested: () => this.onInterrupt() });
    this.base = rig.frames.allocate();
    const hi = riscv.pageNumberHi(this.base);
    rig.write(riscv.Register.PageRequestQueueBase, hi, riscv.encodeQueueBaseLo(this.base, ENTRIES_LG2));
    rig.write(riscv.Register.PageRequestQueueControl, 0, RiscvPages.control);
  }

  get kernel(): Kernel {
    return this.rig.kernel;
  }

  run(): void {
    this.rig.run();
  }

  record(slot: number): RecordedRequest {
    const words = wordsAt(this.rig.physical, this.base + (slot << riscv.PAGE_REQUEST_LG2), 4);
    const out = new PageRequestRecord();
    riscv.decodePageRequest(words, out);
    return out;
  }

  acknowledge(): void {
    this.rig.write(riscv.Register.InterruptPending, 0, riscv.InterruptPending.PageRequestQueue);
  }

  take(count: number): void {
    this.head = (this.head + count) % 2 ** ENTRIES_LG2;
    this.rig.write(riscv.Register.PageRequestQueueHead, 0, this.head);
  }

  clearOverflow(): void {
    const bits = RiscvPages.control | riscv.QueueControl.Overflow;
    this.rig.write(riscv.Register.PageRequestQueueControl, 0, bits);
  }

  respond(requester: number, pasid: number, group: number, status: PageStatus): void {
    this.rig.submit((words) => riscv.encodePageGroupResponse(words, 0, requester, pasid, group, status));
    this.rig.run();
  }
}

/** By architecture; `enabled`: the device may ask for pages. */
export const MACHINES: Readonly<Record<string, (enabled: boolean) => PageMachine>> = {
  vtd: (enabled) => new VtdPages(enabled),
  smmuv3: (enabled) => new SmmuPages(enabled),
  amdvi: (enabled) => new AmdviPages(enabled),
  riscv: (enabled) => new RiscvPages(enabled),
};
