/**
 * Generator of AMD-Vi vectors. A vector has one device table, a few host tables that devices share, and guest tables; accesses
 * are proposed by the devices and chosen so that about 60 % succeed. The reference walker tells which do; if it errs, only this
 * proportion suffers. Where emulators and the specification part, the common mode stays away: see `amdvi-emulators.ts`.
 * No vector asks for what the specification leaves open: HAD = 2, DTE.SE, 2^52-byte pages, reserved bits of GCR3 entries, two
 * faults of a device table entry at once, supervisor pages for requests without PASID, and accessed or dirty updates of guest
 * tables while HAD = 3 or the device lacks IR or IW.
 */
import { type Explained, explainAmdvi } from '../reference/amdvi.js';
import { corruptEntry, corruptGuest, corruptHost } from './amdvi-corruption.js';
import { withAts } from './ats-accesses.js';
import { DeviceTable, type Entry } from './amdvi-device-table.js';
import { type Device, GuestDevice, HostDevice, PlainDevice, type Surroundings } from './amdvi-devices.js';
import { Dice } from './amdvi-dice.js';
import { emulatorsAgree } from './amdvi-emulators.js';
import { GuestSpace } from './amdvi-guest-space.js';
import { HostSpace, type Slot } from './amdvi-host-space.js';
import { Image, isReachable } from './amdvi-image.js';
import { type Mode, MODES } from './amdvi-modes.js';
import type { Generator, Random, RegisterWrite, Vector, VectorAccess } from './vector.js';

const DEVICE_TABLE_BASE = 0x00;
const CONTROL = 0x18;
const ENABLE = 1n;
const GUEST_TRANSLATION = 1n << 16n;
const GCR3_GUEST_PHYSICAL = 1n << 58n;
const SUCCEEDING = 60;
/** I of the second quadword. */
const IOTLB = 1n << 32n;
/** Proposals for each access that a vector will hold. */
const PROPOSALS = 5;

/** Addresses with a meaning of their own: interrupts, HyperTransport, and the end of a 64-bit memory region. */
function isSpecial(iova: bigint): boolean {
  const interrupt = iova >> 20n === 0xfeen;
  const hyperTransport = iova >= 0xfd_0000_0000n && iova < 0x100_0000_0000n;
  return interrupt || hyperTransport || iova >> 12n === 0xf_ffff_ffff_ffffn;
}

class Builder {
  private readonly mode: Mode;
  private readonly dice: Dice;
  private readonly image: Image;
  private readonly table: DeviceTable;
  private readonly around: Surroundings;
  private readonly gcr3IsGuestPhysical: boolean;
  private readonly hosts: { readonly space: HostSpace; readonly accessedDirty: number }[] = [];

  constructor(
    private readonly random: Random,
    mode: Mode,
  ) {
    this.mode = mode;
    this.dice = new Dice(random);
    this.image = new Image(this.dice);
    this.table = new DeviceTable(this.image, this.dice);
    const { image, dice, table } = this;
    this.around = { image, dice, table, kinds: mode.kinds, beginningOfNaturalPages: mode.common };
    this.gcr3IsGuestPhysical = mode.guest > 0 && dice.chance(50);
  }

  build(): Vector {
    const devices: Device[] = [];
    for (let count = 4 + this.dice.below(6); count > 0; count--) {
      const device = this.device();
      if (device !== undefined) devices.push(device);
    }
    const vector: Vector = {
      architecture: 'amdvi',
      config: [],
      words: this.image.words,
      tables: this.image.tables,
      registers: this.registers(),
      accesses: [],
    };
    return { ...vector, accesses: this.choose(vector, devices) };
  }

  private registers(): RegisterWrite[] {
    const guest = this.mode.guest > 0 ? GUEST_TRANSLATION | (this.gcr3IsGuestPhysical ? GCR3_GUEST_PHYSICAL : 0n) : 0n;
    return [
      { offset: DEVICE_TABLE_BASE, bytes: 8, value: this.table.register },
      { offset: CONTROL, bytes: 8, value: ENABLE | guest },
    ];
  }

  private device(): Device | undefined {
    const { dice, mode } = this;
    if (dice.chance(mode.plain)) return this.plainDevice();
    const rid = this.table.requester(false);
    if (rid === undefined) return undefined;
    return dice.chance(mode.guest) ? this.guestDevice(rid) : this.hostDevice(rid);
  }

  /** Both permissions, or sometimes less. */
  private grants(): number {
    return this.dice.chance(20) ? this.dice.below(3) : 3;
  }

  private plainDevice(): Device | undefined {
    const { dice, table, around } = this;
    const kind = dice.weighted([
      [20, 'invalid'],
      [25, 'blocked'],
      [25, 'mode 0'],
      [15, 'malformed'],
      [15, 'past the end'],
    ] as const);
    const rid = table.requester(kind === 'past the end');
    if (rid === undefined) return undefined;
    const untranslated = { host: undefined, guest: undefined, accessedDirty: 0 };
    if (kind === 'invalid') table.write(rid, table.invalid());
    if (kind === 'blocked') table.write(rid, table.blocked(this.mode.common ? 0 : dice.below(4)));
    if (kind === 'mode 0') table.write(rid, table.translating({ ...untranslated, grants: this.grants() }));
    if (kind === 'malformed') table.write(rid, corruptEntry(dice, table.translating({ ...untranslated, grants: 3 })));
    if (kind === 'past the end') {
      const pretence = this.mode.common ? table.blocked(0) : table.translating({ ...untranslated, grants: 3 });
      table.write(rid, pretence);
    }
    return new PlainDevice(rid, around);
  }

  /** A host table of random mode, or one that another device has too. */
  private hostTable(): { readonly space: HostSpace; readonly accessedDirty: number } {
    const { dice, mode } = this;
    if (this.hosts.length > 0 && dice.chance(45)) return dice.pick(this.hosts);
    const levels = dice.weighted([
      [12, 1],
      [20, 2],
      [24, 3],
      [20, 4],
      [12, 5],
      [12, 6],
    ]);
    const space = new HostSpace(this.image, dice, levels, mode.host);
    this.populate(space, 6 + dice.below(10));
    const host = { space, accessedDirty: mode.accessedDirty ? dice.pick([0, 0, 1, 3]) : 0 };
    this.hosts.push(host);
    return host;
  }

  private populate(space: HostSpace, paths: number): void {
    for (; paths > 0; paths--) {
      if (this.dice.chance(82)) space.mapPage();
      else space.mapHole();
    }
    if (!this.dice.chance(this.mode.corruption * 2)) return;
    for (const path of space.paths) {
      if (this.dice.chance(this.mode.corruption)) corruptHost(this.image, this.dice, this.slotOf(path));
    }
  }

  private hostDevice(rid: number): Device {
    const { dice, table, around, mode } = this;
    const { space, accessedDirty } = this.hostTable();
    const corrupt = dice.chance(mode.corruption);
    const grants = corrupt ? 3 : this.grants();
    const entry = this.askable(table.translating({ host: space, guest: undefined, grants, accessedDirty }));
    table.write(rid, corrupt ? corruptEntry(dice, entry) : entry);
    return new HostDevice(rid, around, space, mode.corruption > 0 && !corrupt && grants === 3);
  }

  private guestDevice(rid: number): Device {
    const { dice, table, around, mode, image } = this;
    const preset = dice.chance(mode.ats ? 100 : 40);
    const accessedDirty = mode.accessedDirty ? dice.pick(preset ? [0, 1, 3] : [0, 1]) : 0;
    const host = dice.chance(mode.nested) ? new HostSpace(image, dice, 2 + dice.below(5), mode.host) : undefined;
    const guest = new GuestSpace(image, dice, {
      gcr3Levels: 1 + dice.below(3),
      gcr3IsGuestPhysical: this.gcr3IsGuestPhysical,
      withoutPasid: dice.chance(60),
      levels: 4 + dice.below(2),
      host,
      denials: 8,
      preset,
    });
    const corrupt = dice.chance(mode.corruption / 2);
    const grants = preset && !corrupt ? this.grants() : 3;
    const entry = this.askable(table.translating({ host, guest, grants, accessedDirty }));
    table.write(rid, corrupt ? corruptEntry(dice, entry) : entry);
    if (dice.chance(mode.corruption * 2)) this.corruptPaths(guest);
    return new GuestDevice(rid, around, guest);
  }

  /** In the mode that has ATS most devices have it. */
  private askable(entry: Entry): Entry {
    if (this.mode.ats && this.dice.chance(70)) entry[1] |= IOTLB;
    return entry;
  }

  private corruptPaths(guest: GuestSpace): void {
    const { dice, image, mode } = this;
    for (const { paths } of guest.spaces) {
      for (const path of paths) if (dice.chance(mode.corruption)) corruptGuest(image, dice, this.slotOf(path));
    }
    if (dice.chance(20)) image.write(dice.pick(guest.gcr3Slots).address, 0n);
    for (const path of guest.options.host?.paths ?? []) {
      if (dice.chance(mode.corruption / 3)) corruptHost(image, dice, this.slotOf(path));
    }
  }

  /** Any slot of a path, the last as often as all others. */
  private slotOf({ slots }: { readonly slots: readonly Slot[] }): Slot {
    return this.dice.chance(50) ? slots.at(-1)! : this.dice.pick(slots);
  }

  /** Chooses accesses out of many proposals: of each outcome its share, as far as there are enough. */
  private choose(vector: Vector, devices: readonly Device[]): VectorAccess[] {
    if (devices.length === 0) return [];
    const { dice } = this;
    const count = 16 + dice.below(49);
    const proposals: VectorAccess[] = [];
    for (let id = 0; id < count * PROPOSALS; id++) proposals.push(this.access(id, dice.pick(devices)));
    const explained = explainAmdvi({ ...vector, accesses: proposals });
    const succeeding: VectorAccess[] = [];
    const failing: VectorAccess[] = [];
    proposals.forEach((access, i) => {
      const { answer } = explained[i]!;
      if (this.fits(vector, access, answer)) (answer.ok ? succeeding : failing).push(access);
    });
    const chosen: VectorAccess[] = [];
    while (chosen.length < count && succeeding.length + failing.length > 0) {
      const [first, second] = dice.chance(SUCCEEDING) ? [succeeding, failing] : [failing, succeeding];
      chosen.push({ ...(first.pop() ?? second.pop())!, id: chosen.length });
    }
    return chosen;
  }

  private access(id: number, device: Device): VectorAccess {
    const { dice } = this;
    const proposal = device.propose();
    const length = 1 << dice.below(7);
    const offset = dice.chance(50) ? 0 : length * dice.below(4096 / length);
    const iova = (proposal.iova & ~0xfffn) | BigInt(offset);
    const access = { ...proposal, id, rid: device.rid, iova, ...(dice.chance(50) ? { length } : {}) };
    // What becomes of translation requests of devices without translation is not said.
    if (!this.mode.ats || device instanceof PlainDevice) return access;
    return withAts(this.random, access, () => this.image.page() | BigInt(offset));
  }

  private fits(vector: Vector, access: VectorAccess, answer: Explained['answer']): boolean {
    if (isSpecial(access.iova)) return false;
    if (answer.ok && !isReachable(answer.pa)) return false;
    return !this.mode.common || emulatorsAgree(vector, access, answer.ok ? answer.pa : undefined);
  }
}

const modes: ReadonlyMap<string, Mode> = new Map(Object.entries(MODES));

export const amdviGenerator: Generator = {
  architecture: 'amdvi',
  modes: Object.fromEntries([...modes].map(([name, { sentence }]) => [name, sentence])),
  generate(random, mode) {
    const found = modes.get(mode);
    if (found === undefined) throw new RangeError(`amdvi has no mode '${mode}': ${[...modes.keys()].join(', ')}`);
    return new Builder(random, found).build();
  },
};
