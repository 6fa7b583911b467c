/**
 * The address-space side of the IOVA allocator (drivers/iommu/iova.c: __alloc_and_insert_iova_range, iova_find_limit, reserve_iova,
 * remove_iova): top-down first fit, size-aligned, starting from a cached node. Functional; the caller holds the tree lock and
 * charges time from `visits`. PFNs are numbers of pages of the domain's granule.
 */
import { NIL, RangeTree } from './rbtree.js';

/** The anchor lies above every address; the tree is never empty. */
const ANCHOR = 2 ** 52;
/** Page 0 is never handed out: IOVA 0 means failure. */
const FIRST_PFN = 1;

export class IovaTree {
  private readonly tree = new RangeTree();
  private readonly anchor: number;
  /** Where the next search starts, below 4 GiB and in the full space. */
  private cached32: number;
  private cached: number;
  /** A 32-bit request of at least this size has failed since something below 4 GiB was freed. */
  private max32: number;

  /** `pfn32`: first PFN above 4 GiB. */
  constructor(private readonly pfn32: number = 2 ** 20) {
    this.max32 = pfn32;
    this.anchor = this.tree.insert(ANCHOR, ANCHOR, NIL);
    this.cached32 = this.anchor;
    this.cached = this.anchor;
  }

  /** Tree nodes touched by the last `allocate` or `free`. */
  get visits(): number {
    return this.tree.visits;
  }

  /** Ranges in the tree: allocated, reserved, or cached in magazines. */
  get ranges(): number {
    return this.tree.size - 1;
  }

  /** Takes a range out of the space for good. */
  reserve(low: number, high: number): void {
    this.tree.insert(low, high, NIL);
    this.tree.visits = 0;
  }

  /**
   * A range of `pages` ending at or below `limit` (last PFN allowed), aligned to its size rounded up to a power of two.
   * Returns its first PFN, 0 if there is no room.
   */
  allocate(pages: number, limit: number): number {
    const tree = this.tree;
    tree.visits = 0;
    const top = limit + 1;
    if (top <= this.pfn32 && pages >= this.max32) return 0;
    let align = 1;
    while (align < pages) align *= 2;

    let node = top <= this.pfn32 ? this.cached32 : this.cached;
    const retryAbove = tree.high[node]!;
    let lowest = FIRST_PFN;
    let ceiling = top;
    for (;;) {
      let pfn: number;
      let above: number;
      do {
        ceiling = Math.min(ceiling, tree.low[node]!);
        pfn = Math.floor((ceiling - pages) / align) * align;
        above = node;
        node = tree.previous(node);
      } while (node !== NIL && pfn <= tree.high[node]! && pfn >= lowest);

      if (ceiling >= pages && pfn >= lowest) {
        const fresh = tree.insert(pfn, pfn + pages - 1, above);
        if (pfn + pages - 1 < this.pfn32) this.cached32 = fresh;
        else this.cached = fresh;
        return pfn;
      }
      if (lowest !== FIRST_PFN || retryAbove >= top) {
        this.max32 = pages;
        return 0;
      }
      // Once more from the limit down to where this search started.
      ceiling = top;
      lowest = retryAbove + 1;
      node = this.findLimit(top);
    }
  }

  /** Gives back the range that starts at `pfn`; throws if there is none. */
  free(pfn: number): void {
    const tree = this.tree;
    tree.visits = 0;
    const node = tree.find(pfn);
    if (node === NIL || tree.low[node] !== pfn)
      throw new Error(`IOVA page 0x${pfn.toString(16)} is freed but not allocated`);
    const low = tree.low[node]!;
    const high = tree.high[node]!;
    const next = tree.following(node);
    if (node === this.cached32 || (high < this.pfn32 && low >= tree.low[this.cached32]!)) this.cached32 = next;
    if (low < this.pfn32) this.max32 = this.pfn32;
    if (low >= tree.low[this.cached]!) this.cached = next;
    tree.remove(node);
  }

  /** Where a retry from the limit starts: the anchor for the full space, else the lowest node at or above the limit. */
  private findLimit(top: number): number {
    const tree = this.tree;
    if (top > this.pfn32) return this.anchor;
    let node = tree.top;
    let found = this.anchor;
    while (node !== NIL) {
      if (tree.low[node]! >= top) {
        found = node;
        node = tree.leftOf(node);
      } else {
        node = tree.rightOf(node);
      }
    }
    return found;
  }

  /** For tests. */
  check(): void {
    this.tree.check();
  }
}
