/**
 * The event queue of an SMMUv3 unit and the answers to stalled transactions (arm_smmu_evtq_thread, arm_smmu_handle_event,
 * arm_smmu_page_response, drivers/iommu/arm/arm-smmu-v3/arm-smmu-v3.c): the interrupt's thread reads EVTQ_PROD, takes records out one after the
 * other, writing EVTQ_CONS back for each, and reports stalls; the answer is a CMD_RESUME, not waited for. Events that did not stall are
 * counted. Not modelled: their messages in the kernel's log.
 */
import {
  decodeEvent,
  encodeResume,
  EVENT_LG2,
  EVENT_WORDS,
  EventRecord,
  OVERFLOW_FLAG,
  PAGE_1,
  Register,
  Resume,
} from '../../iommu/arch/smmuv3/format.js';
import { Access } from '../../protocol/access.js';
import type { FaultDevice, PageResponder } from '../fault-device.js';
import { ThreadedInterrupt } from '../interrupt.js';
import type { Endpoint, FaultPath } from '../iommu-driver.js';
import { FaultStage, type PageFault, PageResponse } from '../page-fault.js';
import { Step } from '../step.js';
import { type Call, type Cpu, NOTHING, type Thread, Wait } from '../thread.js';
import type { UnitDriverEnvironment } from '../unit-environment.js';
import { EventPass } from './event-pass.js';
import { Batch, type CommandQueue } from './queue.js';

/** Where the records are. */
export interface EventRing {
  readonly base: number;
  readonly entriesLg2: number;
}

/** A thread that waits until so many records have been handled. */
interface Drain {
  readonly thread: Thread;
  readonly until: number;
}

export class StallDriver implements PageResponder {
  readonly line: ThreadedInterrupt;
  /** What EVTQ_PROD reads. */
  private register = 0;
  /** Records that have arrived and that have been handled, since the beginning; consumer index and acknowledgement of overflows. */
  private arrived = 0;
  private handled = 0;
  private consumer = 0;
  private readonly drains: Drain[] = [];
  /** Index and wrap bit of EVTQ_PROD and EVTQ_CONS. */
  private readonly indices: number;
  /** Taken last, and what is to be reported of it. */
  private readonly record = new EventRecord();
  private fault: PageFault | null = null;
  private readonly memoryLine = new Int32Array(16);
  private readonly words = new Int32Array(EVENT_WORDS);
  private readonly batches: Batch[] = [];

  constructor(
    private readonly unit: { readonly id: number; queueOf(cpu: Cpu): CommandQueue },
    private readonly ring: EventRing,
    private readonly path: FaultPath,
    private readonly environment: UnitDriverEnvironment,
  ) {
    const { scheduler } = environment;
    this.indices = 2 * 2 ** ring.entriesLg2 - 1;
    const pass = new EventPass(this, scheduler);
    this.line = new ThreadedInterrupt(`smmu${unit.id}-evtq`, scheduler, path.cpu, path.interrupt, (thread) => {
      pass.begin(thread);
      return pass;
    });
  }

  interrupted(): void {
    this.line.raise();
  }

  /** EVTQ_PROD reads `value` from now on. */
  produced(value: number): void {
    this.arrived += (value - this.register) & this.indices;
    this.register = value;
  }

  /** What EVTQ_PROD says: a register is read behind all writes to the unit. */
  get producer(): number {
    return this.register;
  }

  /** Charges for reading it. */
  readProducer(thread: Thread): void {
    const { costs, distance } = this.environment;
    thread.charge(Step.Completion, Math.max(costs.mmioRead, distance.flight(thread, this.unit.id)));
  }

  /** Whether there are records before the producer index. */
  behind(producer: number): boolean {
    return ((producer ^ this.consumer) & this.indices) !== 0;
  }

  overflown(producer: number): boolean {
    return ((producer ^ this.consumer) & OVERFLOW_FLAG) !== 0;
  }

  /** Takes the next record out, and charges for that and for giving its place back; `writeConsumer` must follow. */
  take(thread: Thread): void {
    const { environment, ring, record, words, indices, memoryLine: line } = this;
    const { memory, costs } = environment;
    const address = ring.base + ((this.consumer & (indices >>> 1)) << EVENT_LG2);
    // Two records share a line.
    memory.readLine(Math.floor(address / 2 ** 32), address | 0, line);
    const from = (address & 63) >>> 2;
    for (let i = 0; i < EVENT_WORDS; i++) words[i] = line[from + i]!;
    decodeEvent(words, record);
    thread.charge(Step.Descriptor, costs.pollWord);
    this.consumer = (this.consumer & OVERFLOW_FLAG) | ((this.consumer + 1) & indices);
    this.fault = record.stall ? this.faultOf(record) : null;
    thread.charge(Step.Doorbell, costs.mmioWrite);
  }

  /** Charges for acknowledging an overflow; `writeConsumer` must follow. */
  acknowledge(thread: Thread, producer: number): void {
    this.consumer = (this.consumer & this.indices) | (producer & OVERFLOW_FLAG);
    thread.charge(Step.Doorbell, this.environment.costs.mmioWrite);
  }

  writeConsumer(thread: Thread): void {
    const { registers, distance } = this.environment;
    const { id } = this.unit;
    registers.write(id, PAGE_1 + Register.EventQueueConsumer, 0, this.consumer, distance.flight(thread, id));
  }

  /** Reports the record taken last. */
  report(thread: Thread): Call<void> {
    const { fault, record, path } = this;
    if (fault !== null) return path.queue.report(thread, this.deviceOf(record.sid), fault);
    path.queue.statistics.errors++;
    return NOTHING;
  }

  /** A record has been dealt with. */
  recordDone(): void {
    this.handled++;
    if (this.drains.length > 0) this.release();
  }

  private deviceOf(sid: number): FaultDevice {
    const device = this.path.deviceOf(sid);
    if (device === null) throw new Error(`unit ${this.unit.id}: stream ${sid} stalls, but nobody asked it to`);
    return device;
  }

  private faultOf(r: EventRecord): PageFault {
    const { path, line } = this;
    const { queue, stalls } = path;
    const fault = queue.fault();
    fault.pasid = r.ssid;
    fault.address = (r.inputHi >>> 0) * 2 ** 32 + (r.inputLo >>> 0);
    fault.access = r.execute ? Access.Execute : r.read ? Access.Read : Access.Write;
    fault.privileged = r.privileged;
    fault.group = r.tag;
    fault.last = true;
    if (stalls === null) fault.arrive(this.environment.scheduler.now());
    else {
      fault.arrive(stalls.faultedAt(r.tag));
      fault.charge(FaultStage.Device, stalls.recordedAt(r.tag));
      fault.owner = queue;
      stalls.follow(r.tag, fault);
    }
    fault.charge(FaultStage.Interrupt, line.handledAt);
    fault.charge(FaultStage.Wake, line.startedAt);
    return fault;
  }

  private release(): void {
    for (let i = 0; i < this.drains.length; i++) {
      const drain = this.drains[i]!;
      if (drain.until > this.handled) continue;
      this.drains.splice(i--, 1);
      this.environment.scheduler.wakeUp(drain.thread);
    }
  }

  respond(thread: Thread, device: Endpoint, _pasid: number, group: number, code: PageResponse): Call<void> {
    const batch = this.batches.pop() ?? new Batch();
    const response = code === PageResponse.Success ? Resume.Retry : Resume.Abort;
    encodeResume(batch.words, batch.next(), device.requester, group, response);
    return this.unit.queueOf(thread.cpu).submit(thread, batch, false, this.batches);
  }

  *drainQueue(thread: Thread): Call<void> {
    if (thread.debt !== 0 && !this.environment.scheduler.passes(thread)) yield Wait.Run;
    if (this.handled >= this.arrived) return;
    this.drains.push({ thread, until: this.arrived });
    this.environment.scheduler.sleep(thread, Step.Completion);
    yield Wait.Block;
  }

  /** A CMD_SYNC: every CMD_RESUME before it has been consumed. */
  *drainHardware(thread: Thread): Call<void> {
    const batch = this.batches.pop() ?? new Batch();
    yield* this.unit.queueOf(thread.cpu).submit(thread, batch, true, this.batches);
    if (thread.debt !== 0 && !this.environment.scheduler.passes(thread)) yield Wait.Run;
  }
}
