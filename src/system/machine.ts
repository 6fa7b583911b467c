/**
 * The only place where parts are wired together: from a point's specification to sockets, memory, IOMMU units, root ports, links,
 * devices, the operating system and its jobs. Parts are numbered in the order of their names, so that the order of keys in a
 * workload file does not matter.
 */
import { Accelerator } from '../devices/accelerator.js';
import { Engine } from '../devices/engine.js';
import { registerAccelerator, registerEngine } from '../devices/metrics.js';
import type { AcceleratorSpec } from '../devices/spec.js';
import { registerUnit } from '../iommu/metrics.js';
import { registerPageRequests } from '../iommu/page-request-metrics.js';
import { Event } from '../kernel/event.js';
import { Kernel } from '../kernel/kernel.js';
import { Meter } from '../kernel/meter.js';
import { ArrayLoan } from '../memory/array-store.js';
import { FrameAllocator } from '../memory/frames.js';
import { PhysicalMemory } from '../memory/physical.js';
import { MemorySystem } from '../memory/system.js';
import { type MakeDriver, Os } from '../os/os.js';
import { Atc } from '../pcie/atc.js';
import { registerAtc } from '../pcie/ats-metrics.js';
import { Pri } from '../pcie/pri.js';
import { registerPri } from '../pcie/pri-metrics.js';
import { Link, type LinkClient } from '../pcie/link.js';
import { Portal } from '../pcie/portal.js';
import { RootPort } from '../pcie/root-port.js';
import type { Access } from '../protocol/access.js';
import { ITAGS } from '../protocol/ats.js';
import { Op } from '../protocol/op.js';
import { TransactionPool } from '../protocol/pool.js';
import type { Portals, WorkClient, WorkDescriptor, WorkQueueConfig } from '../protocol/portal.js';
import type { DeviceClient, DeviceQueue, DmaStatus } from '../protocol/queue.js';
import { CAUSES, CAUSES_WITHOUT_ATS } from '../protocol/tlp.js';
import { LatencyLedger } from '../stats/latency-ledger.js';
import { Registry } from '../stats/registry.js';
import type { DeviceSpec, PointSpec } from '../workload/spec.js';
import { Audit } from './audit.js';
import { Dispatcher } from './dispatch.js';
import { allMetrics } from './metrics.js';
import { PageLog } from './page-log.js';
import { RegisterFabric } from './registers.js';
import { type BuiltUnit, buildUnit, translates } from './unit.js';
import { Work } from './work.js';

export interface MachineOptions {
  readonly everyEvent: boolean;
  readonly audit: boolean;
  /** Tests replace a driver by a broken one. */
  readonly makeDriver?: MakeDriver;
}

/** TLP records of a device beyond its tags: posted writes between the device and memory. */
const POSTED_IN_FLIGHT = 256;

const entriesOf = <T>(record: Readonly<Record<string, T>>): [string, T][] =>
  Object.entries(record).sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0));

const poolSize = (device: DeviceSpec): number => device.link.tags + POSTED_IN_FLIGHT;

/** Ledger slots of translation requests and of invalidations. */
const requestSlots = ({ ats }: DeviceSpec): number => (ats.enabled ? ats.outstanding + ITAGS : 0);

function wakeOf(device: number): Event {
  const event = new Event();
  event.unit = device;
  return event;
}

/** Software's tags lie below. */
const ACCELERATOR_TAGS = 2 ** 30;

export class Machine implements DeviceQueue, DeviceClient, Portals {
  readonly meter = new Meter();
  readonly kernel = new Kernel(Op.Relay, this.meter);
  readonly registry = new Registry();
  readonly physical: PhysicalMemory;
  readonly memory: MemorySystem;
  readonly units: readonly BuiltUnit[];
  private readonly unitNames: readonly string[];
  readonly engines: readonly Engine[];
  readonly links: readonly Link[];
  readonly atcs: readonly (Atc | null)[];
  readonly pris: readonly (Pri | null)[];
  /** By unit: a device asks it for pages. */
  private readonly asksPages: readonly boolean[];
  private readonly accelerators: readonly (Accelerator | null)[];
  private readonly portals: readonly (Portal | null)[];
  readonly os: Os;
  readonly audit: Audit | null;
  readonly dispatcher: Dispatcher;

  private readonly frames: readonly FrameAllocator[];
  private readonly ledger: LatencyLedger;
  private readonly ports: readonly RootPort[];
  private readonly deviceNames: readonly string[];
  private readonly work: Work;
  /** Latency of operations that a driver reports: count, sum in ps. */
  private readonly reported = new Float64Array(2);
  private windowStart = 0;

  constructor(spec: PointSpec, options: MachineOptions, arrays: ArrayLoan = new ArrayLoan()) {
    const { machine, seed } = spec;
    const physical = new PhysicalMemory(arrays);
    this.physical = physical;
    const { kernel, meter } = this;
    kernel.everyEvent = options.everyEvent;
    this.audit = options.audit ? new Audit() : null;
    const { sockets, interconnect, hostCache } = machine;
    this.memory = new MemorySystem({ sockets, interconnect, hostCache }, kernel.clock, arrays);
    const memory = this.memory;
    this.frames = memory.socketNames.map(
      (_, socket) => new FrameAllocator(memory.baseOf(socket), memory.sizeOf(socket)),
    );

    const devices = entriesOf(spec.devices);
    this.deviceNames = devices.map(([name]) => name);
    const slots = devices.reduce((sum, [, device]) => sum + poolSize(device) + requestSlots(device), 0);
    const withAts = devices.filter(([, { ats }]) => ats.enabled).length;
    // Translation requests are counted in groups of their own, after those of the devices.
    const causes = withAts > 0 ? CAUSES : CAUSES_WITHOUT_ATS;
    this.ledger = new LatencyLedger(slots, causes, devices.length + withAts);
    const fabric = new RegisterFabric(kernel);
    const surroundings = {
      kernel,
      memory,
      physical,
      ledger: this.ledger,
      seed,
      frames: this.frames,
      recycle: (event: Parameters<RegisterFabric['recycle']>[0]) => fabric.recycle(event),
    };
    const unitSpecs = entriesOf(machine.iommus).filter(([, unit]) => translates(unit));
    this.unitNames = unitSpecs.map(([name]) => name);
    this.units = unitSpecs.map(([name, unit], index) => buildUnit(name, index, unit, surroundings));

    const unitOf = (device: DeviceSpec): number => {
      const { iommu } = machine.ports[device.port]!;
      return iommu === null ? -1 : this.unitNames.indexOf(iommu);
    };
    let firstId = 0;
    const firstTlps = new Int32Array(devices.length);
    this.engines = devices.map(([, device], index) => {
      firstTlps[index] = firstId;
      const pool = new TransactionPool(poolSize(device), firstId);
      firstId += pool.size;
      return new Engine(kernel, index, device.engine, device.link, pool, this.ledger, meter);
    });
    this.links = devices.map(([, device], index) => {
      const port = machine.ports[device.port]!;
      const client: LinkClient = device.ats.enabled
        ? { wake: wakeOf(index), credit: Op.AtcCredit, done: Op.AtcDone }
        : { wake: this.engines[index]!.credit, credit: Op.DeviceCredit, done: Op.DeviceDone };
      return new Link(kernel, index, device.link, port, this.ledger, client);
    });
    let group = devices.length;
    const firstSlots = new Int32Array(devices.length);
    this.atcs = devices.map(([name, device], index) => {
      const { ats } = device;
      if (!ats.enabled) return null;
      const firstSlot = firstId;
      firstSlots[index] = firstSlot;
      firstId += requestSlots(device);
      const slots = { firstSlot, firstTlp: firstTlps[index]!, tlps: poolSize(device) };
      const { ledger } = this;
      return new Atc(index, ats, {
        kernel,
        link: this.links[index]!,
        device: this.engines[index]!,
        ledger,
        ...slots,
        group: group++,
        seed,
        name,
      });
    });
    this.ports = devices.map(([, device], index) => {
      const port = machine.ports[device.port]!;
      const unit = unitOf(device);
      return new RootPort(
        kernel,
        memory.indexOf(port.socket),
        memory,
        this.links[index]!,
        this.ledger,
        device.engine.readOverhead,
        unit < 0 ? null : device.ats.enabled ? this.units[unit]!.unit.addAgent() : this.units[unit]!.unit,
      );
    });
    const requesters = Int32Array.from(devices, ([, device]) => device.requester);
    for (const { unit, hardware } of this.units) {
      unit.connect(this.ports, requesters, this.audit);
      hardware.pages?.connect(this.ports);
    }
    this.pris = devices.map(([, { ats }], index) => {
      const atc = this.atcs[index]!;
      if (atc === null || !ats.pri.enabled) return null;
      const pri = new Pri(kernel, index, ats.pri, this.links[index]!, atc);
      atc.pages = pri;
      this.ports[index]!.observer = this.audit;
      this.ports[index]!.pages = this.units[unitOf(devices[index]![1])]!.hardware.pages!;
      return pri;
    });
    const pageLogs: (PageLog | null)[] = this.units.map(({ hardware }, unit) => {
      const pris = devices.flatMap(([, device], i): [number, Pri][] => {
        const pri = this.pris[i]!;
        return pri === null || unitOf(device) !== unit ? [] : [[device.requester, pri]];
      });
      return pris.length === 0 ? null : new PageLog(hardware.pages!, new Map(pris));
    });
    this.asksPages = pageLogs.map((log) => log !== null);
    devices.forEach(([, { ats, port }], index) => {
      if (!ats.enabled) return;
      const unit = this.units[this.unitNames.indexOf(machine.ports[port]!.iommu!)]!;
      // The slots after those of translation requests.
      const firstSlot = firstSlots[index]! + ats.outstanding;
      unit.unit.agent!.add({ device: index, port: this.ports[index]!, firstSlot });
    });

    this.os = new Os(
      spec.os,
      {
        kernel,
        memory: physical,
        timing: memory,
        sockets: memory.socketNames.map((name, socket) => {
          const { cores, frequency } = sockets[name]!;
          return { name, cores, frequency, frames: this.frames[socket]! };
        }),
        units: unitSpecs.map(([, unit], index) => ({
          spec: unit,
          socket: memory.indexOf(unit.socket),
          stalls: this.units[index]!.hardware.stallLog ?? null,
          pages: pageLogs[index]!,
          deviceWait: this.units[index]!.hardware.deviceWait ?? null,
        })),
        devices: devices.map(([name, device]) => ({
          name,
          unit: unitOf(device),
          requester: device.requester,
          ats: device.ats.enabled ? { queueDepth: device.ats.queueDepth, pageRequests: device.ats.pri.enabled } : null,
        })),
        registers: fabric,
        queue: this,
        portals: this,
        observer: this.audit,
        sink: {
          operationDone: (_job, latencyPs) => {
            this.reported[0]!++;
            this.reported[1]! += latencyPs;
            meter.count();
          },
        },
        seed,
      },
      ...(options.makeDriver === undefined ? [] : ([options.makeDriver] as const)),
    );
    for (const { hardware } of this.units) {
      hardware.connect(this.os);
      hardware.commands.asked = this.os.asked;
    }
    const { deviceNames, engines, os, frames } = this;
    this.work = new Work({ spec, deviceNames, engines, os, memory, physical, frames });
    this.accelerators = devices.map(([name, { accelerator }], index) =>
      accelerator === null ? null : this.buildAccelerator(name, index, accelerator),
    );
    this.portals = this.accelerators.map((accelerator, index) =>
      accelerator === null ? null : new Portal(kernel, index, this.links[index]!, accelerator),
    );
    this.engines.forEach((engine, index) => {
      const client = this.accelerators[index] === null ? this.os : this;
      engine.connect(this.atcs[index] ?? this.links[index]!, client);
    });

    this.work.addJobs(entriesOf(spec.workload));
    this.registerMetrics();
    this.dispatcher = new Dispatcher({
      kernel,
      meter,
      engines: this.engines,
      links: this.links,
      atcs: this.atcs,
      pris: this.pris,
      ports: this.ports,
      units: this.units.map(({ unit }) => unit),
      hardware: this.units.map(({ hardware }) => hardware),
      os: this.os,
      portals: this.portals,
      accelerators: this.accelerators,
    });
  }

  /** Its DMAs go through the engine of its device, whose other posted work is software's. */
  private buildAccelerator(name: string, device: number, spec: AcceleratorSpec): Accelerator {
    this.work.accept(device, name);
    return new Accelerator(this.kernel, device, spec, ACCELERATOR_TAGS, (tag, hi, lo, bytes, access, pasid) => {
      this.post(device, tag, hi, lo, bytes, access, pasid);
    });
  }

  post(device: number, tag: number, hi: number, lo: number, bytes: number, access: Access, pasid = -1): void {
    this.work.posted[device]!.post(hi, lo, bytes, access, tag, pasid);
    this.engines[device]!.pump();
  }

  configure(device: number, config: WorkQueueConfig, client: WorkClient): number {
    return this.accelerators[device]!.configure(config, client);
  }

  submit(device: number, queue: number, tag: number, descriptor: WorkDescriptor, flightPs: number): void {
    this.portals[device]!.submit(queue, tag, descriptor, flightPs);
  }

  /** A DMA of a device with an accelerator is done: one of the accelerator's own, or one that software has posted. */
  completed(device: number, tag: number, status: DmaStatus): void {
    const accelerator = this.accelerators[device]!;
    if (accelerator.owns(tag)) accelerator.completed(tag, status);
    else this.os.completed(device, tag, status);
  }

  private registerMetrics(): void {
    const { registry } = this;
    registry.define(allMetrics());
    registry.gauge('run', 'run.operations', () => this.meter.total);
    registry.gauge('run', 'run.operations_per_second', (now) =>
      now > this.windowStart ? (this.meter.total * 1e12) / (now - this.windowStart) : 0,
    );
    registry.gauge('run', 'run.window', (now) => (now - this.windowStart) / 1000);
    this.engines.forEach((engine, index) => {
      const name = this.deviceNames[index]!;
      registerEngine(registry, name, engine, this.ledger);
      this.links[index]!.registerMetrics(registry, name);
      const atc = this.atcs[index]!;
      if (atc !== null) registerAtc(registry, name, atc, this.ledger);
      const pri = this.pris[index]!;
      if (pri !== null) registerPri(registry, name, pri);
      const accelerator = this.accelerators[index]!;
      if (accelerator !== null) registerAccelerator(registry, name, accelerator);
    });
    this.units.forEach(({ unit, hardware }, index) => {
      registerUnit(registry, this.unitNames[index]!, unit, hardware);
      if (this.asksPages[index]!) registerPageRequests(registry, this.unitNames[index]!, hardware.pages!);
    });
    this.memory.registerMetrics(registry);
    this.os.registerMetrics(registry);
    this.audit?.registerMetrics(registry);
    registry.onReset((now) => {
      this.windowStart = now;
      this.ledger.reset();
      this.meter.total = 0;
    });
  }

  /** Starts all work at time 0. */
  start(): void {
    this.os.start();
    for (const engine of this.engines) engine.begin(this.kernel.clock[0]!);
  }

  /** Latency of all operations of the window: count and sum in ps. */
  operationLatency(): { count: number; sum: number } {
    let [count, sum] = [this.reported[0]!, this.reported[1]!];
    for (const [i, engine] of this.engines.entries()) {
      if (this.work.posted[i] !== null) continue;
      count += engine.readLatency.count + engine.writeLatency.count;
      sum += engine.readLatency.sum + engine.writeLatency.sum;
    }
    return { count, sum };
  }

  /** Lines that jobs want to show, after what the run did otherwise than asked. */
  text(): string[] {
    const window = this.kernel.clock[0]! - this.windowStart;
    const strict = this.os
      .strictUnits()
      .map(
        (unit) => `${this.unitNames[unit]}: Linux does not defer invalidations on this architecture: strict, not lazy`,
      );
    const reports = this.work.benchmarks.flatMap((job) => this.os.benchmarkReport(job, window) ?? []);
    return [...strict, ...reports, ...this.os.faultReport()];
  }

  /** The run is over: last checks of the audit. */
  close(): void {
    this.audit?.closed();
  }
}
