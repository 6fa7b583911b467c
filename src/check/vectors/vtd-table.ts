/**
 * One tree of VT-d paging entries under construction, first stage (x86-64 entries) or second stage (Intel VT-d specification rev. 5.10,
 * 9.7 and 9.8): maps single pages of any size, fills ignored bits at random, and plants one flaw on the way to a page if asked to.
 */
import type { Image } from './vtd-image.js';

export type FlawKind =
  /** Not present, the other bits zero or random. */
  | 'absent'
  | 'reserved'
  /** Page-size bit in an entry that points to a table. */
  | 'size'
  | 'readonly'
  | 'writeonly'
  | 'supervisor'
  /** Nested first stage: an address above the second stage's width. */
  | 'beyond'
  /** Nested first stage: the second stage does not map the table this entry points to, or the page, as it should. */
  | 'mapping';

export interface Flaw {
  /** Level of the entry that has it, 1 for the last. */
  readonly level: number;
  readonly kind: FlawKind;
}

export interface TableOptions {
  readonly stage: 'first' | 'second';
  readonly levels: number;
  readonly hostAddressWidth: number;
  /** Input addresses have at most this many bits in the other stage; 64 when there is none. */
  readonly outputWidth: number;
  /** Bit 11 of a second-stage leaf: reserved, left clear, or random. */
  readonly snoop: 'reserved' | 'clear' | 'free';
  /** Accessed and dirty bits: random, or all set as they must be when the walker cannot update entries. */
  readonly flags: 'random' | 'set';
  /** A new table: where it lies, and the address that points to it. `flawed`: plant a flaw in the mapping between the two. */
  readonly table: (flawed: boolean) => { host: bigint; pointer: bigint };
}

export interface Rights {
  readonly write: boolean;
  readonly read: boolean;
  readonly user: boolean;
  /** The leaf's dirty bit is set already. */
  readonly dirty?: true;
}

interface Known {
  readonly leaf: boolean;
  readonly flawed: boolean;
  readonly host: bigint;
}

function range(high: number, low: number): bigint {
  return high < low ? 0n : ((1n << BigInt(high - low + 1)) - 1n) << BigInt(low);
}

export class Table {
  readonly root: { host: bigint; pointer: bigint };
  /** What stands in the entry at a host address. */
  private readonly known = new Map<bigint, Known>();

  constructor(
    private readonly image: Image,
    private readonly options: TableOptions,
    flawedRoot = false,
  ) {
    this.root = options.table(flawedRoot);
  }

  /**
   * Maps the page of 2^(3 + 9 leafLevel) bytes at `input` to `output` (same low bits). False, and nothing written at the leaf, if the
   * way there leads through a leaf or a flaw that another page has left, or the flaw would hit another page.
   */
  map(input: bigint, output: bigint, leafLevel: number, rights: Rights, flaw: Flaw | null): boolean {
    const { options } = this;
    let table = this.root.host;
    for (let level = options.levels; ; level--) {
      const address = table + 8n * ((input >> BigInt(3 + 9 * level)) & 511n);
      const known = this.known.get(address);
      const kind = flaw?.level === level ? flaw.kind : null;
      if (level === leafLevel) {
        if (known !== undefined) return false;
        this.known.set(address, { leaf: true, flawed: kind !== null, host: 0n });
        const frame = (output >> BigInt(3 + 9 * level)) << BigInt(3 + 9 * level);
        this.image.write(address, this.spoil(this.leaf(frame, level, rights), level, true, kind));
        return true;
      }
      if (known !== undefined) {
        if (known.leaf || known.flawed || kind !== null) return false;
        table = known.host;
        continue;
      }
      const next = options.table(kind === 'mapping');
      this.known.set(address, { leaf: false, flawed: kind !== null, host: next.host });
      this.image.write(address, this.spoil(this.pointer(next.pointer, level), level, false, kind));
      table = next.host;
    }
  }

  private ignored(level: number, leaf: boolean): bigint {
    const { stage, snoop } = this.options;
    if (stage === 'first') {
      let bits = range(63, 52) | range(11, 8) | range(6, 3);
      if (leaf && level === 1) bits |= 1n << 7n;
      if (leaf && level > 1) bits |= 1n << 12n;
      return bits;
    }
    let bits = (1n << 63n) | range(61, 52) | range(10, 8) | range(6, 2);
    if (leaf && level === 1) bits |= 1n << 7n;
    if (leaf && snoop === 'free') bits |= 1n << 11n;
    return bits;
  }

  private reserved(level: number, leaf: boolean): bigint {
    const { stage, hostAddressWidth, snoop } = this.options;
    let bits = range(51, hostAddressWidth);
    if (level > 3) bits |= 1n << 7n;
    if (stage === 'first') return leaf && level > 1 ? bits | range(2 + 9 * level, 13) : bits;
    bits |= 1n << 62n;
    if (leaf) bits |= range(2 + 9 * level, 12);
    if (!leaf || snoop === 'reserved') bits |= 1n << 11n;
    return bits;
  }

  /** Ignored bits, at random in half of the entries, and the accessed and dirty bits (these may be the same ones). */
  private noise(level: number, leaf: boolean): bigint {
    const first = this.options.stage === 'first';
    // A, D and EA; A and D.
    const flags = first ? (1n << 5n) | (1n << 10n) | (leaf ? 1n << 6n : 0n) : (1n << 8n) | (leaf ? 1n << 9n : 0n);
    const noise = this.image.chance(50) ? this.image.bits(63) & this.ignored(level, leaf) : 0n;
    if (this.options.flags === 'set') return noise | flags;
    return (noise & ~flags) | (this.image.chance(40) ? flags : this.image.bits(63) & flags);
  }

  private leaf(frame: bigint, level: number, rights: Rights): bigint {
    const size = level > 1 ? 1n << 7n : 0n;
    const low =
      this.options.stage === 'first'
        ? 1n | (rights.write ? 2n : 0n) | (rights.user ? 4n : 0n)
        : (rights.read ? 1n : 0n) | (rights.write ? 2n : 0n);
    const dirty = rights.dirty === true ? 1n << (this.options.stage === 'first' ? 6n : 9n) : 0n;
    return frame | size | low | dirty | this.noise(level, true);
  }

  private pointer(table: bigint, level: number): bigint {
    return table | (this.options.stage === 'first' ? 7n : 3n) | this.noise(level, false);
  }

  private spoil(entry: bigint, level: number, leaf: boolean, kind: FlawKind | null): bigint {
    const { image, options } = this;
    switch (kind) {
      case 'absent': {
        const present = options.stage === 'first' ? 1n : 3n;
        return image.chance(50) ? 0n : entry & ~present;
      }
      case 'reserved':
        return entry | image.oneOf(this.reserved(level, leaf));
      case 'size': {
        // Only where the low bits of the pointer then are reserved: else it would map a page of tables.
        const becomesLeaf = !leaf && (level === 2 || level === 3);
        const low = range(2 + 9 * level, options.stage === 'first' ? 13 : 12);
        return becomesLeaf && (entry & low) !== 0n ? entry | 0x80n : entry & ~1n & ~2n;
      }
      case 'readonly':
        return entry & ~2n;
      case 'writeonly':
        return entry & ~1n;
      case 'supervisor':
        return entry & ~4n;
      case 'beyond':
        return entry | image.oneOf(range(options.hostAddressWidth - 1, options.outputWidth));
      default:
        return entry;
    }
  }
}
