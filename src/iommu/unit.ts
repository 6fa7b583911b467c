/**
 * One IOMMU unit: transaction queue, lookup pipeline, context and translation caches in front of the walkers. A request is looked up
 * when the pipeline gets to it; what misses goes to the walkers (walkers.ts); what is translated leaves in order.
 * The architecture (directory layout, fault codes, commands) is an `Architecture` object.
 * Hot path: bench/end-to-end.
 */
import type { Event } from '../kernel/event.js';
import type { Kernel } from '../kernel/kernel.js';
import { FifoServer } from '../kernel/server.js';
import { Permission } from '../pagetable/format.js';
import { Access } from '../protocol/access.js';
import type { Observer } from '../protocol/observer.js';
import { Op } from '../protocol/op.js';
import { Cause, type Forwarder, TlpFlag, type Translator } from '../protocol/tlp.js';
import type { LatencyLedger } from '../stats/latency-ledger.js';
import { Stage } from './address-space.js';
import type { DeviceInvalidations } from './device-invalidations.js';
import type { Architecture } from './architecture.js';
import type { IommuSpec } from './spec.js';
import type { Surroundings } from './surroundings.js';
import { Progress, TransactionQueue } from './transaction-queue.js';
import { Translations } from './translations.js';
import { TranslationAgent } from './translation-agent.js';
import { Walkers } from './walkers.js';

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

/** Sees the result of the lookup pipeline before the unit's caches are asked. */
export interface FirstLook {
  /** True: it has dealt with the request. */
  takes(tlp: Event): boolean;
}

export class IommuUnit implements Translator {
  readonly queue: TransactionQueue;
  readonly translations: Translations;
  readonly counters = new UnitCounters();
  readonly walkers: Walkers;
  readonly kernel: Kernel;
  readonly ledger: LatencyLedger;

  private readonly pipeline = new FifoServer();
  private readonly lookupPs: number;
  /** Translated requests not yet served by memory, by drain epoch. */
  private readonly inFlight = new Int32Array(2);
  private epoch = 0;
  private forwarders: readonly Forwarder[] = [];
  requesters: Int32Array = new Int32Array(0);
  private observer: Observer | null = null;
  /** What device TLBs have to be told goes through here; null: there are none. */
  get deviceTlbs(): DeviceInvalidations | null {
    return this.agent === null ? null : this.agent.invalidations;
  }

  /** Told when a device has answered an invalidation or been given up; of the latter before, with its requester id. */
  onAnswered: (() => void) | null = null;
  onDeviceTimeout: ((requester: number) => void) | null = null;
  /** Told when the older epoch has drained. */
  onDrained: (() => void) | null = null;
  /** Who sees requests before the caches do; null: nobody. */
  first: FirstLook | null = null;
  /** Deals with what devices that have a TLB of their own send; null: there is no such device. */
  agent: TranslationAgent | null = null;

  constructor(
    readonly index: number,
    name: string,
    readonly spec: IommuSpec,
    surroundings: Surroundings,
    readonly architecture: Architecture,
  ) {
    const { kernel, ledger, memory, physical, seed } = surroundings;
    this.kernel = kernel;
    this.ledger = ledger;
    this.queue = new TransactionQueue(spec.queue, kernel.clock);
    this.translations = new Translations(spec, architecture.pageSizes, seed, name);
    this.lookupPs = Math.max(
      spec.iotlb.enabled ? spec.iotlb.latency : 0,
      spec.contextCache.enabled ? spec.contextCache.latency : 0,
      spec.mode !== 'legacy' && spec.processLevels > 0 && spec.pasidCache.enabled ? spec.pasidCache.latency : 0,
    );
    this.walkers = new Walkers(this, memory, physical, memory.indexOf(spec.socket));
  }

  /** Who takes translated requests and which requester id they carry, both by device number. */
  connect(forwarders: readonly Forwarder[], requesters: Int32Array, observer: Observer | null): void {
    this.forwarders = forwarders;
    this.agent?.connect(forwarders);
    this.requesters = requesters;
    this.observer = observer;
  }

  /** There are devices with a TLB of their own; their requests go to what this returns. */
  addAgent(): TranslationAgent {
    if (this.agent === null) {
      this.agent = new TranslationAgent(this);
      this.agent.connect(this.forwarders);
      this.agent.invalidations.onProgress = () => this.onAnswered?.();
      this.agent.invalidations.onTimeout = (requester) => this.onDeviceTimeout?.(requester);
      this.first = this.agent;
    }
    return this.agent;
  }

  arrive(tlp: Event): void {
    tlp.unit = this.index;
    this.counters.requests++;
    if (this.queue.enter(tlp)) this.startLookup(tlp);
  }

  private startLookup(tlp: Event): void {
    const now = this.kernel.clock[0]!;
    const start = this.pipeline.book(now, this.spec.queue.interval);
    this.ledger.chargeBoth(tlp.id, Cause.Ingress, now, Cause.Lookup, start + this.lookupPs);
    this.kernel.relay(start, this.lookupPs, tlp, Op.IommuLookup);
  }

  /** A request is kept for software, which may take long: it gives its place in the queue up. */
  park(tlp: Event): void {
    const following = this.queue.park(tlp);
    const admitted = this.queue.admit(tlp);
    if (admitted !== null) this.startLookup(admitted);
    this.release(following);
  }

  /**
   * A request waits in its place until it can be kept for software. A drain does not wait for those that are translated behind it: software may answer behind the command that
   * drains.
   */
  hold(tlp: Event): void {
    tlp.state = Progress.Held;
    const old = 1 - this.epoch;
    if (this.inFlight[old] === 0) return;
    this.recall();
    if (this.inFlight[old] === 0) this.onDrained?.();
  }

  /** Requests that wait behind a held one give up translations from before the present drain epoch: they are looked up again. */
  private recall(): void {
    const { epoch, inFlight } = this;
    this.queue.behindHeld((tlp) => {
      const own = (tlp.flags & TlpFlag.EpochOdd) !== 0 ? 1 : 0;
      if (own === epoch) return;
      inFlight[own]!--;
      if ((tlp.flags & TlpFlag.Aborted) !== 0) {
        // It uses no translation: it counts as one of the present epoch.
        inFlight[epoch]!++;
        tlp.flags ^= TlpFlag.EpochOdd;
        return;
      }
      tlp.flags &= ~TlpFlag.EpochOdd;
      tlp.state = Progress.Pending;
      this.ledger.charge(tlp.id, Cause.Order, this.kernel.clock[0]!);
      this.startLookup(tlp);
    });
  }

  /** A request that was held or parked is looked up again; if it was parked, when there is room in the queue. */
  retry(tlp: Event): void {
    this.ledger.charge(tlp.id, Cause.Stalled, this.kernel.clock[0]!);
    tlp.flags |= TlpFlag.Resumed;
    if ((tlp.state as Progress) !== Progress.Parked) {
      tlp.state = Progress.Pending;
      this.startLookup(tlp);
    } else if (this.queue.enter(tlp)) this.startLookup(tlp);
  }

  /** A request that was held or parked is refused. */
  terminate(tlp: Event): void {
    this.ledger.charge(tlp.id, Cause.Stalled, this.kernel.clock[0]!);
    this.counters.aborted++;
    tlp.flags |= TlpFlag.Resumed | TlpFlag.Aborted;
    if ((tlp.state as Progress) !== Progress.Parked) this.ready(tlp);
    else {
      this.translated(tlp);
      this.forward(tlp);
    }
  }

  /** Op.IommuLookup. */
  lookup(tlp: Event): void {
    if (this.first?.takes(tlp) === true) return;
    const space = this.architecture.contexts.find(this.requesters[tlp.source]!, tlp.context, true);
    if (space === null) {
      this.walkers.miss(tlp);
      return;
    }
    const needed = this.neededBy(tlp.flags);
    if (space.stage === Stage.PassThrough) {
      if (((needed & ~space.grants) | (tlp.addressHi & space.aboveHi)) !== 0) {
        this.walkers.miss(tlp);
        return;
      }
      tlp.outHi = tlp.addressHi;
      tlp.outLo = tlp.addressLo;
      this.ready(tlp);
      return;
    }
    const t = this.translations;
    // What the space does not grant, another that shares its cached translations may have been granted.
    const granted = (tlp.flags & TlpFlag.Special) === 0 || (needed & ~space.grants) === 0;
    if (granted && t.lookup(space, tlp.addressHi, tlp.addressLo, needed)) {
      tlp.outHi = t.outHi;
      tlp.outLo = t.outLo;
      this.ready(tlp);
    } else this.walkers.miss(tlp);
  }

  /** Permissions a request needs: a DMA without privilege is a user's. */
  neededBy(flags: number): number {
    if ((flags & TlpFlag.Special) === 0) return accessOf(flags) | Permission.User;
    return (flags & TlpFlag.TranslationRequest) !== 0 ? this.agent!.neededBy(flags) : this.architecture.required(flags);
  }

  /** Translated (or aborted): leaves now, or when the older ones have. */
  ready(tlp: Event): void {
    this.translated(tlp);
    this.release(this.queue.translated(tlp));
  }

  /** What has been looked up and is not in memory yet is counted, for drains. */
  private translated(tlp: Event): void {
    if ((tlp.flags & TlpFlag.Resumed) !== 0) this.architecture.proceeds!(tlp);
    if (this.epoch === 1) tlp.flags |= TlpFlag.EpochOdd;
    this.inFlight[this.epoch]!++;
  }

  private forward(tlp: Event): void {
    if (this.observer !== null && (tlp.flags & TlpFlag.NoMemory) === 0) this.report(tlp, this.kernel.clock[0]!);
    this.forwarders[tlp.source]!.forward(tlp);
  }

  /** The request leaves the queue, and those that were behind it. */
  private release(first: Event | null): void {
    let out = first;
    while (out !== null) {
      const following = this.queue.leave(out);
      this.forward(out);
      const admitted = this.queue.admit(out);
      if (admitted !== null) this.startLookup(admitted);
      out = following;
    }
  }

  /** A DMA leaves for memory. */
  report(tlp: Event, now: number): void {
    this.observer?.translated(
      this.index,
      this.requesters[tlp.source]!,
      tlp.context,
      (tlp.addressHi >>> 0) * 4294967296 + (tlp.addressLo >>> 0),
      (tlp.outHi >>> 0) * 4294967296 + (tlp.outLo >>> 0),
      tlp.bytes,
      accessOf(tlp.flags),
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
    if (this.inFlight[old]! > 0) this.recall();
    return this.inFlight[old]!;
  }

  /** Empties every cache at this instant, without any of the time that commands would take: for tools and tests. */
  dropCaches(): void {
    this.translations.dropAll();
    this.architecture.contexts.dropAll();
  }

  resetCounters(now: number): void {
    Object.assign(this.counters, new UnitCounters());
    this.translations.resetCounters();
    this.queue.stalls = 0;
    this.queue.occupancy.reset(now);
    this.walkers.resetCounters(now);
    this.agent?.resetCounters();
    this.architecture.contexts.resetCounters();
  }
}

/** Access bits of a request from its TlpFlag bits. */
export function accessOf(flags: number): Access {
  return (flags & TlpFlag.Write) !== 0 ? Access.Write : Access.Read;
}
