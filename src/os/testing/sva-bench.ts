/** A machine for tests of shared virtual addressing: processes, devices of fake units, and a fault queue fed by the test. */
import type { Format } from '../../pagetable/format.js';
import type { PageTable } from '../../pagetable/table.js';
import { Access } from '../../protocol/access.js';
import { Device } from '../device.js';
import { Domain } from '../domain.js';
import type { DomainState, TableRoot } from '../domain-state.js';
import type { FaultDevice, PageResponder } from '../fault-device.js';
import { Group } from '../group.js';
import { type FaultCosts, FaultQueue } from '../iopf.js';
import type { Endpoint, IommuDriver } from '../iommu-driver.js';
import { LockStatistics, SpinLock } from '../lock.js';
import { MmBench, mmSpec } from '../mm/testing/bench.js';
import { type FaultHandler, FaultStage, type PageResponse } from '../page-fault.js';
import type { TurnCosts } from '../scheduler.js';
import { Sva, type SvaCosts, type SvaDevice } from '../sva.js';
import { type Call, type Thread, Wait } from '../thread.js';
import { Workqueue, type WorkqueueCosts } from '../workqueue.js';
import { testCosts } from './costs.js';
import { UNIT } from './machine.js';

export interface Answer {
  readonly device: number;
  readonly pasid: number;
  readonly group: number;
  readonly code: PageResponse;
  readonly at: number;
}

/** Units of one kind: every request of software takes a fixed time. */
export class FakeDriver implements IommuDriver {
  readonly syncsMaps = false;
  readonly log: string[] = [];
  /** By device and PASID: the root that hardware would walk. */
  readonly roots = new Map<string, number>();
  flushes = 0;

  constructor(private readonly time: number) {}

  createTable(): PageTable {
    throw new Error('processes bring their tables');
  }

  apertureBits(): number {
    return 48;
  }

  supportsPasid(): boolean {
    return true;
  }

  reserved(): readonly (readonly [number, number])[] {
    return [];
  }

  attach(domain: DomainState, device: Endpoint, pasid: number): void {
    this.log.push(`attach ${domain.id} ${device.name} ${pasid}`);
    domain.addTag(device.unit, pasid, () => domain.id);
    this.roots.set(`${device.name} ${pasid}`, domain.table!.root);
  }

  *detach(thread: Thread, domain: DomainState, device: Endpoint, pasid: number): Call<void> {
    this.roots.delete(`${device.name} ${pasid}`);
    yield* this.wait(thread);
    this.log.push(`detach ${domain.id} ${device.name} ${pasid}`);
    domain.dropTag(device.unit, pasid);
  }

  *syncMap(): Call<void> {}

  *flushRange(thread: Thread, domain: DomainState, iova: number, bytes: number): Call<void> {
    this.flushes++;
    this.log.push(`flush ${domain.id} ${iova} ${bytes}`);
    yield* this.wait(thread);
  }

  *flushAll(thread: Thread, domain: DomainState): Call<void> {
    this.log.push(`flush ${domain.id} all`);
    yield* this.wait(thread);
  }

  stored(): void {}

  private *wait(thread: Thread): Call<void> {
    thread.charge(0, this.time);
    yield Wait.Run;
  }
}

export interface SvaOptions {
  readonly spec?: Parameters<typeof mmSpec>[0];
  readonly turns?: TurnCosts;
  readonly workers?: number;
  readonly faultCosts?: FaultCosts;
  readonly workCosts?: WorkqueueCosts;
  readonly svaCosts?: SvaCosts;
  /** What a request of the driver and an answer take, ps. */
  readonly driver?: number | FakeDriver;
  readonly response?: number;
  readonly devices?: number;
  readonly maxPasids?: number;
  readonly format?: Format;
  readonly bytes?: number;
}

/** CPUs 0 to 3 are for the test's threads, 4 to 7 for workers. */
export class SvaBench extends MmBench implements PageResponder {
  readonly driver: FakeDriver;
  readonly workqueue: Workqueue;
  readonly queue: FaultQueue;
  readonly sva: Sva;
  readonly devices: readonly SvaDevice[];
  readonly answers: Answer[] = [];
  private readonly response: number;
  private domains = 0;

  constructor(options: SvaOptions = {}) {
    super(mmSpec(options.spec), options.format, options.bytes, options.turns);
    const { scheduler } = this;
    this.response = options.response ?? 0;
    const { driver = 0 } = options;
    this.driver = typeof driver === 'number' ? new FakeDriver(driver) : driver;
    const cpus = scheduler.cpus.slice(4);
    const workCosts = options.workCosts ?? { queueWork: 0, takeWork: 0 };
    this.workqueue = new Workqueue('iopf', scheduler, cpus, options.workers ?? 4, workCosts);
    this.queue = new FaultQueue(scheduler, this.workqueue, options.faultCosts ?? { report: 0, lock: 0, handOver: 0 });
    this.sva = new Sva(scheduler, this.manager, 'x86_64', this, options.svaCosts ?? { bind: 0, unbind: 0, lock: 0 });
    this.devices = Array.from({ length: options.devices ?? 1 }, (_, id) =>
      this.device(id, options.maxPasids ?? 2 ** 20),
    );
  }

  processDomain(driver: IommuDriver, table: TableRoot, faultHandler: FaultHandler): Domain {
    const lock = new SpinLock(this.scheduler, testCosts({}), new LockStatistics());
    const domain = new Domain(this.domains++, 'sva', driver, lock);
    domain.process = table;
    domain.faultHandler = faultHandler;
    return domain;
  }

  faultDevice(id: number): FaultDevice {
    return this.devices[id]!.faults!.device;
  }

  /** Reports a request that has just arrived; `group` is complete with it unless `last` is false. */
  *report(
    thread: Thread,
    id: number,
    pasid: number,
    group: number,
    address: number,
    { access = Access.Read, last = true }: { readonly access?: Access; readonly last?: boolean } = {},
  ): Call<void> {
    const fault = this.queue.fault();
    Object.assign(fault, { pasid, group, address, access, last });
    fault.arrive(this.now);
    fault.charge(FaultStage.Interrupt, this.now);
    yield* this.queue.report(thread, this.faultDevice(id), fault);
  }

  *respond(thread: Thread, { id }: Endpoint, pasid: number, group: number, code: PageResponse): Call<void> {
    thread.charge(0, this.response);
    yield Wait.Run;
    this.answers.push({ device: id, pasid, group, code, at: this.now });
  }

  *drainQueue(thread: Thread): Call<void> {
    if (thread.debt !== 0) yield Wait.Run;
  }

  *drainHardware(thread: Thread, { name }: Endpoint, pasid: number): Call<void> {
    if (thread.debt !== 0) yield Wait.Run;
    this.driver.log.push(`drained ${name} ${pasid}`);
  }

  private device(id: number, maxPasids: number): SvaDevice {
    const device = new Device(id, `dev${id}`, id, 0x100 + id, new Group(id));
    const unit = { ...UNIT, mode: 'scalable', stage: 'first' } as const;
    const faults = { queue: this.queue, device: this.queue.add(device, this) };
    return { device, driver: this.driver, unit, maxPasids, faults };
  }
}
