/**
 * What a plain VT-d walker stands on: the vector's memory with a log of accesses, the registers that bring the unit up, and the
 * capabilities of the two units that vectors speak about.
 *
 * `cfg aw` is the maximum guest address width (CAP.MGAW) and the host address width (at most 52). Without `cfg rules` the unit is
 * QEMU 10's intel-iommu; with `cfg rules specification` it has every capability of rev. 5.10 that is not listed as missing here:
 * 1 GiB pages in both stages, five levels when aw is 57, nesting, supervisor requests, RID_PASID and RID_PRIV, extended-accessed
 * flags, second-stage accessed and dirty flags, snoop control, coherent walks, 20-bit PASIDs. Missing: execute requests (ERS, which
 * rev. 5 has dropped), abort-DMA mode, host permission tables, second-stage I/O read/write bits.
 */
import type { MemoryAccess, Vector } from '../vectors/vector.js';

/** Bits high..low of a word. */
export function field(word: bigint, high: number, low: number): bigint {
  return (word >> BigInt(low)) & ((1n << BigInt(high - low + 1)) - 1n);
}

/** A mask of bits high..low; zero when high is below low. */
export function mask(high: number, low: number): bigint {
  return high < low ? 0n : ((1n << BigInt(high - low + 1)) - 1n) << BigInt(low);
}

export const PAGE = ~0xfffn;

/** Global command register bits. */
const TRANSLATION_ENABLE = 1n << 31n;
const SET_ROOT_TABLE_POINTER = 1n << 30n;

export class Memory {
  private readonly words: Map<bigint, bigint>;
  log: MemoryAccess[] = [];

  constructor(words: ReadonlyMap<bigint, bigint>) {
    this.words = new Map(words);
  }

  /** One read of `count` consecutive 64-bit words. */
  read(address: bigint, count: number): bigint[] {
    this.log.push({ kind: 'r', bytes: 8 * count, address });
    return Array.from({ length: count }, (_, i) => this.words.get(address + BigInt(8 * i)) ?? 0n);
  }

  /** Sets bits of an entry in one atomic access. */
  setBits(address: bigint, bits: bigint): void {
    this.log.push({ kind: 'a', bytes: 8, address });
    this.words.set(address, (this.words.get(address) ?? 0n) | bits);
  }
}

export class Unit {
  readonly memory: Memory;
  /** Rules of the specification throughout; otherwise what QEMU's emulation reports. */
  readonly strict: boolean;
  /** ECAP.SMTS. */
  readonly scalableModeSupport: boolean;
  /** CAP.MGAW. */
  readonly guestAddressWidth: number;
  readonly hostAddressWidth: number;
  /** RTADDR_REG as latched by the last Set Root Table Pointer. */
  rootTable = 0n;
  translationEnabled = false;

  constructor(vector: Vector) {
    const config = new Map(vector.config);
    const width = Number(config.get('aw') ?? '48');
    const rules = config.get('rules');
    if (![39, 48, 57].includes(width)) throw new Error(`cfg aw ${width}: not 39, 48 or 57`);
    if (rules !== undefined && rules !== 'specification') throw new Error(`cfg rules ${rules}: not specification`);
    this.strict = rules === 'specification';
    if (width === 57 && !this.strict) throw new Error('cfg aw 57 needs cfg rules specification');
    this.scalableModeSupport = config.get('scalable') === '1';
    this.guestAddressWidth = width;
    this.hostAddressWidth = Math.min(width, 52);
    this.memory = new Memory(vector.words);
    let programmed = 0n;
    for (const { offset, value } of vector.registers) {
      if (offset === 0x20) programmed = value;
      else if (offset === 0x18) {
        if ((value & SET_ROOT_TABLE_POINTER) !== 0n) this.rootTable = programmed;
        this.translationEnabled = (value & TRANSLATION_ENABLE) !== 0n;
      } else throw new Error(`register 0x${offset.toString(16)} is not one that vectors program`);
    }
  }

  /** Adjusted guest address width that an AW field selects, or null if the unit does not have it (CAP.SAGAW). */
  adjustedWidth(aw: bigint): number | null {
    const width = 30 + 9 * Number(aw);
    return aw >= 1n && width <= this.guestAddressWidth ? width : null;
  }

  /** Address bits at and above the host address width, up to bit `high`. */
  aboveHost(high: number): bigint {
    return mask(high, this.hostAddressWidth);
  }
}
