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
import { type Call, type Thread, Wait } from './thread.js';
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
  protected readonly untilEmpty: boolean = false;

  constructor(
    name: string,
    private readonly unit: number,
    protected readonly slots: number,
    private readonly positions: number,
    protected readonly path: FaultPath,
    protected readonly environment: UnitDriverEnvironment,
  ) {
    const { scheduler } = environment;
    this.line = new ThreadedInterrupt(name, scheduler, path.cpu, path.interrupt, (thread) => this.pass(thread));
  }

  /** Before the registers are read: requests that come later interrupt again. */
  protected abstract acknowledge(thread: Thread): Call<void>;
  /** Reads where the ring ends now. */
  protected abstract tail(thread: Thread): Call<number>;
  protected abstract decode(slot: number): SourcedRequest;
  /** Gives records before `position` back to hardware: called after each, and with `end` after the last of a pass. */
  protected abstract release(thread: Thread, position: number, end: boolean): Call<void>;
  /** The end of a pass: deals with an overflow. */
  protected abstract recover(thread: Thread): Call<void>;
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

  private *pass(thread: Thread): Call<void> {
    yield* this.acknowledge(thread);
    let tail = yield* this.tail(thread);
    for (;;) {
      while (this.head !== tail) {
        yield* this.take(thread, this.head % this.slots);
        this.head = (this.head + 1) % this.positions;
        this.handled++;
        yield* this.release(thread, this.head, false);
      }
      yield* this.release(thread, this.head, true);
      if (!this.untilEmpty) break;
      // A device that goes on asking must not keep those waiting who look at what was there.
      this.wakeWaiting();
      tail = yield* this.tail(thread);
      if (this.head === tail) break;
    }
    yield* this.recover(thread);
    this.wakeWaiting();
  }

  private wakeWaiting(): void {
    const { waiting } = this;
    for (let waiter = waiting.shift(); waiter !== undefined; waiter = waiting.shift()) {
      this.environment.scheduler.wakeUp(waiter);
    }
  }

  private *take(thread: Thread, slot: number): Call<void> {
    const { path, environment, line } = this;
    const request = this.decode(slot);
    thread.charge(Step.Descriptor, environment.costs.pollWord);
    const { bits, source, pasid, group } = request;
    const last = (bits & PageRequestBit.Last) !== 0;
    // A stop marker asks for nothing.
    if (last && (bits & (PageRequestBit.Read | PageRequestBit.Write)) === 0) return;
    const device = path.deviceOf(source);
    if (device === null || !this.isLegal(request)) {
      path.queue.statistics.errors++;
      if (last) yield* this.answer(thread, source, pasid, group, PageResponse.Invalid);
      return;
    }
    yield* path.queue.report(thread, device, pageFaultOf(path, line, source, request, slot));
    if (thread.debt !== 0 && !this.environment.scheduler.passes(thread)) yield Wait.Run;
  }

  respond(thread: Thread, device: Endpoint, pasid: number, group: number, code: PageResponse): Call<void> {
    return this.answer(thread, device.requester, pasid, group, code);
  }

  /** Looks for requests of the PASID among those that are in the ring now, until there are none. */
  *drainQueue(thread: Thread, device: Endpoint, pasid: number): Call<void> {
    const { environment, positions, slots } = this;
    let end = -1;
    for (;;) {
      const tail = yield* this.tail(thread);
      if (end < 0) end = this.handled + ((tail - this.head + positions) % positions);
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

  /** Registers are read behind all writes to the unit. */
  protected *readRegisters(thread: Thread, count: number): Call<void> {
    const { costs, distance } = this.environment;
    thread.charge(Step.Completion, count * Math.max(costs.mmioRead, distance.flight(thread, this.unit)));
    if (!this.environment.scheduler.passes(thread)) yield Wait.Run;
  }

  protected *writeRegister(thread: Thread, offset: number, value: number, hi = 0): Call<void> {
    const { registers, costs, distance } = this.environment;
    thread.charge(Step.Doorbell, costs.mmioWrite);
    if (!this.environment.scheduler.passes(thread)) yield Wait.Run;
    registers.write(this.unit, offset, hi, value, distance.flight(thread, this.unit));
  }

  /** Reads so many dwords of the record at `address` into `words`. */
  protected load(address: number, words: Int32Array): void {
    const { memory } = this.environment;
    const [hi, lo] = [Math.floor(address / 2 ** 32), (address % 2 ** 32) | 0];
    for (let i = 0; i < words.length; i += 2) {
      memory.read(hi, (lo + 4 * i) | 0);
      words[i] = memory.wordLo;
      words[i + 1] = memory.wordHi;
    }
  }
}
