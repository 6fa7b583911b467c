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
  Opcode,
  PAGE_1,
  producerRegister,
  RANGE_ALL,
  Register,
} from '../../iommu/arch/smmuv3/format.js';
import { identityTable } from '../identity-table.js';
import type { UnitSpec } from '../spec.js';
import type { Cpu } from '../thread.js';
import type { UnitDriverEnvironment, UnitMemory } from '../unit-environment.js';
import { tableFormat, tableOptions } from './formats.js';
import { Batch, CommandQueue } from './queue.js';
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
  /** The command queues; boot and attachment use the first. */
  readonly queues: readonly CommandQueue[];
  private readonly freeIds: number[] = [];
  private nextId = FIRST_ID;

  /** Throws RangeError for a queue size that does not work. */
  constructor(
    readonly id: number,
    readonly spec: UnitSpec,
    { frames, queueFrames, queueSocket }: UnitMemory,
    environment: UnitDriverEnvironment,
  ) {
    const { memory, ranges, registers } = environment;
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
              tableOptions(spec, 2, secondLevels),
            ),
            vmid: HOST_VMID,
          }
        : null;
    this.tables = new SmmuTables(spec, memory, frames, host);
    const ringBytes = Math.max(2 ** (sizeLg2 + COMMAND_LG2), PAGE);
    const { queues } = spec.invalidation;
    const rings = Array.from({ length: queues }, () => queueFrames.allocateContiguous(ringBytes, ringBytes));
    this.queues = rings.map((ring, i) => {
      const layout = { ring, slots: 2 ** sizeLg2, socket: queueSocket, producer: producerRegister(i) };
      return new CommandQueue(id, layout, environment);
    });
    // The event queue gets as much memory as the command queue.
    const events = frames.allocateContiguous(ringBytes, ringBytes);
    const eventsLg2 = sizeLg2 + COMMAND_LG2 - EVENT_LG2;

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
    this.queues[0]!.post(batch);
    write(Register.EventQueueBase, encodeQueueBase(events, eventsLg2), upper(events));
    write(PAGE_1 + Register.EventQueueProducer, 0);
    write(PAGE_1 + Register.EventQueueConsumer, 0);
    write(Register.Control0, Control0Bit.CMDQEN | Control0Bit.EVTQEN);
    write(Register.Control0, Control0Bit.CMDQEN | Control0Bit.EVTQEN | Control0Bit.SMMUEN);
  }

  /** The queue that the CPU uses: with several, one after the other by CPU number (tegra241_cmdqv_get_cmdq). */
  queueOf(cpu: Cpu): CommandQueue {
    return this.queues[cpu.id % this.queues.length]!;
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
}

function upper(address: number): number {
  return Math.floor(address / 2 ** 32);
}
