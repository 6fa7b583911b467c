/** What the devices of one VT-d vector share: the image, address spaces, requester ids, and the root table they hang from. */
import type { AccessKind } from './vector.js';
import type { Directory } from './vtd-directory.js';
import type { Image } from './vtd-image.js';
import { buildSpace, type Space } from './vtd-space.js';
import type { Traits } from './vtd-traits.js';

/** One way to make requests: a requester id with or without a PASID. */
export interface Site {
  readonly rid: number;
  readonly pasid: number | null;
  /** Requests are privileged: by their prefix, or without PASID by RID_PRIV. */
  readonly supervisor: boolean;
  /** Nothing is wrong before the paging entries. */
  readonly usable: boolean;
  /** What requests are translated by; where they do not get there, the space whose addresses are tried. */
  readonly space: Space;
  readonly kinds: readonly AccessKind[];
}

export function range(high: number, low: number): bigint {
  return high < low ? 0n : ((1n << BigInt(high - low + 1)) - 1n) << BigInt(low);
}

export class Fleet {
  readonly spaces: readonly Space[];
  /** Pointer bits that are reserved: above the host address width. */
  readonly above: bigint;
  private readonly requesters = new Set<number>();
  private readonly buses = new Set<number>();
  private readonly exclusiveBuses = new Set<number>();

  constructor(
    readonly image: Image,
    readonly traits: Traits,
    readonly directory: Directory,
  ) {
    this.above = range(63, Math.min(traits.width, 52));
    this.spaces = Array.from({ length: 2 + image.random.below(3) }, (_, i) => this.space(i));
  }

  private space(number: number): Space {
    const { image, traits } = this;
    // The first space translates.
    const type = image.pick(number === 0 ? traits.types.filter((each) => each !== 'pass') : traits.types);
    return buildSpace(
      image,
      {
        type,
        firstLevels: image.pick(traits.firstLevels),
        secondLevels: image.pick(traits.secondLevels),
        hostAddressWidth: Math.min(traits.width, 52),
        snoop: traits.strict ? 'free' : traits.scalableUnit ? 'clear' : 'reserved',
        secondFlags: (traits.privileges || traits.ats) && (type === 'second' || type === 'nested') && image.chance(50),
        coherent: !(traits.privileges && type !== 'pass' && image.chance(25)),
        supervisorPages: traits.privileges,
        interruptPages: traits.strict && !traits.ats,
      },
      1 + number + 16 * image.random.below(4095),
    );
  }

  /** Bus 0, device 1 to 30, any function; or bus 1 to 255, device 0. `exclusive`: the bus has no other requester. */
  requester(exclusive = false): number {
    const { image, buses, exclusiveBuses } = this;
    for (;;) {
      const bus = exclusive || image.chance(50) ? 1 + image.random.below(255) : 0;
      const rid = bus === 0 ? 8 + image.random.below(0xf0) : (bus << 8) | image.random.below(8);
      if (this.requesters.has(rid) || exclusiveBuses.has(bus) || (exclusive && buses.has(bus))) continue;
      this.requesters.add(rid);
      buses.add(bus);
      if (exclusive) exclusiveBuses.add(bus);
      return rid;
    }
  }

  /** Spoils the root entry of a requester that has its bus to itself. */
  spoilRoot(rid: number, flaw: 'absent' | 'reserved'): void {
    const { image, directory } = this;
    const entry = directory.rootEntry(rid);
    const word = image.read(entry);
    // The other bits of an absent entry are ignored.
    if (flaw === 'absent') image.write(entry, image.chance(50) ? 0n : word & ~1n);
    else if (!directory.scalable && image.chance(40)) image.write(entry + 8n, image.oneOf(range(63, 0)));
    else image.write(entry, word | image.oneOf(this.above | 0xffen));
  }

  /** An AW field that the unit does not have. */
  badWidth(): bigint {
    const has = (aw: number) => aw >= 1 && 30 + 9 * aw <= this.traits.width;
    return BigInt(this.image.pick([0, 1, 2, 3, 4, 5, 6, 7].filter((aw) => !has(aw))));
  }

  largestWidth(): bigint {
    return BigInt((this.traits.width - 30) / 9);
  }
}
