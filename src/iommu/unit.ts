/**
 * One IOMMU unit: transaction queue, lookup pipeline, directory and translation caches, misses, a bounded number of page
 * walkers. A request is looked up when the pipeline gets to it; a miss joins or starts a walk whose every table entry is read from
 * simulated memory with time; what is translated leaves in order. An invalidation that overtakes a walk makes it start again.
 * The architecture (directory layout, fault codes, invalidation commands) is the Vtd object.
 * Hot path: bench/end-to-end.
 */
import type { Event } from '../kernel/event.js';
import { EventFifo } from '../kernel/fifo.js';
import type { Kernel } from '../kernel/kernel.js';
import { FifoServer } from '../kernel/server.js';
import type { PhysicalMemory } from '../memory/physical.js';
import type { MemorySystem } from '../memory/system.js';
import { type Format, Row } from '../pagetable/format.js';
import { refuseWalk, resumeWalk, Step, startWalk, stepWalk } from '../pagetable/walk.js';
import { Access } from '../protocol/access.js';
import type { Observer } from '../protocol/observer.js';
import { Op } from '../protocol/op.js';
import { Cause, type Forwarder, TlpFlag, type Translator } from '../protocol/tlp.js';
import type { LatencyLedger } from '../stats/latency-ledger.js';
import { TimeAverage } from '../stats/time-average.js';
import { Stage } from './address-space.js';
import type { Directory } from './arch/vtd/directory.js';
import type { FaultLog } from './arch/vtd/fault-log.js';
import { isQualified } from './arch/vtd/format.js';
import { containsPage, type PageRange } from './arch/vtd/invalidation.js';
import { Miss, Phase } from './miss.js';
import type { IommuSpec } from './spec.js';
import { TransactionQueue } from './transaction-queue.js';
import { Translations } from './translations.js';

/** Counters of a unit since the window began. */
export class UnitCounters {
  requests = 0;
  walks = 0;
  tableReads = 0;
  directoryReads = 0;
  merged = 0;
  restarts = 0;
  aborted = 0;
  missStalls = 0;
}

const PAGE_CLASSES = 1024;

const SIZE_CLASS = (sizeLg2: number): number => (sizeLg2 >= 30 ? 2 : sizeLg2 >= 21 ? 1 : 0);

export class IommuUnit implements Translator {
  readonly queue: TransactionQueue;
  readonly translations: Translations;
  readonly counters = new UnitCounters();
  readonly walkersBusy = new TimeAverage();

  private readonly pipeline = new FifoServer();
  private readonly lookupPs: number;
  private readonly misses: Miss[] = [];
  private readonly freeMisses: Int32Array;
  private freeMissCount: number;
  /** Misses under way that others may join, by the low bits of their page number: most requests need not search. */
  private readonly mergeable = new Int32Array(PAGE_CLASSES);
  private freeWalkers: number;
  /** Misses waiting for a walker, oldest first. */
  private readonly walkQueue = new EventFifo();
  /** Requests that found every miss record taken. */
  private readonly missQueue = new EventFifo();
  /** When the search of a miss for its address space began, or began again. */
  private readonly searchingSince: Float64Array;
  /** Translated requests not yet served by memory, by drain epoch. */
  private readonly inFlight = new Int32Array(2);
  private epoch = 0;
  private forwarders: readonly Forwarder[] = [];
  private requesters: Int32Array = new Int32Array(0);
  private observer: Observer | null = null;
  /** Told when the older epoch has drained. */
  onDrained: (() => void) | null = null;

  constructor(
    private readonly kernel: Kernel,
    readonly index: number,
    name: string,
    readonly spec: IommuSpec,
    seed: number,
    private readonly memory: MemorySystem,
    private readonly physical: PhysicalMemory,
    private readonly socket: number,
    private readonly ledger: LatencyLedger,
    private readonly directory: Directory,
    private readonly faults: FaultLog,
    /** By Stage. */
    private readonly formats: readonly Format[],
  ) {
    this.queue = new TransactionQueue(spec.queue, kernel.clock);
    this.translations = new Translations(spec, seed, name);
    this.lookupPs = Math.max(
      spec.iotlb.enabled ? spec.iotlb.latency : 0,
      spec.contextCache.enabled ? spec.contextCache.latency : 0,
      spec.mode === 'scalable' && spec.pasidCache.enabled ? spec.pasidCache.latency : 0,
    );
    const { outstanding, count } = spec.walkers;
    for (let id = 0; id < outstanding; id++) {
      const miss = new Miss(id);
      miss.event.unit = index;
      this.misses.push(miss);
    }
    this.freeMisses = Int32Array.from({ length: outstanding }, (_, i) => outstanding - 1 - i);
    this.freeMissCount = outstanding;
    this.freeWalkers = count;
    this.searchingSince = new Float64Array(outstanding);
  }

  /** Who takes translated requests and which requester id they carry, both by device number. */
  connect(forwarders: readonly Forwarder[], requesters: Int32Array, observer: Observer | null): void {
    this.forwarders = forwarders;
    this.requesters = requesters;
    this.observer = observer;
  }

  arrive(tlp: Event): void {
    tlp.unit = this.index;
    this.counters.requests++;
    if (this.queue.enter(tlp)) this.startLookup(tlp);
  }

  private startLookup(tlp: Event): void {
    const now = this.kernel.clock[0]!;
    this.ledger.charge(tlp.id, Cause.Ingress, now);
    const start = this.pipeline.book(now, this.spec.queue.interval);
    this.ledger.chargeFor(tlp.id, Cause.Lookup, start + this.lookupPs);
    this.kernel.relay(start, this.lookupPs, tlp, Op.IommuLookup);
  }

  /** Op.IommuLookup. */
  lookup(tlp: Event): void {
    const space = this.directory.find(this.requesters[tlp.source]!, tlp.context, true);
    if (space === null) {
      this.miss(tlp);
      return;
    }
    if (space.stage === Stage.PassThrough) {
      tlp.outHi = tlp.addressHi;
      tlp.outLo = tlp.addressLo;
      this.ready(tlp);
      return;
    }
    const t = this.translations;
    if (t.lookup(space, tlp.addressHi, tlp.addressLo, accessOf(tlp))) {
      tlp.outHi = t.outHi;
      tlp.outLo = t.outLo;
      this.ready(tlp);
    } else this.miss(tlp);
  }

  /** Translated (or aborted): leaves now, or when the older ones have. */
  private ready(tlp: Event): void {
    if (this.epoch === 1) tlp.flags |= TlpFlag.EpochOdd;
    this.inFlight[this.epoch]!++;
    let out = this.queue.translated(tlp);
    const now = this.kernel.clock[0]!;
    while (out !== null) {
      const following = this.queue.leave(out);
      this.ledger.charge(out.id, Cause.Order, now);
      if (this.observer !== null && (out.flags & TlpFlag.Aborted) === 0) this.report(out, now);
      this.forwarders[out.source]!.forward(out);
      const admitted = this.queue.admit(out);
      if (admitted !== null) this.startLookup(admitted);
      out = following;
    }
  }

  private report(tlp: Event, now: number): void {
    this.observer!.translated(
      this.index,
      this.requesters[tlp.source]!,
      tlp.context,
      (tlp.addressHi >>> 0) * 4294967296 + (tlp.addressLo >>> 0),
      (tlp.outHi >>> 0) * 4294967296 + (tlp.outLo >>> 0),
      tlp.bytes,
      accessOf(tlp),
      now,
    );
  }

  /** Memory has served a request of this unit. */
  served(tlp: Event): void {
    const epoch = (tlp.flags & TlpFlag.EpochOdd) !== 0 ? 1 : 0;
    this.inFlight[epoch]!--;
    if (epoch !== this.epoch && this.inFlight[epoch] === 0) this.onDrained?.();
  }

  /** Starts a new drain epoch; returns how many requests translated before it are still on their way to memory. */
  beginDrain(): number {
    const old = this.epoch;
    this.epoch = 1 - old;
    return this.inFlight[old]!;
  }

  private miss(tlp: Event): void {
    const requester = this.requesters[tlp.source]!;
    const pageLo = (tlp.addressLo >>> 12) | (tlp.addressHi << 20);
    const pageHi = tlp.addressHi >>> 12;
    if (this.mergeable[pageLo & (PAGE_CLASSES - 1)] !== 0) {
      for (const m of this.misses) {
        if (m.phase !== Phase.Idle && m.pageLo === pageLo && m.pageHi === pageHi && m.requester === requester) {
          if (m.pasid !== tlp.context || m.stale) continue;
          this.counters.merged++;
          m.waiters.push(tlp);
          return;
        }
      }
    }
    if (this.freeMissCount === 0) {
      this.counters.missStalls++;
      this.missQueue.push(tlp);
      return;
    }
    const m = this.misses[this.freeMisses[--this.freeMissCount]!]!;
    m.requester = requester;
    m.pasid = tlp.context;
    m.pageLo = pageLo;
    m.pageHi = pageHi;
    m.stale = false;
    m.walk.inputHi = tlp.addressHi;
    m.walk.inputLo = tlp.addressLo;
    m.waiters.push(tlp);
    m.phase = Phase.Queued;
    if (this.spec.walkers.merge === true) this.mergeable[pageLo & (PAGE_CLASSES - 1)]!++;
    if (this.freeWalkers > 0) this.begin(m);
    else this.walkQueue.push(m.event);
  }

  /** A walker takes the miss. */
  private begin(m: Miss): void {
    const now = this.kernel.clock[0]!;
    this.freeWalkers--;
    this.walkersBusy.add(now, 1);
    this.counters.walks++;
    m.directoryPs = 0;
    this.ledger.charge(m.waiters.peek()!.id, Cause.WalkQueue, now);
    this.restart(m, this.spec.walkers.overhead);
  }

  /** (Re)starts the lookup in memory after `delayPs`. */
  private restart(m: Miss, delayPs: number): void {
    m.stale = false;
    m.fault = 0;
    this.searchingSince[m.event.id] = this.kernel.clock[0]!;
    const tlp = m.waiters.peek()!;
    m.walk.access = this.directory.requiredAccess(accessOf(tlp));
    const known = this.directory.find(m.requester, m.pasid, false);
    if (known !== null) {
      m.space.copy(known);
      m.suppressFaults = known.suppressFaults;
      m.located = true;
      this.beginTable(m, delayPs);
      return;
    }
    m.located = false;
    if (this.directory.start(m)) this.readDirectory(m, delayPs);
    else this.finish(m, delayPs);
  }

  private repeat(m: Miss): void {
    this.counters.restarts++;
    this.restart(m, 0);
  }

  private readDirectory(m: Miss, delayPs: number): void {
    if (!this.memory.owns(m.readHi, m.readLo)) {
      m.fault = this.directory.accessFault(m.phase);
      this.finish(m, delayPs);
      return;
    }
    this.counters.directoryReads++;
    const delay = delayPs + this.memory.walkerRead(this.socket, m.readHi, m.readLo, this.spec.coherent);
    this.kernel.after(delay, m.event, Op.WalkRead);
  }

  private beginTable(m: Miss, delayPs: number): void {
    const { space, walk } = m;
    this.directoryDone(m);
    m.phase = Phase.Table;
    if (space.stage === Stage.PassThrough) {
      walk.outHi = walk.inputHi;
      walk.outLo = walk.inputLo;
      this.finish(m, delayPs);
      return;
    }
    const format = this.formats[space.stage]!;
    const t = this.translations;
    const step = t.resume(space, walk.inputHi, walk.inputLo)
      ? resumeWalk(format, walk, t.outHi, t.outLo, t.level, t.permissions)
      : startWalk(format, walk, space.rootHi, space.rootLo, space.levels);
    this.follow(m, step, delayPs + t.structureLatency);
  }

  private follow(m: Miss, step: Step, delayPs: number): void {
    if (step === Step.Read && !this.memory.owns(m.walk.entryHi, m.walk.entryLo)) step = refuseWalk(m.walk);
    if (step === Step.Read) {
      this.counters.tableReads++;
      const { entryHi, entryLo } = m.walk;
      const delay = delayPs + this.memory.walkerRead(this.socket, entryHi, entryLo, this.spec.coherent);
      this.kernel.after(delay, m.event, Op.WalkRead);
      return;
    }
    if (step === Step.Fault) m.fault = this.directory.translationFault(m);
    this.finish(m, delayPs);
  }

  /** Op.WalkRead: memory has served the word or line the walk waits for. */
  walkRead(event: Event): void {
    const m = this.misses[event.id]!;
    if (m.phase === Phase.Table) this.tableEntry(m);
    else if (m.stale) {
      this.directoryDone(m);
      this.repeat(m);
    } else if (!this.directory.step(m)) this.readDirectory(m, 0);
    else if (m.fault !== 0) {
      this.directoryDone(m);
      this.finish(m, 0);
    } else {
      m.located = true;
      this.beginTable(m, 0);
    }
  }

  /** The address space is known, known not to exist, or to be searched for again. */
  private directoryDone(m: Miss): void {
    m.directoryPs += this.kernel.clock[0]! - this.searchingSince[m.event.id]!;
  }

  private tableEntry(m: Miss): void {
    const { walk, space } = m;
    if (m.stale === true) {
      this.repeat(m);
      return;
    }
    const format = this.formats[space.stage]!;
    const physical = this.physical;
    physical.read(walk.entryHi, walk.entryLo);
    const { wordHi, wordLo } = physical;
    const step = stepWalk(format, walk, wordHi, wordLo);
    let delay = 0;
    if (walk.update === 1) {
      delay = this.memory.hardwareWrite(this.socket, walk.updateHi, walk.updateLo, 8);
      physical.write(walk.updateHi, walk.updateLo, walk.updateWordHi, walk.updateWordLo);
    }
    if (step === Step.Read) {
      const { consumedLevel, tableHi, tableLo, permissions } = walk;
      this.translations.fillStructure(space, walk.inputHi, walk.inputLo, consumedLevel, tableHi, tableLo, permissions);
    } else if (step === Step.Done) {
      // A page whose dirty bit is still clear may be cached, but not for writes: the first write must walk and set it.
      const row = format.classify(walk.consumedLevel, wordHi, wordLo);
      const clean = (format.rows[row + Row.WrittenHi]! & ~wordHi) | (format.rows[row + Row.WrittenLo]! & ~wordLo);
      if (clean !== 0 && (walk.access & Access.Write) === 0) walk.permissions &= ~Access.Write;
    }
    this.follow(m, step, delay);
  }

  /** The walk ends `delayPs` from now. */
  private finish(m: Miss, delayPs: number): void {
    m.phase = Phase.Replay;
    const read = (m.waiters.peek()!.flags & TlpFlag.Write) === 0;
    this.kernel.after(delayPs + (read ? this.spec.walkers.readHold : 0), m.event, Op.WalkReplay);
  }

  /** Op.WalkReplay: first the walker is released; `replay` after the end of the walk its transactions go on. */
  walkReplay(event: Event): void {
    const m = this.misses[event.id]!;
    if (event.state === 1) {
      event.state = 0;
      this.replay(m);
      return;
    }
    this.walkersBusy.add(this.kernel.clock[0]!, -1);
    this.freeWalkers++;
    const next = this.walkQueue.pop();
    if (next !== null) this.begin(this.misses[next.id]!);
    const { replay, readHold } = this.spec.walkers;
    const read = (m.waiters.peek()!.flags & TlpFlag.Write) === 0;
    event.state = 1;
    this.kernel.after(replay - (read ? readHold : 0), event, Op.WalkReplay);
  }

  private replay(m: Miss): void {
    const now = this.kernel.clock[0]!;
    const { walk, waiters, fault, stale, suppressFaults } = m;
    const { permissions, inputLo, outHi, outLo } = walk;
    const pageLo = outLo - (inputLo & 4095);
    const passThrough = m.located && m.space.stage === Stage.PassThrough;
    if (!stale && fault === 0 && !passThrough) {
      this.translations.fill(m.space, walk.inputHi, inputLo, SIZE_CLASS(walk.sizeLg2), outHi, outLo, permissions);
    }
    const first = waiters.peek();
    let tlp = waiters.pop();
    this.ledger.chargeFor(tlp!.id, Cause.Directory, m.directoryPs);
    this.ledger.charge(tlp!.id, Cause.Walk, now);
    m.phase = Phase.Idle;
    if (this.spec.walkers.merge === true) this.mergeable[m.pageLo & (PAGE_CLASSES - 1)]!--;
    this.freeMisses[this.freeMissCount++] = m.event.id;
    // Requests parked below may take the record again: everything needed from it is in locals, and its list is emptied first.
    const again = this.retry;
    if (stale) this.counters.restarts++;
    while (tlp !== null) {
      const following = waiters.pop();
      if (stale) again.push(tlp);
      else if (fault !== 0) {
        // A fault answers the request that walked. One that joined may need less, or follow a map made since: it asks again.
        if (tlp === first) this.abort(tlp, fault, suppressFaults);
        else again.push(tlp);
      } else if (!passThrough && (permissions & accessOf(tlp)) !== accessOf(tlp)) again.push(tlp);
      else {
        tlp.outHi = outHi;
        tlp.outLo = pageLo | (tlp.addressLo & 4095);
        this.ready(tlp);
      }
      tlp = following;
      if (tlp !== null) this.ledger.charge(tlp.id, Cause.WalkMerged, now);
    }
    for (let r = again.pop(); r !== null; r = again.pop()) this.miss(r);
    // A parked request may hit by now, or join a walk: then the record is still free for the next one.
    while (this.freeMissCount > 0) {
      const parked = this.missQueue.pop();
      if (parked === null) break;
      this.ledger.charge(parked.id, Cause.WalkQueue, now);
      this.lookup(parked);
    }
  }
  private readonly retry = new EventFifo();

  private abort(tlp: Event, code: number, suppress: boolean): void {
    this.counters.aborted++;
    tlp.flags |= TlpFlag.Aborted;
    if (!(suppress && isQualified(code))) {
      const requester = this.requesters[tlp.source]!;
      this.faults.record(code, requester, tlp.context, tlp.addressHi, tlp.addressLo, accessOf(tlp));
    }
    this.ready(tlp);
  }

  /**
   * An invalidation overtakes walks under way: those of `did` (-1: of any domain) and those whose domain is not known yet are to be
   * repeated; with `range`, only those of a page in it. A walk that has found its leaf stands for the leaf's whole page.
   */
  overtake(did: number, range: PageRange | null): void {
    for (const m of this.misses) {
      if (m.phase === Phase.Idle || m.phase === Phase.Queued) continue;
      if (did >= 0 && m.located && m.space.did !== did) continue;
      const leaf = m.phase === Phase.Replay && m.fault === 0 && m.space.stage !== Stage.PassThrough;
      if (range === null || containsPage(range, m.pageHi, m.pageLo, leaf ? m.walk.sizeLg2 : 12)) m.stale = true;
    }
  }

  resetCounters(now: number): void {
    Object.assign(this.counters, new UnitCounters());
    this.translations.resetCounters();
    this.queue.stalls = 0;
    this.queue.occupancy.reset(now);
    this.walkersBusy.reset(now);
    this.directory.resetCounters();
  }
}

function accessOf(tlp: Event): Access {
  return (tlp.flags & TlpFlag.Write) !== 0 ? Access.Write : Access.Read;
}
