/**
 * Finds the entries that an invalidation may remove without looking at all of them: by domain and stage, by domain and PASID, or by
 * place (domain, PASID, page). Hardware compares all tags at once; the simulator would take time in proportion to the structure.
 * Fills only note the entry's number; it is put on the chains when the next invalidation asks, and chains that nobody has asked for
 * do not exist. What is found is a superset; the rule of the architecture decides.
 */
import type { Stage } from './address-space.js';
import type { SetAssociativeCache } from '../tlb/cache.js';
import { Chains } from './chains.js';
import { type Pages, POWER } from './page-range.js';
import { Tag, type TagReader } from './tag.js';

/** Structures up to this size are looked through: as fast. */
const SMALL = 16;
/** Places looked up without comparing with the number of entries of the process. */
const FEW_PLACES = 16;
/** Input addresses are told apart by the bits below this one; the top byte may be ignored or repeat bit 55 (Arm). */
const ADDRESS_LG2 = 56;
/** Stands for the PASID of global entries: they belong to all. */
const GLOBAL = -1;
export const ANY = -1;
const ALL_STAGES = 15;

/** What an invalidation cannot remove anything outside of. */
export class Scope {
  /** `did`, `pasid`: ANY or one; `pasid` includes global entries of any other. `stages`: bits 1 << Stage. */
  constructor(
    public did: number,
    readonly pasid: number,
    readonly stages: number,
    public pages: Pages | null,
  ) {}
}

export const EVERYTHING: Scope = new Scope(ANY, ANY, ALL_STAGES, null);

/** Entries of a domain, or of one PASID of it, all pages or some. Without stages all. */
export function inDomain(did: number, pasid: number = ANY, pages: Pages | null = null, ...stages: Stage[]): Scope {
  let bits = stages.length === 0 ? ALL_STAGES : 0;
  for (const stage of stages) bits |= 1 << stage;
  return new Scope(did, pasid, bits, pages);
}

function mix(a: number, b: number): number {
  let h = Math.imul(a ^ Math.imul(b, 0x9e3779b1), 0x85ebca6b);
  h ^= h >>> 15;
  return h;
}

const domainHash = (did: number, stage: number): number => mix(did, stage + 1);
const processHash = (did: number, pasid: number): number => mix(did, pasid + 7);

function placeHash(did: number, pasid: number, spanLg2: number, region: number): number {
  const bits = ADDRESS_LG2 - spanLg2;
  const low = bits >= 32 ? region | 0 : bits > 0 ? region & ((1 << bits) - 1) : 0;
  return mix(low, processHash(did, pasid) + spanLg2);
}

/** Told of every entry that an invalidation removes; `second`: from a second-stage TLB. */
export interface Witness {
  removed(tag: Tag, second: boolean): void;
}

const nothing = (): boolean => false;

export class TagIndex {
  witness: Witness | null = null;
  private readonly tag = new Tag();
  private readonly small: boolean;
  private byDomain: Chains | null = null;
  private byProcess: Chains | null = null;
  private byPlace: Chains | null = null;
  /** Of entries put on chains so far: stages as bits, whether any was global, sizes of regions in order of appearance. */
  private stages = 0;
  private globals = false;
  private readonly spans: number[] = [];
  /** The rule of the removal under way. */
  private names: (tag: Tag) => boolean = nothing;

  /** `remove`: takes an entry out of the cache. `second`: it is a second-stage TLB. */
  constructor(
    private readonly cache: SetAssociativeCache,
    private readonly reader: TagReader,
    private readonly remove: (entry: number) => void,
    private readonly second = false,
  ) {
    this.small = cache.entries <= SMALL;
    if (!this.small) cache.keepLog();
  }

  /** Removes the entries of the scope that `drop` names; it must name none outside. The tag is reused: `drop` must not keep it. */
  drop(scope: Scope, drop: (tag: Tag) => boolean): void {
    const { cache } = this;
    if (cache.occupancy === 0) return;
    if (this.small || scope.did === ANY) {
      this.dropFromAll(drop);
      return;
    }
    this.settle();
    if ((scope.stages & this.stages) === 0) return;
    if (scope.pasid === ANY) this.dropFromDomain(scope, drop);
    else if (scope.pages === null || !this.dropFromPlaces(scope, scope.pages, drop)) this.dropFromProcess(scope, drop);
  }

  private dropFromAll(drop: (tag: Tag) => boolean): void {
    const { cache, reader, tag } = this;
    for (let entry = 0; entry < cache.entries; entry++) {
      if (cache.valid[entry] === 0) continue;
      reader.read(entry, tag);
      if (!drop(tag)) continue;
      this.witness?.removed(tag, this.second);
      this.remove(entry);
    }
  }

  private dropFromDomain({ did, stages }: Scope, drop: (tag: Tag) => boolean): void {
    this.byDomain ??= this.chainAll((chains, entry) => this.linkDomain(chains, entry));
    const chains = this.byDomain;
    for (let stage = 0, rest = stages & this.stages; rest !== 0; stage++, rest >>>= 1) {
      if ((rest & 1) !== 0) this.dropFromChain(chains, domainHash(did, stage), drop);
    }
  }

  private dropFromProcess({ did, pasid }: Scope, drop: (tag: Tag) => boolean): void {
    const chains = this.processes();
    this.dropFromChain(chains, processHash(did, pasid), drop);
    if (this.globals) this.dropFromChain(chains, processHash(did, GLOBAL), drop);
  }

  /** Returns false when there are more places than entries of the process. */
  private dropFromPlaces({ did, pasid }: Scope, pages: Pages, drop: (tag: Tag) => boolean): boolean {
    const { spans, globals } = this;
    let places = 0;
    for (const span of spans) places += lastRegion(pages, span) - firstRegion(pages, span) + 1;
    if (globals) places *= 2;
    if (places > FEW_PLACES && places > this.countProcess(did, pasid)) return false;
    this.byPlace ??= this.chainAll((chains, entry) => this.linkPlace(chains, entry));
    const chains = this.byPlace;
    for (const span of spans) {
      const last = lastRegion(pages, span);
      for (let region = firstRegion(pages, span); region <= last; region++) {
        this.dropFromChain(chains, placeHash(did, pasid, span, region), drop);
        if (globals) this.dropFromChain(chains, placeHash(did, GLOBAL, span, region), drop);
      }
    }
    return true;
  }

  private countProcess(did: number, pasid: number): number {
    const { count, mask } = this.processes();
    const globals = this.globals ? count[processHash(did, GLOBAL) & mask]! : 0;
    return count[processHash(did, pasid) & mask]! + globals;
  }

  private processes(): Chains {
    this.byProcess ??= this.chainAll((chains, entry) => this.linkProcess(chains, entry));
    return this.byProcess;
  }

  private dropFromChain(chains: Chains, hash: number, drop: (tag: Tag) => boolean): void {
    this.names = drop;
    chains.sweep(hash & chains.mask, this.cache, this.dropEntry);
  }

  private readonly dropEntry = (entry: number): boolean => {
    const { reader, tag } = this;
    reader.read(entry, tag);
    if (!this.names(tag)) return false;
    this.witness?.removed(tag, this.second);
    this.remove(entry);
    return true;
  };

  /** Puts the entries filled since the last call on the chains there are. */
  private settle(): void {
    const { cache } = this;
    const { log, logFree, valid } = cache;
    if (logFree === 0) {
      for (let entry = 0; entry < cache.entries; entry++) if (valid[entry] === 1) this.enter(entry);
    } else {
      for (let i = logFree; i < log.length; i++) if (valid[log[i]!] === 1) this.enter(log[i]!);
    }
    cache.clearLog();
  }

  private enter(entry: number): void {
    const { tag } = this;
    this.reader.read(entry, tag);
    this.stages |= 1 << tag.stage;
    if (tag.global) this.globals = true;
    if (!this.spans.includes(tag.spanLg2)) this.spans.push(tag.spanLg2);
    if (this.byDomain !== null) this.linkDomain(this.byDomain, entry);
    if (this.byProcess !== null) this.linkProcess(this.byProcess, entry);
    if (this.byPlace !== null) this.linkPlace(this.byPlace, entry);
  }

  private chainAll(link: (chains: Chains, entry: number) => void): Chains {
    const { cache } = this;
    const chains = new Chains(cache.entries);
    for (let entry = 0; entry < cache.entries; entry++) {
      if (cache.valid[entry] === 0) continue;
      this.reader.read(entry, this.tag);
      link(chains, entry);
    }
    return chains;
  }

  // These three link the entry whose tag has been read.
  private linkDomain(chains: Chains, entry: number): void {
    chains.link(entry, domainHash(this.tag.did, this.tag.stage) & chains.mask);
  }

  private linkProcess(chains: Chains, entry: number): void {
    const { did, pasid, global } = this.tag;
    chains.link(entry, processHash(did, global ? GLOBAL : pasid) & chains.mask);
  }

  private linkPlace(chains: Chains, entry: number): void {
    const { did, pasid, global, spanLg2, region } = this.tag;
    chains.link(entry, placeHash(did, global ? GLOBAL : pasid, spanLg2, region) & chains.mask);
  }
}

/** Numbers of the regions of 2^spanLg2 bytes that the pages touch. */
function firstRegion({ first }: Pages, spanLg2: number): number {
  return Math.floor(first / POWER[spanLg2 - 12]!);
}

function lastRegion({ first, count }: Pages, spanLg2: number): number {
  return Math.floor((first + count - 1) / POWER[spanLg2 - 12]!);
}
