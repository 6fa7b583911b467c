/**
 * Device tables for AMD-Vi vectors (specification 48882, 2.2.2): requester ids that every emulator can send, entries of all
 * kinds, and what lies behind the end of the table.
 */
import type { Dice } from './amdvi-dice.js';
import type { GuestSpace } from './amdvi-guest-space.js';
import type { HostSpace } from './amdvi-host-space.js';
import type { Image } from './amdvi-image.js';

const ENTRIES_PER_PAGE = 128;
const LARGEST_TABLE = 512;
const VALID = 1n;
const TRANSLATION_VALID = 2n;
/** What V = 0 makes meaningless in the first quadword, except what older releases of QEMU take for reserved (7, 53:52). */
const UNUSED_FIRST = 0x7fcf_ffff_ffff_ff02n;
/** Domain id (but 72, reserved in older releases of QEMU), I, IoCtl, Cache, SD, EX, SysMgt, SATS: they decide no untranslated DMA. */
const UNUSED_SECOND = 0x0000_07f9_0000_feffn;
/** Third quadword with IV = 0, without guest paging mode (183:182) and reserved bits of any release. */
const UNUSED_THIRD = 0xf70f_ffff_ffff_fffen;

/** Fields of an entry with V = 1 and TV = 1. */
export interface EntryFields {
  readonly host: HostSpace | undefined;
  readonly guest: GuestSpace | undefined;
  readonly grants: number;
  /** HAD: 0, 1 or 3. */
  readonly accessedDirty: number;
}

/** The four quadwords. */
export type Entry = [bigint, bigint, bigint, bigint];

function guestFields(guest: GuestSpace): Entry {
  const { gcr3Levels, levels, withoutPasid } = guest.options;
  const root = guest.gcr3Root;
  const first =
    (1n << 55n) | (withoutPasid ? 1n << 54n : 0n) | (BigInt(gcr3Levels - 1) << 56n) | (((root >> 12n) & 0x7n) << 58n);
  const second = (((root >> 15n) & 0xffffn) << 16n) | (((root >> 31n) & 0x1f_ffffn) << 43n);
  return [first, second, BigInt(levels - 4) << 54n, 0n];
}

export class DeviceTable {
  readonly base: bigint;
  /** Number of entries. */
  readonly entries: number;
  private readonly image: Image;
  private readonly dice: Dice;
  private readonly taken = new Set<number>();

  constructor(image: Image, dice: Dice) {
    this.image = image;
    this.dice = dice;
    // The whole block, whatever the size: what follows a short table is memory that belongs to no one else.
    const block = image.block();
    const pages = dice.weighted([
      [35, 1 + dice.below(8)],
      [35, 1 + dice.below(LARGEST_TABLE)],
      [30, LARGEST_TABLE],
    ]);
    const slack = LARGEST_TABLE - pages;
    this.entries = pages * ENTRIES_PER_PAGE;
    this.base = dice.chance(50) ? block : block + BigInt(Math.min(slack, dice.below(8)) * 4096);
    image.addTable(this.base, pages * 4096);
  }

  /** As register 0x00 takes it. */
  get register(): bigint {
    return this.base | BigInt(this.entries / ENTRIES_PER_PAGE - 1);
  }

  /** A requester id that no one has yet; undefined if the table has no end to be past. */
  requester(pastEnd: boolean): number | undefined {
    for (let tries = 0; tries < 200; tries++) {
      const bus = pastEnd || this.dice.chance(60) ? this.dice.below(256) : 0;
      const rid = bus === 0 ? 8 + this.dice.below(0xf0) : (bus << 8) | this.dice.below(8);
      const address = this.base + 32n * BigInt(rid);
      const inBlock = address % (1n << 21n) >= this.base % (1n << 21n);
      if (this.taken.has(rid) || rid >= this.entries !== pastEnd || !inBlock) continue;
      this.taken.add(rid);
      return rid;
    }
    return undefined;
  }

  write(rid: number, entry: Entry): void {
    entry.forEach((word, i) => {
      this.image.write(this.addressOf(rid) + BigInt(8 * i), word);
    });
  }

  read(rid: number): Entry {
    const address = this.addressOf(rid);
    return [0n, 8n, 16n, 24n].map((offset) => this.image.read(address + offset)) as Entry;
  }

  /** V = 0, all zero or full of bits that must not matter. */
  invalid(): Entry {
    if (this.dice.chance(40)) return [0n, 0n, 0n, 0n];
    return [this.dice.bits(64) & UNUSED_FIRST, this.irrelevant(), this.dice.bits(64) & UNUSED_THIRD, 0n];
  }

  /** V = 1, TV = 0. */
  blocked(grants: number): Entry {
    const [first, second, third] = this.invalid();
    return [(first & ~(3n << 61n) & ~TRANSLATION_VALID) | VALID | (BigInt(grants) << 61n), second, third, 0n];
  }

  /** V = 1, TV = 1. */
  translating(fields: EntryFields): Entry {
    const { host, guest, grants, accessedDirty } = fields;
    const hostWord = host === undefined ? 0n : host.root | (BigInt(host.mode) << 9n);
    const [first, second, third] = guest === undefined ? [0n, 0n, 0n] : guestFields(guest);
    const bits = VALID | TRANSLATION_VALID | (BigInt(accessedDirty) << 7n) | (BigInt(grants) << 61n);
    return [bits | hostWord | first, this.irrelevant() | second, (this.dice.bits(64) & UNUSED_THIRD) | third, 0n];
  }

  private irrelevant(): bigint {
    return this.dice.bits(64) & UNUSED_SECOND;
  }

  private addressOf(rid: number): bigint {
    return this.base + 32n * BigInt(rid);
  }
}
