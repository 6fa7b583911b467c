/**
 * The two page-table walks and the MSI page table of the plain RISC-V IOMMU walker (RISC-V Privileged Architecture, "Virtual
 * Address Translation Process" and "Two-Stage Address Translation"; RISC-V IOMMU specification 1.0, "Process to translate
 * addresses of MSIs"). Sv39, Sv48 and Sv57 with Svnapot, Svpbmt and Svrsw60t59b.
 * Not modelled: Sv32, big-endian tables, MRIF-mode MSI entries.
 */
import { bit, Fault, field, type Machine, PAGE } from './riscv-machine.js';

const ACCESSED = 1n << 6n;
const DIRTY = 1n << 7n;
const NAPOT_PAGES = 16n;

/** A root pointer: levels 0 is Bare. */
export interface Root {
  readonly levels: number;
  readonly ppn: bigint;
}

/** A device context that passed its checks. */
export interface DeviceContext {
  readonly enableAts: boolean;
  readonly translatedToGpa: boolean;
  readonly disableFaultReports: boolean;
  readonly processDirectory: boolean;
  readonly defaultProcess: boolean;
  /** SADE and GADE: accessed and dirty bits of the stage are updated. */
  readonly updateFirst: boolean;
  readonly updateSecond: boolean;
  readonly second: Root;
  /** First-stage root, or the process directory if `processDirectory`. */
  readonly first: Root;
  readonly msi: { readonly ppn: bigint; readonly mask: bigint; readonly pattern: bigint } | null;
}

/** What a transaction asks for; an execute-read of untranslated type does not ask for read. */
export interface Attributes {
  readonly read: boolean;
  readonly write: boolean;
  readonly execute: boolean;
  readonly privileged: boolean;
  /** False for ATS translation requests: a denied permission is answered, not a fault. */
  readonly checkPermissions: boolean;
}

/** A second-stage walk on behalf of the transaction or of a table read. */
export interface SecondStageRequest extends Omit<Attributes, 'privileged'> {
  /** The address is that of a first-stage entry: its dirty bit may be set ahead of an update of the entry. */
  readonly forFirstStageEntry: boolean;
}

export type SecondStageResult =
  | { readonly fault: 'page' }
  | { readonly fault: 'access' }
  | {
      readonly fault: null;
      readonly address: bigint;
      /** Bytes of the page; null: the stage is Bare. */
      readonly size: bigint | null;
      readonly writable: boolean;
      readonly grants: Grants;
    };

/** What a stage lets an ATS translation be used for: writes only if the page is dirty. */
export interface Grants {
  readonly read: boolean;
  readonly write: boolean;
  readonly execute: boolean;
}

const EVERYTHING: Grants = { read: true, write: true, execute: true };

export function pageFault(attributes: Attributes): Fault {
  return new Fault(attributes.execute ? 12 : attributes.read ? 13 : 15);
}

export function accessFault(attributes: Attributes): Fault {
  return new Fault(attributes.execute ? 1 : attributes.read ? 5 : 7);
}

/** iotval2: GPA[63:2]; bit 0 for an access to a table, bit 1 if that access was a write. */
export function guestPageFault(
  attributes: Attributes,
  gpa: bigint,
  access: 'explicit' | 'implicit-read' | 'implicit-write',
): Fault {
  const flags = access === 'explicit' ? 0n : access === 'implicit-read' ? 1n : 3n;
  return new Fault(attributes.execute ? 20 : attributes.read ? 21 : 23, (gpa & ~3n) | flags);
}

/** Step 3 of the walk: an entry that is absent or uses a reserved encoding, at any level. */
function reservedEncoding(machine: Machine, entry: bigint, level: number): boolean {
  const [valid, read, write] = [bit(entry, 0), bit(entry, 1), bit(entry, 2)];
  if (!valid || (!read && write)) return true;
  const memoryType = field(entry, 62, 61);
  if (memoryType === 3n || (memoryType !== 0n && !machine.has('Svpbmt'))) return true;
  if (field(entry, 58, 54) !== 0n) return true;
  if (field(entry, 60, 59) !== 0n && !machine.has('Svrsw60t59b')) return true;
  return level !== 0 && bit(entry, 63);
}

function isLeaf(entry: bigint): boolean {
  return bit(entry, 1) || bit(entry, 3);
}

/** D, A, U and the memory type are reserved in a pointer, and there is nothing below level 0. */
function badPointer(entry: bigint, level: number): boolean {
  return level === 0 || field(entry, 7, 6) !== 0n || bit(entry, 4) || field(entry, 62, 61) !== 0n;
}

/** Bytes that a leaf maps; null: a misaligned superpage or a reserved NAPOT encoding. */
function leafSize(entry: bigint, level: number): bigint | null {
  const ppn = field(entry, 53, 10);
  const pages = 1n << BigInt(9 * level);
  if ((ppn & (pages - 1n)) !== 0n) return null;
  if (!bit(entry, 63)) return pages * PAGE;
  return (ppn & (NAPOT_PAGES - 1n)) === 8n ? NAPOT_PAGES * PAGE : null;
}

/** The page's base is taken from the entry, everything below its size from the input address. */
function leafAddress(entry: bigint, size: bigint, address: bigint): bigint {
  const base = (field(entry, 53, 10) * PAGE) & ~(size - 1n);
  return base | (address & (size - 1n));
}

function denied(entry: bigint, request: { read: boolean; write: boolean; execute: boolean }): boolean {
  return (request.execute && !bit(entry, 3)) || (request.read && !bit(entry, 1)) || (request.write && !bit(entry, 2));
}

/** Index of the address at a level; a second-stage root has two bits more. */
function entryOffset(address: bigint, level: number, rootBits: number): bigint {
  return field(address, 12 + 9 * level + 8 + rootBits, 12 + 9 * level) * 8n;
}

/** Translates a guest-physical address; the address itself if the stage is Bare. */
export function secondStage(
  machine: Machine,
  context: DeviceContext,
  gpa: bigint,
  request: SecondStageRequest,
): SecondStageResult {
  const { levels, ppn } = context.second;
  if (levels === 0) return { fault: null, address: gpa, size: null, writable: true, grants: EVERYTHING };
  if (gpa >> BigInt(12 + 9 * levels + 2) !== 0n) return { fault: 'page' };

  let table = ppn * PAGE;
  for (let level = levels - 1; ; level--) {
    if (machine.beyond(table)) return { fault: 'access' };
    const address = table + entryOffset(gpa, level, level === levels - 1 ? 2 : 0);
    const entry = machine.readWord(address);
    if (reservedEncoding(machine, entry, level)) return { fault: 'page' };
    if (!isLeaf(entry)) {
      if (badPointer(entry, level)) return { fault: 'page' };
      table = field(entry, 53, 10) * PAGE;
      continue;
    }
    if (request.checkPermissions && denied(entry, request)) return { fault: 'page' };
    // All second-stage translations are made as if in user mode.
    if (!bit(entry, 4)) return { fault: 'page' };
    const size = leafSize(entry, level);
    if (size === null) return { fault: 'page' };
    const writable = bit(entry, 2);
    const ahead = request.forFirstStageEntry && context.updateFirst;
    const needsDirty = writable && !bit(entry, 7) && (request.write || ahead);
    let isDirty = bit(entry, 7);
    if (!bit(entry, 6) || needsDirty) {
      if (!context.updateSecond) return { fault: 'page' };
      // An update on behalf of a first-stage entry sets both bits at once, as the reference model does.
      const dirty = writable && (request.write || request.forFirstStageEntry);
      machine.atomicOr(address, dirty ? ACCESSED | DIRTY : ACCESSED);
      isDirty ||= dirty;
    }
    const grants = { read: bit(entry, 1), write: writable && isDirty, execute: bit(entry, 3) };
    return { fault: null, address: leafAddress(entry, size, gpa), size, writable, grants };
  }
}

/**
 * Translates a virtual address to a guest-physical one (physical if the second stage is Bare).
 * @param userMemory SUM of the process context.
 * @throws Fault 1, 5, 7, 12, 13, 15, 20, 21 or 23.
 */
export function firstStage(
  machine: Machine,
  context: DeviceContext,
  root: Root,
  iova: bigint,
  attributes: Attributes,
  userMemory: boolean,
): { readonly gpa: bigint; readonly size: bigint | null; readonly grants: Grants } {
  const { levels } = root;
  if (levels === 0) return { gpa: iova, size: null, grants: EVERYTHING };
  const signBit = 12 + 9 * levels - 1;
  const upper = iova >> BigInt(signBit);
  if (upper !== 0n && upper !== (1n << BigInt(64 - signBit)) - 1n) throw pageFault(attributes);

  let table = root.ppn * PAGE;
  for (let level = levels - 1; ; level--) {
    const gpa = table + entryOffset(iova, level, 0);
    const second = secondStage(machine, context, gpa, {
      read: true,
      write: false,
      execute: false,
      checkPermissions: true,
      forFirstStageEntry: true,
    });
    if (second.fault === 'page') throw guestPageFault(attributes, gpa, 'implicit-read');
    if (second.fault === 'access' || machine.beyond(second.address)) throw accessFault(attributes);
    const entry = machine.readWord(second.address);
    if (reservedEncoding(machine, entry, level)) throw pageFault(attributes);
    if (!isLeaf(entry)) {
      if (badPointer(entry, level)) throw pageFault(attributes);
      table = field(entry, 53, 10) * PAGE;
      continue;
    }
    if (attributes.checkPermissions && denied(entry, attributes)) throw pageFault(attributes);
    const user = bit(entry, 4);
    if (!attributes.privileged && !user) throw pageFault(attributes);
    // Supervisors never execute user pages, and reach their data only with SUM.
    if (attributes.privileged && user && (attributes.execute || !userMemory)) throw pageFault(attributes);
    const size = leafSize(entry, level);
    if (size === null) throw pageFault(attributes);
    const dirty = attributes.write && bit(entry, 2);
    if (!bit(entry, 6) || (dirty && !bit(entry, 7))) {
      if (!context.updateFirst) throw pageFault(attributes);
      if (!second.writable) throw guestPageFault(attributes, gpa, 'implicit-write');
      machine.atomicOr(second.address, dirty ? ACCESSED | DIRTY : ACCESSED);
    }
    const grants = { read: bit(entry, 1), write: bit(entry, 2) && (dirty || bit(entry, 7)), execute: bit(entry, 3) };
    return { gpa: leafAddress(entry, size, iova), size, grants };
  }
}

/** Bits of the guest-physical page number that the MSI mask and pattern compare. */
function comparedPageBits(machine: Machine): bigint {
  const width = machine.has('Sv57x4')
    ? 59n
    : machine.has('Sv48x4')
      ? 50n
      : machine.has('Sv39x4')
        ? 41n
        : field(machine.capabilities, 37, 32);
  return (1n << (width - 12n)) - 1n;
}

/** Packs the bits of `value` that `mask` selects at the low end. */
export function extract(value: bigint, mask: bigint): bigint {
  let result = 0n;
  let position = 0n;
  for (let i = 0n; mask >> i !== 0n; i++) {
    if (((mask >> i) & 1n) === 0n) continue;
    result |= ((value >> i) & 1n) << position++;
  }
  return result;
}

/**
 * Address of the interrupt file if the page is a virtual interrupt file's, else null.
 * @throws Fault 1, 261, 262 or 263.
 */
export function msiTranslation(
  machine: Machine,
  context: DeviceContext,
  gpa: bigint,
  attributes: Attributes,
): bigint | null {
  const { msi } = context;
  if (msi === null) return null;
  const compared = comparedPageBits(machine);
  const page = gpa >> 12n;
  if (((page ^ msi.pattern) & ~msi.mask & compared) !== 0n) return null;
  const address = (msi.ppn * PAGE) | (extract(page, msi.mask & compared) * 16n);
  if (machine.beyond(address)) throw new Fault(261);
  const [entry] = machine.read(address, 16) as [bigint];
  if (!bit(entry, 0)) throw new Fault(262);
  const mode = field(entry, 2, 1);
  if (mode === 1n && !bit(entry, 63) && machine.has('MSI_MRIF'))
    throw new Error('MRIF-mode MSI entries are not modelled');
  // C is a custom encoding; M = 3 is basic translate mode.
  if (bit(entry, 63) || mode !== 3n) throw new Fault(263);
  if (field(entry, 9, 3) !== 0n || field(entry, 62, 54) !== 0n) throw new Fault(263);
  if (attributes.execute && attributes.checkPermissions) throw new Fault(1);
  return (field(entry, 53, 10) * PAGE) | (gpa & 0xfffn);
}
