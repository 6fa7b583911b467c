/**
 * Guest translation ("v2") of AMD-Vi: the GCR3 table that a PASID selects an x86-64 table from, and that table (specification
 * 48882, 2.2.6; AMD64 Architecture Programmer's Manual volume 2, 5.3). Every address in it is guest-physical and goes
 * through the host table, except the GCR3 table itself where its root is a system-physical address.
 * Supervisor writes honour read-only pages (as with CR0.WP = 1). Not modelled: SMEP and SMAP, memory types, the global bit.
 */
import {
  type HostTable,
  type HostTranslation,
  markWritten,
  type Need,
  type Refused,
  refuse,
  walkHost,
} from './amdvi-host.js';
import type { LoggedMemory } from './amdvi-memory.js';

export interface GuestTables {
  readonly gcr3Root: bigint;
  /** 1 to 3, of 9 PASID bits each. */
  readonly gcr3Levels: number;
  /** The GCR3 table, all its levels, is addressed guest-physically. */
  readonly gcr3IsGuestPhysical: boolean;
  /** Levels of the guest page tables: 4 or 5. */
  readonly levels: number;
}

export interface GuestNeed extends Need {
  readonly execute: boolean;
  readonly privileged: boolean;
}

export interface GuestTranslation {
  readonly ok: true;
  /** Guest-physical address. */
  readonly address: bigint;
  readonly sizeLg2: number;
  readonly level: number;
  /** All entries allow writes, and execution. */
  readonly writable: boolean;
  readonly executable: boolean;
}

const PRESENT = 1n << 0n;
const WRITABLE = 1n << 1n;
const USER = 1n << 2n;
const ACCESSED = 1n << 5n;
const DIRTY = 1n << 6n;
const PAGE_SIZE = 1n << 7n;
const NO_EXECUTE = 1n << 63n;
const ADDRESS = 0x000f_ffff_ffff_f000n;
/** 4 KiB, 2 MiB and 1 GiB pages; a larger one does not exist. */
const LARGEST_LEAF_LEVEL = 3;

const spanLg2 = (level: number): number => 12 + 9 * (level - 1);

/** The guest CR3 (guest-physical root) of a PASID. */
export function lookUpGcr3(
  memory: LoggedMemory,
  host: HostTable,
  guest: GuestTables,
  pasid: number,
): { ok: true; root: bigint } | Refused {
  if (BigInt(pasid) >> BigInt(9 * guest.gcr3Levels) !== 0n) return refuse('PASID past the GCR3 table');
  let table = guest.gcr3Root;
  for (let level = guest.gcr3Levels; level > 0; level--) {
    const index = (BigInt(pasid) >> BigInt(9 * (level - 1))) & 0x1ffn;
    let address = table + 8n * index;
    if (guest.gcr3IsGuestPhysical) {
      const page = walkHost(memory, host, address, { read: true, write: false });
      if (!page.ok) return { ...page, reason: `${page.reason} (of the GCR3 table, by the host)` };
      address = page.address;
    }
    const entry = memory.readWord(address);
    if ((entry & PRESENT) === 0n) return refuse('GCR3 entry not valid', level);
    table = entry & ADDRESS;
  }
  return { ok: true, root: table };
}

function reservedBits(entry: bigint, level: number): boolean {
  if (level === 1 || (entry & PAGE_SIZE) === 0n) return false;
  if (level > LARGEST_LEAF_LEVEL) return true;
  // Between the PAT bit (12) and the page address.
  const low = (1n << BigInt(spanLg2(level))) - (1n << 13n);
  return (entry & low) !== 0n;
}

function denied(entry: bigint, need: GuestNeed): string | undefined {
  if (!need.privileged && (entry & USER) === 0n) return 'supervisor page';
  if (need.write && (entry & WRITABLE) === 0n) return 'write denied';
  if (need.execute && (entry & NO_EXECUTE) !== 0n) return 'execute denied';
  return undefined;
}

/** Translates a guest-virtual address; all accesses to guest tables go through the host table. */
export function walkGuest(
  memory: LoggedMemory,
  host: HostTable,
  guest: GuestTables,
  root: bigint,
  address: bigint,
  need: GuestNeed,
): GuestTranslation | Refused {
  const width = spanLg2(guest.levels + 1);
  if (BigInt.asUintN(64, BigInt.asIntN(width, address)) !== address) return refuse('guest address not canonical');

  let table = root;
  let writable = true;
  let executable = true;
  for (let level = guest.levels; ; level--) {
    const index = (address >> BigInt(spanLg2(level))) & 0x1ffn;
    const page = walkHost(memory, host, table + 8n * index, { read: true, write: false });
    if (!page.ok) return { ...page, reason: `${page.reason} (of a guest table, by the host)` };
    const entry = memory.readWord(page.address);
    if ((entry & PRESENT) === 0n) return refuse('guest entry not present', level);
    if (reservedBits(entry, level)) return refuse('guest reserved bit', level);
    const missing = denied(entry, need);
    if (missing !== undefined) return refuse(`guest ${missing}`, level);
    writable &&= (entry & WRITABLE) !== 0n;
    executable &&= (entry & NO_EXECUTE) === 0n;

    const isLeaf = level === 1 || (entry & PAGE_SIZE) !== 0n;
    const bits = ACCESSED | (isLeaf && need.write ? DIRTY : 0n);
    const unwritable = update(memory, host, page, entry, bits);
    if (unwritable !== undefined) return unwritable;
    if (isLeaf) {
      const sizeLg2 = spanLg2(level);
      const offset = (1n << BigInt(sizeLg2)) - 1n;
      return {
        ok: true,
        address: (entry & ADDRESS & ~offset) | (address & offset),
        sizeLg2,
        level,
        writable,
        executable,
      };
    }
    table = entry & ADDRESS;
  }
}

/** Accessed and dirty bits of a guest entry are written through the host table. */
function update(
  memory: LoggedMemory,
  host: HostTable,
  page: HostTranslation,
  entry: bigint,
  bits: bigint,
): Refused | undefined {
  if ((entry & bits) === bits) return undefined;
  if (!page.writable) return refuse('write denied (of a guest table, by the host)', page.level);
  markWritten(memory, host, page);
  memory.setBits(page.address, bits);
  return undefined;
}
