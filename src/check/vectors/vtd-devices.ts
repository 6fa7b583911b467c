/**
 * Devices of a VT-d vector in legacy mode, and in scalable mode as far as QEMU and the specification agree on them: each gets a
 * context entry, in scalable mode PASID structures too, and perhaps one flaw in them. `vtd.ts` lists what is avoided and why.
 */
import { PasidTables, pasidEntryWords, writeLegacyContext, writeScalableContext } from './vtd-directory.js';
import { type Fleet, range, type Site } from './vtd-fleet.js';
import type { Space } from './vtd-space.js';

const LEGACY_FLAWS = ['root-absent', 'root-reserved', 'absent', 'absent', 'low', 'high', 'type', 'width'] as const;

/** A device in legacy mode; a `sound` one has no flaw. */
export function legacyDevice(fleet: Fleet, sound: boolean): Site[] {
  const { image, traits, directory } = fleet;
  const flaw = sound || image.chance(60) ? null : image.pick(LEGACY_FLAWS);
  const rid = fleet.requester(flaw === 'root-absent' || flaw === 'root-reserved');
  const space = image.pick(fleet.spaces);
  const passes = space.options.type === 'pass';
  const type = passes ? 2n : traits.strict && image.chance(traits.ats ? 75 : 30) ? 1n : 0n;
  const width = passes ? fleet.largestWidth() : BigInt(space.options.secondLevels - 2);
  writeLegacyContext(image, directory.contextEntry(rid), {
    present: flaw !== 'absent',
    faultsOff: image.chance(20),
    type: flaw === 'type' ? 3n : type,
    // Ignored for pass-through.
    pointer: passes ? image.bits(38, 12) : space.secondRoot,
    width: flaw === 'width' ? fleet.badWidth() : width,
    domain: space.domain,
    low: flaw === 'low' ? image.oneOf(fleet.above | 0xff0n) : 0n,
    // Bits 70:67 are ignored.
    high: image.bits(6, 3) | (flaw === 'high' ? image.oneOf(range(63, 24) | 0x80n) : 0n),
  });
  if (flaw === 'root-absent') fleet.spoilRoot(rid, 'absent');
  if (flaw === 'root-reserved') fleet.spoilRoot(rid, 'reserved');
  const { kinds } = traits;
  const sites: Site[] = [{ rid, pasid: null, supervisor: false, usable: flaw === null, space, kinds }];
  if (traits.directoryFlaws) {
    const pasid = image.random.below(1 << 20);
    sites.push({ rid, pasid, supervisor: false, usable: false, space, kinds });
  }
  return sites;
}

const SCALABLE_FLAWS = ['root-absent', 'root-reserved', 'absent', 'absent', 'reserved'] as const;
const PASID_FLAWS = ['directory', 'type', 'width'] as const;
const REQUESTER_PASID_FLAWS = [...PASID_FLAWS, 'not-present'] as const;

type PasidFlaw = (typeof REQUESTER_PASID_FLAWS)[number];

/** Reserved bits of a scalable-mode context entry, by word. */
export function spoilScalableContext(fleet: Fleet): [bigint, bigint, bigint, bigint] {
  const { image } = fleet;
  const word = image.random.below(4);
  const masks = [fleet.above | 0x1e0n, range(63, 21), range(63, 0), range(63, 0)];
  const extra: [bigint, bigint, bigint, bigint] = [0n, 0n, 0n, 0n];
  extra[word] = image.oneOf(masks[word]!);
  return extra;
}

/** PASID entry words for a space with a flaw that the specification and QEMU see the same way. */
function flawedEntry(fleet: Fleet, space: Space, flaw: PasidFlaw | null): bigint[] {
  const { image } = fleet;
  // The width of a first stage matters to QEMU (2 or more means 48 bits); that of pass-through to nobody.
  const width = space.options.type === 'first' ? image.pick([2n, 2n, 3n, 7n]) : image.bits(2);
  const words = pasidEntryWords(space, width);
  if (flaw === 'not-present') words[0]! &= ~1n;
  if (flaw === 'width' && space.options.type === 'second') words[0] = (words[0]! & ~0x1cn) | (fleet.badWidth() << 2n);
  else if (flaw === 'width' && space.options.type === 'first') words[2]! |= image.pick([1n, 2n, 3n]) << 2n;
  else if (flaw === 'type' || flaw === 'width') {
    words[0] = (words[0]! & ~0x1c0n) | (image.pick([0n, 3n, 5n, 6n, 7n]) << 6n);
  }
  return words;
}

/** A device of the common mode in scalable mode. */
export function scalableDevice(fleet: Fleet, sound: boolean): Site[] {
  const { image, traits, directory } = fleet;
  const flaw = sound || image.chance(70) ? null : image.pick(SCALABLE_FLAWS);
  const requesterFlaw = sound || flaw !== null || image.chance(75) ? null : image.pick(REQUESTER_PASID_FLAWS);
  const rid = fleet.requester(flaw === 'root-absent' || flaw === 'root-reserved');
  const tables = new PasidTables(image, image.chance(60) ? 0 : image.random.below(8));
  const faultsOff = image.chance(15);
  const hasPasids = flaw === null && requesterFlaw === null && image.chance(75);
  writeScalableContext(image, directory.contextEntry(rid), {
    present: flaw !== 'absent',
    faultsOff,
    pasidEnable: hasPasids || image.chance(50),
    directorySize: tables.directorySize,
    directory: tables.directory,
    requesterPasid: 0,
    extra: flaw === 'reserved' ? spoilScalableContext(fleet) : [0n, 0n, 0n, 0n],
  });
  if (flaw === 'root-absent') fleet.spoilRoot(rid, 'absent');
  if (flaw === 'root-reserved') fleet.spoilRoot(rid, 'reserved');

  const { kinds } = traits;
  const sites: Site[] = [];
  const tablesWithFlaws = new Set<number>();
  const enter = (pasid: number | null, fault: PasidFlaw | null): void => {
    const number = pasid ?? 0;
    const space = sound && pasid === null ? fleet.spaces[0]! : image.pick(fleet.spaces);
    const usable = flaw === null && fault === null;
    sites.push({ rid, pasid, supervisor: false, usable, space, kinds });
    if (fault === 'directory') {
      if (image.chance(50)) image.write(tables.directoryEntry(number), image.target());
      return;
    }
    if (fault !== null) tablesWithFlaws.add(number >> 6);
    const words = flawedEntry(fleet, space, fault);
    if (usable && image.chance(10)) words[0]! |= 2n;
    const at = tables.entry(number);
    words.forEach((word, i) => {
      image.write(at + BigInt(8 * i), word);
    });
  };
  enter(null, requesterFlaw);
  // The first 64 PASIDs share a directory entry with PASID 0; the directory entry of the highest ones may stay absent.
  const holes = image.chance(50) ? 3 : 4;
  const count = hasPasids ? 1 + image.random.below(4) : 0;
  for (let i = 0; i < count; i++) {
    const pasid = 1 + image.random.below(255);
    if (sites.some((site) => site.pasid === pasid)) continue;
    if (pasid >> 6 >= holes) {
      if (!faultsOff) enter(pasid, 'directory');
    } else enter(pasid, faultsOff || image.chance(70) ? null : image.pick(['type', 'width']));
  }
  for (let slot = 0; slot < 4; slot++) {
    const suppress = tables.has(64 * slot) && !tablesWithFlaws.has(slot) && image.chance(15);
    const at = tables.directoryEntry(64 * slot);
    if (suppress) image.write(at, image.read(at) | 2n);
  }
  return sites;
}
