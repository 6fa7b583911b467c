/**
 * Memory management of processes (mm/memory.c, mmap.c, mprotect.c): address spaces, the calls that change them, and touching them from a CPU.
 * Programs of simulated threads. Entries leave the table first, then every CPU and device forgets them, then pages and tables are
 * freed. Not modelled: fork and copy-on-write between processes, page migration, KSM, NUMA balancing, per-VMA locks of CPU faults.
 */
import type { FrameAllocator } from '../../memory/frames.js';
import type { PhysicalMemory } from '../../memory/physical.js';
import type { Format } from '../../pagetable/format.js';
import { Access } from '../../protocol/access.js';
import type { SemaphoreUse } from '../rw-semaphore.js';
import type { Scheduler } from '../scheduler.js';
import { type Call, type Thread, Wait } from '../thread.js';
import { flushRange, type MmEnvironment } from './environment.js';
import { FaultHandler } from './fault.js';
import { Mm } from './mm.js';
import { ResidentPages } from './pages.js';
import { Reclaim } from './reclaim.js';
import type { MmSpec } from './spec.js';
import { FaultKind, MmStatistics } from './statistics.js';
import { MmStep } from './step.js';
import { Storage } from './storage.js';
import { HUGE, HUGE_LG2, PAGE_LG2, ProcessTables } from './tables.js';
import { addRegion, findRegion, isolateRegions, regionFrom, Vma, type VmaKind } from './vma.js';

const PAGE = 4096;

/** What `mmap` makes. */
export interface RegionOptions {
  readonly access?: Access;
  readonly kind?: VmaKind;
  readonly huge?: boolean;
}

/** Frames that are free once the flush has returned. */
class Gather {
  /** Frame and size, side by side. */
  readonly frames: number[] = [];
  readonly tables: number[] = [];

  get empty(): boolean {
    return this.frames.length === 0 && this.tables.length === 0;
  }
}

export class MemoryManager {
  readonly statistics = new MmStatistics();
  readonly tables: ProcessTables;
  readonly pages: ResidentPages;
  readonly storage: Storage;
  /** For whoever takes mmap_lock. */
  readonly lockUse: SemaphoreUse;
  /** Called when nobody holds an address space any more (mm_pasid_drop). */
  onDrop: (mm: Mm) => void = () => {};
  private readonly environment: MmEnvironment;
  private readonly reclaim: Reclaim;
  private readonly faults: FaultHandler;
  private created = 0;

  /** `format`: what the CPUs walk, in tables of `levels`. Tables and pages come from `frames`. Throws RangeError for other granules than 4 KiB. */
  constructor(
    scheduler: Scheduler,
    readonly spec: MmSpec,
    memory: PhysicalMemory,
    frames: FrameAllocator,
    format: Format,
    levels: number,
  ) {
    this.tables = new ProcessTables(format, memory, frames, levels);
    this.pages = new ResidentPages(frames, spec.limit);
    this.storage = new Storage(scheduler, spec.storage);
    this.environment = {
      scheduler,
      spec,
      tables: this.tables,
      pages: this.pages,
      storage: this.storage,
      statistics: this.statistics,
      zeroPage: frames.allocate(),
    };
    this.lockUse = {
      scheduler,
      costs: spec.costs,
      steps: { lock: MmStep.Lock, wait: MmStep.LockWait },
      statistics: this.statistics.locks,
    };
    this.reclaim = new Reclaim(this.environment);
    this.faults = new FaultHandler(this.environment, this.reclaim);
  }

  /** A new, empty address space. Throws OutOfMemory. */
  create(): Mm {
    return new Mm(this.created++, this.tables.create());
  }

  /** Adds a region without simulated time: a process as its program finds it. Throws RangeError for what cannot be mapped. */
  addRegion(mm: Mm, start: number, bytes: number, options: RegionOptions = {}): Vma {
    const { access = Access.Read | Access.Write, kind = 'anonymous', huge = false } = options;
    if (
      start % PAGE !== 0 ||
      bytes % PAGE !== 0 ||
      !(bytes > 0) ||
      !(start >= 0 && start + bytes <= this.tables.limit)
    ) {
      throw new RangeError(`0x${start.toString(16)}, ${bytes} bytes: not whole pages of an address space`);
    }
    const region = new Vma(start, start + bytes, access, kind, huge);
    if (mm.regions.length === 0 && (access & Access.Read) !== 0) mm.regions = [region];
    else addRegion(mm.regions, region);
    return region;
  }

  /**
   * Makes all pages of [start, start + bytes) of a region present and writable, without simulated time: memory that was pinned before the run.
   * Throws RangeError, OutOfMemory.
   */
  populate(mm: Mm, start: number, bytes: number): void {
    const { tables, pages } = this;
    for (let at = start; at < start + bytes; ) {
      const region = findRegion(mm.regions, at)!;
      tables.find(mm.root, at);
      const large = region.huge && at % HUGE === 0 && at + HUGE <= region.end && tables.level >= 2;
      const size = large ? HUGE : PAGE;
      if (!tables.present) {
        const frame = pages.allocate(size);
        if (frame < 0) throw new RangeError(`no memory is left for ${bytes} bytes of a process`);
        tables.map(at, large ? HUGE_LG2 : PAGE_LG2, region.access, frame, true);
        pages.add(mm, at, frame);
      }
      at += size;
    }
  }

  /** Whether the page is memory of processes now, or the page of zeros. */
  holds(page: number): boolean {
    return page === this.environment.zeroPage || this.pages.has(page);
  }

  /** mmap at a fixed address. Throws RangeError for what cannot be mapped. */
  *mmap(thread: Thread, mm: Mm, start: number, bytes: number, options: RegionOptions = {}): Call<void> {
    yield* this.lockForWriting(thread, mm);
    thread.charge(MmStep.Call, this.spec.costs.call);
    yield Wait.Run;
    try {
      this.addRegion(mm, start, bytes, options);
    } finally {
      mm.lock.releaseWrite(thread, this.lockUse);
    }
  }

  /**
   * An access by a CPU that runs the process. Returns false if it is a segmentation fault or memory is short; the access is made again until
   * the page stays. Charges nothing where the table permits it: the access itself is the caller's.
   */
  *touch(thread: Thread, mm: Mm, address: number, access: Access): Call<boolean> {
    const { tables, statistics, spec } = this;
    for (;;) {
      if (thread.debt !== 0) yield Wait.Run;
      if (mm.root < 0 || !(address >= 0 && address < tables.limit)) break;
      tables.find(mm.root, address);
      if (tables.present && tables.permits(access)) {
        tables.use((access & Access.Write) !== 0);
        return true;
      }
      thread.charge(MmStep.Exception, spec.costs.exception);
      yield Wait.Run;
      if (!mm.lock.read(thread, this.lockUse)) yield Wait.Block;
      const call = this.fault(thread, mm, address, access);
      const kind = call === null ? FaultKind.Failed : yield* call;
      if (thread.debt !== 0) yield Wait.Run;
      mm.lock.releaseRead(thread, this.lockUse);
      if (kind === FaultKind.Failed) break;
    }
    statistics.refused++;
    return false;
  }

  /**
   * Looks up the region; the call returned makes the page present, for whoever holds mmap_lock for reading (the end of do_user_addr_fault,
   * and of iommu_sva_handle_mm). Null: no region, or it does not permit the access.
   */
  fault(thread: Thread, mm: Mm, address: number, access: Access): Call<FaultKind> | null {
    thread.charge(MmStep.Fault, this.spec.costs.vmaLookup);
    const region = findRegion(mm.regions, address);
    if (region === null || (access & ~region.access) !== 0) return null;
    return this.faults.handle(thread, mm, region, address, access);
  }

  /** Unmaps [start, start + bytes). What is not mapped there is no error. */
  *munmap(thread: Thread, mm: Mm, start: number, bytes: number): Call<void> {
    const { costs } = this.spec;
    const end = start + bytes;
    yield* this.lockForWriting(thread, mm);
    thread.charge(MmStep.Call, costs.call);
    yield Wait.Run;
    const { regions } = mm;
    const [first, behind] = isolateRegions(regions, start, end);
    this.cutAt(mm, start);
    this.cutAt(mm, end);
    const gone = regions.splice(first, behind - first);
    const floor = regions[first - 1]?.end ?? 0;
    const ceiling = regions[first]?.start ?? this.tables.limit;
    const gather = new Gather();
    for (const region of gone) this.zap(mm, region.start, region.end, gather);
    if (gone.length > 0) this.tables.unlinkTables(mm.root, start, end, floor, ceiling, gather.tables);
    // Others may fault in what is left while translations of what is gone are removed.
    mm.lock.downgrade(thread, this.lockUse);
    yield* this.flushAndFree(thread, mm, start, end, gather);
    if (thread.debt !== 0) yield Wait.Run;
    mm.lock.releaseRead(thread, this.lockUse);
  }

  /** Changes permissions. Those taken away are gone everywhere when it returns; PROT_NONE is not modelled (RangeError). */
  *mprotect(thread: Thread, mm: Mm, start: number, bytes: number, access: Access): Call<void> {
    const { spec, tables, environment } = this;
    const end = start + bytes;
    if ((access & Access.Read) === 0) throw new RangeError('a region must be readable');
    yield* this.lockForWriting(thread, mm);
    thread.charge(MmStep.Call, spec.costs.call);
    yield Wait.Run;
    const [first, behind] = isolateRegions(mm.regions, start, end);
    this.cutAt(mm, start);
    this.cutAt(mm, end);
    let changed = 0;
    let cut = false;
    for (const region of mm.regions.slice(first, behind)) {
      const taken = region.access & ~access;
      region.access = access;
      tables.forEach(mm.root, region.start, region.end, () => {
        // The page of zeros stays read-only.
        tables.protect(tables.frame === environment.zeroPage ? access & ~Access.Write : access);
        changed++;
        if (taken !== 0) cut = true;
      });
    }
    thread.charge(MmStep.Pages, changed * spec.costs.updatePage);
    if (cut) yield* flushRange(thread, environment, mm, start, end);
    if (thread.debt !== 0) yield Wait.Run;
    mm.lock.releaseWrite(thread, this.lockUse);
  }

  /** madvise(MADV_PAGEOUT): all pages of the range leave memory, used or not. */
  *pageOut(thread: Thread, mm: Mm, start: number, bytes: number): Call<void> {
    if (thread.debt !== 0) yield Wait.Run;
    if (!mm.lock.read(thread, this.lockUse)) yield Wait.Block;
    thread.charge(MmStep.Call, this.spec.costs.call);
    yield Wait.Run;
    const end = start + bytes;
    for (let at = regionFrom(mm.regions, start); at < mm.regions.length && mm.regions[at]!.start < end; at++) {
      const region = mm.regions[at]!;
      yield* this.reclaim.pageOutRange(thread, mm, Math.max(start, region.start), Math.min(end, region.end));
    }
    if (thread.debt !== 0) yield Wait.Run;
    mm.lock.releaseRead(thread, this.lockUse);
  }

  /** mmput: the last user ends the address space (exit_mmap), in whatever context it is. */
  *put(thread: Thread, mm: Mm): Call<void> {
    if (mm.users === 0) throw new Error(`address space ${mm.id} has no users`);
    mm.users--;
    if (mm.users > 0) return;
    const notifiers = mm.notifiers ?? [];
    mm.notifiers = null;
    for (const notifier of notifiers) yield* notifier.release(thread);
    if (thread.debt !== 0) yield Wait.Run;
    const gather = new Gather();
    for (const region of mm.regions) this.zap(mm, region.start, region.end, gather);
    mm.regions = [];
    this.tables.destroy(mm.root, gather.tables);
    mm.root = -1;
    yield* this.flushAndFree(thread, mm, 0, this.tables.limit, gather);
    this.drop(mm);
  }

  /** mmdrop. */
  drop(mm: Mm): void {
    mm.references--;
    if (mm.references === 0) this.onDrop(mm);
  }

  private *lockForWriting(thread: Thread, mm: Mm): Call<void> {
    if (thread.debt !== 0) yield Wait.Run;
    if (!mm.lock.write(thread, this.lockUse)) yield Wait.Block;
  }

  /** A large page that reaches across the address is cut. Its region was cut there before. */
  private cutAt(mm: Mm, address: number): void {
    if (address % HUGE === 0) return;
    const { tables } = this;
    tables.find(mm.root, address);
    if (!tables.present || tables.bytes !== HUGE) return;
    const { frame } = tables;
    const first = Math.floor(address / HUGE) * HUGE;
    tables.split(findRegion(mm.regions, address)!.access);
    for (let offset = PAGE; offset < HUGE; offset += PAGE) this.pages.add(mm, first + offset, frame + offset);
  }

  /** Clears the entries of a range and gathers its frames. */
  private zap(mm: Mm, start: number, end: number, gather: Gather): void {
    const { tables, environment } = this;
    tables.forEach(
      mm.root,
      start,
      end,
      () => {
        const { frame, bytes } = tables;
        gather.frames.push(frame, frame === environment.zeroPage ? 0 : bytes);
        tables.evict(false);
      },
      () => tables.evict(false),
    );
  }

  /** tlb_finish_mmu: nothing is freed before everybody has forgotten it, and nobody is told when nothing was there. */
  private *flushAndFree(thread: Thread, mm: Mm, start: number, end: number, gather: Gather): Call<void> {
    const { costs } = this.spec;
    const { frames, tables } = gather;
    if (!gather.empty) {
      thread.charge(MmStep.Pages, (frames.length / 2) * costs.callPage + tables.length * costs.callTable);
      yield* flushRange(thread, this.environment, mm, start, end);
    }
    thread.charge(MmStep.Pages, (frames.length / 2) * costs.freePage);
    if (thread.debt !== 0) yield Wait.Run;
    for (let i = 0; i < frames.length; i += 2) if (frames[i + 1]! > 0) this.pages.free(frames[i]!, frames[i + 1]!);
    this.tables.giveBack(tables);
  }
}
