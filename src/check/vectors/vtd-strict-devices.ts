/**
 * Devices of VT-d vectors that follow the specification alone, in scalable mode: RID_PASID and RID_PRIV, 20-bit PASIDs, privileges and
 * flags of the PASID entry, and in the directory mode every flaw of context, directory and PASID entries (Intel VT-d specification
 * rev. 5.10, 9.2 to 9.6).
 */
import { spoilScalableContext } from './vtd-devices.js';
import { PasidTables, pasidEntryWords, writeScalableContext } from './vtd-directory.js';
import { type Fleet, range, type Site } from './vtd-fleet.js';
import type { Space } from './vtd-space.js';

const CONTEXT_FLAWS = [
  'root-absent',
  'root-reserved',
  'absent',
  'reserved',
  // RID_PASID beyond the directory.
  'requester-pasid',
  // Page requests without a device TLB.
  'page-requests',
  'pasid-disabled',
] as const;

const ENTRY_FLAWS = [
  'directory-absent',
  'directory-reserved',
  'zero',
  'absent',
  'reserved',
  'type',
  'width',
  'root',
] as const;

type EntryFlaw = (typeof ENTRY_FLAWS)[number];

interface Frame {
  readonly rid: number;
  readonly tables: PasidTables;
  readonly sound: boolean;
  readonly requesterPrivileged: boolean;
}

/** Words of a PASID entry with the fields that only the specification's unit has. */
function entryWords(fleet: Fleet, space: Space, supervisorRequests: boolean): bigint[] {
  const { image, traits } = fleet;
  const { options } = space;
  const words = pasidEntryWords(space, image.bits(2));
  // PGSNP; PAT, CD and EMTE, which only say how memory is cached; bits 134:133 are ignored.
  words[1]! |= image.bits(24, 24) | (image.chance(20) ? image.bits(63, 32) | image.bits(26, 25) : 0n);
  words[2]! |= image.bits(6, 5) | (supervisorRequests ? 1n : 0n);
  if (traits.privileges) words[2]! |= image.bits(4, 4) | image.bits(7, 7);
  // What the other stage's fields say does not matter.
  if (options.type === 'first') words[0]! |= image.bits(38, 12);
  if (options.type === 'second') words[2]! |= image.bits(38, 12) | image.bits(3, 2);
  if (options.type === 'pass') {
    words[0]! |= image.bits(38, 12);
    words[2]! |= image.bits(38, 12) | image.bits(3, 2);
  }
  return words;
}

function spoilEntry(fleet: Fleet, space: Space, words: bigint[], flaw: EntryFlaw): void {
  const { image } = fleet;
  const type = space.options.type;
  switch (flaw) {
    case 'zero':
      words.fill(0n);
      break;
    case 'absent':
      words[0]! &= ~1n;
      break;
    case 'reserved': {
      const at = image.random.below(8);
      const masks = [fleet.above | 0xc00n, range(31, 27) | range(22, 16), fleet.above | 0xf00n];
      words[at]! |= image.oneOf(masks[at] ?? range(63, 0));
      break;
    }
    case 'width':
      if (type === 'second' || type === 'nested') {
        words[0] = (words[0]! & ~0x1cn) | (fleet.badWidth() << 2n);
        break;
      }
      words[0] = (words[0]! & ~0x1c0n) | (image.pick([0n, 5n, 6n, 7n]) << 6n);
      break;
    case 'root':
      // FSPTPTR above the width of the second stage; paging modes that do not exist.
      if (type === 'nested' && space.options.secondLevels === 3) words[2]! |= image.oneOf(range(47, 39));
      else if (type === 'nested' || type === 'first') words[2]! |= 2n << 2n;
      else words[0] = (words[0]! & ~0x1c0n) | (image.pick([0n, 5n, 6n, 7n]) << 6n);
      break;
    default:
      words[0] = (words[0]! & ~0x1c0n) | (image.pick([0n, 5n, 6n, 7n]) << 6n);
  }
}

/** Gives one PASID its structures; null where another PASID's flaw already decides. */
function enter(fleet: Fleet, frame: Frame, pasid: number, taken: Set<number>): Omit<Site, 'rid' | 'pasid'> | null {
  const { image, traits } = fleet;
  const slot = pasid >> 6;
  if (taken.has(slot)) return null;
  const space = image.pick(fleet.spaces);
  const flaw = traits.directoryFlaws && !frame.sound && image.chance(45) ? image.pick(ENTRY_FLAWS) : null;
  const supervisorRequests = traits.privileges && image.chance(70);
  const suppress = image.chance(traits.directoryFlaws ? 20 : 5) ? 2n : 0n;
  const inDirectory = flaw === 'directory-absent' || flaw === 'directory-reserved';
  if (inDirectory && frame.tables.has(pasid)) return null;
  if (inDirectory) taken.add(slot);
  const at = frame.tables.directoryEntry(pasid);
  if (flaw === 'directory-absent') image.write(at, (image.chance(50) ? image.target() : 0n) | suppress);
  else {
    const words = entryWords(fleet, space, supervisorRequests);
    if (flaw !== null && flaw !== 'directory-reserved') spoilEntry(fleet, space, words, flaw);
    words[0]! |= suppress;
    const entry = frame.tables.entry(pasid);
    words.forEach((word, i) => {
      image.write(entry + BigInt(8 * i), word);
    });
    const more = (flaw === 'directory-reserved' ? image.oneOf(fleet.above | 0xffcn) : 0n) | (image.chance(5) ? 2n : 0n);
    image.write(at, image.read(at) | more);
  }
  return { usable: flaw === null, supervisor: supervisorRequests, space, kinds: traits.kinds };
}

/** Requests that a usable PASID can make: with supervisor requests enabled also privileged ones, without them refused ones. */
function sitesOf(fleet: Fleet, frame: Frame, pasid: number | null, site: Omit<Site, 'rid' | 'pasid'>): Site[] {
  const { rid } = frame;
  const { traits } = fleet;
  if (pasid === null) {
    const supervisor = frame.requesterPrivileged;
    return [{ ...site, rid, pasid, supervisor, usable: site.usable && (!supervisor || site.supervisor) }];
  }
  const user = { ...site, rid, pasid, supervisor: false };
  if (!traits.privileges) return [user];
  return [user, { ...site, rid, pasid, supervisor: true, usable: site.usable && site.supervisor }];
}

/** A device in scalable mode as the specification has it. */
export function strictDevice(fleet: Fleet, sound: boolean): Site[] {
  const { image, traits, directory } = fleet;
  const flawed = !sound && image.chance(traits.directoryFlaws ? 40 : 15);
  const offered = traits.directoryFlaws ? CONTEXT_FLAWS : CONTEXT_FLAWS.slice(0, 4);
  const flaw = flawed ? image.pick(offered) : null;
  const rid = fleet.requester(flaw === 'root-absent' || flaw === 'root-reserved');
  const size = image.chance(60) ? 0 : image.random.below(7);
  const tables = new PasidTables(image, size);
  // PASIDs below this number are in the directory.
  const limit = 1 << (size + 13);
  const requesterPrivileged = traits.privileges && image.chance(40);
  const frame: Frame = { rid, tables, sound, requesterPrivileged };
  const requesterPasid = image.chance(50) ? 0 : image.random.below(limit);

  const taken = new Set<number>();
  const sites: Site[] = [];
  const add = (pasid: number | null, number: number): void => {
    const site = enter(fleet, frame, number, taken);
    if (site === null) return;
    const usable = site.usable && flaw === null;
    sites.push(...sitesOf(fleet, frame, pasid, { ...site, usable }));
  };
  add(null, requesterPasid);
  const count = image.random.below(5);
  for (let i = 0; i < count; i++) {
    const near = image.chance(40) ? requesterPasid ^ (1 + image.random.below(63)) : image.random.below(limit);
    if (near !== requesterPasid && !sites.some((site) => site.pasid === near)) add(near, near);
  }
  const { space } = sites[0]!;
  if (traits.directoryFlaws) {
    const refused = { rid, supervisor: false, usable: false, space, kinds: traits.kinds };
    sites.push({ ...refused, pasid: requesterPasid });
    sites.push({ ...refused, pasid: limit + image.random.below((1 << 20) - limit) });
  }

  const extra: [bigint, bigint, bigint, bigint] = flaw === 'reserved' ? spoilScalableContext(fleet) : [0n, 0n, 0n, 0n];
  // DTE and PRE concern other requests; PRE alone is illegal.
  if (flaw === 'page-requests') extra[0] |= 0x10n;
  else extra[0] |= image.pick(traits.ats ? [0n, 4n, 4n, 0x14n] : [0n, 0n, 4n, 0x14n]);
  if (requesterPrivileged) extra[1] |= 1n << 20n;
  writeScalableContext(image, directory.contextEntry(rid), {
    present: flaw !== 'absent',
    faultsOff: image.chance(10),
    pasidEnable: flaw !== 'pasid-disabled',
    directorySize: size,
    directory: tables.directory,
    requesterPasid: flaw === 'requester-pasid' ? limit + image.random.below((1 << 20) - limit) : requesterPasid,
    extra,
  });
  if (flaw === 'root-absent') fleet.spoilRoot(rid, 'absent');
  if (flaw === 'root-reserved') fleet.spoilRoot(rid, 'reserved');
  return flaw === 'pasid-disabled'
    ? sites.map((site) => ({ ...site, usable: site.usable || site.pasid === null }))
    : sites;
}
