/**
 * One VT-d unit as its driver sees it: translation tables, invalidation queue and domain ids. The constructor enables the unit as
 * Linux does at boot: queued invalidation first, then the root table, then translation.
 */
import {
  encodeIotlbInvalidation,
  encodeQueueAddress,
  encodeRootTableAddress,
  GlobalBit,
  Granularity,
  Register,
} from '../../iommu/arch/vtd/format.js';
import type { FrameAllocator } from '../../memory/frames.js';
import { addressMask, blockStart } from '../flush-range.js';
import { identityTable } from '../identity-table.js';
import type { UnitSpec } from '../spec.js';
import { secondStageFormat } from './formats.js';
import { EmulatedQueue } from './emulated-queue.js';
import { DESCRIPTOR_WORDS, InvalidationQueue, type QueueLayout } from './queue.js';
import type { Call, Thread } from '../thread.js';
import type { UnitDriverEnvironment } from '../unit-environment.js';
import type { FaultPath } from '../iommu-driver.js';
import { PageRequestDriver } from './page-requests.js';
import { VtdTables } from './tables.js';

/** 0 is reserved, 1 stands for identity (FLPT_DEFAULT_DID). */
const FIRST_DOMAIN_ID = 2;
const DOMAIN_IDS = 2 ** 16;
const PAGE = 4096;

export class VtdUnit {
  readonly tables: VtdTables;
  /** What the driver submits to: the hardware's queue, or that of a virtual unit. */
  readonly queue: InvalidationQueue;
  /** The hardware's queue, which in a virtual machine is the host's. */
  readonly host: InvalidationQueue;
  /** The virtual unit's queue as its monitor sees it; null on the machine itself. */
  readonly emulated: EmulatedQueue | null;
  /** Whoever reads the page request queue; null: nobody does. */
  pages: PageRequestDriver | null = null;
  private readonly freeIds: number[] = [];
  private nextId = FIRST_DOMAIN_ID;

  /** Throws RangeError for a queue size that the queue address register cannot express. */
  constructor(
    readonly id: number,
    readonly spec: UnitSpec,
    private readonly frames: FrameAllocator,
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
    const slots = 1 << sizeLg2;
    const ring = frames.allocateContiguous(2 ** ringLg2, 2 ** ringLg2);
    const status = frames.allocateContiguous(Math.max(4 * slots, PAGE), PAGE);
    const { registers, monitor } = environment;
    const layout: QueueLayout = { ring, status, slots, descriptorLg2 };
    if (monitor === null) {
      this.queue = new InvalidationQueue(id, layout, environment);
      this.host = this.queue;
      this.emulated = null;
    } else {
      const { statistics, locks: queueLocks } = monitor.host;
      this.host = new InvalidationQueue(id, layout, { ...environment, statistics, queueLocks });
      const own: QueueLayout = {
        ...layout,
        ring: frames.allocateContiguous(2 ** ringLg2, 2 ** ringLg2),
        status: frames.allocateContiguous(Math.max(4 * slots, PAGE), PAGE),
      };
      this.emulated = new EmulatedQueue(own, this.host, monitor, memory);
      this.queue = new InvalidationQueue(id, own, environment);
      this.queue.doorbell = this.emulated;
    }

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

  /** Domain ids that are in use, but for identity. */
  liveDomainIds(): number[] {
    const ids = Array.from({ length: this.nextId - FIRST_DOMAIN_ID }, (_, i) => FIRST_DOMAIN_ID + i);
    return ids.filter((id) => !this.freeIds.includes(id));
  }

  /** Removes translations of a range from the domain, by the hardware's queue; the host's counterpart of the guest's flush. */
  invalidate(thread: Thread, domainId: number, iova: number, bytes: number, tablesFreed: boolean): Call<void> {
    const words = new Int32Array(DESCRIPTOR_WORDS);
    const mask = addressMask(iova, bytes);
    if (mask > this.spec.invalidation.maxAddressMask) {
      encodeIotlbInvalidation(words, 0, Granularity.Domain, domainId, 0, 0, 0, false, true, true);
    } else {
      const start = blockStart(iova, mask);
      const [hi, lo] = [upper(start), start | 0];
      encodeIotlbInvalidation(words, 0, Granularity.Selective, domainId, hi, lo, mask, !tablesFreed, true, true);
    }
    return this.host.submit(thread, words, 1);
  }

  /** From now on page requests are queued and read. */
  recoverPageRequests(path: FaultPath, environment: UnitDriverEnvironment): PageRequestDriver {
    this.pages = new PageRequestDriver(this, this.frames, path, environment);
    return this.pages;
  }

  /** Hardware has stored to memory: true if it was a status word of the unit. */
  stored(hi: number, lo: number): boolean {
    return this.host.stored(hi, lo);
  }
}

function upper(address: number): number {
  return Math.floor(address / 2 ** 32);
}
