/**
 * A plain reference walker of the RISC-V IOMMU (specification 1.0, section "Process to translate an IOVA", steps 1 to 20),
 * written from the specification and independent of the simulator's page tables and walkers.
 * Where the specification leaves a choice it does what the reference model riscv-non-isa/riscv-iommu does (order of reads, dirty
 * bits of second-stage entries that map first-stage tables). ATS translation requests are answered as its section "PCIe ATS translation request handling"
 * says: R and W as the tables grant them, W only of a dirty page. Not modelled: fctl.BE, fctl.GXL, MRIF mode, queues.
 */
import type { Answer, CompletionStatus, Responder, Vector, VectorAccess } from '../vectors/vector.js';
import { deviceDirectoryIndexes, locateDeviceContext, locateProcessContext } from './riscv-contexts.js';
import { lettersOf } from './permission-letters.js';
import { bit, Fault, field, Machine } from './riscv-machine.js';
import {
  type Attributes,
  accessFault,
  type DeviceContext,
  firstStage,
  type Grants,
  guestPageFault,
  msiTranslation,
  type Root,
  secondStage,
} from './riscv-stages.js';

const DDTP = 0x10;
const BARE_MODE = 1;
const HIGHEST_MODE = 4;
const ALL_DISALLOWED = 256;
const TYPE_DISALLOWED = 260;
const BARE: Root = { levels: 0, ppn: 0n };

/** Faults that a context with DTF = 1 still reports. */
const REPORTED_ALWAYS: ReadonlySet<number> = new Set([256, 257, 258, 259, 268, 272, 273]);
/** An ATS translation request that meets these gets a success response without permissions, and no record is left. */
const ATS_SUCCESS: ReadonlySet<number> = new Set([12, 13, 15, 20, 21, 23, 262, 266]);
/** Permanent errors, or no ATS: Unsupported Request. Errors of configuration are answered by Completer Abort. */
const ATS_UNSUPPORTED: ReadonlySet<number> = new Set([256, 257, 258, 259, 260]);
const READ_PAGE_FAULT = 13;

interface Directory {
  readonly mode: number;
  readonly ppn: bigint;
}

type Translated = { readonly pa: bigint; readonly size: bigint | null; readonly grants: Grants };

const PASSES: Grants = { read: true, write: true, execute: true };

function configWord(vector: Vector, key: string): bigint | null {
  const entry = vector.config.find(([name]) => name === key);
  return entry === undefined ? null : BigInt(entry[1]);
}

/** @throws Error for a machine that this walker does not model. */
function machineOf(vector: Vector): Machine {
  const capabilities = configWord(vector, 'capabilities');
  if (capabilities === null) throw new Error('a riscv vector needs "cfg capabilities"');
  const control = configWord(vector, 'fctl') ?? 0n;
  if (bit(control, 0) || bit(control, 2)) throw new Error('fctl.BE and fctl.GXL are not modelled');
  return new Machine(capabilities, vector.words);
}

/** State of ddtp after the register writes; reset is Off. A reserved mode is not taken. */
function directoryOf(machine: Machine, vector: Vector): Directory {
  let directory: Directory = { mode: 0, ppn: 0n };
  for (const write of vector.registers) {
    if (write.offset !== DDTP || write.bytes !== 8) {
      throw new Error(`register 0x${write.offset.toString(16)} (${write.bytes} bytes) is not modelled`);
    }
    const mode = Number(field(write.value, 3, 0));
    directory = {
      mode: mode > HIGHEST_MODE ? directory.mode : mode,
      ppn: machine.physicalPage(field(write.value, 53, 10)),
    };
  }
  return directory;
}

function attributesOf(access: VectorAccess): Attributes {
  const ats = access.at === 'ats';
  const executeRead = access.kind === 'x';
  const write = access.kind === 'w' || access.kind === 'rw';
  return {
    // An ATS translation request asks for read always, and for write unless its No Write flag is set (kind r).
    read: ats || (!write && !(executeRead && access.at === undefined)),
    write,
    execute: executeRead && (access.at === undefined || access.pasid !== null),
    privileged: access.pasid !== null && access.privileged === true,
    checkPermissions: !ats,
  };
}

/** One transaction. `context` is set once the device context is located, for DTF. */
class Translation {
  context: DeviceContext | null = null;

  constructor(
    private readonly machine: Machine,
    private readonly directory: Directory,
    private readonly access: VectorAccess,
    private readonly attributes: Attributes,
  ) {}

  /** @throws Fault */
  run(): Translated {
    const { machine, access, directory } = this;
    const untranslated = access.at === undefined;
    if (directory.mode === 0) throw new Fault(ALL_DISALLOWED);
    if (directory.mode === BARE_MODE) {
      if (!untranslated) throw new Fault(TYPE_DISALLOWED);
      return { pa: access.iova, size: null, grants: PASSES };
    }
    const levels = directory.mode - BARE_MODE;
    const index = deviceDirectoryIndexes(machine.has('MSI_FLAT'), access.rid);
    if (index.slice(levels).some((i) => i !== 0)) throw new Fault(TYPE_DISALLOWED);
    const context = locateDeviceContext(machine, directory.ppn, levels, access.rid);
    this.context = context;
    if (!untranslated && !context.enableAts) throw new Fault(TYPE_DISALLOWED);
    this.checkProcessId(context);
    if (access.at === 'translated') {
      if (!context.translatedToGpa) return { pa: access.iova, size: null, grants: PASSES };
      return this.translate(context, BARE, false);
    }
    if (!context.processDirectory) return this.translate(context, context.first, false);
    const processId = access.pasid ?? (context.defaultProcess ? 0 : null);
    if (processId === null || context.first.levels === 0) return this.translate(context, BARE, false);
    const process = locateProcessContext(machine, context, processId, this.attributes);
    // A default process carries no privilege request.
    if (this.attributes.privileged && !process.enableSupervisor) throw new Fault(TYPE_DISALLOWED);
    return this.translate(context, process.first, process.supervisorUserMemory);
  }

  private checkProcessId(context: DeviceContext): void {
    const { pasid } = this.access;
    if (pasid === null) return;
    if (!context.processDirectory) throw new Fault(TYPE_DISALLOWED);
    const bits = [20, 8, 17, 20][context.first.levels]!;
    if (pasid >> bits !== 0) throw new Fault(TYPE_DISALLOWED);
  }

  private translate(context: DeviceContext, root: Root, userMemory: boolean): Translated {
    const { machine, attributes, access } = this;
    const first = firstStage(machine, context, root, access.iova, attributes, userMemory);
    const interruptFile = msiTranslation(machine, context, first.gpa, attributes);
    let translated: Translated;
    if (interruptFile !== null) {
      translated = { pa: interruptFile, size: 4096n, grants: first.grants };
    } else {
      const second = secondStage(machine, context, first.gpa, { ...attributes, forFirstStageEntry: false });
      if (second.fault === 'page') throw guestPageFault(attributes, first.gpa, 'explicit');
      if (second.fault === 'access') throw accessFault(attributes);
      const grants = {
        read: first.grants.read && second.grants.read,
        write: first.grants.write && second.grants.write,
        execute: first.grants.execute && second.grants.execute,
      };
      translated = { pa: second.address, size: smaller(first.size, second.size), grants };
    }
    const returnsGpa = access.at === 'ats' && context.translatedToGpa;
    return returnsGpa ? { ...translated, pa: first.gpa } : translated;
  }
}

function smaller(a: bigint | null, b: bigint | null): bigint | null {
  if (a === null || b === null) return a ?? b;
  return a < b ? a : b;
}

function completionOf(cause: number): CompletionStatus {
  if (ATS_SUCCESS.has(cause)) return 'success';
  return ATS_UNSUPPORTED.has(cause) ? 'ur' : 'ca';
}

function answerOne(machine: Machine, directory: Directory, access: VectorAccess): Answer {
  const attributes = attributesOf(access);
  const translation = new Translation(machine, directory, access, attributes);
  try {
    const { pa, size, grants } = translation.run();
    const answer = { accesses: machine.takeAccesses(), ok: true, pa, ...(size !== null && { size }) } as const;
    if (access.at !== 'ats') return answer;
    const { read, write } = grants;
    const execute = grants.execute && read && attributes.execute;
    if (read || write) return { ...answer, permissions: lettersOf({ read, write, execute }) };
    return { accesses: answer.accesses, ok: false, code: READ_PAGE_FAULT, silent: true, status: 'success' };
  } catch (problem) {
    if (!(problem instanceof Fault)) throw problem;
    const { cause, iotval2 } = problem;
    const suppressed = translation.context?.disableFaultReports === true && !REPORTED_ALWAYS.has(cause);
    const silent = suppressed || (access.at === 'ats' && ATS_SUCCESS.has(cause));
    return {
      accesses: machine.takeAccesses(),
      ok: false,
      code: cause,
      ...(iotval2 !== undefined && { address2: iotval2 }),
      ...(silent && { silent }),
      ...(access.at === 'ats' && { status: completionOf(cause) }),
    };
  }
}

/** Caches are cold before each access; accessed and dirty bits that one access sets are seen by the next. */
export const riscvReference: Responder = {
  answer(vector: Vector): Answer[] {
    if (vector.architecture !== 'riscv') throw new Error(`not a riscv vector: ${vector.architecture}`);
    const machine = machineOf(vector);
    const directory = directoryOf(machine, vector);
    return vector.accesses.map((access) => answerOne(machine, directory, access));
  },
};
