/**
 * One RISC-V unit as its driver sees it: directories and command queue. The constructor enables the unit as Linux does at boot
 * (riscv_iommu_init): command queue, fault queue, then the device directory.
 */
import {
  COMMAND_LG2,
  DirectoryMode,
  encodeQueueBaseLo,
  FAULT_RECORD_LG2,
  PAGE_REQUEST_LG2,
  pageNumberHi,
  pageNumberLo,
  QueueControl,
  Register,
} from '../../iommu/arch/riscv/format.js';
import type { FrameAllocator } from '../../memory/frames.js';
import { identityTable } from '../identity-table.js';
import type { UnitSpec } from '../spec.js';
import type { UnitDriverEnvironment } from '../unit-environment.js';
import { tableFormat } from './formats.js';
import type { FaultPath } from '../iommu-driver.js';
import { log2 } from '../log2.js';
import { PAGE_REQUEST_CONTROL, PageRequestDriver } from './page-requests.js';
import { CommandQueue } from './queue.js';
import { RiscvTables } from './tables.js';

/** Of the one guest that nested translation stands for. */
export const GUEST = 1;
const PAGE = 4096;

export class RiscvUnit {
  readonly tables: RiscvTables;
  readonly queue: CommandQueue;

  /** Whoever reads the page-request queue; null: nobody does. */
  pages: PageRequestDriver | null = null;

  constructor(
    readonly id: number,
    readonly spec: UnitSpec,
    private readonly frames: FrameAllocator,
    private readonly environment: UnitDriverEnvironment,
  ) {
    const { memory, ranges, registers } = environment;
    const { secondLevels, deviceLevels, largestPage } = spec;
    const host =
      spec.stage === 'nested'
        ? identityTable(tableFormat(spec, true), memory, frames, secondLevels, ranges, largestPage)
        : null;
    this.tables = new RiscvTables(spec, memory, frames, host === null ? null : { root: host.root, gscid: GUEST });
    const { sizeLg2 } = spec.invalidation;
    const ring = allocateQueue(frames, sizeLg2 + COMMAND_LG2);
    this.queue = new CommandQueue(id, ring, 1 << sizeLg2, environment);
    const faultsLg2 = Math.log2(spec.faults.records);
    const faults = allocateQueue(frames, faultsLg2 + FAULT_RECORD_LG2);
    const { root } = this.tables;
    registers.write(id, Register.CommandQueueBase, pageNumberHi(ring), encodeQueueBaseLo(ring, sizeLg2), 0);
    registers.write(id, Register.CommandQueueControl, 0, QueueControl.Enable, 0);
    registers.write(id, Register.FaultQueueBase, pageNumberHi(faults), encodeQueueBaseLo(faults, faultsLg2), 0);
    registers.write(id, Register.FaultQueueControl, 0, QueueControl.Enable, 0);
    const mode = DirectoryMode.Bare + deviceLevels;
    registers.write(id, Register.DirectoryPointer, pageNumberHi(root), pageNumberLo(root) | mode, 0);
  }

  /** From now on page requests are queued and read. */
  recoverPageRequests(path: FaultPath): PageRequestDriver {
    const { id, environment, frames, queue } = this;
    const slots = this.spec.faults.pageRequests;
    const base = allocateQueue(frames, log2(slots) + PAGE_REQUEST_LG2);
    this.pages = new PageRequestDriver(id, base, slots, queue, path, environment);
    const { registers } = environment;
    registers.write(id, Register.PageRequestQueueBase, pageNumberHi(base), encodeQueueBaseLo(base, log2(slots)), 0);
    registers.write(id, Register.PageRequestQueueControl, 0, PAGE_REQUEST_CONTROL, 0);
    return this.pages;
  }
}

function allocateQueue(frames: FrameAllocator, bytesLg2: number): number {
  const bytes = Math.max(2 ** bytesLg2, PAGE);
  return frames.allocateContiguous(bytes, bytes);
}
