/**
 * A hand-made RISC-V IOMMU with one device, for tests: every table on a page of its own, the second stage (if any) an identity of
 * 4 KiB pages. The address of each entry on the way is kept by name, so that a test can change one of them.
 */
import type { Vector, VectorAccess } from '../vectors/vector.js';

export const RID = 0x1234;
export const PASID = 0x54321;
export const IOVA = 0x20_2020_3000n;
export const TARGET_OFFSET = 0x678n;

/** Sv39 to Sv57, Sv39x4 to Sv57x4, AMO_HWAD, ATS, T2GPA, PAS 56, PD8 to PD20; bits written out. */
export const CAPABILITIES =
  0x10n | (7n << 9n) | (7n << 17n) | (1n << 24n) | (1n << 25n) | (1n << 26n) | (56n << 32n) | (7n << 38n);
export const MSI_FLAT = 1n << 22n;

/** V R W U A D. */
export const LEAF = 0xd7n;
const POINTER = 1n;

export interface Shape {
  /** Levels of the device directory. */
  readonly directory: 1 | 2 | 3;
  readonly extended?: boolean;
  /** Levels of the process directory; 0: PDTV is 0. */
  readonly process?: 0 | 1 | 2 | 3;
  /** Levels of the page tables; 0: Bare. */
  readonly first: 0 | 3 | 4 | 5;
  readonly second: 0 | 3 | 4 | 5;
  /** Bits of tc beyond V and PDTV. */
  readonly control?: bigint;
  readonly capabilities?: bigint;
  readonly rid?: number;
  readonly pasid?: number;
  readonly iova?: bigint;
  /** Level of the first-stage leaf; above 0 the page starts at a multiple of its size. */
  readonly leafLevel?: number;
}

interface Index {
  readonly shift: number;
  readonly bits: number;
  readonly bytes: number;
}

export class HandMadeMachine {
  readonly words = new Map<bigint, bigint>();
  /** Address of the entry by level, 0 the leaf. */
  readonly directory: bigint[] = [];
  readonly processes: bigint[] = [];
  readonly first: bigint[] = [];
  /** Physical page that the access ends in. */
  readonly target: bigint;
  readonly iova: bigint;
  readonly secondRoot: bigint;
  readonly #directoryRoot: bigint;
  #next = 0x1_0000_0000n;

  constructor(readonly shape: Shape) {
    const { directory, first, second, process = 0, extended = false, leafLevel = 0 } = shape;
    this.iova = shape.iova ?? IOVA;
    const size = 4096n << BigInt(9 * leafLevel);
    const base = leafLevel === 0 ? this.page() : 0x1_4000_0000n;
    this.target = base + (this.iova & (size - 1n) & ~0xfffn);
    this.#directoryRoot = this.page();
    this.secondRoot = second === 0 ? 0n : this.page(4);
    if (second > 0) this.identity(this.target);

    const guestPage = (): bigint => this.identity(this.page());
    let firstRoot = 0n;
    if (first > 0) {
      const entry = this.entry(LEAF, base);
      firstRoot = guestPage();
      const index = stage(first, 0);
      this.descend(firstRoot, index, this.iova, leafLevel, this.first, guestPage);
      this.words.set(this.first[leafLevel]!, entry);
    }
    const iosatp = first === 0 ? 0n : (firstRoot >> 12n) | (BigInt(first + 5) << 60n);
    let fsc = iosatp;
    if (process > 0) {
      const root = guestPage();
      const index = [
        { shift: 0, bits: 8, bytes: 16 },
        { shift: 8, bits: 9, bytes: 8 },
        { shift: 17, bits: 3, bytes: 8 },
      ].slice(0, process);
      this.descend(root, index, BigInt(shape.pasid ?? PASID), 0, this.processes, guestPage);
      this.words.set(this.processes[0]!, 0b011n | (77n << 12n));
      this.words.set(this.processes[0]! + 8n, iosatp);
      fsc = (root >> 12n) | (BigInt(process) << 60n);
    }
    const leafBits = extended ? 6 : 7;
    const index = [
      { shift: 0, bits: leafBits, bytes: extended ? 64 : 32 },
      { shift: leafBits, bits: 9, bytes: 8 },
      { shift: leafBits + 9, bits: 9, bytes: 8 },
    ].slice(0, directory);
    this.descend(this.#directoryRoot, index, BigInt(shape.rid ?? RID), 0, this.directory, () => this.page());
    const control = 1n | (process > 0 ? 1n << 5n : 0n) | (shape.control ?? 0n);
    const iohgatp = second === 0 ? 0n : (this.secondRoot >> 12n) | (9n << 44n) | (BigInt(second + 5) << 60n);
    this.context(0, control);
    this.context(1, iohgatp);
    this.context(2, process > 0 ? 0n : 55n << 12n);
    this.context(3, fsc);
  }

  /** Sets a doubleword of the device context. */
  context(index: number, word: bigint): void {
    this.words.set(this.directory[0]! + BigInt(8 * index), word);
  }

  /** Changes bits of a word that exists. */
  change(address: bigint, set: bigint, clear = 0n): void {
    this.words.set(address, ((this.words.get(address) ?? 0n) & ~clear) | set);
  }

  /** Address of the second-stage entry of a guest page; makes the path. */
  secondEntry(gpa: bigint, level = 0): bigint {
    const slots: bigint[] = [];
    this.descend(this.secondRoot, stage(this.shape.second, 2), gpa, level, slots, () => this.page());
    return slots[level]!;
  }

  /** The access that the machine was made for, with changes. */
  access(change: Partial<VectorAccess> = {}): VectorAccess {
    const { process = 0 } = this.shape;
    return {
      id: 0,
      rid: this.shape.rid ?? RID,
      pasid: process > 0 ? (this.shape.pasid ?? PASID) : null,
      iova: this.iova + TARGET_OFFSET,
      kind: 'r',
      ...change,
    };
  }

  vector(...accesses: Partial<VectorAccess>[]): Vector {
    const { capabilities = CAPABILITIES, extended = false, directory } = this.shape;
    return {
      architecture: 'riscv',
      config: [['capabilities', `0x${(capabilities | (extended ? MSI_FLAT : 0n)).toString(16)}`]],
      words: this.words,
      tables: [],
      registers: [{ offset: 0x10, bytes: 8, value: BigInt(directory + 1) | ((this.#directoryRoot >> 12n) << 10n) }],
      accesses: accesses.length === 0 ? [this.access()] : accesses.map((change) => this.access(change)),
    };
  }

  private entry(flags: bigint, page: bigint): bigint {
    return flags | ((page >> 12n) << 10n);
  }

  private page(pages = 1): bigint {
    const align = BigInt(pages) * 4096n;
    const address = (this.#next + align - 1n) & ~(align - 1n);
    this.#next = address + align;
    return address;
  }

  private identity(page: bigint): bigint {
    if (this.shape.second > 0) this.words.set(this.secondEntry(page), this.entry(LEAF, page));
    return page;
  }

  private descend(
    root: bigint,
    levels: readonly Index[],
    key: bigint,
    to: number,
    slots: bigint[],
    newPage: () => bigint,
  ): void {
    let table = root;
    for (let level = levels.length - 1; level >= to; level--) {
      const { shift, bits, bytes } = levels[level]!;
      const slot = table + ((key >> BigInt(shift)) & ((1n << BigInt(bits)) - 1n)) * BigInt(bytes);
      slots[level] = slot;
      if (level === to) return;
      if (!this.words.has(slot)) this.words.set(slot, this.entry(POINTER, newPage()));
      table = (this.words.get(slot)! >> 10n) << 12n;
    }
  }
}

function stage(levels: number, rootBits: number): Index[] {
  return Array.from({ length: levels }, (_, level) => ({
    shift: 12 + 9 * level,
    bits: level === levels - 1 ? 9 + rootBits : 9,
    bytes: 8,
  }));
}
