/**
 * handle_mm_fault (mm/memory.c): makes a page of a region present. The caller holds mmap_lock for reading and has checked the region's permissions.
 * Time passes before an entry changes, and the entry is looked at again then, as the kernel does under the page-table lock.
 * Not modelled: the huge page of zeros (a read fault where a large page fits allocates it), fault-around, read-ahead, NUMA placement,
 * khugepaged.
 */
import { OutOfMemory } from '../../memory/frames.js';
import { Access } from '../../protocol/access.js';
import { type Call, type Thread, Wait } from '../thread.js';
import { flushRange, type MmEnvironment } from './environment.js';
import { FaultCall } from './fault-call.js';
import type { Mm } from './mm.js';
import type { Reclaim } from './reclaim.js';
import { FaultKind } from './statistics.js';
import { MmStep } from './step.js';
import { HUGE, HUGE_LG2, PAGE_LG2 } from './tables.js';
import type { Vma } from './vma.js';

const PAGE = 4096;

export class FaultHandler {
  /** Records of calls that are over. */
  private readonly idle: FaultCall[] = [];

  constructor(
    private readonly environment: MmEnvironment,
    private readonly reclaim: Reclaim,
  ) {}

  handle(thread: Thread, mm: Mm, region: Vma, address: number, access: Access): Call<FaultKind> {
    const call = this.idle.pop() ?? new FaultCall(this, this.environment);
    call.begin(thread, mm, region, Math.floor(address / PAGE) * PAGE, access);
    return call;
  }

  ended(call: FaultCall): void {
    this.idle.push(call);
  }

  /** How the fault ended, or the call that ends it; null: a small page has to be allocated. */
  resolve(thread: Thread, mm: Mm, region: Vma, page: number, access: Access): FaultKind | Call<FaultKind> | null {
    const { tables } = this.environment;
    const writes = (access & Access.Write) !== 0;
    tables.find(mm.root, page);
    if (tables.present) return this.present(thread, mm, region, page, access, writes);
    if (tables.stored || region.kind === 'file') return this.readIn(thread, mm, region, page, writes);
    if (region.kind === 'anonymous') {
      if (hugeFits(region, page) && tables.level >= 2) {
        const frame = this.takeHuge();
        if (frame >= 0) return this.installHuge(thread, mm, region, page, frame);
      } else if (!writes) return this.mapZeros(region, page);
    }
    return null;
  }

  /** Accessed and dirty state, or write permission (do_wp_page). */
  private *present(
    thread: Thread,
    mm: Mm,
    region: Vma,
    page: number,
    access: Access,
    writes: boolean,
  ): Call<FaultKind> {
    const { tables, spec, zeroPage } = this.environment;
    if (tables.permits(access)) {
      if (tables.use(writes)) thread.charge(MmStep.Pages, spec.costs.updatePage);
      return FaultKind.Present;
    }
    if (tables.frame !== zeroPage) {
      tables.protect(region.access);
      tables.use(writes);
      thread.charge(MmStep.Pages, spec.costs.updatePage);
      return FaultKind.Protection;
    }
    let frame = this.take(thread);
    if (frame < 0) frame = yield* this.reclaimOne(thread);
    if (frame < 0) return FaultKind.Failed;
    thread.charge(MmStep.Clear, spec.costs.clearPage);
    if (!this.environment.scheduler.passes(thread)) yield Wait.Run;
    tables.find(mm.root, page);
    if (!tables.present || tables.frame !== zeroPage) return this.lost(frame, PAGE);
    tables.evict(false);
    yield* flushRange(thread, this.environment, mm, page, page + PAGE);
    return this.install(mm, region, page, PAGE_LG2, frame, true, FaultKind.Protection);
  }

  /** do_swap_page, or a file page that is not in the page cache. mmap_lock stays held, as the fault handler of devices holds it. */
  private *readIn(thread: Thread, mm: Mm, region: Vma, page: number, writes: boolean): Call<FaultKind> {
    const { scheduler, storage, spec } = this.environment;
    let frame = this.take(thread);
    if (frame < 0) frame = yield* this.reclaimOne(thread);
    if (frame < 0) return FaultKind.Failed;
    thread.charge(MmStep.Storage, spec.costs.submitIo);
    if (!this.environment.scheduler.passes(thread)) yield Wait.Run;
    scheduler.sleepFor(thread, MmStep.Storage, storage.read());
    yield Wait.Block;
    return this.install(mm, region, page, PAGE_LG2, frame, writes, FaultKind.Major);
  }

  /** A large page, or -1: it is not worth reclaiming others. */
  private takeHuge(): number {
    const { pages } = this.environment;
    return pages.full(HUGE) ? -1 : pages.allocate(HUGE);
  }

  private *installHuge(thread: Thread, mm: Mm, region: Vma, page: number, frame: number): Call<FaultKind> {
    const { tables, spec } = this.environment;
    const { costs } = spec;
    thread.charge(MmStep.Allocate, costs.allocatePage);
    thread.charge(MmStep.Clear, (HUGE / PAGE) * costs.clearPage);
    if (!this.environment.scheduler.passes(thread)) yield Wait.Run;
    tables.find(mm.root, page);
    if (tables.present || tables.level < 2) return this.lost(frame, HUGE);
    const first = Math.floor(page / HUGE) * HUGE;
    return this.install(mm, region, first, HUGE_LG2, frame, true, FaultKind.Huge);
  }

  private mapZeros(region: Vma, page: number): FaultKind {
    const { tables, zeroPage } = this.environment;
    try {
      tables.map(page, PAGE_LG2, region.access & ~Access.Write, zeroPage, false);
    } catch (error) {
      if (error instanceof OutOfMemory) return FaultKind.Failed;
      throw error;
    }
    return FaultKind.Zero;
  }

  /** A page of the page cache has its contents already. */
  clear(thread: Thread, region: Vma): void {
    if (region.kind === 'anonymous') thread.charge(MmStep.Clear, this.environment.spec.costs.clearPage);
  }

  installSmall(mm: Mm, region: Vma, page: number, frame: number, access: Access): FaultKind {
    const dirty = (access & Access.Write) !== 0 || region.kind === 'anonymous';
    return this.install(mm, region, page, PAGE_LG2, frame, dirty, FaultKind.Minor);
  }

  /** A page, or -1: then `reclaimOne` may find one. */
  take(thread: Thread): number {
    const { pages, spec } = this.environment;
    thread.charge(MmStep.Allocate, spec.costs.allocatePage);
    return pages.full(PAGE) ? -1 : pages.allocate(PAGE);
  }

  /** Direct reclaim until a page is free; -1 when nothing can be reclaimed. */
  *reclaimOne(thread: Thread): Call<number> {
    const { pages } = this.environment;
    while (yield* this.reclaim.shrink(thread)) {
      const frame = pages.full(PAGE) ? -1 : pages.allocate(PAGE);
      if (frame >= 0) return frame;
    }
    return -1;
  }

  /** Maps a new page unless somebody was faster. */
  private install(
    mm: Mm,
    region: Vma,
    page: number,
    sizeLg2: number,
    frame: number,
    dirty: boolean,
    kind: FaultKind,
  ): FaultKind {
    const { tables, pages } = this.environment;
    const bytes = sizeLg2 === HUGE_LG2 ? HUGE : PAGE;
    tables.find(mm.root, page);
    if (tables.present) return this.lost(frame, bytes);
    try {
      tables.map(page, sizeLg2, region.access, frame, dirty);
    } catch (error) {
      if (!(error instanceof OutOfMemory)) throw error;
      pages.free(frame, bytes);
      return FaultKind.Failed;
    }
    pages.add(mm, page, frame);
    return kind;
  }

  private lost(frame: number, bytes: number): FaultKind {
    this.environment.pages.free(frame, bytes);
    return FaultKind.Raced;
  }
}

function hugeFits(region: Vma, page: number): boolean {
  const first = Math.floor(page / HUGE) * HUGE;
  return region.huge && first >= region.start && first + HUGE <= region.end;
}
