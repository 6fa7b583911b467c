/**
 * What the plain RISC-V IOMMU walker stands on: capability bits, memory that records each access, and the fault that ends a
 * translation (RISC-V IOMMU specification 1.0, capabilities register and "Fault/Event-Queue").
 * Not modelled: poisoned data, PMA and PMP checks other than the physical address width.
 */
import type { MemoryAccess } from '../vectors/vector.js';

export const PAGE = 4096n;

/** Bit numbers of `capabilities`. */
export const CAPABILITY = {
  Sv39: 9,
  Sv48: 10,
  Sv57: 11,
  Svrsw60t59b: 14,
  Svpbmt: 15,
  Sv39x4: 17,
  Sv48x4: 18,
  Sv57x4: 19,
  MSI_FLAT: 22,
  MSI_MRIF: 23,
  AMO_HWAD: 24,
  ATS: 25,
  T2GPA: 26,
  PD8: 38,
  PD17: 39,
  PD20: 40,
  QOSID: 41,
} as const;

export type Capability = keyof typeof CAPABILITY;

/** Bits `high` to `low` of a word. */
export function field(word: bigint, high: number, low: number): bigint {
  return (word >> BigInt(low)) & ((1n << BigInt(high - low + 1)) - 1n);
}

export function bit(word: bigint, position: number): boolean {
  return field(word, position, position) === 1n;
}

/** Ends a translation: the cause of the fault record, and iotval2 of a guest page fault. */
export class Fault {
  constructor(
    readonly cause: number,
    readonly iotval2?: bigint,
  ) {}
}

/** The IOMMU's read-only configuration and the memory it reads. Words change by accessed and dirty updates only. */
export class Machine {
  readonly #words: Map<bigint, bigint>;
  readonly #physicalMask: bigint;
  #accesses: MemoryAccess[] = [];

  constructor(
    readonly capabilities: bigint,
    words: ReadonlyMap<bigint, bigint>,
  ) {
    this.#words = new Map(words);
    this.#physicalMask = (1n << field(capabilities, 37, 32)) - 1n;
  }

  has(capability: Capability): boolean {
    return bit(this.capabilities, CAPABILITY[capability]);
  }

  /** Physical page number as a register of this width keeps it. */
  physicalPage(ppn: bigint): bigint {
    return ppn & (this.#physicalMask >> 12n);
  }

  /** Whether the address is wider than capabilities.PAS. */
  beyond(address: bigint): boolean {
    return (address & ~this.#physicalMask) !== 0n;
  }

  /** Reads `bytes` (a multiple of 8) as little-endian words. */
  read(address: bigint, bytes: number): bigint[] {
    this.#accesses.push({ kind: 'r', bytes, address });
    const words: bigint[] = [];
    for (let offset = 0; offset < bytes; offset += 8) {
      words.push(this.#words.get(address + BigInt(offset)) ?? 0n);
    }
    return words;
  }

  readWord(address: bigint): bigint {
    return this.read(address, 8)[0]!;
  }

  /** Sets bits of an entry as one atomic read-modify-write. */
  atomicOr(address: bigint, bits: bigint): void {
    this.#accesses.push({ kind: 'a', bytes: 8, address });
    this.#words.set(address, (this.#words.get(address) ?? 0n) | bits);
  }

  /** Accesses since the last call, in order. */
  takeAccesses(): MemoryAccess[] {
    const taken = this.#accesses;
    this.#accesses = [];
    return taken;
  }
}
