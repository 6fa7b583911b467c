/**
 * Paging out (mm/vmscan.c: shrink_folio_list; mm/madvise.c: madvise_pageout): takes pages out of tables, has their translations removed, writes
 * them to storage and frees them, in that order. Each page is invalidated on its own, as try_to_unmap does; the CPUs' accessed bits decide
 * who gets a second chance, and devices that hold a translation do not set them again. Not modelled: kswapd (the thread that needs
 * a page frees some itself), the swap cache (a page in transit is read back), clean copies in swap (anonymous pages are always written).
 */
import { OutOfMemory } from '../../memory/frames.js';
import { type Call, type Thread, Wait } from '../thread.js';
import { flushRange, type MmEnvironment } from './environment.js';
import type { Mm } from './mm.js';
import { MmStep } from './step.js';
import { HUGE, type ProcessTables } from './tables.js';
import { findRegion } from './vma.js';

const PAGE = 4096;

/** A page that has left its table. */
interface Victim {
  readonly mm: Mm;
  readonly address: number;
  readonly frame: number;
  readonly written: boolean;
}

export class Reclaim {
  constructor(private readonly environment: MmEnvironment) {}

  /** Frees a cluster of the least recently used pages of all processes. Returns false when there was none to free. */
  *shrink(thread: Thread): Call<boolean> {
    const { pages, spec, tables, statistics } = this.environment;
    const victims: Victim[] = [];
    pages.sweep((mm, address, frame) => isThere(tables, mm, address, frame));
    let left = 2 * pages.listed;
    let scanned = 0;
    // The hand goes round at most twice: the second time nobody has a second chance left.
    while (victims.length < spec.cluster && left-- > 0) {
      scanned++;
      const more = pages.turn((mm, address, frame) => {
        if (!isThere(tables, mm, address, frame)) return false;
        if (tables.accessed) {
          tables.age();
          return true;
        }
        return !this.take(mm, address, victims);
      });
      if (!more) break;
    }
    statistics.scanned += scanned;
    thread.charge(MmStep.Reclaim, scanned * spec.costs.scanPage);
    yield* this.pageOut(thread, victims);
    return victims.length > 0;
  }

  /** Pages of [start, end) go out now, whether they are in use or not. The caller holds mmap_lock for reading. */
  *pageOutRange(thread: Thread, mm: Mm, start: number, end: number): Call<void> {
    const { tables, spec } = this.environment;
    for (let at = start; at < end; ) {
      const victims: Victim[] = [];
      while (at < end && victims.length < spec.cluster) {
        tables.find(mm.root, at);
        const whole = tables.present ? PAGE : tables.bytes;
        if (tables.present && this.reclaimable) this.take(mm, at, victims);
        at = (Math.floor(at / whole) + 1) * whole;
      }
      yield* this.pageOut(thread, victims);
    }
  }

  private get reclaimable(): boolean {
    return this.environment.tables.frame !== this.environment.zeroPage;
  }

  /** Takes the page under the cursor out of its table; a large one is cut first. False if that needs memory that is not there. */
  private take(mm: Mm, address: number, victims: Victim[]): boolean {
    const { tables, pages } = this.environment;
    const region = findRegion(mm.regions, address)!;
    if (tables.bytes === HUGE) {
      const [base, frame] = [Math.floor(address / HUGE) * HUGE, tables.frame];
      try {
        tables.split(region.access);
      } catch (error) {
        if (error instanceof OutOfMemory) return false;
        throw error;
      }
      // The list keeps naming the first of them.
      for (let offset = 0; offset < HUGE; offset += PAGE) {
        if (offset !== 0 && base + offset !== address) pages.add(mm, base + offset, frame + offset);
      }
      tables.find(mm.root, address);
    }
    const written = region.kind === 'anonymous' || tables.dirty;
    victims.push({ mm, address, frame: tables.frame, written });
    tables.evict(true);
    return true;
  }

  private *pageOut(thread: Thread, victims: readonly Victim[]): Call<void> {
    const { scheduler, storage, spec, pages, statistics } = this.environment;
    const { costs } = spec;
    for (const { mm, address } of victims) {
      thread.charge(MmStep.Reclaim, costs.evictPage);
      yield* flushRange(thread, this.environment, mm, address, address + PAGE);
    }
    let busy = 0;
    for (const { written } of victims) {
      if (!written) continue;
      thread.charge(MmStep.Storage, costs.submitIo);
      statistics.written++;
      busy = storage.write();
    }
    if (thread.debt !== 0) yield Wait.Run;
    if (busy > 0) {
      scheduler.sleepFor(thread, MmStep.Storage, busy);
      yield Wait.Block;
    }
    for (const { frame } of victims) {
      thread.charge(MmStep.Reclaim, costs.freePage);
      pages.free(frame, PAGE);
      statistics.evicted++;
    }
  }
}

/** Whether the address space still maps the frame there; leaves the cursor on it. */
function isThere(tables: ProcessTables, mm: Mm, address: number, frame: number): boolean {
  if (mm.root < 0) return false;
  tables.find(mm.root, address);
  if (!tables.present) return false;
  return tables.frame + (address % tables.bytes) === frame;
}
