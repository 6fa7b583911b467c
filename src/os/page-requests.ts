/**
 * What the drivers of all architectures have in common for page requests: the thread that reads a unit's queue, and the fault that it makes of a
 * request for `FaultQueue.report`, with what is known of its way so far.
 */
import type { Access } from '../protocol/access.js';
import { PageRequestBit } from '../protocol/page-request.js';
import type { PageResponder } from './fault-device.js';
import type { Endpoint, FaultPath } from './iommu-driver.js';
import { ThreadedInterrupt } from './interrupt.js';
import { FaultStage, type PageFault, PageResponse } from './page-fault.js';
import { Step } from './step.js';
import { RequestPass } from './request-pass.js';
import { RegisterAccess } from './register-access.js';
import { type Call, NOTHING, type Thread, Wait } from './thread.js';
import type { UnitDriverEnvironment } from './unit-environment.js';

/** A page request as the queues of all architectures hold it. */
export interface QueuedRequest {
  /** -1: none. */
  readonly pasid: number;
  /** `PageRequestBit` bits. */
  readonly bits: number;
  readonly group: number;
  readonly addressHi: number;
  readonly addressLo: number;
}

/** `slot`: of its record in the queue. */
export function pageFaultOf(
  { queue, pages }: FaultPath,
  line: ThreadedInterrupt,
  requester: number,
  { pasid, bits, group, addressHi, addressLo }: QueuedRequest,
  slot: number,
): PageFault {
  const fault = queue.fault();
  fault.pasid = pasid;
  fault.address = (addressHi >>> 0) * 2 ** 32 + (addressLo >>> 0);
  fault.access = (bits & PageRequestBit.Access) as Access;
  fault.privileged = (bits & PageRequestBit.Privileged) !== 0;
  fault.group = group;
  fault.last = (bits & PageRequestBit.Last) !== 0;
  if (pages === null) fault.arrive(line.handledAt);
  else {
    const recorded = pages.recordedAt(slot);
    const asked = pages.askedAt(requester, group, addressHi, addressLo);
    // Hardware has answered a group that it lost the end of: nobody waits for this request.
    if (Number.isNaN(asked)) fault.arrive(recorded);
    else {
      fault.arrive(asked);
      fault.charge(FaultStage.Device, recorded);
      fault.owner = queue;
      pages.follow(requester, group, addressHi, addressLo, fault);
    }
  }
  fault.charge(FaultStage.Interrupt, line.handledAt);
  fault.charge(FaultStage.Wake, line.startedAt);
  return fault;
}

/** A request, and whose it is. */
export interface SourcedRequest extends QueuedRequest {
  /** Requester id. */
  readonly source: number;
}

/**
 * The thread behind a unit's page request queue, what the drivers of all architectures have in common: takes records out of the ring,
 * reports them, answers illegal ones, and lets those wait who drain a PASID. Positions count records modulo `positions`, a multiple of the ring.
 */
export abstract class PageRequestReader implements PageResponder {
  readonly line: ThreadedInterrupt;
  /** First record that has not been handled. */
  protected head = 0;
  /** Records handled since the beginning. */
  private handled = 0;
  private readonly waiting: Thread[] = [];
  /** A pass ends with an empty ring: hardware interrupts when it has been empty. */
  readonly untilEmpty: boolean = false;
  /** The record taken last is being reported. */
  reporting = false;
  private readonly registers: RegisterAccess;
  private readonly memoryLine = new Int32Array(16);

  constructor(
    name: string,
    unit: number,
    protected readonly slots: number,
    private readonly positions: number,
    protected readonly path: FaultPath,
    protected readonly environment: UnitDriverEnvironment,
  ) {
    const { scheduler } = environment;
    this.registers = new RegisterAccess(unit, environment);
    const pass = new RequestPass(this, scheduler);
    this.line = new ThreadedInterrupt(name, scheduler, path.cpu, path.interrupt, (thread) => {
      pass.begin(thread);
      return pass;
    });
  }

  /** Before the registers are read: requests that come later interrupt again. */
  abstract acknowledge(thread: Thread): Call<void>;
  /** Reads where the ring ends; then `tail` tells. */
  abstract readTail(thread: Thread): Call<void>;
  abstract get tail(): number;
  protected abstract decode(slot: number): SourcedRequest;
  /** Gives records before `position` back to hardware: called after each, and with `end` after the last of a pass. */
  protected abstract release(thread: Thread, position: number, end: boolean): Call<void>;
  /** The end of a pass: deals with an overflow. */
  abstract recover(thread: Thread): Call<void>;
  protected abstract answer(
    thread: Thread,
    source: number,
    pasid: number,
    group: number,
    code: PageResponse,
  ): Call<void>;
  abstract drainHardware(thread: Thread, device: Endpoint, pasid: number): Call<void>;
  /** Whether the driver hands the request on. */
  protected abstract isLegal(request: SourcedRequest): boolean;

  /** No record is left before `tail`. */
  reached(tail: number): boolean {
    return this.head === tail;
  }

  /** Takes the next record out. Returns what is left to do; `releaseOne` must follow. */
  take(thread: Thread): Call<void> {
    const { path, environment, line } = this;
    const slot = this.head % this.slots;
    const request = this.decode(slot);
    thread.charge(Step.Descriptor, environment.costs.pollWord);
    this.reporting = false;
    const { bits, source, pasid, group } = request;
    const last = (bits & PageRequestBit.Last) !== 0;
    // A stop marker asks for nothing.
    if (last && (bits & (PageRequestBit.Read | PageRequestBit.Write)) === 0) return NOTHING;
    const device = path.deviceOf(source);
    if (device === null || !this.isLegal(request)) {
      path.queue.statistics.errors++;
      return last ? this.answer(thread, source, pasid, group, PageResponse.Invalid) : NOTHING;
    }
    this.reporting = true;
    return path.queue.report(thread, device, pageFaultOf(path, line, source, request, slot));
  }

  /** The record has been handled. */
  releaseOne(thread: Thread): Call<void> {
    this.head = (this.head + 1) % this.positions;
    this.handled++;
    return this.release(thread, this.head, false);
  }

  /** All of the pass have been. */
  releaseAll(thread: Thread): Call<void> {
    return this.release(thread, this.head, true);
  }

  /** Those go on who look at what was in the ring. */
  wakeWaiting(): void {
    const { waiting } = this;
    for (let waiter = waiting.shift(); waiter !== undefined; waiter = waiting.shift()) {
      this.environment.scheduler.wakeUp(waiter);
    }
  }

  respond(thread: Thread, device: Endpoint, pasid: number, group: number, code: PageResponse): Call<void> {
    return this.answer(thread, device.requester, pasid, group, code);
  }

  /** Looks for requests of the PASID among those that are in the ring now, until there are none. */
  *drainQueue(thread: Thread, device: Endpoint, pasid: number): Call<void> {
    const { environment, positions, slots } = this;
    let end = -1;
    for (;;) {
      yield* this.readTail(thread);
      if (end < 0) end = this.handled + ((this.tail - this.head + positions) % positions);
      let found = false;
      for (let i = 0; i < end - this.handled && !found; i++) {
        const request = this.decode((this.head + i) % slots);
        thread.charge(Step.Descriptor, environment.costs.pollWord);
        found = request.source === device.requester && request.pasid === pasid;
      }
      if (!found) return;
      yield* this.endOfPass(thread);
    }
  }

  protected *endOfPass(thread: Thread): Call<void> {
    if (thread.debt !== 0 && !this.environment.scheduler.passes(thread)) yield Wait.Run;
    this.waiting.push(thread);
    this.environment.scheduler.sleep(thread, Step.Completion);
    yield Wait.Block;
  }

  protected readRegisters(thread: Thread, count: number): Call<void> {
    return this.registers.read(thread, count);
  }

  protected writeRegister(thread: Thread, offset: number, value: number, hi = 0): Call<void> {
    return this.registers.write(thread, offset, hi, value);
  }

  /** Reads the record at `address`, as many dwords as `words` has: records do not cross lines. */
  protected load(address: number, words: Int32Array): void {
    const { memoryLine: line, environment } = this;
    environment.memory.readLine(Math.floor(address / 2 ** 32), address | 0, line);
    const from = (address & 63) >>> 2;
    for (let i = 0; i < words.length; i++) words[i] = line[from + i]!;
  }
}
