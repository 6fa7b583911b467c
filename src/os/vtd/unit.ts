/**
 * One VT-d unit as its driver sees it: translation tables, invalidation queue and domain ids. The constructor enables the unit as
 * Linux does at boot: queued invalidation first, then the root table, then translation.
 */
import { encodeQueueAddress, encodeRootTableAddress, GlobalBit, Register } from '../../iommu/arch/vtd/format.js';
import type { FrameAllocator } from '../../memory/frames.js';
import { identityTable } from '../identity-table.js';
import type { UnitSpec } from '../spec.js';
import { secondStageFormat } from './formats.js';
import { InvalidationQueue } from './queue.js';
import type { UnitDriverEnvironment } from '../unit-environment.js';
import { VtdTables } from './tables.js';

/** 0 is reserved, 1 stands for identity (FLPT_DEFAULT_DID). */
const FIRST_DOMAIN_ID = 2;
const DOMAIN_IDS = 2 ** 16;
const PAGE = 4096;

export class VtdUnit {
  readonly tables: VtdTables;
  readonly queue: InvalidationQueue;
  private readonly freeIds: number[] = [];
  private nextId = FIRST_DOMAIN_ID;

  /** Throws RangeError for a queue size that the queue address register cannot express. */
  constructor(
    readonly id: number,
    readonly spec: UnitSpec,
    frames: FrameAllocator,
    environment: UnitDriverEnvironment,
  ) {
    const { memory, ranges } = environment;
    const { secondLevels } = spec;
    const host =
      spec.stage === 'nested'
        ? identityTable(secondStageFormat(spec, secondLevels), memory, frames, secondLevels, ranges, spec.largestPage)
        : null;
    this.tables = new VtdTables(spec, memory, frames, host?.root ?? 0);
    const scalable = spec.mode === 'scalable';
    const { sizeLg2 } = spec.invalidation;
    const descriptorLg2 = scalable ? 5 : 4;
    const ringLg2 = sizeLg2 + descriptorLg2;
    if (ringLg2 < 12 || ringLg2 > 19) {
      throw new RangeError(
        `an invalidation queue has 2^${12 - descriptorLg2} to 2^${19 - descriptorLg2} descriptors, got 2^${sizeLg2}`,
      );
    }
    const slots = 2 ** sizeLg2;
    const ring = frames.allocateContiguous(2 ** ringLg2, 2 ** ringLg2);
    const status = frames.allocateContiguous(Math.max(4 * slots, PAGE), PAGE);
    this.queue = new InvalidationQueue(id, { ring, status, slots, descriptorLg2 }, environment);

    const { registers } = environment;
    const root = this.tables.root;
    const enabled = GlobalBit.QueuedInvalidationEnable;
    registers.write(id, Register.InvalidationQueueTail, 0, 0, 0);
    registers.write(id, Register.InvalidationQueueAddress, upper(ring), encodeQueueAddress(ring, sizeLg2, scalable), 0);
    registers.write(id, Register.GlobalCommand, 0, enabled, 0);
    registers.write(id, Register.RootTableAddress, upper(root), encodeRootTableAddress(root, this.tables.mode), 0);
    registers.write(id, Register.GlobalCommand, 0, enabled | GlobalBit.SetRootTablePointer, 0);
    registers.write(id, Register.GlobalCommand, 0, enabled | GlobalBit.TranslationEnable, 0);
  }

  /** Throws RangeError when the unit has no domain id left. */
  allocateDomainId(): number {
    const id = this.freeIds.pop() ?? this.nextId++;
    if (id >= DOMAIN_IDS) throw new RangeError(`IOMMU unit ${this.id} has no domain id left`);
    return id;
  }

  freeDomainId(id: number): void {
    this.freeIds.push(id);
  }
}

function upper(address: number): number {
  return Math.floor(address / 2 ** 32);
}
