/**
 * The host's copy of a guest's second-stage table, which hardware walks (VT-d caching mode, specification 6.1; AMD-Vi NpCache; QEMU
 * hw/i386/intel_iommu.c, vtd_sync_shadow_page_table_range). An invalidation of the guest names a range: the monitor reads the guest's
 * table again and unmaps from the device what is gone and maps what is new, leaf by leaf, a system call each (VFIO_IOMMU_UNMAP_DMA and
 * _MAP_DMA); an unmap waits for the host's invalidation. Guest-physical memory is host memory.
 */
import type { FrameAllocator } from '../../memory/frames.js';
import type { PhysicalMemory } from '../../memory/physical.js';
import { type Interval, Intervals } from '../../pagetable/intervals.js';
import { leavesOf, type TableLeaf } from '../../pagetable/leaves.js';
import { PageTable } from '../../pagetable/table.js';
import type { CostSpec } from '../spec.js';
import { Step } from '../step.js';
import { mapTime, type TableProfile, unmapTime } from '../table-costs.js';
import { type Call, type Thread, Wait } from '../thread.js';
import type { Monitor } from './monitor.js';

const PAGE = 4096;
const LARGEST_LG2 = 64;

export interface ShadowEnvironment {
  readonly monitor: Monitor;
  readonly memory: PhysicalMemory;
  readonly frames: FrameAllocator;
  readonly costs: CostSpec;
  /** Removes cached translations of the range by the host's own queue, and waits; `tablesFreed`: pointers to tables too. */
  invalidate(thread: Thread, iova: number, bytes: number, tablesFreed: boolean): Call<void>;
}

/** The shadow of a guest's domain on its unit, made when it is first asked for. */
export function shadowOf(
  shadows: Map<number, Shadow>,
  id: number,
  { table, code }: { readonly table: PageTable; readonly code: TableProfile },
  environment: ShadowEnvironment,
): Shadow {
  let shadow = shadows.get(id);
  if (shadow === undefined) {
    shadow = new Shadow(table, code, environment);
    shadows.set(id, shadow);
  }
  return shadow;
}

export class Shadow {
  readonly table: PageTable;
  private readonly mapped = new Intervals();
  private readonly freed: number[] = [];

  constructor(
    private readonly guest: PageTable,
    /** The host's page-table code. */
    private readonly code: TableProfile,
    private readonly environment: ShadowEnvironment,
  ) {
    const { memory, frames } = environment;
    this.table = new PageTable(guest.format, memory, frames, guest.levels);
    for (const leaf of this.leaves(0, Infinity)) this.enter(leaf);
  }

  /** Brings [start, end) up to date. */
  *sync(thread: Thread, start: number, end: number): Call<void> {
    const { monitor } = this.environment;
    const leaves = this.leaves(start, end);
    for (const interval of this.stale(leaves, start, end)) yield* monitor.call(thread, this.unmap(thread, interval));
    for (const leaf of leaves) {
      if (this.mapped.find(leaf.iova) === null) yield* monitor.call(thread, this.map(thread, leaf));
    }
  }

  /** The same before the run, without simulated time; nothing is cached yet. */
  syncAtBoot(start: number, end: number): void {
    for (const leaf of this.leaves(start, end)) if (this.mapped.find(leaf.iova) === null) this.enter(leaf);
  }

  /** Its tables are given back; hardware does not know it any more. */
  destroy(): void {
    this.table.destroy(this.freed);
    this.table.giveBack(this.freed);
    this.mapped.clear();
  }

  private leaves(start: number, end: number): TableLeaf[] {
    const limit = 2 ** this.guest.inputLg2;
    return leavesOf(this.guest, this.environment.memory, start, Math.min(end, limit));
  }

  /** Shadowed leaves of the range that the guest's table does not have, or not like this. */
  private stale(leaves: readonly TableLeaf[], start: number, end: number): Interval[] {
    const current = new Map(leaves.map((leaf) => [leaf.iova, leaf]));
    const stale: Interval[] = [];
    for (const interval of this.mapped.within(start, end)) {
      const leaf = current.get(interval.start);
      const same =
        leaf !== undefined &&
        leaf.pa === interval.pa &&
        leaf.bytes === interval.end - interval.start &&
        leaf.access === interval.access;
      if (!same) stale.push(interval);
    }
    return stale;
  }

  private *map(thread: Thread, leaf: TableLeaf): Call<void> {
    const { costs, monitor } = this.environment;
    const { work } = this.table;
    thread.charge(Step.Pin, (leaf.bytes / PAGE) * monitor.spec.pin);
    if (thread.debt !== 0) yield Wait.Run;
    work.reset();
    this.enter(leaf);
    thread.charge(Step.Table, mapTime(this.code, work) + work.tablesAllocated * costs.tablePage);
    monitor.statistics.shadowMaps++;
    if (this.table.displaced.length > 0) {
      // A large leaf took the place of empty tables: walkers may still hold pointers to them.
      yield* this.environment.invalidate(thread, leaf.iova, leaf.bytes, true);
      this.table.giveBack(this.table.displaced);
    }
  }

  private *unmap(thread: Thread, { start, end }: Interval): Call<void> {
    const { costs, monitor } = this.environment;
    const { table, code, freed } = this;
    const bytes = end - start;
    thread.charge(Step.Table, code.unmap.call);
    if (thread.debt !== 0) yield Wait.Run;
    table.work.reset();
    table.unmap(start, bytes, freed);
    this.mapped.remove(start, end);
    thread.charge(Step.Table, unmapTime(code, table.work));
    yield* this.environment.invalidate(thread, start, bytes, freed.length > 0);
    thread.charge(Step.Table, freed.length * costs.tablePage);
    table.giveBack(freed);
    thread.charge(Step.Pin, (bytes / PAGE) * monitor.spec.unpin);
    monitor.statistics.shadowUnmaps++;
  }

  private enter({ iova, bytes, pa, access }: TableLeaf): void {
    this.table.map(iova, pa, bytes, access, LARGEST_LG2);
    this.mapped.add({ start: iova, end: iova + bytes, pa, access });
  }
}
