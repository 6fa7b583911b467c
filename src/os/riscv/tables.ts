/**
 * Device and process directories of one RISC-V unit in simulated memory (riscv_iommu_get_dc, riscv_iommu_iodir_update in
 * drivers/iommu/riscv/iommu.c; base-format contexts). Functional: boot writes them without simulated time. The valid bit of a
 * context is in its first doubleword, which is written last and cleared first.
 * Linux 7.2 has no process directories. Where the unit has them, each device gets one, and requests without PASID are process 0.
 */
import {
  Control,
  contextBytes,
  type DeviceContext,
  deviceEntryOffset,
  deviceIdBits,
  encodeDeviceContext,
  encodeDirectoryEntry,
  encodeProcessContext,
  PROCESS_ID_BITS,
  processEntryOffset,
} from '../../iommu/arch/riscv/format.js';
import type { FrameAllocator } from '../../memory/frames.js';
import type { PhysicalMemory } from '../../memory/physical.js';
import type { UnitSpec } from '../spec.js';

const PROCESS_CONTEXT_BYTES = 16;
const EXTENDED = false;

/** What translates the requests of an attachment: a table, or none (identity). */
export interface Translation {
  readonly root: number | null;
  /** GSCID of a second-stage table, PSCID of a first-stage one. */
  readonly id: number;
}

/** The second-stage table under nested first-stage tables. */
export interface Host {
  readonly root: number;
  readonly gscid: number;
}

export class RiscvTables {
  readonly root: number;
  /** Table that an entry points to, by the entry's address; process directory by the address of a device context. */
  private readonly below = new Map<number, number>();
  private readonly words = new Int32Array(16);

  constructor(
    private readonly spec: UnitSpec,
    private readonly memory: PhysicalMemory,
    private readonly frames: FrameAllocator,
    private readonly host: Host | null,
    /** Devices that use ATS, and whether they ask for pages. */
    private readonly ats: Map<number, boolean> = new Map(),
  ) {
    this.root = frames.allocate();
  }

  /** The device uses ATS, and asks for pages or not: contexts written from now on say so (EN_ATS, EN_PRI). */
  enableAts(deviceId: number, asks: boolean): void {
    this.ats.set(deviceId, asks);
  }

  /** Requests of a device without process directory. Throws RangeError for a device id that the directory does not take. */
  setDevice(deviceId: number, { root, id }: Translation): void {
    const { levels, stage } = this.spec;
    const second = stage === 'second' && root !== null;
    const first = stage !== 'second' && root !== null;
    this.setContext(deviceId, {
      ...this.outer(deviceId),
      ...(second ? { secondRoot: root, secondLevels: levels, gscid: id } : {}),
      firstRoot: first ? root : 0,
      firstLevels: first ? levels : 0,
      pscid: first ? id : 0,
    });
  }

  clearDevice(deviceId: number): void {
    this.words.fill(0);
    this.write(this.contextAt(deviceId), contextBytes(EXTENDED));
  }

  /** Requests of a device with a process id; 0 stands for those without. Throws RangeError for ids that the directories do not take. */
  setProcess(deviceId: number, processId: number, { root, id }: Translation): void {
    const entry = this.processAt(deviceId, processId);
    const levels = root === null ? 0 : this.spec.levels;
    encodeProcessContext(this.words, { control: 0, pscid: root === null ? 0 : id, root: root ?? 0, levels });
    this.write(entry, PROCESS_CONTEXT_BYTES);
  }

  clearProcess(deviceId: number, processId: number): void {
    this.words.fill(0);
    this.write(this.processAt(deviceId, processId), PROCESS_CONTEXT_BYTES);
  }

  /** Of a device context, the part that all its attachments share: everything of a guest is behind its host's second stage. */
  private outer(deviceId: number): Pick<DeviceContext, 'control' | 'secondRoot' | 'secondLevels' | 'gscid'> {
    const { host, spec } = this;
    const control = this.controlOf(deviceId);
    if (host === null) return { control, secondRoot: 0, secondLevels: 0, gscid: 0 };
    return { control, secondRoot: host.root, secondLevels: spec.secondLevels, gscid: host.gscid };
  }

  private controlOf(deviceId: number): number {
    const asks = this.ats.get(deviceId);
    if (asks === undefined) return 0;
    return asks ? Control.AtsEnable | Control.PageRequests : Control.AtsEnable;
  }

  private setContext(deviceId: number, context: DeviceContext): void {
    const entry = this.contextAt(deviceId);
    encodeDeviceContext(this.words, context, EXTENDED);
    this.write(entry, contextBytes(EXTENDED));
  }

  private contextAt(deviceId: number): number {
    const { deviceLevels } = this.spec;
    if (deviceId >>> deviceIdBits(EXTENDED, deviceLevels) !== 0) {
      throw new RangeError(`a device directory of ${deviceLevels} levels does not take device id ${deviceId}`);
    }
    let table = this.root;
    for (let level = deviceLevels; level > 1; level--) {
      table = this.tableBelow(table + deviceEntryOffset(EXTENDED, level, deviceId));
    }
    return table + deviceEntryOffset(EXTENDED, 1, deviceId);
  }

  private processAt(deviceId: number, processId: number): number {
    const { processLevels } = this.spec;
    if (processId >>> PROCESS_ID_BITS[processLevels]! !== 0) {
      throw new RangeError(`a process directory of ${processLevels} levels does not take process id ${processId}`);
    }
    const context = this.contextAt(deviceId);
    let table = this.below.get(context);
    if (table === undefined) {
      table = this.frames.allocate();
      this.below.set(context, table);
      this.setContext(deviceId, {
        ...this.outer(deviceId),
        control: Control.ProcessDirectory | Control.DefaultProcess | this.controlOf(deviceId),
        firstRoot: table,
        firstLevels: processLevels,
        pscid: 0,
      });
    }
    for (let level = processLevels; level > 1; level--) {
      table = this.tableBelow(table + processEntryOffset(level, processId));
    }
    return table + processEntryOffset(1, processId);
  }

  /** The page that a non-leaf entry points to; installs one if there is none. */
  private tableBelow(entry: number): number {
    const known = this.below.get(entry);
    if (known !== undefined) return known;
    const table = this.frames.allocate();
    this.below.set(entry, table);
    encodeDirectoryEntry(this.words, table);
    this.write(entry, 8);
    return table;
  }

  /** Stores `words` at the entry, the doubleword with the valid bit last when it is being set, first when it is being cleared. */
  private write(entry: number, bytes: number): void {
    const hi = Math.floor(entry / 2 ** 32);
    const lo = entry | 0;
    const { memory, words } = this;
    const clearing = words[0] === 0 && words[1] === 0;
    if (clearing) memory.write(hi, lo, 0, 0);
    for (let at = 8; at < bytes; at += 8) memory.write(hi, (lo + at) | 0, words[(at >> 2) + 1]!, words[at >> 2]!);
    if (!clearing) memory.write(hi, lo, words[1]!, words[0]!);
  }
}
