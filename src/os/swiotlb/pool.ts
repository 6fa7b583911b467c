/**
 * Slots of the software IO TLB's pool (kernel/dma/swiotlb.c): areas of equal size, in each a search that goes on where the last one
 * ended, and for every slot the number of free ones from it to the end of its segment. Functional; the caller holds the area's lock
 * and charges time from `visits`. Not modelled: dynamic pools, restricted pools of one device, segment boundaries of devices.
 */

/** IO_TLB_SHIFT. */
export const SLOT_BYTES = 2048;
/** IO_TLB_SEGSIZE: slots of a mapping at most. */
export const SEGMENT_SLOTS = 128;
/** Largest mapping, bytes (swiotlb_max_mapping_size of a device that asks for no alignment). */
export const LARGEST_BOUNCE: number = SLOT_BYTES * SEGMENT_SLOTS;
const PAGE = 4096;

export class SlotPool {
  readonly slots: number;
  readonly areas: number;
  readonly areaSlots: number;
  /** Slots looked at, taken or given back by the last call. */
  visits = 0;
  /** Free slots from each one to the end of its segment at most, 0 = taken. */
  private readonly list: Uint8Array;
  /** Slots of the mapping that begins at each one. */
  private readonly taken: Uint8Array;
  /** By area: where the next search starts, and slots in use. */
  private readonly next: Int32Array;
  private readonly used: Int32Array;

  /**
   * `bytes` is rounded up to a power of two with a segment for each area; `areas`, a power of two, is lowered where a segment for each
   * would not fit (swiotlb_adjust_nareas, limit_nareas). Throws RangeError for sizes below one segment.
   */
  constructor(bytes: number, areas: number) {
    if (!(bytes >= LARGEST_BOUNCE)) throw new RangeError(`a pool has at least ${LARGEST_BOUNCE} bytes, got ${bytes}`);
    let slots = SEGMENT_SLOTS;
    while (slots * SLOT_BYTES < bytes) slots *= 2;
    this.slots = slots;
    this.areas = Math.min(areas, slots / SEGMENT_SLOTS);
    this.areaSlots = slots / this.areas;
    this.list = Uint8Array.from({ length: slots }, (_, slot) => SEGMENT_SLOTS - (slot % SEGMENT_SLOTS));
    this.taken = new Uint8Array(slots);
    this.next = new Int32Array(this.areas);
    this.used = new Int32Array(this.areas);
  }

  /** Bytes that the pool occupies, at a multiple of as many. */
  get bytes(): number {
    return this.slots * SLOT_BYTES;
  }

  areaOf(slot: number): number {
    return Math.floor(slot / this.areaSlots);
  }

  /** Slots in use in an area. */
  usedIn(area: number): number {
    return this.used[area]!;
  }

  /**
   * swiotlb_search_pool_area: slots for `bytes` in one area, the first at a multiple of `align` (of a page for mappings of a page and more).
   * Returns the first slot's number, -1 when the area has no such run.
   */
  allocate(area: number, bytes: number, align = SLOT_BYTES): number {
    const wanted = Math.ceil(bytes / SLOT_BYTES);
    this.visits = 0;
    if (wanted > this.areaSlots - this.used[area]!) return -1;
    const stride = Math.max(align, bytes >= PAGE ? PAGE : SLOT_BYTES) / SLOT_BYTES;
    const base = area * this.areaSlots;
    let index = this.next[area]!;
    for (let checked = 0; checked < this.areaSlots; ) {
      const slot = base + index;
      this.visits++;
      const aligned = slot % stride === 0;
      if (aligned && this.list[slot]! >= wanted) {
        this.take(area, slot, wanted);
        this.next[area] = index + wanted < this.areaSlots ? index + wanted : 0;
        return slot;
      }
      const step = aligned ? stride : 1;
      index = index + step < this.areaSlots ? index + step : 0;
      checked += step;
    }
    return -1;
  }

  /** swiotlb_release_slots: gives back the mapping that begins at `slot`, joining it with its free neighbours. Throws if there is none. */
  free(slot: number): void {
    const count = this.taken[slot]!;
    if (count === 0) throw new Error(`slot ${slot} of the bounce pool is freed but begins no mapping`);
    const end = slot + count;
    let free = end % SEGMENT_SLOTS === 0 ? 0 : this.list[end]!;
    for (let i = end - 1; i >= slot; i--) this.list[i] = ++free;
    this.taken[slot] = 0;
    this.visits = count;
    this.joinBelow(slot, free);
    const area = this.areaOf(slot);
    this.used[area] = this.used[area]! - count;
  }

  private take(area: number, slot: number, count: number): void {
    this.list.fill(0, slot, slot + count);
    this.taken[slot] = count;
    this.used[area] = this.used[area]! + count;
    this.visits += count;
    this.joinBelow(slot, 0);
  }

  /** Free slots below `slot` in its segment see `free` more free ones behind them. */
  private joinBelow(slot: number, free: number): void {
    let count = free;
    for (let i = slot - 1; i >= 0 && i % SEGMENT_SLOTS !== SEGMENT_SLOTS - 1 && this.list[i]! > 0; i--) {
      this.list[i] = ++count;
      this.visits++;
    }
  }
}
