/**
 * What a unit's command queue did since the window began: commands by what they remove, what they did remove, and time. An entry is
 * `outside` when it meets none of the pages that software asked for (protocol/asked.ts), or where that is not known, that the command
 * names.
 */
import type { AskedRanges } from '../protocol/asked.js';
import { Histogram } from '../stats/histogram.js';
import { type Pages, POWER } from './page-range.js';
import type { Tag } from './tag.js';
import type { Witness } from './tag-index.js';
import type { Translations } from './translations.js';

/** Kinds of invalidations of translations, by what the command names. */
export const enum Removes {
  /** One page. */
  Page,
  /** A naturally aligned power of two of pages. */
  Cover,
  /** Pages from one to another. */
  Range,
  /** A PASID, ASID or PSCID. */
  Pasid,
  /** A domain, VMID, GSCID, endpoint. */
  Domain,
  Global,
}

export const REMOVES = ['page', 'cover', 'range', 'pasid', 'domain', 'global'] as const;

/** Of one kind of command. */
export class RemovalCounters {
  commands = 0;
  /** Entries removed from the IOTLB, the paging-structure caches (level 2 first) and the second-stage TLB; of all those `outside`. */
  leaves = 0;
  readonly tables: Int32Array = new Int32Array(4);
  seconds = 0;
  outside = 0;
  /** From the command being understood to its completion, the wait for older requests included where it has to wait. ps */
  readonly service: Histogram = new Histogram();

  reset(): void {
    this.commands = 0;
    this.leaves = 0;
    this.tables.fill(0);
    this.seconds = 0;
    this.outside = 0;
    this.service.reset();
  }
}

const enum Clock {
  /** Start of the present busy period or -1, time of those before. */
  BusySince,
  Busy,
  DrainSince,
  Drain,
  /** When the present command began; how long it had waited. */
  Began,
  Waited,
  /** When the present command takes effect. */
  Effect,
  Count,
}

export class CommandCounters implements Witness {
  context = 0;
  pasid = 0;
  wait = 0;
  drains = 0;
  readonly removals: readonly RemovalCounters[] = REMOVES.map(() => new RemovalCounters());
  /** From the doorbell that announced an invalidation to its start, ps. */
  readonly queueWait: Histogram = new Histogram();
  /** Set by who builds the machine. */
  asked: AskedRanges | null = null;
  private readonly clocks = new Float64Array(Clock.Count);
  /** Invalidation being executed, or null, and the pages that it names, null: all. */
  private current: RemovalCounters | null = null;
  private named: Pages | null = null;

  /** `translations`: what the commands remove entries from; null: nothing is cached. */
  constructor(translations: Translations | null) {
    this.clocks[Clock.BusySince] = -1;
    translations?.watch(this);
  }

  get iotlbPage(): number {
    const { removals } = this;
    return removals[Removes.Page]!.commands + removals[Removes.Cover]!.commands + removals[Removes.Range]!.commands;
  }

  get iotlbDomain(): number {
    return this.removals[Removes.Pasid]!.commands + this.removals[Removes.Domain]!.commands;
  }

  get iotlbGlobal(): number {
    return this.removals[Removes.Global]!.commands;
  }

  busy(now: number): void {
    this.clocks[Clock.BusySince] = now;
  }

  idle(now: number): void {
    this.clocks[Clock.Busy]! += now - this.clocks[Clock.BusySince]!;
    this.clocks[Clock.BusySince] = -1;
  }

  drainBegins(now: number): void {
    this.drains++;
    this.clocks[Clock.DrainSince] = now;
  }

  drainEnds(now: number): void {
    this.clocks[Clock.Drain]! += now - this.clocks[Clock.DrainSince]!;
  }

  /** A command has been understood and begins; it was announced at `announced`. */
  begins(now: number, announced: number): void {
    this.clocks[Clock.Began] = now;
    this.clocks[Clock.Waited] = now - announced;
  }

  /** The command takes effect now. */
  executes(now: number): void {
    this.clocks[Clock.Effect] = now;
  }

  /** It removes translations. `named`: the pages it names, null: all. `served` has to follow. */
  removes(kind: Removes, named: Pages | null): void {
    this.current = this.removals[kind]!;
    this.current.commands++;
    this.named = named;
    if (named === null && this.asked !== null) this.asked.executed[0] = this.clocks[Clock.Effect]!;
  }

  /** The command is complete. */
  served(now: number): void {
    const { current } = this;
    if (current === null) return;
    current.service.add(now - this.clocks[Clock.Began]!);
    this.queueWait.add(this.clocks[Clock.Waited]!);
    this.current = null;
  }

  removed({ region, spanLg2, level }: Tag, second: boolean): void {
    const { current } = this;
    if (current === null) return;
    if (second) current.seconds++;
    else if (level === 1) current.leaves++;
    else current.tables[level - 2]!++;
    const pages = POWER[spanLg2 - 12]!;
    const first = region * pages;
    const { asked, named } = this;
    let inside = true;
    if (asked !== null && asked.active > 0) inside = asked.meets(first, first + pages);
    else if (named !== null) inside = first < named.first + named.count && first + pages > named.first;
    if (!inside) current.outside++;
  }

  /** Time in which the queue was being worked on, ps. */
  busyPs(now: number): number {
    const since = this.clocks[Clock.BusySince]!;
    return this.clocks[Clock.Busy]! + (since >= 0 ? now - since : 0);
  }

  drainPs(): number {
    return this.clocks[Clock.Drain]!;
  }

  reset(now: number): void {
    this.context = 0;
    this.pasid = 0;
    this.wait = 0;
    this.drains = 0;
    for (const removal of this.removals) removal.reset();
    this.queueWait.reset();
    this.clocks[Clock.Busy] = 0;
    this.clocks[Clock.Drain] = 0;
    if (this.clocks[Clock.BusySince]! >= 0) this.clocks[Clock.BusySince] = now;
  }
}
