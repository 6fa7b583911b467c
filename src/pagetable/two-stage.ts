/**
 * A two-stage walk: every table address of the first stage, and what it translates to, is a guest address that the second stage
 * translates. One step function over a record with two cursors; no recursion. A step that returns Step.Translate wants the host
 * address of guestHi:guestLo. The caller answers with `translatedTwoStage` (it knew it), or begins a second-stage walk with
 * `startSecond` or `resumeSecond`; that walk's end answers by itself, and the record goes on where it was.
 * Not modelled: a second stage that is itself nested.
 */
import { type Format, Permission } from './format.js';
import { denied, Fault, resumeWalk, Step, startWalk, stepWalk, Walk } from './walk.js';

/** What the guest address that is being translated is: faults report it. */
export const enum Target {
  /** A directory or its entry; the caller asked for it with `translateOnly`. */
  Directory,
  /** An entry of a first-stage table. */
  Table,
  /** The address that the first stage translated to. */
  Final,
}

/** What happens once the guest address is translated. */
const enum Purpose {
  /** Nothing further: the host address is the result. */
  Finish,
  /** The first-stage entry there is read. */
  ReadEntry,
  /** The first-stage entry there is updated; then the walk goes on. */
  UpdateEntry,
  /** It is combined with the first stage's result. */
  Combine,
}

/** What the second stage is asked for: it has no privilege of its own, but formats that ask for User pages must grant it. */
const SECOND_STAGE = Permission.Read | Permission.Write | Permission.Execute | Permission.SupervisorExecute;

const TABLE_READ = Permission.Read | Permission.User;
const TABLE_UPDATE = TABLE_READ | Permission.Write;

export class TwoStageWalk {
  /** The caller sets `first.inputHi`, `first.inputLo` and `first.access` before the start; entry addresses in it are guest addresses. */
  readonly first: Walk = new Walk();
  /** After its end, what a second-stage TLB keeps: inputHi:inputLo, outHi:outLo, sizeLg2, permissions, clean. */
  readonly second: Walk = new Walk();
  /** Stage whose entry is to be read next, or was read last. */
  stage = 1;
  /** 1 if the last step ended a second-stage walk with a translation. */
  secondDone = 0;
  target: Target = Target.Final;
  /** The guest address to translate, and the permissions it needs. */
  guestHi = 0;
  guestLo = 0;
  guestAccess = 0;
  private purpose: Purpose = Purpose.Finish;
  /** `Walk.intent` of the second stage. */
  intent = 0;
  /** What the first stage said before its update had to wait for a translation. */
  private held: Step = Step.Done;
  /** Permissions of the second-stage page that the first-stage entry is in, without Write if it is clean; 1 if just walked to. */
  private pagePermissions = 0;
  private pageWalked = 0;
  /** What the second stage must permit where first-stage entries lie. Set by the caller. */
  tableAccess: number = TABLE_READ;
  /** 1: a first-stage leaf is updated when its page has been translated, not before. Set by the caller. */
  leafLast = 0;
  private leafWaits = 0;
  /** 1 if it was just walked to, and a write would change its leaf. */
  private pageClean = 0;

  /** Host address of the entry to read. */
  entryHi = 0;
  entryLo = 0;
  /** Entries of both stages consumed since start or resume. */
  reads = 0;
  /**
   * 1 if hardware must update a first-stage entry: a locked read-modify-write of this word, at a host address. An update of a
   * second-stage entry is in `second` (`second.update` and its address and word); one step can ask for both, the second's first.
   */
  update = 0;
  updateHi = 0;
  updateLo = 0;
  updateWordHi = 0;
  updateWordLo = 0;

  /** When done: host address, the smaller page size, permissions that both stages grant, and the leaf marks of both. */
  outHi = 0;
  outLo = 0;
  sizeLg2 = 0;
  permissions = 0;
  clean = 0;
  global = 0;
  fault: Fault = Fault.None;
  /** Stage that the fault is of. */
  faultStage = 0;

  /** Wants `hi:lo` translated. */
  ask(target: Target, hi: number, lo: number, access: number, intent: number, purpose: Purpose): Step {
    this.target = target;
    this.guestHi = hi;
    this.guestLo = lo;
    this.guestAccess = access;
    this.intent = intent;
    this.purpose = purpose;
    return Step.Translate;
  }

  begin(): void {
    this.reads = 0;
    this.settle();
    this.leafWaits = 0;
    this.clean = 0;
    this.global = 0;
    this.fault = Fault.None;
    this.faultStage = 0;
  }

  /** What the last step asked for has been done. */
  settle(): void {
    this.update = 0;
    this.second.update = 0;
    this.secondDone = 0;
  }

  fail(stage: number, fault: Fault): Step {
    this.fault = fault;
    this.faultStage = stage;
    return Step.Fault;
  }

  /** The first stage said `step`: its next entry, or its result, needs the second stage. */
  proceed(firstFormat: Format, step: Step): Step {
    const { first } = this;
    if (step === Step.Fault) return this.fail(1, first.fault);
    if (step === Step.Read) {
      const { entryHi, entryLo } = first;
      return this.ask(Target.Table, entryHi, entryLo, this.tableAccess, firstFormat.tableIntent, Purpose.ReadEntry);
    }
    const access = first.access === 0 ? 0 : (first.access & SECOND_STAGE) | Permission.User;
    return this.ask(Target.Final, first.outHi, first.outLo, access, first.intent, Purpose.Combine);
  }

  /** The first stage consumed an entry; an update of it needs permission to write there. */
  consumed(firstFormat: Format, step: Step): Step {
    const { first } = this;
    if (first.update === 0) return this.proceed(firstFormat, step);
    if ((this.pagePermissions & Permission.Write) !== 0) {
      this.updateEntry(this.entryHi, this.entryLo);
      if (step === Step.Done && this.leafLast === 1) {
        this.update = 0;
        this.leafWaits = 1;
      }
      return this.proceed(firstFormat, step);
    }
    if (this.pageClean === 1 && firstFormat.updatesAtOnce) {
      const { second } = this;
      second.update = 1;
      second.updateHi = second.entryHi;
      second.updateLo = second.entryLo;
      second.updateWordHi = second.dirtyHi;
      second.updateWordLo = second.dirtyLo;
      this.updateEntry(this.entryHi, this.entryLo);
      return this.proceed(firstFormat, step);
    }
    this.held = step;
    const wanted = this.ask(Target.Table, first.updateHi, first.updateLo, TABLE_UPDATE, 0, Purpose.UpdateEntry);
    return this.pageWalked === 1 ? this.fail(2, Fault.WriteDenied) : wanted;
  }

  /** The first-stage entry is to be updated at this host address. */
  private updateEntry(hi: number, lo: number): void {
    this.updateHi = hi;
    this.updateLo = lo;
    this.updateWordHi = this.first.updateWordHi;
    this.updateWordLo = this.first.updateWordLo;
    this.update = 1;
  }

  /** guestHi:guestLo is at hi:lo. */
  arrive(firstFormat: Format, hi: number, lo: number, sizeLg2: number, permissions: number, clean: number): Step {
    const { first } = this;
    if (this.purpose === Purpose.ReadEntry) {
      this.stage = 1;
      this.entryHi = hi;
      this.entryLo = lo;
      this.pagePermissions = clean === 1 ? permissions & ~Permission.Write : permissions;
      this.pageWalked = clean === 1 ? 0 : this.secondDone;
      this.pageClean = this.secondDone & clean;
      return Step.Read;
    }
    if (this.purpose === Purpose.UpdateEntry) {
      this.updateEntry(hi, lo);
      return this.proceed(firstFormat, this.held);
    }
    const combine = this.purpose === Purpose.Combine;
    if (combine && this.leafWaits === 1) this.update = 1;
    this.outHi = hi;
    this.outLo = lo;
    this.sizeLg2 = combine ? Math.min(first.sizeLg2, sizeLg2) : sizeLg2;
    this.permissions = combine ? first.permissions & permissions : permissions;
    this.clean = combine ? first.clean | clean : clean;
    this.global = combine ? first.global : 0;
    return Step.Done;
  }
}

/** Starts at a root table whose address is a guest address. Returns Step.Translate, or Step.Fault for an illegal input address. */
export function startTwoStage(
  record: TwoStageWalk,
  firstFormat: Format,
  rootHi: number,
  rootLo: number,
  height: number,
  inputLg2: number,
): Step {
  record.begin();
  return record.proceed(firstFormat, startWalk(firstFormat, record.first, rootHi, rootLo, height, inputLg2));
}

/** Continues from a first-stage table (guest address) that a paging-structure cache knew. Returns Step.Translate. */
export function resumeTwoStage(
  record: TwoStageWalk,
  firstFormat: Format,
  tableHi: number,
  tableLo: number,
  level: number,
  permissions: number,
): Step {
  record.begin();
  return record.proceed(firstFormat, resumeWalk(firstFormat, record.first, tableHi, tableLo, level, permissions));
}

/** Only the second stage: a directory pointer, or a request whose first stage is off. Ends with Step.Done. Returns Step.Translate. */
export function translateOnly(record: TwoStageWalk, hi: number, lo: number, access: number, target: Target): Step {
  record.begin();
  return record.ask(target, hi, lo, access, 0, Purpose.Finish);
}

/**
 * Answers Step.Translate from a second-stage TLB: guestHi:guestLo is at hi:lo in a page of `sizeLg2` with `permissions`. An entry
 * that lacks Write only because its dirty state was clean must not be used for a write: walk instead.
 */
export function translatedTwoStage(
  record: TwoStageWalk,
  firstFormat: Format,
  hi: number,
  lo: number,
  sizeLg2: number,
  permissions: number,
): Step {
  record.settle();
  const missing = record.guestAccess & ~permissions;
  return missing === 0 ? record.arrive(firstFormat, hi, lo, sizeLg2, permissions, 0) : record.fail(2, denied(missing));
}

/** Prepares the second-stage cursor for guestHi:guestLo. */
function aimSecond(record: TwoStageWalk): Walk {
  const { second } = record;
  record.settle();
  second.inputHi = record.guestHi;
  second.inputLo = record.guestLo;
  second.access = record.guestAccess;
  second.intent = record.intent;
  return second;
}

/** `firstFormat` matters once the walk is over: with null it is not, as after its start. */
function afterSecond(record: TwoStageWalk, firstFormat: Format | null, step: Step): Step {
  const { second } = record;
  if (step === Step.Fault) return record.fail(2, second.fault);
  if (step === Step.Done && firstFormat !== null) {
    const { outHi, outLo, sizeLg2, permissions, clean } = second;
    record.secondDone = 1;
    return record.arrive(firstFormat, outHi, outLo, sizeLg2, permissions, clean);
  }
  record.stage = 2;
  record.entryHi = second.entryHi;
  record.entryLo = second.entryLo;
  return step;
}

/** Answers Step.Translate by a walk from the second stage's root. Returns Step.Read or Step.Fault. */
export function startSecond(
  record: TwoStageWalk,
  secondFormat: Format,
  rootHi: number,
  rootLo: number,
  height: number,
  inputLg2: number,
): Step {
  return afterSecond(record, null, startWalk(secondFormat, aimSecond(record), rootHi, rootLo, height, inputLg2));
}

/** Answers Step.Translate by a walk from a second-stage table that a paging-structure cache knew. Returns Step.Read. */
export function resumeSecond(
  record: TwoStageWalk,
  secondFormat: Format,
  tableHi: number,
  tableLo: number,
  level: number,
  permissions: number,
): Step {
  return afterSecond(record, null, resumeWalk(secondFormat, aimSecond(record), tableHi, tableLo, level, permissions));
}

/** Consumes the word read at entryHi:entryLo. Afterwards the caller also stores what `second.update` and `update` ask for. */
export function stepTwoStage(
  record: TwoStageWalk,
  firstFormat: Format,
  secondFormat: Format,
  hi: number,
  lo: number,
): Step {
  record.reads = (record.reads + 1) | 0;
  record.settle();
  if (record.stage === 1) return record.consumed(firstFormat, stepWalk(firstFormat, record.first, hi, lo));
  return afterSecond(record, firstFormat, stepWalk(secondFormat, record.second, hi, lo));
}

/** The read that the walk waits for failed. */
export function refuseTwoStage(record: TwoStageWalk): Step {
  return record.fail(record.stage, Fault.TableAccess);
}
