/**
 * The PRI queue of an SMMUv3 unit and the answers to groups, built as the driver builds its event queue (arm_smmu_priq_thread,
 * drivers/iommu/arm/arm-smmu-v3/arm-smmu-v3.c, before 7.2 dropped what was no more than a denial): the thread takes entries out until the queue is
 * empty, writing PRIQ_CONS for each, and acknowledges an overflow after it has thrown partial groups away; an answer is a CMD_PRI_RESP, not waited for.
 */
import {
  decodePageRequest,
  encodePriResponse,
  OVERFLOW_FLAG,
  PAGE_1,
  PAGE_REQUEST_LG2,
  PAGE_REQUEST_WORDS,
  PriResponse,
  Register,
} from '../../iommu/arch/smmuv3/format.js';
import { PageRequestBit, PageRequestRecord } from '../../protocol/page-request.js';
import type { FaultPath } from '../iommu-driver.js';
import { PageResponse } from '../page-fault.js';
import { PageRequestReader, type SourcedRequest } from '../page-requests.js';
import { type Call, type Cpu, NOTHING, type Thread, Wait } from '../thread.js';
import type { UnitDriverEnvironment } from '../unit-environment.js';
import { Batch, type CommandQueue } from './queue.js';

/** Where the entries are. */
export interface PriRing {
  readonly base: number;
  readonly entriesLg2: number;
}

export class PageRequestDriver extends PageRequestReader {
  override readonly untilEmpty: boolean = true;
  /** What PRIQ_PROD reads; overflow flag as acknowledged. */
  private producer = 0;
  private acknowledged = 0;
  private readonly request = new PageRequestRecord();
  private readonly words = new Int32Array(PAGE_REQUEST_WORDS);
  private readonly batches: Batch[] = [];

  constructor(
    private readonly queues: { readonly id: number; queueOf(cpu: Cpu): CommandQueue },
    private readonly ring: PriRing,
    path: FaultPath,
    environment: UnitDriverEnvironment,
  ) {
    const slots = 2 ** ring.entriesLg2;
    super(`smmu${queues.id}-priq`, queues.id, slots, 2 * slots, path, environment);
  }

  /** PRIQ_PROD reads `value` from now on. */
  produced(value: number): void {
    this.producer = value;
  }

  acknowledge(): Call<void> {
    return NOTHING;
  }

  readTail(thread: Thread): Call<void> {
    return this.readRegisters(thread, 1);
  }

  get tail(): number {
    return this.producer & ~OVERFLOW_FLAG;
  }

  protected decode(slot: number): SourcedRequest {
    this.load(this.ring.base + (slot << PAGE_REQUEST_LG2), this.words);
    decodePageRequest(this.words, this.request);
    return this.request;
  }

  protected release(thread: Thread, position: number, end: boolean): Call<void> {
    return !end ? this.writeConsumer(thread, position) : NOTHING;
  }

  private writeConsumer(thread: Thread, position: number): Call<void> {
    return this.writeRegister(thread, PAGE_1 + Register.PageRequestQueueConsumer, position | this.acknowledged);
  }

  *recover(thread: Thread): Call<void> {
    if (((this.producer ^ this.acknowledged) & OVERFLOW_FLAG) === 0) return;
    this.path.queue.discardPartial();
    this.acknowledged = this.producer & OVERFLOW_FLAG;
    yield* this.writeConsumer(thread, this.head);
  }

  protected answer(thread: Thread, source: number, pasid: number, group: number, code: PageResponse): Call<void> {
    const batch = this.batches.pop() ?? new Batch();
    encodePriResponse(batch.words, batch.next(), source, pasid, group, responseOf(code));
    return this.queues.queueOf(thread.cpu).submit(thread, batch, false, this.batches);
  }

  /** A CMD_SYNC: every CMD_PRI_RESP before it has been consumed. */
  *drainHardware(thread: Thread): Call<void> {
    const batch = this.batches.pop() ?? new Batch();
    yield* this.queues.queueOf(thread.cpu).submit(thread, batch, true, this.batches);
    if (thread.debt !== 0) yield Wait.Run;
  }

  /** With PASID, unprivileged. */
  protected isLegal({ pasid, bits }: SourcedRequest): boolean {
    return pasid >= 0 && (bits & PageRequestBit.Privileged) === 0;
  }
}

function responseOf(code: PageResponse): PriResponse {
  if (code === PageResponse.Success) return PriResponse.Success;
  return code === PageResponse.Invalid ? PriResponse.Invalid : PriResponse.Failure;
}
