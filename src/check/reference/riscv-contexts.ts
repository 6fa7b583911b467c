/**
 * Locating the device context and the process context (RISC-V IOMMU specification 1.0, sections "Process to locate the
 * Device-context" and "Process to locate the Process-context") with their configuration checks.
 * fctl.BE and fctl.GXL are read-only 0: a context that asks for big-endian tables or for 32-bit schemes is misconfigured.
 */
import { bit, Fault, field, type Machine, PAGE } from './riscv-machine.js';
import { type Attributes, type DeviceContext, guestPageFault, type Root, secondStage } from './riscv-stages.js';

const DDT_LOAD_FAULT = 257;
const DDT_INVALID = 258;
const DDT_MISCONFIGURED = 259;
const PDT_LOAD_FAULT = 265;
const PDT_INVALID = 266;
const PDT_MISCONFIGURED = 267;

/** MODE of iosatp, by page-table levels; 0 is Bare. */
const STAGE_LEVELS: ReadonlyMap<bigint, number> = new Map([
  [8n, 3],
  [9n, 4],
  [10n, 5],
]);

export interface ProcessContext {
  readonly enableSupervisor: boolean;
  readonly supervisorUserMemory: boolean;
  readonly first: Root;
}

function firstStageSupported(machine: Machine, mode: bigint): boolean {
  switch (mode) {
    case 0n:
      return true;
    case 8n:
      return machine.has('Sv39');
    case 9n:
      return machine.has('Sv48');
    case 10n:
      return machine.has('Sv57');
  }
  return false;
}

function secondStageSupported(machine: Machine, mode: bigint): boolean {
  switch (mode) {
    case 0n:
      return true;
    case 8n:
      return machine.has('Sv39x4');
    case 9n:
      return machine.has('Sv48x4');
    case 10n:
      return machine.has('Sv57x4');
  }
  return false;
}

function processDirectorySupported(machine: Machine, mode: bigint): boolean {
  switch (mode) {
    case 0n:
      return true;
    case 1n:
      return machine.has('PD8');
    case 2n:
      return machine.has('PD17');
    case 3n:
      return machine.has('PD20');
  }
  return false;
}

/** Section "Device-context configuration checks", in the order of its list. */
function deviceContextMisconfigured(machine: Machine, words: readonly bigint[]): boolean {
  const [tc, iohgatp, ta, fsc] = words as [bigint, bigint, bigint, bigint];
  const extended = words.length === 8;
  const enableAts = bit(tc, 1);
  const enablePri = bit(tc, 2);
  const t2gpa = bit(tc, 3);
  const pdtv = bit(tc, 5);
  const prpr = bit(tc, 6);
  const fscMode = field(fsc, 63, 60);
  const secondMode = field(iohgatp, 63, 60);

  if (field(tc, 23, 12) !== 0n || field(tc, 63, 32) !== 0n) return true;
  if (field(fsc, 59, 44) !== 0n) return true;
  if (field(ta, 11, 0) !== 0n || field(ta, 39, 32) !== 0n) return true;
  if (extended) {
    if (words[7] !== 0n || field(words[4]!, 59, 44) !== 0n) return true;
    if (field(words[5]!, 63, 52) !== 0n || field(words[6]!, 63, 52) !== 0n) return true;
  }
  if (!machine.has('QOSID') && field(ta, 63, 40) !== 0n) return true;
  if (!machine.has('ATS') && (enableAts || enablePri || prpr)) return true;
  if (!enableAts && (t2gpa || enablePri)) return true;
  if (!enablePri && prpr) return true;
  if (t2gpa && (!machine.has('T2GPA') || secondMode === 0n)) return true;
  if (pdtv ? !processDirectorySupported(machine, fscMode) : !firstStageSupported(machine, fscMode)) return true;
  if (!pdtv && bit(tc, 9)) return true;
  if (!secondStageSupported(machine, secondMode)) return true;
  if (extended && field(words[4]!, 63, 60) > 1n) return true;
  if (secondMode !== 0n && field(iohgatp, 1, 0) !== 0n) return true;
  if (!machine.has('AMO_HWAD') && (bit(tc, 7) || bit(tc, 8))) return true;
  return bit(tc, 10) || bit(tc, 11);
}

/**
 * @param deviceId Up to 24 bits, not wider than the directory.
 * @throws Fault 257, 258 or 259.
 */
export function locateDeviceContext(
  machine: Machine,
  rootPpn: bigint,
  levels: number,
  deviceId: number,
): DeviceContext {
  const extended = machine.has('MSI_FLAT');
  const index = deviceDirectoryIndexes(extended, deviceId);
  const contextBytes = extended ? 64 : 32;
  let table = rootPpn * PAGE;
  for (let i = levels - 1; i > 0; i--) {
    if (machine.beyond(table)) throw new Fault(DDT_LOAD_FAULT);
    const entry = machine.readWord(table + BigInt(index[i]! * 8));
    table = nextDirectory(entry, DDT_INVALID, DDT_MISCONFIGURED);
  }
  if (machine.beyond(table)) throw new Fault(DDT_LOAD_FAULT);
  const words = machine.read(table + BigInt(index[0]! * contextBytes), contextBytes);
  const [tc, iohgatp, , fsc] = words as [bigint, bigint, bigint, bigint];
  if (!bit(tc, 0)) throw new Fault(DDT_INVALID);
  if (deviceContextMisconfigured(machine, words)) throw new Fault(DDT_MISCONFIGURED);
  const pdtv = bit(tc, 5);
  const fscMode = field(fsc, 63, 60);
  return {
    enableAts: bit(tc, 1),
    translatedToGpa: bit(tc, 3),
    disableFaultReports: bit(tc, 4),
    processDirectory: pdtv,
    defaultProcess: bit(tc, 9),
    updateFirst: bit(tc, 8),
    updateSecond: bit(tc, 7),
    second: stageRoot(iohgatp),
    // PD8, PD17 and PD20 are modes 1, 2 and 3: as many levels.
    first: pdtv ? { levels: Number(fscMode), ppn: field(fsc, 43, 0) } : stageRoot(fsc),
    msi:
      extended && field(words[4]!, 63, 60) === 1n
        ? { ppn: field(words[4]!, 43, 0), mask: field(words[5]!, 51, 0), pattern: field(words[6]!, 51, 0) }
        : null,
  };
}

/** DDI[0], DDI[1], DDI[2]: 7, 9 and 8 bits in the base format, 6, 9 and 9 bits in the extended one. */
export function deviceDirectoryIndexes(extended: boolean, deviceId: number): [number, number, number] {
  const leafBits = extended ? 6 : 7;
  return [deviceId & ((1 << leafBits) - 1), (deviceId >> leafBits) & 511, deviceId >> (leafBits + 9)];
}

function stageRoot(word: bigint): Root {
  return { levels: STAGE_LEVELS.get(field(word, 63, 60)) ?? 0, ppn: field(word, 43, 0) };
}

/** Address of the directory that a non-leaf DDT or PDT entry points to. */
function nextDirectory(entry: bigint, invalid: number, misconfigured: number): bigint {
  if (!bit(entry, 0)) throw new Fault(invalid);
  if (field(entry, 9, 1) !== 0n || field(entry, 63, 54) !== 0n) throw new Fault(misconfigured);
  return field(entry, 53, 10) * PAGE;
}

/**
 * Every address of the directory is guest-physical when the second stage is on, and translated as an implicit read.
 * @throws Fault 265, 266, 267, or the guest page fault of the original access.
 */
export function locateProcessContext(
  machine: Machine,
  context: DeviceContext,
  processId: number,
  attributes: Attributes,
): ProcessContext {
  const index = [processId & 255, (processId >> 8) & 511, processId >> 17];
  const entryAddress = (table: bigint, i: number): bigint => {
    const address = table + BigInt(index[i]! * (i === 0 ? 16 : 8));
    const translated = secondStage(machine, context, address, {
      read: true,
      write: false,
      execute: false,
      checkPermissions: true,
      forFirstStageEntry: false,
    });
    if (translated.fault === 'page') throw guestPageFault(attributes, address, 'implicit-read');
    if (translated.fault === 'access' || machine.beyond(translated.address)) throw new Fault(PDT_LOAD_FAULT);
    return translated.address;
  };
  let table = context.first.ppn * PAGE;
  for (let i = context.first.levels - 1; i > 0; i--) {
    table = nextDirectory(machine.readWord(entryAddress(table, i)), PDT_INVALID, PDT_MISCONFIGURED);
  }
  const [ta, fsc] = machine.read(entryAddress(table, 0), 16) as [bigint, bigint];
  if (!bit(ta, 0)) throw new Fault(PDT_INVALID);
  const reserved = field(ta, 11, 3) !== 0n || field(ta, 63, 32) !== 0n || field(fsc, 59, 44) !== 0n;
  if (reserved || !firstStageSupported(machine, field(fsc, 63, 60))) throw new Fault(PDT_MISCONFIGURED);
  return { enableSupervisor: bit(ta, 1), supervisorUserMemory: bit(ta, 2), first: stageRoot(fsc) };
}
