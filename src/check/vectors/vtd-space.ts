/**
 * Address spaces of VT-d vectors: pass-through, first stage, second stage, or first over second stage, with some pages that can be
 * reached and some whose way has a flaw.
 */
import type { AccessKind } from './vector.js';
import type { Image } from './vtd-image.js';
import { type Flaw, type FlawKind, type Rights, Table } from './vtd-table.js';

export type SpaceType = 'first' | 'second' | 'nested' | 'pass';

/** What the generator knows about one page. */
export interface Page {
  /** 4 KiB aligned, anywhere in the page. */
  readonly input: bigint;
  readonly rights: Rights;
  readonly flawed: boolean;
}

export interface SpaceOptions {
  readonly type: SpaceType;
  readonly firstLevels: number;
  readonly secondLevels: number;
  readonly hostAddressWidth: number;
  readonly snoop: 'reserved' | 'clear' | 'free';
  /** SSADE. */
  readonly secondFlags: boolean;
  /** PWSNP; without it accessed and dirty flags are mostly preset. */
  readonly coherent: boolean;
  /** Some first-stage pages belong to the supervisor. */
  readonly supervisorPages: boolean;
  /** Some pages lie in the interrupt address range. */
  readonly interruptPages: boolean;
}

export interface Space {
  readonly options: SpaceOptions;
  readonly domain: number;
  /** Zero where there is no such stage; the first-stage root of a nested space is a guest address. */
  readonly firstRoot: bigint;
  readonly secondRoot: bigint;
  readonly pages: readonly Page[];
}

const INTERRUPTS = 0xfee0_0000n;

/** The interrupt address range, FEEx_xxxxh, is no place for accesses. */
export function isInterrupt(address: bigint): boolean {
  return address >> 20n === INTERRUPTS >> 20n;
}

/** Level of the leaf that maps a host page: a large page would map what lies around the interrupt range, outside the window. */
function levelOf(host: bigint, drawn: number): number {
  return isInterrupt(host) ? 1 : drawn;
}

/** Bits of the input address. */
export function inputWidth(options: SpaceOptions): number {
  return 12 + 9 * (options.type === 'second' ? options.secondLevels : options.firstLevels);
}

/** A legal input address with the given low bits; often close to `near`, sometimes at an end of the range. */
export function chooseInput(
  image: Image,
  width: number,
  signed: boolean,
  near: bigint | null,
  low: bigint,
  lowBits: number,
): bigint {
  const lowMask = (1n << BigInt(lowBits)) - 1n;
  for (;;) {
    let upper = image.bits(width - 1);
    const die = image.random.below(100);
    if (die < 35 && near !== null) upper = near ^ (image.bits(lowBits + 2, lowBits) & ((1n << BigInt(width)) - 1n));
    else if (die < 43) upper = 0n;
    else if (die < 51) upper = (1n << BigInt(signed ? width - 1 : width)) - 1n;
    else if (die < 55 && signed) upper = 1n << BigInt(width - 1);
    const narrow = ((upper & ~lowMask) | (low & lowMask)) & ((1n << BigInt(width)) - 1n) & ~0xfffn;
    const address = signed ? BigInt.asUintN(64, BigInt.asIntN(width, narrow)) : narrow;
    if (!isInterrupt(address)) return address;
  }
}

const FIRST_FLAWS: readonly FlawKind[] = ['absent', 'absent', 'reserved', 'reserved', 'size', 'readonly', 'supervisor'];
const SECOND_FLAWS: readonly FlawKind[] = ['absent', 'absent', 'reserved', 'reserved', 'size', 'readonly', 'writeonly'];
const NESTED_FLAWS: readonly FlawKind[] = [...FIRST_FLAWS, 'beyond', 'mapping', 'mapping', 'mapping', 'mapping'];

class Builder {
  readonly second: Table | null;
  first: Table | null = null;
  readonly pages: Page[] = [];

  constructor(
    private readonly image: Image,
    private readonly options: SpaceOptions,
  ) {
    const { type, secondLevels, hostAddressWidth, snoop, coherent } = options;
    const flags = coherent || image.chance(25) ? 'random' : 'set';
    const plain = () => {
      const host = image.allocate();
      return { host, pointer: host };
    };
    this.second =
      type === 'second' || type === 'nested'
        ? new Table(image, {
            stage: 'second',
            levels: secondLevels,
            hostAddressWidth,
            outputWidth: 64,
            snoop,
            flags,
            table: plain,
          })
        : null;
    if (type !== 'first' && type !== 'nested') return;
    const outputWidth = type === 'nested' ? 12 + 9 * secondLevels : 64;
    const table = type === 'nested' ? (flawed: boolean) => this.guestTable(flawed) : plain;
    const first = {
      stage: 'first',
      levels: options.firstLevels,
      hostAddressWidth,
      outputWidth,
      snoop,
      flags,
      table,
    } as const;
    this.first = new Table(image, first, type === 'nested' && image.chance(6));
  }

  /** Maps a guest page to a host page through the second stage; the guest address. */
  private guest(host: bigint, rights: Rights, kinds: readonly FlawKind[] | null): bigint {
    const { image, options } = this;
    const width = Math.min(12 + 9 * options.secondLevels, options.hostAddressWidth);
    for (;;) {
      const leafLevel = levelOf(host, 1 + image.random.below(3));
      const input = chooseInput(image, width, false, null, host, 3 + 9 * leafLevel);
      const flaw = kinds === null ? null : this.flaw(kinds, options.secondLevels, leafLevel);
      if (this.second!.map(input, host, leafLevel, rights, flaw)) return input;
    }
  }

  private guestTable(flawed: boolean): { host: bigint; pointer: bigint } {
    const { image, options } = this;
    const host = image.allocate();
    // With second-stage flags on, rev. 5.10 says neither which condition a table is that can be read but not written, nor whether
    // reading a table makes its page dirty.
    const kinds = options.secondFlags ? SECOND_FLAWS.filter((kind) => kind !== 'readonly') : SECOND_FLAWS;
    const all = { read: true, write: true, user: true } as const;
    const pointer = this.guest(host, options.secondFlags ? { ...all, dirty: true } : all, flawed ? kinds : null);
    return { host, pointer };
  }

  private flaw(kinds: readonly FlawKind[], levels: number, leafLevel: number): Flaw {
    const { image } = this;
    const kind = image.pick(kinds);
    const lowest = kind === 'size' && leafLevel === 1 ? 2 : leafLevel;
    return { kind, level: lowest + (levels > lowest ? image.random.below(levels - lowest + 1) : 0) };
  }

  private rights(writeOnly: boolean): Rights {
    const { image, options } = this;
    const die = image.random.below(100);
    const user = !(options.supervisorPages && image.chance(30));
    if (die < 64) return { read: true, write: true, user };
    return writeOnly && die < 82 ? { read: false, write: true, user } : { read: true, write: false, user };
  }

  /** A host page. One in the interrupt range is a flaw. */
  private target(flawed: boolean): bigint {
    const { image, options } = this;
    return flawed && options.interruptPages && image.chance(8) ? INTERRUPTS | image.bits(19, 12) : image.target();
  }

  private secondPage(near: bigint | null, flawed: boolean): void {
    const { image, options } = this;
    const drawn = 1 + image.random.below(3);
    const output = this.target(flawed);
    const leafLevel = levelOf(output, drawn);
    const input = chooseInput(image, inputWidth(options), false, near, output, 3 + 9 * leafLevel);
    const rights = this.rights(true);
    const flaw = flawed ? this.flaw(SECOND_FLAWS, options.secondLevels, leafLevel) : null;
    if (this.second!.map(input, output, leafLevel, rights, flaw)) this.pages.push({ input, rights, flawed });
  }

  private firstPage(near: bigint | null, flawed: boolean): void {
    const { image, options } = this;
    const nested = options.type === 'nested';
    const drawn = 1 + image.random.below(3);
    const target = this.target(flawed);
    const leafLevel = nested ? drawn : levelOf(target, drawn);
    const flaw = flawed ? this.flaw(nested ? NESTED_FLAWS : FIRST_FLAWS, options.firstLevels, leafLevel) : null;
    let rights = this.rights(false);
    let output = target;
    if (nested) {
      const page = this.rights(true);
      const broken = flaw?.kind === 'mapping' && flaw.level === leafLevel;
      output = this.guest(target, page, broken ? SECOND_FLAWS : null);
      rights = { read: page.read, write: rights.write && page.write, user: rights.user };
    }
    const input = chooseInput(image, inputWidth(options), true, near, output, 3 + 9 * leafLevel);
    if (this.first!.map(input, output, leafLevel, { ...rights, read: true }, flaw))
      this.pages.push({ input, rights, flawed });
  }

  build(domain: number): Space {
    const { image, options } = this;
    if (options.type !== 'pass') {
      const count = 3 + image.random.below(6);
      for (let i = 0; i < count; i++) {
        const near = this.pages.length === 0 ? null : image.pick(this.pages).input;
        const flawed = i > 0 && image.chance(50);
        if (options.type === 'second') this.secondPage(near, flawed);
        else this.firstPage(near, flawed);
      }
    }
    return {
      options,
      domain,
      firstRoot: this.first?.root.pointer ?? 0n,
      secondRoot: this.second?.root.host ?? 0n,
      pages: this.pages,
    };
  }
}

export function buildSpace(image: Image, options: SpaceOptions, domain: number): Space {
  return new Builder(image, options).build(domain);
}

/** A kind of access that the rights of a page allow; null if they allow none of the offered ones. */
export function allowedKind(image: Image, rights: Rights, offered: readonly AccessKind[]): AccessKind | null {
  const allowed = offered.filter(
    (kind) => (kind === 'w' || rights.read) && ((kind !== 'w' && kind !== 'rw') || rights.write),
  );
  return allowed.length === 0 ? null : image.pick(allowed);
}
