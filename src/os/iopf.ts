/**
 * Recoverable I/O page faults, what all architectures share (drivers/iommu/io-pgfault.c): collects page request groups, hands complete ones
 * to the handler of the domain on a workqueue, gives each exactly one answer. One queue serves the devices of an IOMMU. A driver reads its
 * hardware's queue in a threaded interrupt and calls `report` for each request. Where this differs from the kernel: a request
 * that nobody handles is answered only if it is the last of its group, and partial groups go when their PASID is drained.
 * Not modelled: allocation failures.
 */
import { Histogram } from '../stats/histogram.js';
import { FaultDevice, type FaultEndpoint, type PageResponder } from './fault-device.js';
import { FaultReport } from './fault-report.js';
import { GroupResponse } from './group-response.js';
import { LockStatistics } from './lock.js';
import {
  FAULT_STAGES,
  FaultGroup,
  type FaultOwner,
  FaultStage,
  type GroupQueue,
  PageFault,
  PageResponse,
} from './page-fault.js';
import type { SemaphoreUse } from './rw-semaphore.js';
import type { Scheduler } from './scheduler.js';
import { type Call, NOTHING, type Thread, Wait } from './thread.js';
import type { Workqueue } from './workqueue.js';

export interface FaultCosts {
  /** iommu_report_device_fault for one request: finding the domain, keeping the request or making the group. */
  readonly report: number;
  /** Uncontended acquire and release of the device's lock, and handing it over to a thread that spins for it. */
  readonly lock: number;
  readonly handOver: number;
}

/** Step of a worker's or interrupt thread's ledger, if it has one. */
const STEP = 0;

export class FaultStatistics {
  /** By `FaultStage`, and the whole, of answered requests; ps. */
  readonly stages: readonly Histogram[] = FAULT_STAGES.map(() => new Histogram());
  readonly total = new Histogram();
  readonly locks = new LockStatistics();
  /** Requests reported; groups answered, by code. */
  reported = 0;
  success = 0;
  invalid = 0;
  failure = 0;
  /** Faults that are errors: the unit has ended the transaction. */
  errors = 0;
  /** Requests that no domain takes. */
  unhandled = 0;
  /** Requests thrown away before their group was complete. */
  discarded = 0;

  count(code: PageResponse): void {
    if (code === PageResponse.Success) this.success++;
    else if (code === PageResponse.Invalid) this.invalid++;
    else this.failure++;
  }

  reset(): void {
    for (const histogram of [...this.stages, this.total]) histogram.reset();
    this.locks.reset();
    this.reported = this.success = this.invalid = this.failure = this.errors = this.unhandled = this.discarded = 0;
  }
}

export class FaultQueue implements GroupQueue, FaultOwner {
  private readonly devices: FaultDevice[] = [];
  private readonly unused: PageFault[] = [];
  /** For whoever takes a device's lock. */
  readonly lockUse: SemaphoreUse;
  /** Records of calls that are over. */
  private readonly idleReports: FaultReport[] = [];
  private readonly idleResponses: GroupResponse[] = [];

  constructor(
    private readonly scheduler: Scheduler,
    readonly workqueue: Workqueue,
    private readonly costs: FaultCosts,
    readonly statistics: FaultStatistics = new FaultStatistics(),
  ) {
    const { handOver } = costs;
    this.lockUse = { scheduler, costs, steps: { lock: STEP, wait: STEP }, statistics: this.statistics.locks, handOver };
  }

  /** iopf_queue_add_device. */
  add(endpoint: FaultEndpoint, responder: PageResponder): FaultDevice {
    const device = new FaultDevice(endpoint, responder);
    this.devices.push(device);
    return device;
  }

  /** iopf_queue_remove_device: partial groups go without an answer, complete ones are answered Invalid. */
  *remove(thread: Thread, device: FaultDevice): Call<void> {
    this.discard(device, () => true);
    yield* this.lock(thread, device);
    for (const group of [...device.pending]) {
      yield* this.send(thread, group, PageResponse.Invalid);
      if (thread.debt !== 0 && !this.scheduler.passes(thread)) yield Wait.Run;
      this.sent(group, PageResponse.Invalid);
    }
    yield* this.unlock(thread, device);
    this.devices.splice(this.devices.indexOf(device), 1);
  }

  /** A request to fill in, for `report`. */
  fault(): PageFault {
    const fault = this.unused.pop() ?? new PageFault();
    fault.owner = null;
    fault.abandoned = false;
    return fault;
  }

  /**
   * iommu_report_device_fault: takes the request over. Its arrival must have been noted (`PageFault.arrive`), and what the driver knows of
   * its way since (stages Interrupt and Wake). Returns when the request is kept, its group queued or, where nobody handles it, answered.
   */
  report(thread: Thread, device: FaultDevice, fault: PageFault): Call<void> {
    this.statistics.reported++;
    thread.charge(STEP, this.costs.report);
    const report = this.idleReports.pop() ?? new FaultReport(this, this.scheduler);
    report.begin(thread, device, fault);
    return report;
  }

  /** The request is there, after the time of its report. Returns what is left to do. */
  take(thread: Thread, device: FaultDevice, fault: PageFault): Call<void> {
    fault.charge(FaultStage.Queue, this.scheduler.now());
    const handler = device.endpoint.domainOf(fault.pasid)?.faultHandler ?? null;
    if (handler === null) return this.refuse(thread, device, fault);
    if (!fault.last) {
      device.partial.push(fault);
      return NOTHING;
    }
    const group = new FaultGroup(this, device, fault.pasid, fault.group, handler, this.complete(device, fault));
    this.charge(group, FaultStage.Group);
    device.pending.push(group);
    return handler.accept(thread, group) ? NOTHING : this.respond(thread, group, PageResponse.Failure);
  }

  reported(report: FaultReport): void {
    this.idleReports.push(report);
  }

  /** iopf_group_response: answers a group, unless the removal of its device has done so, and lets its requests go. */
  respond(thread: Thread, group: FaultGroup, code: PageResponse): Call<void> {
    const response = this.idleResponses.pop() ?? new GroupResponse(this, this.scheduler);
    response.begin(thread, group, code);
    return response;
  }

  /** The driver sends the answer; `sent` must follow. The caller holds the device's lock. */
  send(thread: Thread, group: FaultGroup, code: PageResponse): Call<void> {
    const { responder, endpoint } = group.device;
    group.pending = false;
    return responder.respond(thread, endpoint, group.pasid, group.index, code);
  }

  sent(group: FaultGroup, code: PageResponse): void {
    remove(group.device.pending, group);
    this.statistics.count(code);
    for (const fault of group.untold) this.finish(fault);
  }

  responded(response: GroupResponse, group: FaultGroup): void {
    for (const fault of group.untold) this.unused.push(fault);
    this.idleResponses.push(response);
  }

  /** The transaction of an answered fault goes on. */
  ended(fault: PageFault, resumedAt: number, now: number): void {
    if (fault.abandoned) {
      this.unused.push(fault);
      return;
    }
    fault.charge(FaultStage.Response, resumedAt);
    fault.charge(FaultStage.Retry, now);
    this.account(fault, now);
    this.unused.push(fault);
  }

  charge(group: FaultGroup, stage: FaultStage): void {
    const now = this.scheduler.now();
    for (const fault of group.faults) fault.charge(stage, now);
  }

  /** iopf_queue_discard_partial, after an overflow of the hardware's queue: the last requests of these groups may have been lost. */
  discardPartial(): void {
    for (const device of this.devices) this.discard(device, () => true);
  }

  /**
   * Returns when every request of the PASID that had arrived has been answered, and nothing of it is in flight (intel_iommu_drain_pasid_prq).
   * The device must have been stopped, and the PASID detached: requests that come all the same are refused.
   */
  *drain(thread: Thread, device: FaultDevice, pasid: number): Call<void> {
    const { endpoint, responder } = device;
    yield* responder.drainQueue(thread, endpoint, pasid);
    yield* this.workqueue.flush(thread);
    this.discard(device, (fault) => fault.pasid === pasid);
    yield* responder.drainHardware(thread, endpoint, pasid);
  }

  /** The last request of a group, and those that came before it: they share its index, whatever their PASID. */
  private complete({ partial }: FaultDevice, last: PageFault): readonly PageFault[] {
    if (partial.length === 0) return [last];
    const faults: PageFault[] = [];
    let kept = 0;
    for (const fault of partial) {
      if (fault.group === last.group) faults.push(fault);
      else partial[kept++] = fault;
    }
    partial.length = kept;
    faults.push(last);
    return faults;
  }

  /** Nobody handles requests with this PASID, or without one. */
  private *refuse(thread: Thread, device: FaultDevice, fault: PageFault): Call<void> {
    this.statistics.unhandled++;
    const told = fault.owner !== null;
    if (fault.last) {
      this.discard(device, (other) => other.group === fault.group);
      yield* this.lock(thread, device);
      const { pasid, group } = fault;
      yield* device.responder.respond(thread, device.endpoint, pasid, group, PageResponse.Invalid);
      if (thread.debt !== 0 && !this.scheduler.passes(thread)) yield Wait.Run;
      this.statistics.count(PageResponse.Invalid);
      if (!told) this.finish(fault);
      yield* this.unlock(thread, device);
      if (told) return;
    }
    this.drop(fault);
  }

  private finish(fault: PageFault): void {
    const now = this.scheduler.now();
    fault.charge(FaultStage.Response, now);
    this.account(fault, now);
  }

  private account(fault: PageFault, now: number): void {
    const { stages, total } = this.statistics;
    total.add(fault.latency(now));
    for (let stage = 0; stage < FaultStage.Count; stage++) stages[stage]!.add(fault.spent(stage));
  }

  private discard(device: FaultDevice, which: (fault: PageFault) => boolean): void {
    const { partial } = device;
    let kept = 0;
    for (const fault of partial) {
      if (which(fault)) this.drop(fault);
      else partial[kept++] = fault;
    }
    this.statistics.discarded += partial.length - kept;
    partial.length = kept;
  }

  /** A request goes without an answer of its own. */
  private drop(fault: PageFault): void {
    if (fault.owner === null) this.unused.push(fault);
    else fault.abandoned = true;
  }

  private *lock(thread: Thread, device: FaultDevice): Call<void> {
    if (thread.debt !== 0 && !this.scheduler.passes(thread)) yield Wait.Run;
    if (!device.lock.write(thread, this.lockUse)) yield Wait.Block;
  }

  private *unlock(thread: Thread, device: FaultDevice): Call<void> {
    if (thread.debt !== 0 && !this.scheduler.passes(thread)) yield Wait.Run;
    device.lock.releaseWrite(thread, this.lockUse);
  }
}

/** Takes an item out; the others stay in order. */
function remove<T>(items: T[], item: T): void {
  for (let i = items.indexOf(item) + 1; i < items.length; i++) items[i - 1] = items[i]!;
  items.pop();
}
