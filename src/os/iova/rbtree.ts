/**
 * Red-black tree of disjoint ranges [low, high] of page frame numbers (lib/rbtree.c under drivers/iommu/iova.c), nodes in typed
 * arrays. `visits` counts the nodes a lookup, a step to the neighbour or an insertion touches: that is what the kernel's tree
 * costs. Rebalancing writes are not counted.
 */

/** No node. Slot 0 is the sentinel: black, its own child. */
export const NIL = 0;

const RED = 1;
const BLACK = 0;

export class RangeTree {
  low: Float64Array;
  high: Float64Array;
  private left: Int32Array;
  private right: Int32Array;
  private parent: Int32Array;
  private color: Uint8Array;
  private root = NIL;
  private freeSlot = NIL;
  private used = 1;
  private count = 0;
  /** Nodes touched since it was last set to 0. */
  visits = 0;

  constructor() {
    const size = 64;
    this.low = new Float64Array(size);
    this.high = new Float64Array(size);
    this.left = new Int32Array(size);
    this.right = new Int32Array(size);
    this.parent = new Int32Array(size);
    this.color = new Uint8Array(size);
  }

  get size(): number {
    return this.count;
  }

  get top(): number {
    return this.root;
  }

  leftOf(node: number): number {
    this.visits++;
    return this.left[node]!;
  }

  rightOf(node: number): number {
    this.visits++;
    return this.right[node]!;
  }

  /** The range that contains `pfn`, NIL if none. */
  find(pfn: number): number {
    let node = this.root;
    while (node !== NIL) {
      this.visits++;
      if (pfn < this.low[node]!) node = this.left[node]!;
      else if (pfn > this.high[node]!) node = this.right[node]!;
      else return node;
    }
    return NIL;
  }

  /** Next lower range, NIL at the lowest. */
  previous(node: number): number {
    this.visits++;
    let at = this.left[node]!;
    if (at !== NIL) {
      while (this.right[at] !== NIL) {
        this.visits++;
        at = this.right[at]!;
      }
      return at;
    }
    at = node;
    let up = this.parent[at]!;
    while (up !== NIL && at === this.left[up]) {
      this.visits++;
      at = up;
      up = this.parent[at]!;
    }
    return up;
  }

  /** Next higher range, NIL at the highest. */
  following(node: number): number {
    this.visits++;
    let at = this.right[node]!;
    if (at !== NIL) {
      while (this.left[at] !== NIL) {
        this.visits++;
        at = this.left[at]!;
      }
      return at;
    }
    at = node;
    let up = this.parent[at]!;
    while (up !== NIL && at === this.right[up]) {
      this.visits++;
      at = up;
      up = this.parent[at]!;
    }
    return up;
  }

  /** Inserts a range that overlaps no other and returns its node. `start`: a node in whose subtree it belongs, NIL = the root. */
  insert(low: number, high: number, start: number): number {
    let parent = NIL;
    let node = start === NIL ? this.root : start;
    let goesLeft = false;
    while (node !== NIL) {
      this.visits++;
      parent = node;
      goesLeft = low < this.low[node]!;
      node = goesLeft ? this.left[node]! : this.right[node]!;
    }
    const fresh = this.take();
    this.low[fresh] = low;
    this.high[fresh] = high;
    this.left[fresh] = NIL;
    this.right[fresh] = NIL;
    this.parent[fresh] = parent;
    this.color[fresh] = RED;
    if (parent === NIL) this.root = fresh;
    else if (goesLeft) this.left[parent] = fresh;
    else this.right[parent] = fresh;
    this.afterInsert(fresh);
    this.count++;
    return fresh;
  }

  remove(node: number): void {
    let removedColor = this.color[node]!;
    let hole: number;
    if (this.left[node] === NIL) {
      hole = this.right[node]!;
      this.transplant(node, hole);
    } else if (this.right[node] === NIL) {
      hole = this.left[node]!;
      this.transplant(node, hole);
    } else {
      let next = this.right[node]!;
      while (this.left[next] !== NIL) next = this.left[next]!;
      removedColor = this.color[next]!;
      hole = this.right[next]!;
      if (this.parent[next] === node) {
        this.parent[hole] = next;
      } else {
        this.transplant(next, hole);
        this.right[next] = this.right[node]!;
        this.parent[this.right[next]!] = next;
      }
      this.transplant(node, next);
      this.left[next] = this.left[node]!;
      this.parent[this.left[next]!] = next;
      this.color[next] = this.color[node]!;
    }
    if (removedColor === BLACK) this.afterRemove(hole);
    this.parent[NIL] = NIL;
    this.left[node] = this.freeSlot;
    this.freeSlot = node;
    this.count--;
  }

  private take(): number {
    const node = this.freeSlot;
    if (node !== NIL) {
      this.freeSlot = this.left[node]!;
      return node;
    }
    if (this.used === this.low.length) this.grow();
    return this.used++;
  }

  private grow(): void {
    const size = this.low.length * 2;
    const enlarge = <T extends Float64Array | Int32Array | Uint8Array>(larger: T, old: T): T => {
      larger.set(old);
      return larger;
    };
    this.low = enlarge(new Float64Array(size), this.low);
    this.high = enlarge(new Float64Array(size), this.high);
    this.left = enlarge(new Int32Array(size), this.left);
    this.right = enlarge(new Int32Array(size), this.right);
    this.parent = enlarge(new Int32Array(size), this.parent);
    this.color = enlarge(new Uint8Array(size), this.color);
  }

  private transplant(node: number, by: number): void {
    const up = this.parent[node]!;
    if (up === NIL) this.root = by;
    else if (node === this.left[up]) this.left[up] = by;
    else this.right[up] = by;
    this.parent[by] = up;
  }

  private rotateLeft(node: number): void {
    const up = this.right[node]!;
    this.right[node] = this.left[up]!;
    if (this.left[up] !== NIL) this.parent[this.left[up]!] = node;
    this.transplant(node, up);
    this.left[up] = node;
    this.parent[node] = up;
  }

  private rotateRight(node: number): void {
    const up = this.left[node]!;
    this.left[node] = this.right[up]!;
    if (this.right[up] !== NIL) this.parent[this.right[up]!] = node;
    this.transplant(node, up);
    this.right[up] = node;
    this.parent[node] = up;
  }

  private afterInsert(fresh: number): void {
    let node = fresh;
    while (this.color[this.parent[node]!] === RED) {
      let up = this.parent[node]!;
      const above = this.parent[up]!;
      const isLeft = up === this.left[above];
      const uncle = isLeft ? this.right[above]! : this.left[above]!;
      if (this.color[uncle] === RED) {
        this.color[up] = BLACK;
        this.color[uncle] = BLACK;
        this.color[above] = RED;
        node = above;
        continue;
      }
      if (isLeft) {
        if (node === this.right[up]) {
          this.rotateLeft(up);
          up = node;
        }
        this.rotateRight(above);
      } else {
        if (node === this.left[up]) {
          this.rotateRight(up);
          up = node;
        }
        this.rotateLeft(above);
      }
      this.color[up] = BLACK;
      this.color[above] = RED;
      break;
    }
    this.color[this.root] = BLACK;
  }

  private afterRemove(hole: number): void {
    let node = hole;
    while (node !== this.root && this.color[node] === BLACK) {
      const up = this.parent[node]!;
      const isLeft = node === this.left[up];
      let sibling = isLeft ? this.right[up]! : this.left[up]!;
      if (this.color[sibling] === RED) {
        this.color[sibling] = BLACK;
        this.color[up] = RED;
        if (isLeft) this.rotateLeft(up);
        else this.rotateRight(up);
        sibling = isLeft ? this.right[up]! : this.left[up]!;
      }
      const near = isLeft ? this.left[sibling]! : this.right[sibling]!;
      const far = isLeft ? this.right[sibling]! : this.left[sibling]!;
      if (this.color[near] === BLACK && this.color[far] === BLACK) {
        this.color[sibling] = RED;
        node = up;
        continue;
      }
      if (this.color[far] === BLACK) {
        this.color[near] = BLACK;
        this.color[sibling] = RED;
        if (isLeft) this.rotateRight(sibling);
        else this.rotateLeft(sibling);
        sibling = isLeft ? this.right[up]! : this.left[up]!;
      }
      this.color[sibling] = this.color[up]!;
      this.color[up] = BLACK;
      this.color[isLeft ? this.right[sibling]! : this.left[sibling]!] = BLACK;
      if (isLeft) this.rotateLeft(up);
      else this.rotateRight(up);
      node = this.root;
    }
    this.color[node] = BLACK;
  }

  /** Throws unless order, parent links and the red-black rules hold. For tests. */
  check(): void {
    const blackHeight = (node: number, up: number, low: number, high: number): number => {
      if (node === NIL) return 1;
      if (this.parent[node] !== up) throw new Error(`node ${node}: parent`);
      if (this.low[node]! <= low || this.high[node]! >= high || this.high[node]! < this.low[node]!) {
        throw new Error(`node ${node}: order`);
      }
      const red = this.color[node] === RED;
      if (red && (this.color[this.left[node]!] === RED || this.color[this.right[node]!] === RED)) {
        throw new Error(`node ${node}: two reds`);
      }
      const heights = [
        blackHeight(this.left[node]!, node, low, this.low[node]!),
        blackHeight(this.right[node]!, node, this.high[node]!, high),
      ];
      if (heights[0] !== heights[1]) throw new Error(`node ${node}: black height`);
      return heights[0]! + (red ? 0 : 1);
    };
    if (this.color[NIL] !== BLACK || this.color[this.root] !== BLACK) throw new Error('root or sentinel is red');
    blackHeight(this.root, NIL, -1, Number.POSITIVE_INFINITY);
  }
}
