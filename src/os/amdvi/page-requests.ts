/**
 * The peripheral page request log of an AMD-Vi unit and the answers to groups (drivers/iommu/amd/ppr.c, amd_iommu_int_thread_pprlog,
 * amd_iommu_complete_ppr): the thread clears the interrupt bit, reads tail and head, takes entries out, writing the head for each, and after an overflow
 * disables the log, clears the bit and enables it again; an answer is a COMPLETE_PPR_REQUEST, not waited for. Where this differs from the
 * kernel: hardware answers what the overflow loses (PPRAutoRspEn), partial groups go, and the restarted log is not rewound.
 */
import {
  type ControlBit,
  decodePageRequest,
  encodeCompletePageRequest,
  ENTRY_LG2,
  Register,
  StatusBit,
} from '../../iommu/arch/amdvi/format.js';
import { PageRequestBit, PageRequestRecord } from '../../protocol/page-request.js';
import type { Endpoint, FaultPath } from '../iommu-driver.js';
import type { PageResponse } from '../page-fault.js';
import { PageRequestReader, type SourcedRequest } from '../page-requests.js';
import { type Call, NOTHING, type Thread } from '../thread.js';
import type { UnitDriverEnvironment } from '../unit-environment.js';
import { COMMAND_WORDS, type CommandBuffer } from './command-buffer.js';

export interface PageRequestLogLayout {
  readonly unit: number;
  /** Byte address of the ring, and its entries. */
  readonly base: number;
  readonly slots: number;
  /** Control register with the log enabled, and the bits that disable it when they are clear. */
  readonly controlHi: number;
  readonly controlLo: number;
  readonly enable: ControlBit;
}

export class PageRequestDriver extends PageRequestReader {
  /** What tail and status register read. */
  private tailRegister = 0;
  private status = 0;
  private readonly request = new PageRequestRecord();
  private readonly words = new Int32Array(4);
  private readonly buffers: Int32Array[] = [];

  constructor(
    private readonly layout: PageRequestLogLayout,
    private readonly commands: CommandBuffer,
    path: FaultPath,
    environment: UnitDriverEnvironment,
  ) {
    super(`amdvi${layout.unit}-ppr`, layout.unit, layout.slots, layout.slots, path, environment);
  }

  /** A register reads `value` from now on. */
  changed(offset: number, value: number): void {
    if ((offset as Register) === Register.PageRequestTail) this.tailRegister = value;
    else if ((offset as Register) === Register.Status) this.status = value;
  }

  /** The status register is read, and its bit cleared. */
  *acknowledge(thread: Thread): Call<void> {
    yield* this.readRegisters(thread, 1);
    yield* this.writeRegister(thread, Register.Status, StatusBit.PageRequestInterrupt);
  }

  readTail(thread: Thread): Call<void> {
    return this.readRegisters(thread, 2);
  }

  get tail(): number {
    return this.tailRegister >>> ENTRY_LG2;
  }

  protected decode(slot: number): SourcedRequest {
    this.load(this.layout.base + (slot << ENTRY_LG2), this.words);
    decodePageRequest(this.words, this.request);
    return this.request;
  }

  protected release(thread: Thread, position: number, end: boolean): Call<void> {
    return !end ? this.writeRegister(thread, Register.PageRequestHead, position << ENTRY_LG2) : NOTHING;
  }

  *recover(thread: Thread): Call<void> {
    yield* this.readRegisters(thread, 1);
    if ((this.status & StatusBit.PageRequestOverflow) === 0) return;
    const { controlHi, controlLo, enable } = this.layout;
    this.path.queue.discardPartial();
    yield* this.writeRegister(thread, Register.Control, controlLo & ~enable, controlHi);
    yield* this.writeRegister(thread, Register.Status, StatusBit.PageRequestOverflow);
    yield* this.writeRegister(thread, Register.Control, controlLo, controlHi);
  }

  protected *answer(thread: Thread, source: number, pasid: number, group: number, code: PageResponse): Call<void> {
    const words = this.buffers.pop() ?? new Int32Array(COMMAND_WORDS);
    encodeCompletePageRequest(words, 0, source, pasid, group, code);
    yield* this.commands.queue(thread, words);
    this.buffers.push(words);
  }

  /** A COMPLETION_WAIT: every answer before it has been executed. */
  drainHardware(thread: Thread, _device: Endpoint, _pasid: number): Call<void> {
    return this.commands.completion(thread);
  }

  /** With a PASID other than 0, for users. */
  protected isLegal({ pasid, bits }: SourcedRequest): boolean {
    return pasid > 0 && (bits & PageRequestBit.Privileged) === 0;
  }
}
