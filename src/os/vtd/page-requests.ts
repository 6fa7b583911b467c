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
  PageRequest,
  PageRequestStatus,
  Register,
  WaitFlag,
} from '../../iommu/arch/vtd/format.js';
import type { FrameAllocator } from '../../memory/frames.js';
import { PageRequestBit } from '../../protocol/page-request.js';
import type { PageResponder } from '../fault-device.js';
import { ThreadedInterrupt } from '../interrupt.js';
import type { Endpoint, FaultPath } from '../iommu-driver.js';
import { PageResponse } from '../page-fault.js';
import { pageFaultOf } from '../page-requests.js';
import { Step } from '../step.js';
import { type Call, type Thread, Wait } from '../thread.js';
import type { UnitDriverEnvironment } from '../unit-environment.js';
import { DESCRIPTOR_WORDS, type InvalidationQueue } from './queue.js';

/** Descriptors of the ring (PRQ_ORDER 4: 64 KiB). */
const ENTRIES_LG2 = 11;
/** Domain id of process address spaces (FLPT_DEFAULT_DID). */
const DEFAULT_DID = 1;

export class PageRequestDriver implements PageResponder {
  readonly line: ThreadedInterrupt;
  private readonly base: number;
  /** What PQT_REG and PRS_REG read, and what PQH_REG was last written with. */
  private tail = 0;
  private status = 0;
  private head = 0;
  private readonly request = new PageRequest();
  private readonly words = new Int32Array(PAGE_REQUEST_WORDS);
  /** Threads that wait for the end of a pass (prq_complete). */
  private readonly waiting: Thread[] = [];
  private readonly buffers: Int32Array[] = [];

  constructor(
    private readonly unit: { readonly id: number; readonly queue: InvalidationQueue },
    frames: FrameAllocator,
    private readonly path: FaultPath,
    private readonly environment: UnitDriverEnvironment,
  ) {
    const { scheduler, registers } = environment;
    const { id } = unit;
    const bytes = 2 ** (ENTRIES_LG2 + PAGE_REQUEST_LG2);
    this.base = frames.allocateContiguous(bytes, bytes);
    this.line = new ThreadedInterrupt(`dmar${id}-prq`, scheduler, path.cpu, path.interrupt, (thread) =>
      this.pass(thread),
    );
    registers.write(id, Register.PageRequestHead, 0, 0, 0);
    const hi = Math.floor(this.base / 2 ** 32);
    registers.write(id, Register.PageRequestAddress, hi, encodePageRequestAddress(this.base, ENTRIES_LG2), 0);
    registers.write(id, Register.PageRequestEventControl, 0, 0, 0);
  }

  /** A register reads `value` from now on. */
  changed(offset: number, value: number): void {
    if (offset === Register.PageRequestTail) this.tail = value;
    else if (offset === Register.PageRequestStatus) this.status = value;
  }

  private *pass(thread: Thread): Call<void> {
    // A request that comes after this interrupts again.
    yield* this.write(thread, Register.PageRequestStatus, PageRequestStatus.Pending);
    yield* this.read(thread, 2);
    const { tail } = this;
    let at = this.head;
    while (at !== tail) {
      yield* this.take(thread, at);
      at = this.next(at);
    }
    this.head = tail;
    yield* this.write(thread, Register.PageRequestHead, tail);
    yield* this.read(thread, 1);
    if ((this.status & PageRequestStatus.Overflow) !== 0) {
      yield* this.read(thread, 2);
      if (this.head === this.tail) {
        this.path.queue.discardPartial();
        yield* this.write(thread, Register.PageRequestStatus, PageRequestStatus.Overflow);
      }
    }
    const { waiting } = this;
    for (let waiter = waiting.shift(); waiter !== undefined; waiter = waiting.shift()) {
      this.environment.scheduler.wakeUp(waiter);
    }
  }

  private next(offset: number): number {
    return (offset + 2 ** PAGE_REQUEST_LG2) & (2 ** (ENTRIES_LG2 + PAGE_REQUEST_LG2) - 1);
  }

  /** Registers are read behind all writes to the unit. */
  private *read(thread: Thread, count: number): Call<void> {
    const { costs, distance } = this.environment;
    thread.charge(Step.Completion, count * Math.max(costs.mmioRead, distance.flight(thread, this.unit.id)));
    yield Wait.Run;
  }

  private *write(thread: Thread, register: Register, value: number): Call<void> {
    const { registers, costs, distance } = this.environment;
    thread.charge(Step.Doorbell, costs.mmioWrite);
    yield Wait.Run;
    registers.write(this.unit.id, register, 0, value, distance.flight(thread, this.unit.id));
  }

  private load(offset: number): void {
    const { memory } = this.environment;
    const address = this.base + offset;
    const [hi, lo] = [Math.floor(address / 2 ** 32), (address % 2 ** 32) | 0];
    for (let i = 0; i < PAGE_REQUEST_WORDS; i += 2) {
      memory.read(hi, (lo + 4 * i) | 0);
      this.words[i] = memory.wordLo;
      this.words[i + 1] = memory.wordHi;
    }
    decodePageRequest(this.words, this.request);
  }

  private *take(thread: Thread, offset: number): Call<void> {
    const { path, request, environment, line } = this;
    this.load(offset);
    thread.charge(Step.Descriptor, environment.costs.pollWord);
    const { bits, source, pasid, group } = request;
    const last = (bits & PageRequestBit.Last) !== 0;
    // A stop marker asks for nothing.
    if (last && (bits & (PageRequestBit.Read | PageRequestBit.Write)) === 0) return;
    const device = path.deviceOf(source);
    if (device === null || !isLegal(request)) {
      path.queue.statistics.errors++;
      if (last) yield* this.answer(thread, source, pasid, group, PageResponse.Invalid);
      return;
    }
    const fault = pageFaultOf(path, line, source, request, offset >>> PAGE_REQUEST_LG2);
    yield* path.queue.report(thread, device, fault);
    if (thread.debt !== 0) yield Wait.Run;
  }

  respond(thread: Thread, device: Endpoint, pasid: number, group: number, code: PageResponse): Call<void> {
    return this.answer(thread, device.requester, pasid, group, code);
  }

  private *answer(thread: Thread, source: number, pasid: number, group: number, code: PageResponse): Call<void> {
    const words = this.buffers.pop() ?? new Int32Array(3 * DESCRIPTOR_WORDS);
    encodePageGroupResponse(words, 0, source, Math.max(pasid, 0), pasid >= 0, code, group);
    yield* this.unit.queue.submit(thread, words, 1);
    this.buffers.push(words);
  }

  /** Looks for descriptors of the PASID in the ring until there are none. */
  *drainQueue(thread: Thread, device: Endpoint, pasid: number): Call<void> {
    const { request, environment } = this;
    for (;;) {
      yield* this.read(thread, 2);
      let found = false;
      for (let at = this.head; at !== this.tail && !found; at = this.next(at)) {
        this.load(at);
        thread.charge(Step.Descriptor, environment.costs.pollWord);
        found = request.source === device.requester && request.pasid === pasid;
      }
      if (!found) return;
      yield* this.sleep(thread);
    }
  }

  /** Until the end of a pass. */
  private *sleep(thread: Thread): Call<void> {
    if (thread.debt !== 0) yield Wait.Run;
    this.waiting.push(thread);
    this.environment.scheduler.sleep(thread, Step.Completion);
    yield Wait.Block;
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
      yield* this.unit.queue.submit(thread, words, 3, WaitFlag.PageRequestDrain);
      yield* this.read(thread, 1);
      if ((this.status & PageRequestStatus.Overflow) === 0) break;
      yield* this.sleep(thread);
    }
    this.buffers.push(words);
  }
}

/** What the driver hands on: with PASID, unprivileged unless it asks to execute, canonical. */
function isLegal({ pasid, bits, addressHi }: PageRequest): boolean {
  if (pasid < 0) return false;
  const access = (bits & (PageRequestBit.Read | PageRequestBit.Write)) !== 0;
  if (access && (bits & PageRequestBit.Privileged) !== 0) return false;
  if ((bits & PageRequestBit.Execute) !== 0 && (bits & PageRequestBit.Read) === 0) return false;
  const above = addressHi >> 15;
  return above === 0 || above === -1;
}
