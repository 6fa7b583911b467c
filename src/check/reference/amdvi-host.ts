/**
 * The host page table ("v1") of AMD-Vi, walked as the specification reads: AMD I/O Virtualization Technology (IOMMU)
 * Specification 48882, 2.2.3 (tables 14 and 15: page size encodings, levels). Cross-checked with Linux
 * drivers/iommu/generic_pt/fmt/amdv1.h and VirtualBox DevIommuAmd.cpp, which cites the sections.
 * No time, no caches. Not modelled: U and FC (they do not decide a translation), page mode counters.
 */
import type { LoggedMemory } from './amdvi-memory.js';

/** AMD event codes, 2.5 (event log entry bits 63:60). */
export const enum EventCode {
  IllegalDeviceTableEntry = 1,
  IoPageFault = 2,
  InvalidDeviceRequest = 8,
}

export interface Refused {
  readonly ok: false;
  readonly code: EventCode;
  /** What was wrong, in a few words without numbers that vary, and the level of the entry (0: no table entry). */
  readonly reason: string;
  readonly level: number;
}

export function refuse(reason: string, level = 0, code = EventCode.IoPageFault): Refused {
  return { ok: false, code, reason, level };
}

/** What an access needs; execution and privilege matter to guest tables only. A translation request needs neither: it is told what it may do. */
export interface Need {
  readonly read: boolean;
  readonly write: boolean;
}

/** The host table of a device, from its device table entry. */
export interface HostTable {
  /** Levels, 1 to 6. 0: guest-physical is system-physical. */
  readonly mode: number;
  readonly root: bigint;
  /** DTE.HAD: hardware sets A, and D as well. */
  readonly setsAccessed: boolean;
  readonly setsDirty: boolean;
}

export interface HostTranslation {
  readonly ok: true;
  readonly address: bigint;
  /** log2 of the page size; undefined: mode 0, nothing was translated. */
  readonly sizeLg2: number | undefined;
  /** Address of the leaf entry, and whether all entries allow reads and writes. */
  readonly leaf: bigint;
  readonly readable: boolean;
  readonly writable: boolean;
  /** Level of the leaf, and whether an entry led to a level more than one below its own. */
  readonly level: number;
  readonly skipped: boolean;
}

const PRESENT = 1n << 0n;
const ACCESSED = 1n << 5n;
const DIRTY = 1n << 6n;
const READ = 1n << 61n;
const WRITE = 1n << 62n;
const ADDRESS = 0x000f_ffff_ffff_f000n;
/** 56:52. Bits 58:57 were reserved as well until they became a page mode counter. */
const LEAF_RESERVED = 0x01f0_0000_0000_0000n;
/** 60:52: what is U and FC in a leaf is reserved in a directory entry. */
const TABLE_RESERVED = 0x1ff0_0000_0000_0000n;
const TOP_LEVEL = 6;
/** Largest page a size code can express within the 52-bit physical address. */
const LARGEST_PAGE_LG2 = 51;

/** log2 of what one entry of a level spans: its natural page size. */
const spanLg2 = (level: number): number => 12 + 9 * (level - 1);

/** log2 of the page size that the address field of a NextLevel 7 entry encodes: one more than the lowest clear bit from 12 on. */
function codedSizeLg2(entry: bigint): number {
  let bit = 12;
  while (bit < 52 && ((entry >> BigInt(bit)) & 1n) === 1n) bit++;
  return bit + 1;
}

function leafSizeLg2(entry: bigint, nextLevel: number, level: number): number | Refused {
  if (level === TOP_LEVEL) return refuse('leaf at level 6', level);
  const natural = spanLg2(level);
  if (nextLevel === 0) return natural;
  const coded = codedSizeLg2(entry);
  const legal = coded > natural && coded < natural + 9 && coded <= LARGEST_PAGE_LG2;
  return legal ? coded : refuse('page size not of this level', level);
}

/** Translates one guest-physical address (an I/O virtual address, where there is no guest table). */
export function walkHost(memory: LoggedMemory, host: HostTable, gpa: bigint, need: Need): HostTranslation | Refused {
  if (host.mode === 0) {
    return {
      ok: true,
      address: gpa,
      sizeLg2: undefined,
      leaf: 0n,
      readable: true,
      writable: true,
      level: 0,
      skipped: false,
    };
  }
  if (host.mode < TOP_LEVEL && gpa >> BigInt(spanLg2(host.mode + 1)) !== 0n) return refuse('address past the width');

  let level = host.mode;
  let table = host.root;
  let readable = true;
  let writable = true;
  let skipped = false;
  for (;;) {
    const index = (gpa >> BigInt(spanLg2(level))) & 0x1ffn;
    const entryAddress = table + 8n * index;
    const entry = memory.readWord(entryAddress);
    if ((entry & PRESENT) === 0n) return refuse('entry not present', level);

    const nextLevel = Number((entry >> 9n) & 7n);
    const isLeaf = nextLevel === 0 || nextLevel === 7;
    if ((entry & (isLeaf ? LEAF_RESERVED : TABLE_RESERVED)) !== 0n) return refuse('reserved bit', level);
    if (need.read && (entry & READ) === 0n) return refuse('read denied', level);
    if (need.write && (entry & WRITE) === 0n) return refuse('write denied', level);
    readable &&= (entry & READ) !== 0n;
    writable &&= (entry & WRITE) !== 0n;

    if (isLeaf) {
      const sizeLg2 = leafSizeLg2(entry, nextLevel, level);
      if (typeof sizeLg2 !== 'number') return sizeLg2;
      const bits = (host.setsAccessed ? ACCESSED : 0n) | (host.setsDirty && need.write ? DIRTY : 0n);
      memory.setBits(entryAddress, bits);
      const offset = (1n << BigInt(sizeLg2)) - 1n;
      const address = (entry & ADDRESS & ~offset) | (gpa & offset);
      return { ok: true, address, sizeLg2, leaf: entryAddress, readable, writable, level, skipped };
    }
    if (nextLevel >= level) return refuse('next level not below', level);
    // The address bits that the skipped levels would have used select nothing and must be 0.
    const skippedBits = (1n << BigInt(spanLg2(level))) - (1n << BigInt(spanLg2(nextLevel + 1)));
    if ((gpa & skippedBits) !== 0n) return refuse('bits of a skipped level', level);
    if (host.setsAccessed) memory.setBits(entryAddress, ACCESSED);
    skipped ||= nextLevel < level - 1;
    level = nextLevel;
    table = entry & ADDRESS;
  }
}

/** Hardware wrote, by an accessed or dirty update of a guest entry, to a page that the host table maps. */
export function markWritten(memory: LoggedMemory, host: HostTable, page: HostTranslation): void {
  if (host.mode !== 0 && host.setsDirty) memory.setBits(page.leaf, DIRTY);
}
