/**
 * One SMMUv3 unit as its driver sees it: tables, command queue, address space and virtual machine identifiers. The constructor enables
 * the unit as Linux does at boot (arm_smmu_device_reset): tables, command queue, removal of everything cached, event queue, translation.
 */
import {
  baseRegister,
  Control0Bit,
  Control2Bit,
  encodeQueueBase,
  encodeStreamRangeInvalidation,
  encodeStreamTableConfig,
  encodeTlbi,
  EVENT_LG2,
  COMMAND_LG2,
  InterruptBit,
  Opcode,
  PAGE_1,
  PAGE_REQUEST_LG2,
  producerRegister,
  queueRegister,
  RANGE_ALL,
  Register,
} from '../../iommu/arch/smmuv3/format.js';
import { queueOfCpu, queuesInUse } from '../dma/strategies/per-cpu-queues.js';
import { identityTable } from '../identity-table.js';
import type { UnitSpec } from '../spec.js';
import type { Cpu } from '../thread.js';
import type { UnitDriverEnvironment, UnitMemory } from '../unit-environment.js';
import { tableFormat, tableOptions } from './formats.js';
import type { FaultPath } from '../iommu-driver.js';
import { EmulatedQueue } from './emulated-queue.js';
import { type EventRing, StallDriver } from './faults.js';
import type { FrameAllocator } from '../../memory/frames.js';
import { log2 } from '../log2.js';
import { PageRequestDriver } from './page-requests.js';
import { HardwareQueue } from './hardware-queue.js';
import { Batch, CommandQueue, type RingLayout } from './queue.js';
import { SmmuTables, STREAM_SPLIT, STREAMS_LG2 } from './tables.js';

const IDS = 2 ** 16;
/** Identifiers are handed out from 1 up; the host's second stage under nested translation takes the first VMID. */
const FIRST_ID = 1;
export const HOST_VMID: number = FIRST_ID;
/** Linux refuses queues that a batch and its CMD_SYNC do not fit (CMDQ_BATCH_ENTRIES). */
const LEAST_LG2 = 7;
const MOST_LG2 = 19;
const PAGE = 4096;

export class Smmuv3Unit {
  readonly tables: SmmuTables;
  /** Where the driver submits invalidations of translations, and where those of configuration: the same but for a virtual hardware queue. */
  private readonly queue: CommandQueue;
  readonly configuration: CommandQueue;
  /** The hardware's queue, which in a virtual machine is the host's. */
  readonly host: CommandQueue;
  /** All queues that hardware executes, the host's first. */
  private readonly queues: readonly CommandQueue[];
  /** Set where CMDQ_CONS of the hardware's queue is polled. */
  private readonly polled: HardwareQueue | null;
  /** The event queue, and whoever reads it; null: nobody does. */
  private readonly events: EventRing;
  faults: StallDriver | null = null;
  /** Whoever reads the PRI queue. */
  pages: PageRequestDriver | null = null;
  private interrupts = 0;
  private readonly frames: FrameAllocator;
  private readonly freeIds: number[] = [];
  private nextId = FIRST_ID;

  /** Throws RangeError for a queue size that does not work. */
  constructor(
    readonly id: number,
    readonly spec: UnitSpec,
    { frames, queueFrames, queueSocket }: UnitMemory,
    private readonly environment: UnitDriverEnvironment,
  ) {
    this.frames = frames;
    const { memory, ranges, registers, monitor } = environment;
    const { sizeLg2 } = spec.invalidation;
    if (sizeLg2 < LEAST_LG2 || sizeLg2 > MOST_LG2) {
      throw new RangeError(`a command queue has 2^${LEAST_LG2} to 2^${MOST_LG2} entries, got 2^${sizeLg2}`);
    }
    const { secondLevels } = spec;
    const host =
      spec.stage === 'nested'
        ? {
            table: identityTable(
              tableFormat(spec, 2),
              memory,
              frames,
              secondLevels,
              ranges,
              Math.max(spec.largestPage, spec.granule),
              tableOptions(spec, 2, secondLevels),
            ),
            vmid: HOST_VMID,
          }
        : null;
    this.tables = new SmmuTables(spec, memory, frames, host);
    const ringBytes = Math.max(2 ** (sizeLg2 + COMMAND_LG2), PAGE);
    const slots = 1 << sizeLg2;
    // A virtual machine has one of the queues.
    const count = monitor === null ? queuesInUse(environment.strategy, spec.invalidation.queues) : 1;
    const rings = Array.from({ length: count }, () => queueFrames.allocateContiguous(ringBytes, ringBytes));
    const direct = monitor === null || monitor.spec.mode === 'nested-queue';
    const counted = direct
      ? environment
      : { ...environment, statistics: monitor.host.statistics, queueLocks: monitor.host.locks };
    const layout = (ring: number, index: number): RingLayout => {
      return { ring, slots, socket: queueSocket, producer: producerRegister(index) };
    };
    this.queues = rings.map((ring, index) => new CommandQueue(id, layout(ring, index), counted));
    this.host = this.queues[0]!;
    this.polled = monitor !== null && direct ? new HardwareQueue(id, slots, environment) : null;
    this.host.port = this.polled;
    if (monitor === null) this.configuration = this.host;
    else {
      const own = frames.allocateContiguous(ringBytes, ringBytes);
      this.configuration = new CommandQueue(id, layout(own, 0), environment);
      this.configuration.port = new EmulatedQueue(own, slots, this.host, monitor, memory);
    }
    this.queue = direct ? this.host : this.configuration;
    // The event queue gets as much memory as the command queue.
    const events = frames.allocateContiguous(ringBytes, ringBytes);
    const eventsLg2 = sizeLg2 + COMMAND_LG2 - EVENT_LG2;
    this.events = { base: events, entriesLg2: eventsLg2 };

    const write = (register: number, value: number, hi = 0): void => registers.write(id, register, hi, value, 0);
    const { streamTable, twoLevelStreams } = this.tables;
    write(Register.Control2, Control2Bit.PTM | Control2Bit.RECINVSID | Control2Bit.E2H);
    write(Register.StreamTableBase, streamTable | 0, upper(streamTable));
    write(Register.StreamTableConfig, encodeStreamTableConfig(STREAMS_LG2, twoLevelStreams ? STREAM_SPLIT : null));
    for (const [i, ring] of rings.entries()) write(baseRegister(i), encodeQueueBase(ring, sizeLg2), upper(ring));
    write(Register.CommandQueueProducer, 0);
    write(Register.CommandQueueConsumer, 0);
    write(Register.Control0, Control0Bit.CMDQEN);
    const batch = new Batch();
    encodeStreamRangeInvalidation(batch.words, batch.next(), 0, RANGE_ALL);
    encodeTlbi(batch.words, batch.next(), Opcode.TLBI_EL2_ALL, 0, 0);
    encodeTlbi(batch.words, batch.next(), Opcode.TLBI_NSNH_ALL, 0, 0);
    this.host.post(batch);
    write(Register.EventQueueBase, encodeQueueBase(events, eventsLg2), upper(events));
    write(PAGE_1 + Register.EventQueueProducer, 0);
    write(PAGE_1 + Register.EventQueueConsumer, 0);
    write(Register.Control0, Control0Bit.CMDQEN | Control0Bit.EVTQEN);
    write(Register.Control0, Control0Bit.CMDQEN | Control0Bit.EVTQEN | Control0Bit.SMMUEN);
  }

  /** The queue for translations of the CPU. */
  queueOf(cpu: Cpu): CommandQueue {
    return this.queues.length === 1 ? this.queue : this.queues[queueOfCpu(cpu.id, this.queues.length)]!;
  }

  /** An ASID, or the VMID of a second-stage domain. Throws RangeError when there is none left. */
  allocateId(): number {
    const id = this.freeIds.pop() ?? this.nextId++;
    if (id >= IDS) throw new RangeError(`IOMMU unit ${this.id} has no ${this.spec.stage}-stage identifier left`);
    return id;
  }

  freeId(id: number): void {
    this.freeIds.push(id);
  }

  /** Hardware has stored to memory: true if it was to a queue of the unit. */
  stored(hi: number, lo: number): boolean {
    return this.queues.some((queue) => queue.stored(hi, lo));
  }

  /** From now on faults of process domains stall, and the event queue is read. */
  recoverFaults(path: FaultPath, environment: UnitDriverEnvironment): StallDriver {
    this.faults = new StallDriver(this, this.events, path, environment);
    this.interrupts |= InterruptBit.EVENTQ;
    environment.registers.write(this.id, Register.InterruptControl, 0, this.interrupts, 0);
    return this.faults;
  }

  /** From now on page requests are queued and read. */
  recoverPageRequests(path: FaultPath, environment: UnitDriverEnvironment): PageRequestDriver {
    const entriesLg2 = log2(this.spec.faults.pageRequests);
    const bytes = Math.max(2 ** (entriesLg2 + PAGE_REQUEST_LG2), PAGE);
    const base = this.frames.allocateContiguous(bytes, bytes);
    this.pages = new PageRequestDriver(this, { base, entriesLg2 }, path, environment);
    this.interrupts |= InterruptBit.PRIQ;
    const write = (register: number, value: number, hi = 0): void =>
      environment.registers.write(this.id, register, hi, value, 0);
    write(Register.PageRequestQueueBase, encodeQueueBase(base, entriesLg2), upper(base));
    write(PAGE_1 + Register.PageRequestQueueConsumer, 0);
    write(Register.InterruptControl, this.interrupts);
    write(Register.Control0, Control0Bit.CMDQEN | Control0Bit.EVTQEN | Control0Bit.SMMUEN | Control0Bit.PRIQEN);
    return this.pages;
  }

  /**
   * arm_smmu_gerror_handler, after a CMD_SYNC that follows an ATC_INV without answer: the error is acknowledged, and the CMD_SYNC repeated by
   * the hardware (arm_smmu_cmdq_skip_err).
   */
  private acknowledge(globalError: number): void {
    const { costs, registers } = this.environment;
    const delay = costs.timer + costs.mmioRead + costs.mmioWrite;
    registers.write(this.id, Register.GlobalErrorAcknowledge, 0, globalError, delay);
  }

  /** A register of the unit has changed. */
  changed(offset: number, value: number): void {
    if (offset === Register.GlobalError) {
      this.acknowledge(value);
      return;
    }
    if (offset === PAGE_1 + Register.EventQueueProducer) {
      this.faults?.produced(value);
      return;
    }
    if (offset === PAGE_1 + Register.PageRequestQueueProducer) {
      this.pages?.produced(value);
      return;
    }
    const index = queueRegister(offset)?.queue ?? 0;
    if (this.polled === null) this.queues[index]!.passed(value);
    else this.polled.moved(value);
  }
}

function upper(address: number): number {
  return Math.floor(address / 2 ** 32);
}
