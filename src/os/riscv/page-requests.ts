/**
 * The page-request queue of a RISC-V unit and the answers to groups. Linux does not read the queue: this does what its handler of the fault
 * queue does (riscv_iommu_fltq_process, drivers/iommu/riscv/iommu.c): clears the interrupt, takes records out, moves the head once, and after an
 * overflow clears the bit; an answer is an ATS.PRGR, not waited for.
 */
import {
  decodePageRequest,
  encodePageGroupResponse,
  InterruptPending,
  PAGE_REQUEST_LG2,
  QueueControl,
  Register,
} from '../../iommu/arch/riscv/format.js';
import { PageRequestBit, PageRequestRecord } from '../../protocol/page-request.js';
import type { FaultPath } from '../iommu-driver.js';
import type { PageResponse } from '../page-fault.js';
import { PageRequestReader, type SourcedRequest } from '../page-requests.js';
import { type Call, NOTHING, type Thread } from '../thread.js';
import type { UnitDriverEnvironment } from '../unit-environment.js';
import { COMMAND_WORDS, type CommandQueue } from './queue.js';

export const PAGE_REQUEST_CONTROL: number = QueueControl.Enable | QueueControl.InterruptEnable;

export class PageRequestDriver extends PageRequestReader {
  /** What pqt and pqcsr read. */
  private tailRegister = 0;
  private control = 0;
  private readonly request = new PageRequestRecord();
  private readonly words = new Int32Array(4);
  private readonly buffers: Int32Array[] = [];

  /** `base`: byte address of `slots` records. */
  constructor(
    unit: number,
    private readonly base: number,
    slots: number,
    private readonly queue: CommandQueue,
    path: FaultPath,
    environment: UnitDriverEnvironment,
  ) {
    super(`riscv${unit}-pq`, unit, slots, slots, path, environment);
  }

  /** A register reads `value` from now on. */
  changed(offset: number, value: number): void {
    if ((offset as Register) === Register.PageRequestQueueTail) this.tailRegister = value;
    else if ((offset as Register) === Register.PageRequestQueueControl) this.control = value;
  }

  acknowledge(thread: Thread): Call<void> {
    return this.writeRegister(thread, Register.InterruptPending, InterruptPending.PageRequestQueue);
  }

  readTail(thread: Thread): Call<void> {
    return this.readRegisters(thread, 1);
  }

  get tail(): number {
    return this.tailRegister;
  }

  protected decode(slot: number): SourcedRequest {
    this.load(this.base + (slot << PAGE_REQUEST_LG2), this.words);
    decodePageRequest(this.words, this.request);
    return this.request;
  }

  protected release(thread: Thread, position: number, end: boolean): Call<void> {
    return end ? this.writeRegister(thread, Register.PageRequestQueueHead, position) : NOTHING;
  }

  *recover(thread: Thread): Call<void> {
    yield* this.readRegisters(thread, 1);
    if ((this.control & QueueControl.Overflow) === 0) return;
    this.path.queue.discardPartial();
    const bits = PAGE_REQUEST_CONTROL | QueueControl.Overflow;
    yield* this.writeRegister(thread, Register.PageRequestQueueControl, bits);
  }

  protected *answer(thread: Thread, source: number, pasid: number, group: number, code: PageResponse): Call<void> {
    const words = this.buffers.pop() ?? new Int32Array(COMMAND_WORDS);
    encodePageGroupResponse(words, 0, source, pasid, group, code);
    yield* this.queue.send(thread, words);
    this.buffers.push(words);
  }

  /** An IOFENCE.C: every answer before it has been sent. */
  drainHardware(thread: Thread): Call<void> {
    return this.queue.sync(thread);
  }

  /** With a process id, for users. */
  protected isLegal({ pasid, bits }: SourcedRequest): boolean {
    return pasid >= 0 && (bits & PageRequestBit.Privileged) === 0;
  }
}
