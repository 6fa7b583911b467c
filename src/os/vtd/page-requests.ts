/**
 * The page request queue of a VT-d unit and the answers to groups (prq_event_thread, intel_iommu_page_response, intel_iommu_drain_pasid_prq,
 * drivers/iommu/intel/prq.c): the interrupt's thread clears PPR, reads tail and head, takes descriptors out and writes the head back once; after an
 * overflow it throws partial groups away when the ring is empty and clears PRO. Each answer is a descriptor of the invalidation queue that is waited
 * for. Where this differs from the kernel: Response Failure has its code on the wire.
 */
import {
  decodePageRequest,
  encodePageGroupResponse,
  encodePageRequestAddress,
  encodePasidDeviceTlbInvalidation,
  encodePasidIotlbInvalidation,
  encodeWait,
  Granularity,
  PAGE_REQUEST_LG2,
  PAGE_REQUEST_WORDS,
  PageRequestStatus,
  Register,
  WaitFlag,
} from '../../iommu/arch/vtd/format.js';
import type { FrameAllocator } from '../../memory/frames.js';
import { PageRequestBit, PageRequestRecord } from '../../protocol/page-request.js';
import type { Endpoint, FaultPath } from '../iommu-driver.js';
import { log2 } from '../log2.js';
import type { PageResponse } from '../page-fault.js';
import { PageRequestReader, type SourcedRequest } from '../page-requests.js';
import type { UnitSpec } from '../spec.js';
import { type Call, NOTHING, type Thread } from '../thread.js';
import type { UnitDriverEnvironment } from '../unit-environment.js';
import { DESCRIPTOR_WORDS, type InvalidationQueue } from './queue.js';

/** Domain id of process address spaces (FLPT_DEFAULT_DID). */
const DEFAULT_DID = 1;

interface Unit {
  readonly id: number;
  readonly spec: UnitSpec;
  readonly queue: InvalidationQueue;
}

export class PageRequestDriver extends PageRequestReader {
  private readonly base: number;
  /** What PQT_REG and PRS_REG read. */
  private tailRegister = 0;
  private status = 0;
  private readonly request = new PageRequestRecord();
  private readonly words = new Int32Array(PAGE_REQUEST_WORDS);
  private readonly buffers: Int32Array[] = [];
  private readonly queue: InvalidationQueue;

  constructor(unit: Unit, frames: FrameAllocator, path: FaultPath, environment: UnitDriverEnvironment) {
    const { id, queue } = unit;
    const { pageRequests } = unit.spec.faults;
    super(`dmar${id}-prq`, id, pageRequests, pageRequests, path, environment);
    this.queue = queue;
    const bytes = pageRequests << PAGE_REQUEST_LG2;
    this.base = frames.allocateContiguous(bytes, bytes);
    const hi = Math.floor(this.base / 2 ** 32);
    const { registers } = environment;
    registers.write(id, Register.PageRequestHead, 0, 0, 0);
    registers.write(id, Register.PageRequestAddress, hi, encodePageRequestAddress(this.base, log2(pageRequests)), 0);
    registers.write(id, Register.PageRequestEventControl, 0, 0, 0);
  }

  /** A register reads `value` from now on. */
  changed(offset: number, value: number): void {
    if ((offset as Register) === Register.PageRequestTail) this.tailRegister = value;
    else if ((offset as Register) === Register.PageRequestStatus) this.status = value;
  }

  acknowledge(thread: Thread): Call<void> {
    return this.writeRegister(thread, Register.PageRequestStatus, PageRequestStatus.Pending);
  }

  /** Tail and head are read. */
  readTail(thread: Thread): Call<void> {
    return this.readRegisters(thread, 2);
  }

  get tail(): number {
    return this.tailRegister >>> PAGE_REQUEST_LG2;
  }

  protected decode(slot: number): SourcedRequest {
    this.load(this.base + (slot << PAGE_REQUEST_LG2), this.words);
    decodePageRequest(this.words, this.request);
    return this.request;
  }

  protected release(thread: Thread, position: number, end: boolean): Call<void> {
    return end ? this.writeRegister(thread, Register.PageRequestHead, position << PAGE_REQUEST_LG2) : NOTHING;
  }

  *recover(thread: Thread): Call<void> {
    yield* this.readRegisters(thread, 1);
    if ((this.status & PageRequestStatus.Overflow) === 0) return;
    yield* this.readTail(thread);
    if (!this.reached(this.tail)) return;
    this.path.queue.discardPartial();
    yield* this.writeRegister(thread, Register.PageRequestStatus, PageRequestStatus.Overflow);
  }

  protected answer(thread: Thread, source: number, pasid: number, group: number, code: PageResponse): Call<void> {
    const words = this.buffers.pop() ?? new Int32Array(3 * DESCRIPTOR_WORDS);
    encodePageGroupResponse(words, 0, source, Math.max(pasid, 0), pasid >= 0, code, group);
    return this.queue.submit(thread, words, 1, 0, this.buffers);
  }

  /** After the last answer: what the device and the unit know of the PASID goes, and requests on their way are in the ring. */
  *drainHardware(thread: Thread, device: Endpoint, pasid: number): Call<void> {
    const words = this.buffers.pop() ?? new Int32Array(3 * DESCRIPTOR_WORDS);
    const { requester } = device;
    for (;;) {
      encodeWait(words, 0, WaitFlag.Fence, 0, 0, 0);
      encodePasidIotlbInvalidation(words, DESCRIPTOR_WORDS, Granularity.Domain, DEFAULT_DID, pasid, 0, 0, 0, false);
      const at = 2 * DESCRIPTOR_WORDS;
      const { queueDepth = 0 } = device.ats ?? {};
      encodePasidDeviceTlbInvalidation(words, at, requester, requester, queueDepth & 31, pasid, 0, 0, 64);
      yield* this.queue.submit(thread, words, 3, WaitFlag.PageRequestDrain);
      yield* this.readRegisters(thread, 1);
      if ((this.status & PageRequestStatus.Overflow) === 0) break;
      yield* this.endOfPass(thread);
    }
    this.buffers.push(words);
  }

  /** With PASID, unprivileged unless it asks to execute, canonical. */
  protected isLegal({ pasid, bits, addressHi }: SourcedRequest): boolean {
    if (pasid < 0) return false;
    const access = (bits & (PageRequestBit.Read | PageRequestBit.Write)) !== 0;
    if (access && (bits & PageRequestBit.Privileged) !== 0) return false;
    if ((bits & PageRequestBit.Execute) !== 0 && (bits & PageRequestBit.Read) === 0) return false;
    const above = addressHi >> 15;
    return above === 0 || above === -1;
  }
}
