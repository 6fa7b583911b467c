/**
 * Large Int32Arrays that one simulated machine leaves to the next one of the same thread. Fresh ones cost a page fault for every
 * 4 KiB and work for the garbage collector, and a sweep may build a machine every few milliseconds. An array is all zeros when it is
 * taken, so that nothing of an earlier machine can be seen.
 */

/** Bytes of host memory that may wait here. */
const MOST_BYTES = 64 * 2 ** 20;

export class ArrayStore {
  /** By length. */
  private readonly free = new Map<number, Int32Array[]>();
  private bytes = 0;

  /** An array of `length` zeros. */
  take(length: number): Int32Array {
    const used = this.free.get(length)?.pop();
    if (used === undefined) return new Int32Array(length);
    this.bytes -= used.byteLength;
    return used.fill(0);
  }

  /** Takes an array that nobody will touch again. */
  give(array: Int32Array): void {
    if (this.bytes + array.byteLength > MOST_BYTES) return;
    this.bytes += array.byteLength;
    const others = this.free.get(array.length);
    if (others === undefined) this.free.set(array.length, [array]);
    else others.push(array);
  }
}

/** The arrays of one machine. */
export class ArrayLoan {
  private readonly taken: Int32Array[] = [];

  constructor(private readonly store: ArrayStore = new ArrayStore()) {}

  take(length: number): Int32Array {
    const array = this.store.take(length);
    this.taken.push(array);
    return array;
  }

  /** Gives everything back; the machine must not run again. */
  end(): void {
    for (const array of this.taken) this.store.give(array);
    this.taken.length = 0;
  }
}
