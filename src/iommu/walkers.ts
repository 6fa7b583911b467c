/**
 * What happens to a request that the caches of its unit cannot answer: a miss record joins or starts a walk; a bounded number of walkers
 * look for the address space in the directory and for the page in its tables, one or two stages, every entry read from simulated
 * memory with time. A guest-physical pointer, of a first-stage table or of a directory, is translated by the second stage first.
 * An invalidation that overtakes a walk makes it start again.
 * Hot path: bench/end-to-end.
 */
import type { Event } from '../kernel/event.js';
import { EventFifo } from '../kernel/fifo.js';
import type { Kernel } from '../kernel/kernel.js';
import type { PhysicalMemory } from '../memory/physical.js';
import type { MemorySystem } from '../memory/system.js';
import {
  refuseTwoStage,
  resumeSecond,
  resumeTwoStage,
  startSecond,
  startTwoStage,
  stepTwoStage,
  Target,
  type TwoStageWalk,
  translatedTwoStage,
  translateOnly,
} from '../pagetable/two-stage.js';
import { Permission } from '../pagetable/format.js';
import { Fault, refuseWalk, resumeWalk, Step, startWalk, stepWalk, type Walk } from '../pagetable/walk.js';
import { Access } from '../protocol/access.js';
import { Op } from '../protocol/op.js';
import { Cause, TlpFlag } from '../protocol/tlp.js';
import type { LatencyLedger } from '../stats/latency-ledger.js';
import { TimeAverage } from '../stats/time-average.js';
import { type AddressSpace, Stage } from './address-space.js';
import { type Architecture, Found } from './architecture.js';
import { Miss, Phase } from './miss.js';
import type { IommuSpec } from './spec.js';
import { containsPage, type PageRange } from './page-range.js';
import { modeOf } from './translation-agent.js';
import type { Translations } from './translations.js';
import type { IommuUnit, UnitCounters } from './unit.js';
import type { WalkTrace } from './walk-trace.js';

const PAGE_CLASSES = 1024;
/** What a directory entry at a guest-physical address needs of the second stage. */
const POINTER_ACCESS = Permission.Read | Permission.User;

export class Walkers {
  readonly busy = new TimeAverage();
  /** Who is told what walks do; tools and tests only. */
  trace: WalkTrace | null = null;
  private readonly kernel: Kernel;
  private readonly spec: IommuSpec;
  private readonly ledger: LatencyLedger;
  private readonly counters: UnitCounters;
  private readonly translations: Translations;
  private readonly architecture: Architecture;
  private readonly misses: Miss[] = [];
  private readonly freeMisses: Int32Array;
  private freeMissCount: number;
  /** Misses under way that others may join, by the low bits of their page number: most requests need not search. */
  private readonly mergeable = new Int32Array(PAGE_CLASSES);
  private free: number;
  /** Misses waiting for a walker, oldest first. */
  private readonly waiting = new EventFifo();
  /** Requests that found every miss record taken. */
  private readonly parked = new EventFifo();
  private readonly retry = new EventFifo();
  /** When the search of a miss for its address space began, or began again. */
  private readonly searchingSince: Float64Array;
  /** By miss: when its last attempt began; [outstanding] the time of attempts that invalidations overtook. ps */
  private readonly attempts: Float64Array;

  constructor(
    private readonly unit: IommuUnit,
    private readonly memory: MemorySystem,
    private readonly physical: PhysicalMemory,
    private readonly socket: number,
  ) {
    this.kernel = unit.kernel;
    this.spec = unit.spec;
    this.ledger = unit.ledger;
    this.counters = unit.counters;
    this.translations = unit.translations;
    this.architecture = unit.architecture;
    const { outstanding, count } = unit.spec.walkers;
    for (let id = 0; id < outstanding; id++) {
      const miss = new Miss(id);
      miss.event.unit = unit.index;
      this.misses.push(miss);
    }
    this.freeMisses = Int32Array.from({ length: outstanding }, (_, i) => outstanding - 1 - i);
    this.freeMissCount = outstanding;
    this.free = count;
    this.searchingSince = new Float64Array(outstanding);
    this.attempts = new Float64Array(outstanding + 1);
  }

  /** A request that no cache answers. */
  miss(tlp: Event): void {
    const requester = this.unit.requesters[tlp.source]!;
    const pageLo = (tlp.addressLo >>> 12) | (tlp.addressHi << 20);
    const pageHi = tlp.addressHi >>> 12;
    if (this.mergeable[pageLo & (PAGE_CLASSES - 1)] !== 0) {
      for (const m of this.misses) {
        if (m.phase !== Phase.Idle && m.pageLo === pageLo && m.pageHi === pageHi && m.requester === requester) {
          if (m.pasid !== tlp.context || m.stale || ((m.flags ^ tlp.flags) & TlpFlag.Translated) !== 0) continue;
          this.counters.merged++;
          m.waiters.push(tlp);
          return;
        }
      }
    }
    if (this.freeMissCount === 0) {
      this.counters.missStalls++;
      this.parked.push(tlp);
      return;
    }
    const m = this.misses[this.freeMisses[--this.freeMissCount]!]!;
    m.requester = requester;
    m.pasid = tlp.context;
    m.flags = tlp.flags;
    m.pageLo = pageLo;
    m.pageHi = pageHi;
    m.inputHi = tlp.addressHi;
    m.inputLo = tlp.addressLo;
    m.stale = false;
    m.waiters.push(tlp);
    m.phase = Phase.Queued;
    if (this.spec.walkers.merge === true) this.mergeable[pageLo & (PAGE_CLASSES - 1)]!++;
    if (this.free > 0) this.begin(m);
    else this.waiting.push(m.event);
  }

  /** A walker takes the miss. */
  private begin(m: Miss): void {
    const now = this.kernel.clock[0]!;
    this.free--;
    this.busy.add(now, 1);
    this.counters.walks++;
    m.directoryPs = 0;
    this.ledger.charge(m.waiters.peek()!.id, Cause.WalkQueue, now);
    this.restart(m, this.spec.walkers.overhead);
  }

  /** (Re)starts the lookup in memory after `delayPs`. */
  private restart(m: Miss, delayPs: number): void {
    m.stale = false;
    m.fault = 0;
    m.guest = 0;
    this.searchingSince[m.event.id] = this.kernel.clock[0]!;
    this.attempts[m.event.id] = this.kernel.clock[0]!;
    m.walk.inputHi = m.inputHi;
    m.walk.inputLo = m.inputLo;
    this.require(m);
    const known = this.architecture.contexts.find(m.requester, m.pasid, false);
    if (known !== null) {
      m.space.copy(known);
      this.beginTable(m, delayPs);
      return;
    }
    m.located = false;
    this.search(m, this.architecture.start(m), delayPs);
  }

  /**
   * What the tables have to permit. A translation request is answered with what they do permit, as long as its privilege suffices; unless it says that the device
   * will not write, a page that may be written is marked dirty (PCI Express 10.2.3; VT-d 3.6.2, IHI 0070 13.7).
   */
  private require({ walk, flags }: Miss): void {
    const asks = (flags & TlpFlag.TranslationRequest) !== 0;
    walk.access = asks ? modeOf(flags) : this.unit.neededBy(flags);
    walk.intent = asks && (flags & TlpFlag.NoWrite) === 0 ? Permission.Write : 0;
  }

  /** Time of walks that invalidations overtook, ps. */
  get lostPs(): number {
    return this.attempts[this.misses.length]!;
  }

  resetCounters(now: number): void {
    this.busy.reset(now);
    this.attempts[this.misses.length] = 0;
  }

  private lose(m: Miss): void {
    this.counters.restarts++;
    this.attempts[this.misses.length]! += this.kernel.clock[0]! - this.attempts[m.event.id]!;
  }

  private repeat(m: Miss): void {
    this.lose(m);
    this.restart(m, 0);
  }

  /** Goes on as the directory lookup says. */
  private search(m: Miss, found: Found, delayPs: number): void {
    if (found === Found.Located) this.beginTable(m, delayPs, true);
    else if (found === Found.Refused) this.unlocated(m, delayPs);
    else if (m.guest === 0) this.readDirectory(m, delayPs);
    else {
      m.phase = Phase.Pointer;
      this.followTwo(m, translateOnly(m.two, m.readHi, m.readLo, POINTER_ACCESS, Target.Directory), delayPs);
    }
  }

  /** There is no address space for the request. */
  private unlocated(m: Miss, delayPs: number): void {
    this.directoryDone(m);
    this.finish(m, delayPs);
  }

  private readDirectory(m: Miss, delayPs: number): void {
    m.phase = Phase.Directory;
    if (!this.memory.owns(m.readHi, m.readLo)) {
      m.fault = this.architecture.accessFault(m);
      this.unlocated(m, delayPs);
      return;
    }
    this.counters.directoryReads++;
    this.read(m, m.readHi, m.readLo, delayPs);
  }

  private read(m: Miss, hi: number, lo: number, delayPs: number): void {
    const delay = delayPs + this.memory.walkerRead(this.socket, hi, lo, this.spec.coherent);
    this.kernel.after(delay, m.event, Op.WalkRead);
  }

  /** `searched`: the space comes from a search in memory, so the IOTLB could not be asked before. */
  private beginTable(m: Miss, delayPs: number, searched = false): void {
    const { space, walk } = m;
    m.located = true;
    this.directoryDone(m);
    m.phase = Phase.Table;
    const fault = this.architecture.admit(m);
    if (fault !== 0) {
      m.fault = fault;
      this.finish(m, delayPs);
      return;
    }
    if (space.stage === Stage.PassThrough || (m.flags & TlpFlag.Translated) !== 0) {
      walk.outHi = walk.inputHi;
      walk.outLo = walk.inputLo;
      this.finish(m, delayPs);
      return;
    }
    walk.intent &= space.grants;
    const format = this.architecture.formats[space.format]!;
    const t = this.translations;
    if (searched && t.lookup(space, m.inputHi, m.inputLo, this.unit.neededBy(m.flags))) {
      t.answer(m);
      this.finish(m, delayPs);
      return;
    }
    const { levels, inputLg2 } = space;
    const known = t.resume(space, space.stage, format, levels, walk.inputHi, walk.inputLo);
    const delay = delayPs + t.structureLatency;
    if (space.stage === Stage.Nested) {
      const step = known
        ? resumeTwoStage(m.two, format, t.outHi, t.outLo, t.level, t.permissions)
        : startTwoStage(m.two, format, space.rootHi, space.rootLo, levels, inputLg2);
      this.followTwo(m, step, delay);
      return;
    }
    if (space.window !== 0 && this.intercept(m, walk.inputHi, walk.inputLo, delay)) return;
    const step = known
      ? resumeWalk(format, walk, t.outHi, t.outLo, t.level, t.permissions)
      : startWalk(format, walk, space.rootHi, space.rootLo, levels, inputLg2);
    this.follow(m, step, delay);
  }

  private follow(m: Miss, step: Step, delayPs: number): void {
    if (step === Step.Read && !this.memory.owns(m.walk.entryHi, m.walk.entryLo)) step = refuseWalk(m.walk);
    if (step === Step.Read) {
      this.counters.tableReads++;
      this.read(m, m.walk.entryHi, m.walk.entryLo, delayPs);
      return;
    }
    if (step === Step.Fault) m.fault = this.architecture.translationFault(m);
    else if (grantsNothing(m)) {
      m.walk.fault = Fault.ReadDenied;
      m.fault = this.architecture.translationFault(m);
    } else if (this.architecture.output !== undefined) m.fault = this.architecture.output(m);
    this.finish(m, delayPs);
  }

  /** Op.WalkRead: memory has served the word or line the walk waits for. */
  walkRead(event: Event): void {
    const m = this.misses[event.id]!;
    if (m.stale === true) {
      if (!m.located) this.directoryDone(m);
      this.repeat(m);
    } else if (m.phase === Phase.Directory) {
      if (this.trace !== null) this.trace.directory(m);
      m.guest = 0;
      this.search(m, this.architecture.step(m), 0);
    } else if (m.phase === Phase.Intercepted) this.interceptedEntry(m);
    else if (m.phase === Phase.Pointer || m.space.stage === Stage.Nested) this.twoStageEntry(m);
    else this.tableEntry(m);
  }

  /** The address space is known, known not to exist, or to be searched for again. */
  private directoryDone(m: Miss): void {
    m.directoryPs += this.kernel.clock[0]! - this.searchingSince[m.event.id]!;
  }

  private tableEntry(m: Miss): void {
    const { walk, space } = m;
    const format = this.architecture.formats[space.format]!;
    const physical = this.physical;
    if (this.trace !== null) this.trace.table(m);
    physical.read(walk.entryHi, walk.entryLo);
    const step = stepWalk(format, walk, physical.wordHi, physical.wordLo);
    const delay = this.updateOf(m, walk);
    if (step === Step.Read) this.translations.fillStructure(space, space.stage, format, walk);
    else if (step === Step.Done) withhold(m);
    this.follow(m, step, delay);
  }

  /** A two-stage walk goes on: guest-physical addresses are translated by what the caches know, or by a walk of the second stage. */
  private followTwo(m: Miss, step: Step, delayPs: number): void {
    const { two, space } = m;
    const t = this.translations;
    let next = step;
    let delay = delayPs;
    while (next === Step.Translate) {
      if (space.window !== 0 && two.target === Target.Final && this.intercept(m, two.guestHi, two.guestLo, delay))
        return;
      delay += t.secondLatency;
      next = this.translateGuest(two, space);
      if (two.update === 1) delay += this.store(m, two.updateHi, two.updateLo, two.updateWordHi, two.updateWordLo);
    }
    if (next === Step.Read && !this.memory.owns(two.entryHi, two.entryLo)) next = refuseTwoStage(two);
    if (next === Step.Read) {
      this.counters.tableReads++;
      this.read(m, two.entryHi, two.entryLo, delay);
    } else if (next === Step.Fault) {
      m.fault = this.architecture.translationFault(m);
      if (m.phase === Phase.Pointer) this.directoryDone(m);
      this.finish(m, delay);
    } else if (m.phase === Phase.Pointer) {
      m.readHi = two.outHi;
      m.readLo = two.outLo;
      this.readDirectory(m, delay);
    } else {
      const { walk } = m;
      walk.outHi = two.outHi;
      walk.outLo = two.outLo;
      walk.sizeLg2 = two.sizeLg2;
      walk.permissions = two.permissions;
      walk.clean = two.clean;
      withhold(m);
      if (grantsNothing(m)) {
        two.fail(1, Fault.ReadDenied);
        m.fault = this.architecture.translationFault(m);
      } else if (this.architecture.output !== undefined) m.fault = this.architecture.output(m);
      this.finish(m, delay);
    }
  }

  /** The final address hi:lo of the walk, if another table translates it: then that is read. */
  private intercept(m: Miss, hi: number, lo: number, delayPs: number): boolean {
    if (!this.architecture.interception!.aim(m, hi, lo)) return false;
    m.phase = Phase.Intercepted;
    if (this.memory.owns(m.readHi, m.readLo)) {
      this.counters.tableReads++;
      this.read(m, m.readHi, m.readLo, delayPs);
    } else {
      m.fault = this.architecture.accessFault(m);
      this.finish(m, delayPs);
    }
    return true;
  }

  private interceptedEntry(m: Miss): void {
    if (this.trace !== null) this.trace.directory(m);
    m.fault = this.architecture.interception!.consume(m);
    if (m.fault === 0) withhold(m);
    this.finish(m, 0);
  }

  private translateGuest(two: TwoStageWalk, space: AddressSpace): Step {
    const t = this.translations;
    const { formats } = this.architecture;
    const second = formats[space.secondFormat]!;
    const { guestHi, guestLo } = two;
    if (t.lookupSecond(space, guestHi, guestLo, two.guestAccess)) {
      return translatedTwoStage(two, formats[space.format]!, t.outHi, t.outLo, t.outSizeLg2, t.permissions);
    }
    const { secondLevels } = space;
    return t.resume(space, Stage.Second, second, secondLevels, guestHi, guestLo)
      ? resumeSecond(two, second, t.outHi, t.outLo, t.level, t.permissions)
      : startSecond(two, second, space.secondRootHi, space.secondRootLo, secondLevels, space.secondInputLg2);
  }

  private twoStageEntry(m: Miss): void {
    const { two, space } = m;
    const { formats } = this.architecture;
    const first = formats[space.format]!;
    const second = formats[space.secondFormat]!;
    const { physical, translations: t } = this;
    const { stage } = two;
    if (this.trace !== null) this.trace.table(m);
    physical.read(two.entryHi, two.entryLo);
    const step = stepTwoStage(two, first, second, physical.wordHi, physical.wordLo);
    let delay = this.updateOf(m, two.second);
    if (two.update === 1) delay += this.store(m, two.updateHi, two.updateLo, two.updateWordHi, two.updateWordLo);
    const cursor = stage === 1 ? two.first : two.second;
    if (two.secondDone === 1) {
      if (two.target !== Target.Final) t.fillSecond(space, two.second);
    } else if (step !== Step.Fault && cursor.level !== cursor.consumedLevel) {
      if (stage === 1) t.fillStructure(space, Stage.Nested, first, cursor);
      else t.fillStructure(space, Stage.Second, second, cursor);
    }
    this.followTwo(m, step, delay);
  }

  /** Time of the update that a walk asks for. */
  private updateOf(m: Miss, walk: Walk): number {
    return walk.update === 1 ? this.store(m, walk.updateHi, walk.updateLo, walk.updateWordHi, walk.updateWordLo) : 0;
  }

  /** Hardware sets accessed or dirty bits; returns the time. */
  private store(m: Miss, hi: number, lo: number, wordHi: number, wordLo: number): number {
    if (this.trace !== null) this.trace.update(m, hi, lo, wordHi, wordLo);
    const delay = this.memory.hardwareWrite(this.socket, hi, lo, 8);
    this.physical.write(hi, lo, wordHi, wordLo);
    return delay;
  }

  /** The walk ends `delayPs` from now. */
  private finish(m: Miss, delayPs: number): void {
    m.phase = Phase.Replay;
    const { event } = m;
    const delay = delayPs + ((m.flags & TlpFlag.Write) === 0 ? this.spec.walkers.readHold : 0);
    // With the read that has just been served: no event for no time. Others go round the queue, or a row of walks without a read would nest.
    if (delay === 0 && (event.op as Op) === Op.WalkRead) this.ended(m);
    else this.kernel.after(delay, event, Op.WalkReplay);
  }

  /** The walker is free for the next miss; `replay` after the end of the walk its transactions go on. */
  private ended(m: Miss): void {
    this.busy.add(this.kernel.clock[0]!, -1);
    this.free++;
    const next = this.waiting.pop();
    if (next !== null) this.begin(this.misses[next.id]!);
    const { replay, readHold } = this.spec.walkers;
    const read = (m.flags & TlpFlag.Write) === 0;
    m.event.state = 1;
    this.memory.expect(m.walk.outHi, m.walk.outLo);
    this.kernel.after(replay - (read ? readHold : 0), m.event, Op.WalkReplay);
  }

  /** Op.WalkReplay: the end of the walk, then that of its replay. */
  walkReplay(event: Event): void {
    const m = this.misses[event.id]!;
    if (event.state === 1) {
      event.state = 0;
      this.replay(m);
    } else this.ended(m);
  }

  private replay(m: Miss): void {
    const { unit } = this;
    const now = this.kernel.clock[0]!;
    if (this.trace !== null) this.trace.ended(m);
    const { walk, waiters, fault, stale } = m;
    const { permissions, inputLo, outHi, outLo } = walk;
    const pageLo = outLo - (inputLo & 4095);
    const { sizeLg2 } = walk;
    const passThrough = m.located && (m.space.stage === Stage.PassThrough || (m.flags & TlpFlag.Translated) !== 0);
    const granted = passThrough ? m.space.grants : permissions;
    if (!stale && fault === 0 && !passThrough) {
      this.architecture.alsoCached?.(m, this.translations);
      this.translations.fill(m);
    }
    const first = waiters.peek();
    let tlp = waiters.pop();
    if (m.directoryPs !== 0) this.ledger.chargeFor(tlp!.id, Cause.Directory, m.directoryPs);
    this.ledger.charge(tlp!.id, Cause.Walk, now);
    m.phase = Phase.Idle;
    if (this.spec.walkers.merge === true) this.mergeable[m.pageLo & (PAGE_CLASSES - 1)]!--;
    this.freeMisses[this.freeMissCount++] = m.event.id;
    // Requests parked below may take the record again: everything needed from it is in locals, and its list is emptied first.
    const again = this.retry;
    if (stale) this.lose(m);
    while (tlp !== null) {
      const following = waiters.pop();
      const needed = unit.neededBy(tlp.flags);
      if (stale) again.push(tlp);
      else if (fault !== 0) {
        // A fault answers the request that walked. One that joined may need less, or follow a map made since: it asks again.
        if (tlp === first) this.abort(tlp, m);
        else again.push(tlp);
      } else if (!passThrough && (permissions & needed) !== needed && !answers(tlp, first)) again.push(tlp);
      else if ((tlp.flags & TlpFlag.Ats) !== 0) {
        unit.agent!.walked(tlp, outHi, pageLo | (tlp.addressLo & 4095), sizeLg2, passThrough, granted);
      } else {
        tlp.outHi = outHi;
        tlp.outLo = pageLo | (tlp.addressLo & 4095);
        unit.ready(tlp);
      }
      tlp = following;
      if (tlp !== null) this.ledger.charge(tlp.id, Cause.WalkMerged, now);
    }
    for (let r = again.pop(); r !== null; r = again.pop()) this.miss(r);
    // A parked request may hit by now, or join a walk: then the record is still free for the next one.
    while (this.freeMissCount > 0) {
      const parked = this.parked.pop();
      if (parked === null) break;
      this.ledger.charge(parked.id, Cause.WalkQueue, now);
      unit.lookup(parked);
    }
  }

  private abort(tlp: Event, m: Miss): void {
    if ((tlp.flags & TlpFlag.Ats) !== 0) {
      this.unit.agent!.refuse(tlp, m);
      return;
    }
    if (this.architecture.stall?.(tlp, m.requester, m) === true) return;
    this.counters.aborted++;
    tlp.flags |= TlpFlag.Aborted;
    this.architecture.refused(tlp, m.requester, m);
    this.unit.ready(tlp);
  }

  /**
   * An invalidation overtakes walks under way: those of `did` (-1: of any domain) and those whose domain is not known yet are to be
   * repeated; with `range`, only those of a page in it. A walk that has found its leaf stands for the leaf's whole page.
   * `guestPhysical`: the range is one of second-stage addresses, which nested walks and directory lookups may have used anywhere.
   */
  overtake(did: number, range: PageRange | null, guestPhysical = false): void {
    if (this.freeMissCount === this.misses.length) return;
    for (const m of this.misses) {
      if (m.phase === Phase.Idle || m.phase === Phase.Queued) continue;
      if (did >= 0 && m.located && m.space.did !== did) continue;
      const anywhere = guestPhysical && (!m.located || m.space.stage === Stage.Nested);
      const leaf = m.phase === Phase.Replay && m.fault === 0 && m.space.stage !== Stage.PassThrough;
      if (range === null || anywhere || containsPage(range, m.pageHi, m.pageLo, leaf ? m.walk.sizeLg2 : 12)) {
        m.stale = true;
      }
    }
  }
}

/** A translation request is answered by the walk that was made for it, whatever is permitted. */
function answers(tlp: Event, first: Event | null): boolean {
  return tlp === first && (tlp.flags & TlpFlag.TranslationRequest) !== 0;
}

/** The walk of a translation request has found a page that may be neither read nor written: there is no translation. */
function grantsNothing({ flags, walk }: Miss): boolean {
  return (flags & TlpFlag.TranslationRequest) !== 0 && (walk.permissions & (Access.Read | Access.Write)) === 0;
}

/** A page whose dirty bit is still clear may be cached, but not for writes: the first write must walk and set it. */
function withhold({ walk, space }: Miss): void {
  walk.permissions &= space.grants;
  if (walk.clean === 1 && (walk.access & Access.Write) === 0) walk.permissions &= ~Access.Write;
}
