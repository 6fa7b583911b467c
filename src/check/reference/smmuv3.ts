/**
 * Plain reference of Arm SMMUv3 translation: stream table, STE, CD table, stage 1, stage 2, nested. Straight from Arm IHI 0070G
 * (chapters 3 and 5, events in 7.3) and DDI 0487 (tables); it shares no code with the simulator. Answers vectors, caches cold before
 * every access. Translation requests and translated ones as 3.9.1 has them, with CR2.REC_CFG_ATS and IDR3.PASIDTT off. Not modelled: split-stage ATS, external aborts, stalls, Secure and Realm streams, attributes.
 * Taken as set: CR2.RECINVSID (bad StreamIDs are recorded, as QEMU's model does), GBPA without abort.
 */
import type { Answer, CompletionStatus, Responder, Vector, VectorAccess } from '../vectors/vector.js';
import { lettersOf } from './permission-letters.js';
import {
  addressBits,
  alignDown,
  decodeContext,
  decodeStreamEntry,
  field,
  flag,
  type StreamEntry,
  type Unit,
  unitOf,
} from './smmuv3-structures.js';
import { Event, Fault, type Granted, type Need, TableMemory, Walker } from './smmuv3-walk.js';

const CR0 = 0x20;
const STRTAB_BASE = 0x80;
const STRTAB_BASE_CFG = 0x88;

const STE_BYTES = 64;
const CD_BYTES = 64;
const POINTER_BYTES = 8;

/** Code of a stream that aborts, which has no event. */
const ABORTED = 0;
const RECORDED_OF_ATS: readonly number[] = [Event.F_BAD_ATS_TREQ, Event.F_TRANSL_FORBIDDEN];
const FAULTS_OF_STAGES: readonly number[] = [
  Event.F_TRANSLATION,
  Event.F_ADDR_SIZE,
  Event.F_ACCESS,
  Event.F_PERMISSION,
];

/** Spans above are reserved (5.1). */
const SPAN_MAX = 11;

interface StreamTable {
  readonly base: bigint;
  readonly sizeLg2: number;
  /** StreamID bits of the second level; null: linear. */
  readonly split: number | null;
}

interface Machine {
  readonly unit: Unit;
  readonly enabled: boolean;
  /** CR0.ATSCHK: what is translated already is checked against the stream table entry. */
  readonly checksTranslated: boolean;
  readonly streams: StreamTable;
  readonly memory: TableMemory;
}

/** @throws Error for registers, `cfg` keys and requests that the model does not know */
function bringUp(vector: Vector): Machine {
  const registers = new Map<number, bigint>();
  for (const { offset, value } of vector.registers) {
    if (offset !== CR0 && offset !== STRTAB_BASE && offset !== STRTAB_BASE_CFG) {
      throw new Error(`smmuv3: register 0x${offset.toString(16)} is not modelled`);
    }
    registers.set(offset, value);
  }
  const config = registers.get(STRTAB_BASE_CFG) ?? 0n;
  const sizeLg2 = field(config, 5, 0);
  const twoLevel = field(config, 17, 16) === 1;
  const splitField = field(config, 10, 6);
  // Values other than 6, 8 and 10 are reserved and behave as 6.
  const split = twoLevel ? (splitField === 8 || splitField === 10 ? splitField : 6) : null;
  // The table is aligned to its size; lower bits of the register do not count.
  const tableLg2 = split === null ? sizeLg2 + 6 : Math.max(6, sizeLg2 - split + 3);
  const base = alignDown(addressBits(registers.get(STRTAB_BASE) ?? 0n, 51, 6), tableLg2);
  return {
    unit: unitOf(vector.config),
    enabled: flag(registers.get(CR0) ?? 0n, 0),
    checksTranslated: flag(registers.get(CR0) ?? 0n, 4),
    streams: { base, sizeLg2, split },
    memory: new TableMemory(new Map(vector.words)),
  };
}

/** Address of a StreamID's STE (3.3.1). */
function findStreamEntry({ streams, memory }: Machine, sid: number): bigint {
  if (sid >= 2 ** streams.sizeLg2) throw new Fault(Event.C_BAD_STREAMID);
  if (streams.split === null) return streams.base + BigInt(sid * STE_BYTES);
  const index = sid >> streams.split;
  const inner = sid & (2 ** streams.split - 1);
  const descriptor = memory.read(streams.base + BigInt(index * POINTER_BYTES), POINTER_BYTES)[0] ?? 0n;
  const span = field(descriptor, 4, 0);
  if (span === 0 || span > SPAN_MAX || span > streams.split + 1 || inner >= 2 ** (span - 1))
    throw new Fault(Event.C_BAD_STREAMID);
  return alignDown(addressBits(descriptor, 55, 6), span + 5) + BigInt(inner * STE_BYTES);
}

/** The CD number that a transaction uses, or null to bypass stage 1 (5.2: S1DSS, S1CDMax; 7.3.7, 7.3.9). */
function selectContext(entry: StreamEntry, pasid: number | null, unit: Unit): number | null {
  if (pasid !== null) {
    const allowed = entry.translate1 && unit.ssidBits > 0 && entry.contextsLg2 > 0;
    if (!allowed || pasid >= 2 ** entry.contextsLg2) throw new Fault(Event.C_BAD_SUBSTREAMID);
    if (pasid === 0 && entry.defaultSubstream === 2) throw new Fault(Event.F_STREAM_DISABLED);
    return pasid;
  }
  if (!entry.translate1) return null;
  if (entry.contextsLg2 === 0 || entry.defaultSubstream === 2) return 0;
  if (entry.defaultSubstream === 1) return null;
  throw new Fault(Event.F_STREAM_DISABLED);
}

/** Address of CD `index`: an IPA when stage 2 translates (5.3, 5.4). */
function findContext(entry: StreamEntry, index: number, walker: Walker, unit: Unit): bigint {
  if (entry.leafContextsLg2 === null) return entry.contextPointer + BigInt(index * CD_BYTES);
  const outer = index >> entry.leafContextsLg2;
  const inner = index & (2 ** entry.leafContextsLg2 - 1);
  const pointer =
    walker.fetchConfiguration(entry.contextPointer + BigInt(outer * POINTER_BYTES), POINTER_BYTES)[0] ?? 0n;
  const leaf = addressBits(pointer, 55, 12);
  if (!flag(pointer, 0) || leaf >> BigInt(unit.oas) !== 0n) throw new Fault(Event.C_BAD_SUBSTREAMID);
  return leaf + BigInt(inner * CD_BYTES);
}

function needOf({ kind, privileged, at, pasid }: VectorAccess): Need {
  // A translation request is told what is permitted; without PASID it has no privilege.
  if (at === 'ats') {
    const nothing = { read: false, write: false, execute: false };
    return { ...nothing, privileged: pasid !== null && privileged === true, marks: kind === 'w' };
  }
  return {
    read: kind === 'r' || kind === 'rw',
    write: kind === 'w' || kind === 'rw',
    execute: kind === 'x',
    privileged: privileged ?? false,
  };
}

type Result = { readonly pa: bigint; readonly size?: bigint; readonly granted: Granted };

const ALL: Granted = { read: true, write: true, execute: true };

function translate(machine: Machine, access: VectorAccess): Result {
  const asks = access.at === 'ats';
  const translated = access.at === 'translated';
  const forbidden = asks ? Event.F_BAD_ATS_TREQ : Event.F_TRANSL_FORBIDDEN;
  if (!machine.enabled) {
    if (asks || translated) throw new Fault(forbidden);
    return { pa: access.iova, granted: ALL };
  }
  if (translated && !machine.checksTranslated) return { pa: access.iova, granted: ALL };
  const { unit, memory } = machine;
  const entry = decodeStreamEntry(memory.read(findStreamEntry(machine, access.rid), STE_BYTES), unit);
  if (entry === null) throw new Fault(Event.C_BAD_STE);
  // Terminated without a record.
  if (entry.abort) throw new Fault(ABORTED, true);
  if ((asks || translated) && !entry.ats) throw new Fault(forbidden);
  if (translated) return { pa: access.iova, granted: ALL };
  const walker = new Walker(memory, unit.oas, entry.stage2);
  const index = selectContext(entry, access.pasid, unit);
  let context = null;
  if (index !== null) {
    context = decodeContext(walker.fetchConfiguration(findContext(entry, index, walker, unit), CD_BYTES), unit);
    if (context === null) throw new Fault(Event.C_BAD_CD);
  } else {
    // The output of a bypassed stage 1 is checked against the address size, whether stage 2 follows or not (3.4, 7.3.14).
    if (access.iova >> BigInt(unit.oas) !== 0n) throw new Fault(Event.F_ADDR_SIZE);
    if (!entry.translate2) return { pa: access.iova, granted: ALL };
  }
  const { address, sizeLg2, granted } = walker.translate(access.iova, needOf(access), context);
  return { pa: address, size: 1n << BigInt(sizeLg2), granted };
}

/** 3.9.1.2: how a translation request ends that an ordinary one would have faulted for. */
function statusOf(code: number): CompletionStatus {
  if (code === ABORTED || code === Event.F_BAD_ATS_TREQ) return 'ur';
  return FAULTS_OF_STAGES.includes(code) ? 'success' : 'ca';
}

function answerOne(machine: Machine, access: VectorAccess): Answer {
  machine.memory.log = [];
  const accesses = machine.memory.log;
  try {
    const { granted, ...result } = translate(machine, access);
    if (access.at !== 'ats') return { ok: true, ...result, accesses };
    const { read, write } = granted;
    if (!read && !write) throw new Fault(Event.F_PERMISSION);
    // What may be executed only is closed to ATS (13.7.1).
    const execute = granted.execute && read && access.kind === 'x' && access.pasid !== null;
    return { ok: true, ...result, permissions: lettersOf({ read, write, execute }), accesses };
  } catch (error) {
    if (!(error instanceof Fault)) throw error;
    const { code, ipa } = error;
    const silent = access.at === undefined ? error.silent : !RECORDED_OF_ATS.includes(code);
    return {
      ok: false,
      code,
      accesses,
      ...(silent ? { silent } : {}),
      ...(ipa === null ? {} : { address2: ipa }),
      ...(access.at === 'ats' ? { status: statusOf(code) } : {}),
    };
  }
}

/** Answers with the architecture's event numbers; 0 with `silent` for a stream that aborts (STE.Config 0b0xx). */
export const SMMUV3_REFERENCE: Responder = {
  answer(vector) {
    const machine = bringUp(vector);
    return vector.accesses.map((access) => answerOne(machine, access));
  },
};
