/**
 * The pages that processes have resident: allocation under a limit, and the clock that reclaim turns (mm/vmscan.c reduced to one list with a
 * second chance for pages whose accessed bit is set). The list may name pages that are gone; the hand skips them. What pages contain is
 * not simulated: nothing stores words there, so frames go back as they came.
 */
import { type FrameAllocator, OutOfMemory } from '../../memory/frames.js';
import type { Mm } from './mm.js';

const PAGE = 4096;
/** Stale entries that the list tolerates before it is swept. */
const SLACK = 1024;

export class ResidentPages {
  /** Bytes resident. */
  resident = 0;
  private readonly owners: Mm[] = [];
  /** Address in the owner, and frame, side by side. */
  private readonly places: number[] = [];
  /** The page under the hand: the list is a ring that is cut here, oldest first. */
  private hand = 0;
  /** Frames allocated, if anybody asks. */
  private known: Set<number> | null = null;

  constructor(
    private readonly frames: FrameAllocator,
    private readonly limit: number,
  ) {}

  /** From now on `has` knows which pages are allocated: for the audit. */
  remember(): void {
    this.known = new Set();
  }

  has(frame: number): boolean {
    return this.known!.has(frame);
  }

  private note(frame: number, bytes: number, there: boolean): void {
    if (this.known === null) return;
    for (let at = frame; at < frame + bytes; at += PAGE) {
      if (there) this.known.add(at);
      else this.known.delete(at);
    }
  }

  /** Whether so many bytes more would be too many. */
  full(bytes: number): boolean {
    return this.resident + bytes > this.limit;
  }

  /** A page, or a block aligned to its size; -1 if there is none. */
  allocate(bytes: number): number {
    try {
      const frame = bytes === PAGE ? this.frames.allocate() : this.frames.allocateContiguous(bytes, bytes);
      this.resident += bytes;
      this.note(frame, bytes, true);
      return frame;
    } catch (error) {
      if (error instanceof OutOfMemory) return -1;
      throw error;
    }
  }

  free(frame: number, bytes: number): void {
    if (bytes === PAGE) this.frames.free(frame);
    else this.frames.freeContiguous(frame, bytes);
    this.resident -= bytes;
    this.note(frame, bytes, false);
  }

  /** The page is mapped: reclaim may find it. Nothing is kept where nothing is ever reclaimed. */
  add(mm: Mm, address: number, frame: number): void {
    if (this.limit === Number.POSITIVE_INFINITY) return;
    this.owners.push(mm);
    this.places.push(address, frame);
  }

  /** Pages on the list, those that are gone included. */
  get listed(): number {
    return this.owners.length - this.hand;
  }

  /**
   * Moves the hand over one page: `judge` says whether to keep it on the list. Returns false when the list is empty. `judge` must not
   * let time pass.
   */
  turn(judge: (mm: Mm, address: number, frame: number) => boolean): boolean {
    const at = this.hand;
    if (at === this.owners.length) return false;
    const [mm, address, frame] = [this.owners[at]!, this.places[2 * at]!, this.places[2 * at + 1]!];
    this.hand++;
    if (judge(mm, address, frame)) {
      this.owners.push(mm);
      this.places.push(address, frame);
    }
    if (this.hand >= SLACK && 2 * this.hand >= this.owners.length) this.cut();
    return true;
  }

  /** Sweeps the list when most of it may be stale: `valid` tells which pages are still where it says. */
  sweep(valid: (mm: Mm, address: number, frame: number) => boolean): void {
    if (this.listed < (2 * this.resident) / PAGE + SLACK) return;
    this.cut();
    for (let left = this.owners.length; left > 0; left--) this.turn(valid);
    this.cut();
  }

  private cut(): void {
    this.owners.splice(0, this.hand);
    this.places.splice(0, 2 * this.hand);
    this.hand = 0;
  }
}
