/**
 * Devices of an AMD-Vi vector: each has a device table entry, perhaps tables, and proposes accesses that aim at what was built
 * for it, near it, or past it. A proposal promises nothing: the reference walker says what becomes of it.
 */
import type { DeviceTable } from './amdvi-device-table.js';
import type { Dice } from './amdvi-dice.js';
import type { AddressSpace, GuestSpace } from './amdvi-guest-space.js';
import { type HostSpace, lowBits, type Path, spanLg2 } from './amdvi-host-space.js';
import type { Image } from './amdvi-image.js';
import type { AccessKind } from './vector.js';

export interface Proposal {
  readonly pasid: number | null;
  readonly iova: bigint;
  readonly kind: AccessKind;
  readonly privileged?: boolean;
}

export interface Device {
  readonly rid: number;
  propose(): Proposal;
}

/** Kinds of access, by weight. */
export type Kinds = readonly (readonly [number, AccessKind])[];

export const READ_OR_WRITE: Kinds = [
  [50, 'r'],
  [50, 'w'],
];

export const ALL_KINDS: Kinds = [
  [40, 'r'],
  [35, 'w'],
  [15, 'x'],
  [10, 'rw'],
];

export interface Surroundings {
  readonly image: Image;
  readonly dice: Dice;
  readonly table: DeviceTable;
  readonly kinds: Kinds;
  /** Natural pages above level 1 are reached only where QEMU 10.2 agrees: the first 512th. */
  readonly beginningOfNaturalPages: boolean;
}

/** Untranslated, blocked or nonexistent: any reachable address will do. */
export class PlainDevice implements Device {
  readonly rid: number;
  private readonly around: Surroundings;

  constructor(rid: number, around: Surroundings) {
    this.rid = rid;
    this.around = around;
  }

  propose(): Proposal {
    const { image, dice, kinds } = this.around;
    return { pasid: null, iova: image.page(), kind: dice.weighted(kinds) };
  }
}

/** Address bits that levels the path leads past would have used. */
function skippedBits({ slots }: Path): number[] {
  const bits: number[] = [];
  slots.forEach(({ level }, i) => {
    const from = slots[i - 1]?.level ?? level + 1;
    for (let bit = spanLg2(level + 1); bit < spanLg2(from); bit++) bits.push(bit);
  });
  return bits;
}

/** Host tables only. */
export class HostDevice implements Device {
  readonly rid: number;
  private readonly around: Surroundings;
  private readonly host: HostSpace;
  /** Requests carry a PASID now and then, which such a device may not. */
  private readonly strayPasids: boolean;

  constructor(rid: number, around: Surroundings, host: HostSpace, strayPasids = false) {
    this.rid = rid;
    this.around = around;
    this.host = host;
    this.strayPasids = strayPasids;
  }

  propose(): Proposal {
    const { dice, kinds } = this.around;
    const pasid = this.strayPasids && dice.chance(10) ? Number(dice.bits(20)) : null;
    return { pasid, iova: this.address(), kind: dice.weighted(kinds) };
  }

  private address(): bigint {
    const { dice } = this.around;
    const { paths, widthLg2 } = this.host;
    if (paths.length === 0) return this.host.address();
    const path = dice.pick(paths);
    const address = this.within(path);
    const skipped = skippedBits(path);
    const past = widthLg2 < 64 ? 1n << BigInt(widthLg2 + dice.below(64 - widthLg2)) : 0n;
    return dice.weighted([
      [76, address],
      [8, address ^ (1n << BigInt(12 + dice.below(widthLg2 - 12)))],
      [10, address | past],
      [6, this.host.address()],
      [skipped.length > 0 ? 20 : 0, skipped.length > 0 ? address | (1n << BigInt(dice.pick(skipped))) : 0n],
    ]);
  }

  private within(path: Path): bigint {
    const { dice, image, beginningOfNaturalPages } = this.around;
    if (path.page === undefined) return path.start | (dice.bits(path.sizeLg2) & ~lowBits(12));
    const sizeLg2 = path.natural && beginningOfNaturalPages ? path.sizeLg2 - 9 : path.sizeLg2;
    const page = image.pageIn(path.page, sizeLg2) ?? path.page;
    return path.start | (page - path.page);
  }
}

/** Guest tables, alone or over a host table. */
export class GuestDevice implements Device {
  readonly rid: number;
  private readonly around: Surroundings;
  private readonly guest: GuestSpace;
  private readonly asHost: HostDevice | undefined;

  constructor(rid: number, around: Surroundings, guest: GuestSpace) {
    this.rid = rid;
    this.around = around;
    this.guest = guest;
    const { host } = guest.options;
    this.asHost = host === undefined ? undefined : new HostDevice(rid, around, host);
  }

  propose(): Proposal {
    const { dice, image, kinds } = this.around;
    const { options, spaces, pasidBits } = this.guest;
    const space = dice.pick(spaces);
    const kind = dice.weighted(kinds);
    if (dice.chance(12)) {
      if (options.withoutPasid) {
        const ofNone = spaces.find(({ pasid }) => pasid === 0)!;
        return { pasid: null, iova: this.address(ofNone, true), kind };
      }
      // Without GIOV such a request is guest-physical already.
      return this.asHost?.propose() ?? { pasid: null, iova: image.page(), kind };
    }
    const privileged = dice.chance(25) ? { privileged: true } : {};
    const past = pasidBits < 20 ? 1 << (pasidBits + dice.below(20 - pasidBits)) : 0;
    const pasid = dice.weighted([
      [86, space.pasid],
      [7, this.guest.pasid()],
      [7, space.pasid | past],
    ]);
    return { pasid, iova: this.address(space, false), kind, ...privileged };
  }

  private address(space: AddressSpace, lowerHalf: boolean): bigint {
    const { dice } = this.around;
    const elsewhere = this.guest.address(lowerHalf);
    if (space.paths.length === 0) return elsewhere;
    const path = dice.pick(space.paths);
    const address = dice.chance(70) ? path.start : path.start ^ (dice.bits(path.sizeLg2) & ~lowBits(12));
    const widthLg2 = spanLg2(this.guest.options.levels + 1);
    const flip = lowerHalf ? 12 + dice.below(widthLg2 - 13) : widthLg2 - 1 + dice.below(65 - widthLg2);
    return dice.weighted([
      [86, address],
      [7, address ^ (1n << BigInt(flip))],
      [7, elsewhere],
    ]);
  }
}
