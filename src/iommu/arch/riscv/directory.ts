/**
 * From device id and process id to an address space: the device directory (one to three levels, contexts of 32 or 64 bytes) and the
 * process directory (PD8, PD17, PD20), each entry read from simulated memory, with caches of device and process contexts in front
 * (RISC-V IOMMU specification, "Process to translate an IOVA" and the two "Process to locate" sections). With a second stage on,
 * the process directory lies at guest-physical addresses. Invalid entries are never cached.
 * Not modelled: custom context fields, QoS ids, poisoned data, tables in big-endian order.
 */
import type { Event } from '../../../kernel/event.js';
import type { PhysicalMemory } from '../../../memory/physical.js';
import { type Format, Permission } from '../../../pagetable/format.js';
import { Fault } from '../../../pagetable/fault.js';
import { Target } from '../../../pagetable/two-stage.js';
import { Access } from '../../../protocol/access.js';
import { AtsStatus } from '../../../protocol/ats.js';
import { TlpFlag } from '../../../protocol/tlp.js';
import { type AddressSpace, Stage } from '../../address-space.js';
import { type Architecture, Found } from '../../architecture.js';
import { ContextCaches, OwnProcess } from '../../contexts.js';
import { type Miss, Phase } from '../../miss.js';
import type { IommuSpec } from '../../spec.js';
import type { FaultQueue } from './fault-queue.js';
import * as format from './format.js';
import {
  Capability,
  Cause,
  Control,
  DirectoryMode,
  Dword,
  ProcessControl,
  ProcessDword,
  TransactionType,
} from './format.js';
import { MSI_ENTRY, MsiTables } from './msi-table.js';
import type { Registers } from './registers.js';
import { Formats, Variant } from './tables.js';

/** Kind of directory entry: `entry` of a miss. Device entries of level n are n, process entries PROCESS + n; level 1 are contexts. */
export const DEVICE = 0;
export const PROCESS = 8;
const PROCESS_CONTEXT_BYTES = 16;
const DIRECTORY_ENTRY_BYTES = 8;

/** `flags` of an address space. */
const enum Flag {
  /** It comes from a process context, */
  Process = 1,
  /** which lets privileged requests in (ENS). */
  Supervisor = 2,
  /** SADE. */
  FirstUpdates = 4,
}

/** Dwords of a device context that are cached: those that lead to process contexts. */
const CONTEXT_DWORDS = 8;
const WORDS = new Int32Array(16);

/** In `AddressSpace.ats`: EN_PRI. */
export const MAY_ASK = 2;

export class Directory implements Architecture {
  readonly contexts: ContextCaches;
  /** 4 KiB, Svnapot, and the leaf sizes of Sv39, Sv48 and Sv57. */
  readonly pageSizes: readonly number[] = [12, 16, 21, 30, 39, 48];
  readonly formats: readonly Format[];
  readonly interception: MsiTables;
  private readonly variants: Formats;

  constructor(
    spec: IommuSpec,
    seed: number,
    name: string,
    private readonly physical: PhysicalMemory,
    private readonly registers: Registers,
    private readonly faults: FaultQueue,
  ) {
    this.contexts = new ContextCaches(spec, seed, name, CONTEXT_DWORDS);
    this.contexts.bypass = false;
    this.variants = new Formats(registers);
    this.formats = this.variants.compiled;
    this.interception = new MsiTables(registers, physical);
  }

  start(m: Miss): Found {
    const { registers, contexts } = this;
    m.space.suppressFaults = false;
    if (registers.mode === DirectoryMode.Off) return refuse(m, Cause.AllDisallowed);
    const cached = contexts.device.find(m.requester, 0, 0);
    if (cached >= 0) {
      m.space.copy(contexts.deviceSpace[cached]!);
      return this.toProcess(m, contexts.deviceWords.subarray(CONTEXT_DWORDS * cached, CONTEXT_DWORDS * (cached + 1)));
    }
    const levels = registers.mode - DirectoryMode.Bare;
    if (m.requester >>> format.deviceIdBits(registers.extended, levels) !== 0) return refuse(m, Cause.TypeDisallowed);
    return this.aimDevice(m, levels, registers.rootHi, registers.rootLo);
  }

  /** Aims at the entry of `level` in the device directory table at hi:lo. */
  private aimDevice(m: Miss, level: number, hi: number, lo: number): Found {
    const { extended } = this.registers;
    m.entry = DEVICE + level;
    m.guest = 0;
    m.bytes = level === 1 ? format.contextBytes(extended) : DIRECTORY_ENTRY_BYTES;
    m.readHi = hi;
    m.readLo = lo | format.deviceEntryOffset(extended, level, m.requester);
    return Found.Read;
  }

  /** Aims at the entry of `level` in the process directory table at hi:lo, a guest address if there is a second stage. */
  private aimProcess(m: Miss, level: number, hi: number, lo: number): Found {
    m.entry = PROCESS + level;
    m.guest = m.space.secondLevels === 0 ? 0 : 1;
    m.bytes = level === 1 ? PROCESS_CONTEXT_BYTES : DIRECTORY_ENTRY_BYTES;
    m.readHi = hi;
    m.readLo = lo | format.processEntryOffset(level, m.effectivePasid);
    return Found.Read;
  }

  step(m: Miss): Found {
    const { physical } = this;
    for (let i = 0; 8 * i < m.bytes; i++) {
      physical.read(m.readHi, m.readLo + 8 * i);
      WORDS[2 * i] = physical.wordLo;
      WORDS[2 * i + 1] = physical.wordHi;
    }
    const processes = m.entry >= PROCESS;
    const level = processes ? m.entry - PROCESS : m.entry - DEVICE;
    if (level === 1) return processes ? this.processContext(m) : this.deviceContext(m);
    const [lo, hi] = [WORDS[0]!, WORDS[1]!];
    if (!format.isValid(lo)) return refuse(m, processes ? Cause.ProcessInvalid : Cause.DirectoryInvalid);
    if (format.directoryEntryReserved(hi, lo)) {
      return refuse(m, processes ? Cause.ProcessMisconfigured : Cause.DirectoryMisconfigured);
    }
    const [nextHi, nextLo] = [format.pointerHi(hi, lo), format.pointerLo(lo)];
    return processes ? this.aimProcess(m, level - 1, nextHi, nextLo) : this.aimDevice(m, level - 1, nextHi, nextLo);
  }

  private deviceContext(m: Miss): Found {
    const { contexts } = this;
    if (!format.isValid(WORDS[0]!)) return refuse(m, Cause.DirectoryInvalid);
    if (this.misconfigured()) return refuse(m, Cause.DirectoryMisconfigured);
    const { space } = m;
    this.describe(space);
    if (!m.stale) {
      const control = WORDS[Dword.Control]!;
      const processes = (control & Control.ProcessDirectory) !== 0;
      const own = processes && (control & Control.DefaultProcess) !== 0 ? 0 : OwnProcess.None;
      const entry = contexts.fillDevice(m.requester, space, own, processes);
      if (entry >= 0) contexts.deviceWords.set(WORDS.subarray(0, CONTEXT_DWORDS), CONTEXT_DWORDS * entry);
    }
    return this.toProcess(m, WORDS);
  }

  /** "Device-context configuration checks". */
  private misconfigured(): boolean {
    const { registers } = this;
    const { extended } = registers;
    const control = WORDS[Dword.Control]!;
    const is = (bit: Control): boolean => (control & bit) !== 0;
    if (format.deviceContextReserved(WORDS, extended, registers.has(Capability.QosId))) return true;
    const ats = is(Control.AtsEnable);
    if (!registers.has(Capability.Ats) && (ats || is(Control.PageRequests) || is(Control.PageResponsePasid)))
      return true;
    if (!ats && (is(Control.TranslatedToGuest) || is(Control.PageRequests))) return true;
    if (!is(Control.PageRequests) && is(Control.PageResponsePasid)) return true;
    const secondMode = format.rootMode(WORDS[Dword.Second + 1]!);
    if (is(Control.TranslatedToGuest) && (!registers.has(Capability.TranslatedToGuest) || secondMode === 0))
      return true;
    const firstMode = format.rootMode(WORDS[Dword.First + 1]!);
    if (is(Control.ProcessDirectory)) {
      if (!registers.hasProcess(firstMode)) return true;
    } else if (is(Control.DefaultProcess) || !registers.hasFirst(format.levelsOfMode(firstMode))) return true;
    if (!registers.hasSecond(format.levelsOfMode(secondMode))) return true;
    if (extended && format.rootMode(WORDS[Dword.MsiTable + 1]!) > 1) return true;
    // The root of a second stage has 16 KiB.
    if (secondMode !== 0 && (WORDS[Dword.Second]! & 3) !== 0) return true;
    if (!registers.has(Capability.HardwareUpdates) && (is(Control.SecondUpdates) || is(Control.FirstUpdates)))
      return true;
    return is(Control.BigEndian) || is(Control.Sv32);
  }

  /** The space of requests that no process context translates, from the device context in WORDS. */
  private describe(space: AddressSpace): void {
    const control = WORDS[Dword.Control]!;
    const [secondLo, secondHi] = [WORDS[Dword.Second]!, WORDS[Dword.Second + 1]!];
    const [firstLo, firstHi] = [WORDS[Dword.First]!, WORDS[Dword.First + 1]!];
    const levels = format.levelsOfMode(format.rootMode(secondHi));
    const updates = (control & Control.SecondUpdates) !== 0 ? Variant.Updates : 0;
    space.suppressFaults = (control & Control.NoFaultReports) !== 0;
    space.grants = Permission.All;
    // With T2GPA translated requests would have to go through the second stage.
    const ats = (control & (Control.AtsEnable | Control.TranslatedToGuest)) === Control.AtsEnable;
    space.ats = !ats ? 0 : (control & Control.PageRequests) !== 0 ? 1 | MAY_ASK : 1;
    space.flags = (control & Control.FirstUpdates) !== 0 ? Flag.FirstUpdates : 0;
    space.did = levels === 0 ? 0 : format.guestId(secondHi);
    space.secondLevels = levels;
    space.secondFormat = levels === 0 ? 0 : this.variants.of(Variant.Second | updates);
    space.secondInputLg2 = levels === 0 ? 0 : this.formats[space.secondFormat]!.inputWidth(levels);
    space.secondRootHi = format.rootHi(secondHi, secondLo);
    space.secondRootLo = format.rootLo(secondLo);
    const msi = this.registers.extended && format.rootMode(WORDS[Dword.MsiTable + 1]!) === 1 && levels !== 0;
    space.window = msi ? this.interception.numberOf(WORDS) : 0;
    const processes = (control & Control.ProcessDirectory) !== 0;
    const firstLevels = processes ? 0 : format.levelsOfMode(format.rootMode(firstHi));
    this.setFirst(space, firstLevels, firstHi, firstLo, format.processTag(WORDS[Dword.Attributes]!), false);
  }

  /** Puts a first stage (or Bare, 0 levels) before the second stage of the space. */
  private setFirst(
    space: AddressSpace,
    levels: number,
    hi: number,
    lo: number,
    pscid: number,
    userMemory: boolean,
  ): void {
    const { secondLevels } = space;
    if (levels === 0) {
      space.stage = secondLevels === 0 ? Stage.PassThrough : Stage.Second;
      space.pasid = 0;
      space.format = space.secondFormat;
      space.levels = secondLevels;
      space.inputLg2 = space.secondInputLg2;
      space.rootHi = space.secondRootHi;
      space.rootLo = space.secondRootLo;
      return;
    }
    const variant =
      ((space.flags & Flag.FirstUpdates) !== 0 ? Variant.Updates : 0) |
      (secondLevels === 0 ? 0 : Variant.Guest) |
      (userMemory ? Variant.UserMemory : 0);
    space.stage = secondLevels === 0 ? Stage.First : Stage.Nested;
    space.pasid = pscid;
    space.format = this.variants.of(variant);
    space.levels = levels;
    space.inputLg2 = this.formats[space.format]!.inputWidth(levels);
    space.rootHi = format.rootHi(hi, lo);
    space.rootLo = format.rootLo(lo);
  }

  /** The device context is known: the miss has its space, or the process directory comes next. `words`: of the context. */
  private toProcess(m: Miss, words: Int32Array): Found {
    const control = words[Dword.Control]!;
    const [lo, hi] = [words[Dword.First]!, words[Dword.First + 1]!];
    const processes = (control & Control.ProcessDirectory) !== 0;
    const levels = processes ? format.rootMode(hi) : 0;
    if ((m.flags & TlpFlag.Ats) !== 0 && m.space.ats === 0) return refuse(m, Cause.TypeDisallowed);
    if (m.pasid >= 0) {
      if (!processes || m.pasid >>> format.PROCESS_ID_BITS[levels]! !== 0) return refuse(m, Cause.TypeDisallowed);
    } else if (!processes || (control & Control.DefaultProcess) === 0) return Found.Located;
    // What a device has translated needs no process.
    if ((m.flags & TlpFlag.Translated) !== 0) return Found.Located;
    const { contexts } = this;
    m.effectivePasid = Math.max(m.pasid, 0);
    const cached = contexts.process.find(m.effectivePasid, m.requester, 0);
    if (cached >= 0) {
      m.space.copy(contexts.processSpace[cached]!);
      return Found.Located;
    }
    if (levels === 0) {
      if (!m.stale) contexts.fillProcess(m.requester, m.effectivePasid, m.space);
      return Found.Located;
    }
    return this.aimProcess(m, levels, format.rootHi(hi, lo), format.rootLo(lo));
  }

  private processContext(m: Miss): Found {
    const [attributes, firstLo, firstHi] = [
      WORDS[ProcessDword.Attributes]!,
      WORDS[ProcessDword.First]!,
      WORDS[ProcessDword.First + 1]!,
    ];
    if (!format.isValid(attributes)) return refuse(m, Cause.ProcessInvalid);
    const levels = format.levelsOfMode(format.rootMode(firstHi));
    if (format.processContextReserved(WORDS) || !this.registers.hasFirst(levels)) {
      return refuse(m, Cause.ProcessMisconfigured);
    }
    const { space } = m;
    const supervisor = (attributes & ProcessControl.Supervisor) !== 0;
    space.flags = (space.flags & Flag.FirstUpdates) | Flag.Process | (supervisor ? Flag.Supervisor : 0);
    // Without a first stage, what keeps privileged requests out of the caches' way is the grant alone.
    space.grants = supervisor
      ? Permission.All
      : Permission.All & ~Permission.Supervisor & ~Permission.SupervisorExecute;
    const userMemory = (attributes & ProcessControl.UserMemory) !== 0;
    this.setFirst(space, levels, firstHi, firstLo, format.processTag(attributes), userMemory);
    if (!m.stale) this.contexts.fillProcess(m.requester, m.effectivePasid, space);
    return Found.Located;
  }

  admit(m: Miss): number {
    const { flags, ats } = m.space;
    if ((m.flags & TlpFlag.Ats) !== 0) {
      if (ats === 0) return Cause.TypeDisallowed;
      if ((m.flags & TlpFlag.Translated) !== 0) return 0;
    }
    if (m.pasid >= 0 && (m.flags & TlpFlag.Privileged) !== 0 && (flags & Flag.Process) !== 0) {
      if ((flags & Flag.Supervisor) === 0) return Cause.TypeDisallowed;
    }
    return 0;
  }

  /** A write or atomic operation needs W, an instruction fetch X alone. */
  required(flags: number): number {
    const privileged = (flags & TlpFlag.Privileged) !== 0;
    const mode = privileged ? Permission.Supervisor : Permission.User;
    if ((flags & TlpFlag.Write) !== 0) return Access.Write | mode;
    if ((flags & TlpFlag.Execute) === 0) return Access.Read | mode;
    return (privileged ? Permission.SupervisorExecute : Permission.Execute) | mode;
  }

  translationFault(m: Miss): Cause {
    const { two, space, flags } = m;
    const pointer = m.phase === Phase.Pointer;
    const staged = pointer || space.stage === Stage.Nested;
    const fault = staged ? two.fault : m.walk.fault;
    if (fault === Fault.TableAccess || fault === Fault.OutputSize) {
      return pointer
        ? Cause.ProcessAccess
        : byAccess(flags, Cause.InstructionAccess, Cause.ReadAccess, Cause.WriteAccess);
    }
    const second = staged ? two.faultStage === 2 : space.stage === Stage.Second;
    return second
      ? byAccess(flags, Cause.InstructionGuestPage, Cause.ReadGuestPage, Cause.WriteGuestPage)
      : byAccess(flags, Cause.InstructionPage, Cause.ReadPage, Cause.WritePage);
  }

  accessFault(m: Miss): Cause {
    if (m.entry === MSI_ENTRY) return Cause.MsiAccess;
    return m.entry >= PROCESS ? Cause.ProcessAccess : Cause.DirectoryAccess;
  }

  /**
   * iotval2 of the fault of a miss, as two dwords: of a guest page fault the guest-physical address, with bit 0 set when it was that
   * of a table or directory entry, and bit 1 when the entry was to be updated. [0, 0] otherwise.
   */
  secondValue(m: Miss): readonly [hi: number, lo: number] {
    const { two, walk } = m;
    if (!format.isGuestPageFault(m.fault)) return [0, 0];
    if (m.located && m.space.stage === Stage.Second) return [walk.inputHi, walk.inputLo & ~3];
    const implicit = two.target === Target.Final ? 0 : 1;
    const write = implicit === 1 && (two.guestAccess & Permission.Write) !== 0 ? 2 : 0;
    return [two.guestHi, (two.guestLo & ~3) | implicit | write];
  }

  /** "PCIe ATS translation request handling": errors of the device's context, of what is broken, and page faults. */
  atsStatus({ fault }: Miss): AtsStatus {
    if (fault >= Cause.AllDisallowed && fault <= Cause.TypeDisallowed) return AtsStatus.UnsupportedRequest;
    switch (fault as Cause) {
      case Cause.InstructionPage:
      case Cause.ReadPage:
      case Cause.WritePage:
      case Cause.InstructionGuestPage:
      case Cause.ReadGuestPage:
      case Cause.WriteGuestPage:
      case Cause.MsiInvalid:
      case Cause.ProcessInvalid:
        return AtsStatus.Success;
      default:
        return AtsStatus.CompleterAbort;
    }
  }

  refused(tlp: Event, requester: number, m: Miss): void {
    if (m.space.suppressFaults && !format.alwaysReported(m.fault)) return;
    const [secondHi, secondLo] = this.secondValue(m);
    const translated = (tlp.flags & TlpFlag.Translated) !== 0;
    this.faults.report({
      cause: m.fault,
      type: typeOf(tlp.flags),
      deviceId: requester,
      processId: tlp.context,
      privileged: (tlp.flags & TlpFlag.Privileged) !== 0,
      addressHi: translated ? tlp.outHi : tlp.addressHi,
      addressLo: translated ? tlp.outLo : tlp.addressLo,
      secondHi,
      secondLo,
    });
  }

  /** IODIR.INVAL_DDT: of one device, or (-1) of all; process contexts go with their device. */
  invalidateDevices(deviceId: number): void {
    const { contexts } = this;
    if (deviceId < 0) contexts.dropAll();
    else {
      contexts.dropDevice(deviceId);
      contexts.dropProcessesOf(deviceId, () => true);
    }
  }

  /** IODIR.INVAL_PDT. */
  invalidateProcess(deviceId: number, processId: number): void {
    const { contexts } = this;
    contexts.dropProcessesOf(deviceId, (entry) => contexts.pasidOfProcess(entry) === processId);
  }
}

/** What a fault is called: of an instruction fetch, a read, or a write or atomic operation. */
function byAccess<T>(flags: number, execute: T, read: T, write: T): T {
  if ((flags & TlpFlag.Write) !== 0) return write;
  return (flags & TlpFlag.Execute) !== 0 ? execute : read;
}

function typeOf(flags: number): TransactionType {
  if ((flags & TlpFlag.TranslationRequest) !== 0) return TransactionType.AtsRequest;
  if ((flags & TlpFlag.Translated) === 0)
    return byAccess(flags, TransactionType.Execute, TransactionType.Read, TransactionType.Write);
  return byAccess(
    flags,
    TransactionType.TranslatedExecute,
    TransactionType.TranslatedRead,
    TransactionType.TranslatedWrite,
  );
}

function refuse(m: Miss, fault: Cause): Found {
  m.fault = fault;
  return Found.Refused;
}
