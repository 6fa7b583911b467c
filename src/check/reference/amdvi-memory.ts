/**
 * Memory of the plain AMD-Vi walker: the words of a vector, changed by accessed and dirty updates, and a log of what one cold
 * translation read and updated, in order.
 */
import type { MemoryAccess } from '../vectors/vector.js';

export class LoggedMemory {
  private readonly words: Map<bigint, bigint>;
  private log: MemoryAccess[] = [];

  constructor(words: ReadonlyMap<bigint, bigint>) {
    this.words = new Map(words);
  }

  /** The log since the last call; the next access starts an empty one. */
  takeLog(): MemoryAccess[] {
    const log = this.log;
    this.log = [];
    return log;
  }

  /** The word at an 8-aligned address without a trace in the log. */
  peek(address: bigint): bigint {
    return this.words.get(address) ?? 0n;
  }

  /** One read of `count` words: hardware fetches a device table entry in one transaction. */
  readWords(address: bigint, count: number): bigint[] {
    this.log.push({ kind: 'r', bytes: 8 * count, address });
    return Array.from({ length: count }, (_, i) => this.peek(address + 8n * BigInt(i)));
  }

  readWord(address: bigint): bigint {
    return this.readWords(address, 1)[0]!;
  }

  /** Sets bits of an entry in an atomic update; none happens if all are set already. */
  setBits(address: bigint, bits: bigint): void {
    const word = this.peek(address);
    if ((word & bits) === bits) return;
    this.log.push({ kind: 'a', bytes: 8, address });
    this.words.set(address, word | bits);
  }
}
