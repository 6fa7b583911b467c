/**
 * First-stage, second-stage and nested walks as VT-d describes them (Intel VT-d specification rev. 5.10, 3.5 to 3.8, 9.7, 9.8), one
 * entry at a time, nothing cached.
 *
 * The specification does not order the checks of one entry. Here, as in QEMU: present, rights of the request, reserved bits, address
 * limit; a request stops at the first entry that does not grant what it needs. Accessed flags are set entry by entry, even if a later
 * one faults (3.6.2 allows that); dirty flags only when the request is granted, so the leaf of a nested first stage is updated after
 * the second-stage walk of its page.
 * Not modelled: memory types, zero-length reads, second-stage I/O read/write bits (bit 62 is reserved).
 */
import { Blocked, SCALABLE_CONDITIONS, type StageConditions } from './vtd-faults.js';
import { field, mask, PAGE, type Unit } from './vtd-unit.js';

export interface Rights {
  readonly read: boolean;
  readonly write: boolean;
}

/** What a request needs. A translation request needs nothing: it is told what there is, and says whether the device means to write. */
export interface Wanted extends Rights {
  readonly asks?: { readonly toWrite: boolean };
}

export interface Translation {
  /** Byte address after this stage. */
  readonly address: bigint;
  /** log2 of the page. */
  readonly sizeLg2: number;
  readonly rights: Rights;
}

export interface SecondStage {
  readonly root: bigint;
  readonly levels: number;
  /** Accessed and dirty flags (SSADE). */
  readonly flags: boolean;
  /** Walks snoop processor caches, so that entries can be updated. */
  readonly coherent: boolean;
  /** Bit 11 of a leaf means snoop and is not reserved. */
  readonly snoopBit: boolean;
}

export interface FirstStage {
  readonly root: bigint;
  readonly levels: number;
  readonly supervisor: boolean;
  readonly writeProtect: boolean;
  readonly extendedAccessed: boolean;
  readonly coherent: boolean;
}

/** Conditions of a second-stage walk that depend on what it is made for. */
type Purpose = Pick<StageConditions, 'notWritable' | 'notReadable' | 'noRights' | 'reserved'>;

interface SecondStageResult extends Translation {
  readonly leaf: bigint;
  readonly leafAddress: bigint;
  /** Its dirty flag is clear still: a device that has been told so must not write without asking again. */
  readonly clean: boolean;
}

const DIRTY_SECOND = 1n << 9n;

function indexOf(address: bigint, level: number): bigint {
  return field(address, 11 + 9 * level, 3 + 9 * level);
}

/** Page of a leaf with the offset of the input; the low bits of a large page's entry hold flags. */
function page(entry: bigint, input: bigint, sizeLg2: number, hostAddressWidth: number): bigint {
  return (entry & mask(hostAddressWidth - 1, sizeLg2)) | (input & mask(sizeLg2 - 1, 0));
}

function secondStageReserved(unit: Unit, stage: SecondStage, level: number, leaf: boolean): bigint {
  let reserved = unit.aboveHost(51) | (1n << 62n);
  if (leaf) reserved |= mask(2 + 9 * level, 12);
  if (level > 3) reserved |= 1n << 7n;
  if (!leaf || !stage.snoopBit) reserved |= 1n << 11n;
  return reserved;
}

function walkSecondStage(
  unit: Unit,
  stage: SecondStage,
  input: bigint,
  wanted: Wanted,
  write: boolean,
  purpose: Purpose,
): SecondStageResult {
  let table = stage.root;
  let readable = true;
  let writable = true;
  for (let level = stage.levels; ; level--) {
    const address = table + 8n * indexOf(input, level);
    const entry = unit.memory.read(address, 1)[0]!;
    readable &&= (entry & 1n) !== 0n;
    writable &&= (entry & 2n) !== 0n;
    const absent = wanted.asks === undefined ? !readable && !writable : (entry & 3n) === 0n;
    if (absent && purpose.noRights !== null) throw new Blocked(purpose.noRights);
    if (absent && wanted.asks !== undefined) throw new Blocked(purpose.notReadable);
    if (wanted.write && !writable) throw new Blocked(purpose.notWritable);
    if (wanted.read && !readable) throw new Blocked(purpose.notReadable);
    const leaf = level === 1 || (level <= 3 && (entry & 0x80n) !== 0n);
    if ((entry & secondStageReserved(unit, stage, level, leaf)) !== 0n) throw new Blocked(purpose.reserved);
    if (stage.flags)
      updateSecondStage(unit, stage, address, entry, (1n << 8n) | (leaf && write && writable ? DIRTY_SECOND : 0n));
    if (leaf) {
      const sizeLg2 = 3 + 9 * level;
      return {
        address: page(entry, input, sizeLg2, unit.hostAddressWidth),
        sizeLg2,
        leaf: entry,
        leafAddress: address,
        rights: { read: readable, write: writable },
        clean: stage.flags && !write && (entry & DIRTY_SECOND) === 0n,
      };
    }
    table = entry & mask(unit.hostAddressWidth - 1, 12);
  }
}

function updateSecondStage(unit: Unit, stage: SecondStage, address: bigint, entry: bigint, flags: bigint): void {
  if ((entry & flags) === flags) return;
  if (!stage.coherent) throw new Blocked('SSS.5');
  unit.memory.setBits(address, flags);
}

/** Second stage alone. `conditions` are those of the mode, or of legacy mode in both for QEMU. */
export function translateSecondStage(
  unit: Unit,
  stage: SecondStage,
  input: bigint,
  wanted: Wanted,
  conditions: StageConditions,
): Translation {
  if (input >> BigInt(12 + 9 * stage.levels) !== 0n) throw new Blocked(conditions.beyondWidth);
  return granted(walkSecondStage(unit, stage, input, wanted, meansToWrite(wanted), conditions));
}

function granted(result: SecondStageResult): Translation {
  const { address, sizeLg2, rights, clean } = result;
  return { address, sizeLg2, rights: { read: rights.read, write: rights.write && !clean } };
}

function meansToWrite({ write, asks }: Wanted): boolean {
  return asks?.toWrite ?? write;
}

/** Bits 63:N all equal to bit N-1 (SGN.1). */
function isCanonical(address: bigint, levels: number): boolean {
  const top = address >> BigInt(11 + 9 * levels);
  return top === 0n || top === mask(52 - 9 * levels, 0);
}

function firstStageReserved(unit: Unit, level: number, leaf: boolean): bigint {
  let reserved = unit.aboveHost(51);
  // Bit 12 of a large page is PAT.
  if (leaf && level > 1) reserved |= mask(2 + 9 * level, 13);
  if (level > 3) reserved |= 1n << 7n;
  return reserved;
}

/** A first-stage entry in host memory: where it is, and whether a nested second stage lets the walker update it. */
interface FirstStageEntry {
  readonly address: bigint;
  readonly mapping: SecondStageResult | null;
}

/**
 * First stage, alone or over `second`: then every table pointer, the root included, and the page are guest addresses.
 */
export function translateFirstStage(
  unit: Unit,
  stage: FirstStage,
  second: SecondStage | null,
  input: bigint,
  wanted: Wanted,
): Translation {
  if (!isCanonical(input, stage.levels)) throw new Blocked('SGN.1');
  const checkWrite = wanted.write && (!stage.supervisor || stage.writeProtect);
  let table = stage.root;
  let writable = true;
  for (let level = stage.levels; ; level--) {
    const at = locate(unit, second, table + 8n * indexOf(input, level), level === stage.levels);
    const entry = unit.memory.read(at.address, 1)[0]!;
    if ((entry & 1n) === 0n) throw new Blocked('SFS.2');
    if (!stage.supervisor && (entry & 4n) === 0n) throw new Blocked('SGN.2');
    writable &&= (entry & 2n) !== 0n;
    if (checkWrite && !writable) throw new Blocked('SGN.6');
    const leaf = level === 1 || (level <= 3 && (entry & 0x80n) !== 0n);
    if ((entry & firstStageReserved(unit, level, leaf)) !== 0n) throw new Blocked('SFS.3');
    if (second !== null && (entry & mask(51, 12 + 9 * second.levels)) !== 0n) throw new Blocked('SFS.5');

    let flags = 1n << 5n;
    if (stage.extendedAccessed) flags |= 1n << 10n;
    if (leaf && (wanted.asks === undefined ? wanted.write : wanted.asks.toWrite && writable)) flags |= 1n << 6n;
    const update = (entry & flags) !== flags;
    if (update && !stage.coherent) throw new Blocked('SFS.9');
    if (update && at.mapping !== null && !at.mapping.rights.write) throw new Blocked('SFS.8');
    if (!leaf) {
      if (update) updateFirstStage(unit, second, at, flags);
      table = entry & mask(unit.hostAddressWidth - 1, 12);
      continue;
    }
    const sizeLg2 = 3 + 9 * level;
    const dirty = ((entry | flags) & (1n << 6n)) !== 0n;
    const output = page(entry, input, sizeLg2, unit.hostAddressWidth);
    if (second === null) {
      if (update) updateFirstStage(unit, second, at, flags);
      return { address: output, sizeLg2, rights: { read: true, write: writable && dirty } };
    }
    const final = granted(walkSecondStage(unit, second, output, wanted, meansToWrite(wanted), SCALABLE_CONDITIONS));
    if (update) updateFirstStage(unit, second, at, flags);
    const rights = { read: final.rights.read, write: writable && dirty && final.rights.write };
    return { address: final.address, sizeLg2: Math.min(sizeLg2, final.sizeLg2), rights };
  }
}

/** Where a first-stage entry lies. With second-stage flags its table has to be writable even to be read (3.8.1). */
function locate(unit: Unit, second: SecondStage | null, address: bigint, isRoot: boolean): FirstStageEntry {
  if (second === null) return { address, mapping: null };
  const mapping = walkSecondStage(unit, second, address, { read: true, write: second.flags }, false, {
    ...SCALABLE_CONDITIONS,
    notWritable: 'SFS.8',
    notReadable: isRoot ? 'SFS.6' : 'SFS.7',
  });
  return { address: mapping.address, mapping };
}

function updateFirstStage(unit: Unit, second: SecondStage | null, at: FirstStageEntry, flags: bigint): void {
  const { mapping } = at;
  if (second?.flags && mapping !== null) {
    updateSecondStage(unit, second, mapping.leafAddress, mapping.leaf, DIRTY_SECOND);
  }
  unit.memory.setBits(at.address, flags);
}

/** Low bits of a pointer hold other fields. */
export function pointer(word: bigint): bigint {
  return word & PAGE;
}
