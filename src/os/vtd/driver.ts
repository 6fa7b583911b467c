/**
 * The VT-d driver (drivers/iommu/intel: iommu.c, pasid.c, cache.c): translation entries per device, domain ids per unit, and the
 * invalidations of the DMA API. Second-stage domains invalidate by domain id, first-stage domains by PASID. Not modelled: ATS
 * (no device-TLB invalidations), hot-plug.
 */
import {
  encodeContextInvalidation,
  encodeIotlbInvalidation,
  encodePasidCacheInvalidation,
  encodePasidIotlbInvalidation,
  Granularity,
  PasidCacheGranularity,
} from '../../iommu/arch/vtd/format.js';
import type { Format } from '../../pagetable/format.js';
import { PageTable } from '../../pagetable/table.js';
import type { CacheTag, DomainState } from '../domain-state.js';
import { Shadow } from '../guest/shadow.js';
import type { Endpoint, IommuDriver } from '../iommu-driver.js';
import type { UnitSpec } from '../spec.js';
import type { UnitDriverEnvironment } from '../unit-environment.js';
import { type Call, type Thread, Wait } from '../thread.js';
import { addressMask, blockStart } from '../flush-range.js';
import { DESCRIPTOR_WORDS } from './queue.js';
import { RangeFlush } from './range-flush.js';
import { firstStageFormat, secondStageFormat, usesFirstStage } from './formats.js';
import { VtdUnit } from './unit.js';

/** Descriptors submitted at once (QI_MAX_BATCHED_DESC_COUNT). */
const BATCH = 16;
/** Address mask that no unit takes: everything in the domain. */
const EVERYTHING = 64;
/** Domain id of identity domains and process address spaces (FLPT_DEFAULT_DID); 0 is reserved, others are handed out from 2 up. */
const DEFAULT_DID = 1;

/** Message-signalled interrupts: writes to these addresses are not translated (VT-d specification 3.14). */
const INTERRUPTS = [[0xfee00000, 0xfeefffff]] as const;

export class VtdDriver implements IommuDriver {
  /** With shadowed tables the monitor has to hear of every map (caching mode, VT-d specification 6.1). */
  readonly syncsMaps: boolean;
  /** Linux maps strictly in caching mode (intel_iommu_init). */
  readonly defersFlush: boolean;
  private readonly units: readonly (VtdUnit | null)[];
  private readonly formats: readonly (Format | null)[];
  /** Records of flushes that are over. */
  private readonly idleFlushes: RangeFlush[] = [];

  /** Sets up and enables every unit. */
  constructor(protected readonly environment: UnitDriverEnvironment) {
    this.syncsMaps = environment.monitor?.spec.mode === 'caching';
    this.defersFlush = !this.syncsMaps;
    this.units = environment.units.map((unit, id) =>
      unit === null ? null : new VtdUnit(id, unit.spec, unit.frames, environment),
    );
    this.formats = environment.units.map((unit) =>
      unit === null
        ? null
        : usesFirstStage(unit.spec)
          ? firstStageFormat(unit.spec)
          : secondStageFormat(unit.spec, unit.spec.levels),
    );
  }

  createTable(unit: number): PageTable {
    const { spec, frames } = this.environment.units[unit]!;
    return new PageTable(this.formats[unit]!, this.environment.memory, frames, spec.levels);
  }

  apertureBits(unit: number): number {
    const { spec } = this.environment.units[unit]!;
    const bits = 12 + 9 * spec.levels;
    // First-stage addresses are canonical: software uses the lower half.
    return usesFirstStage(spec) ? bits - 1 : bits;
  }

  supportsPasid(unit: number): boolean {
    return this.environment.units[unit]!.spec.mode === 'scalable';
  }

  reserved(): readonly (readonly [number, number])[] {
    return INTERRUPTS;
  }

  attach(domain: DomainState, device: Endpoint, pasid: number): void {
    const unit = this.units[device.unit]!;
    const { spec } = unit;
    const tagPasid = this.tagPasid(domain, spec, pasid);
    const tag = domain.addTag(device.unit, tagPasid, () =>
      domain.type === 'dma' ? unit.allocateDomainId() : DEFAULT_DID,
    );
    const root = this.rootOf(domain, unit, tag);
    if (spec.mode === 'legacy') unit.tables.setContext(device.requester, root, tag.id);
    else unit.tables.setPasid(device.requester, Math.max(pasid, 0), root, tag.id);
    const identity = domain.type === 'identity';
    this.environment.observer?.attached(domain.id, device.unit, device.requester, pasid, identity);
  }

  /** domain_context_clear_one, intel_pasid_tear_down_entry: entry, then its cache, then the translations, each waited for. */
  *detach(thread: Thread, domain: DomainState, device: Endpoint, pasid: number): Call<void> {
    const unit = this.units[device.unit]!;
    const tagPasid = this.tagPasid(domain, unit.spec, pasid);
    const tag = domain.tags.find((other) => other.unit === device.unit && other.pasid === tagPasid);
    if (tag === undefined) throw new Error(`domain ${domain.id} is not attached to ${device.name}`);
    if (thread.debt !== 0) yield Wait.Run;
    if (!domain.cacheLock.take(thread)) yield Wait.Block;
    const scalable = unit.spec.mode === 'scalable';
    const words = batchOf(domain);
    const ownPasid = Math.max(pasid, 0);
    if (scalable) {
      unit.tables.clearPasid(device.requester, ownPasid);
      encodePasidCacheInvalidation(words, 0, PasidCacheGranularity.Pasid, tag.id, ownPasid);
    } else {
      unit.tables.clearContext(device.requester);
      encodeContextInvalidation(words, 0, Granularity.Selective, tag.id, device.requester, 0);
    }
    yield* unit.queue.submit(thread, words, 1);
    // As Linux does, pass-through entries (PGTT 100b) are removed like first-stage ones.
    if (scalable && (domain.type === 'identity' || usesFirstStage(unit.spec))) {
      encodePasidIotlbInvalidation(words, 0, Granularity.Domain, tag.id, ownPasid, 0, 0, 0, false);
    } else {
      encodeIotlbInvalidation(words, 0, Granularity.Domain, tag.id, 0, 0, 0, false, true, true);
    }
    yield* unit.queue.submit(thread, words, 1);
    domain.cacheLock.release(thread);
    if (domain.dropTag(device.unit, tagPasid) && domain.type === 'dma') {
      unit.emulated?.shadows.get(tag.id)?.destroy();
      unit.emulated?.shadows.delete(tag.id);
      unit.freeDomainId(tag.id);
    }
    this.environment.observer?.detached(domain.id, device.unit, device.requester, pasid);
  }

  /** cache_tag_flush_range_np. */
  syncMap(thread: Thread, domain: DomainState, iova: number, bytes: number): Call<void> {
    const mask = addressMask(iova, bytes);
    return this.flush(thread, domain, blockStart(iova, mask), mask, false);
  }

  mapAtBoot(domain: DomainState, iova: number, bytes: number): void {
    for (const { unit, id } of domain.tags) this.units[unit]!.emulated?.shadows.get(id)?.syncAtBoot(iova, iova + bytes);
  }

  flushRange(thread: Thread, domain: DomainState, iova: number, bytes: number, tablesFreed: boolean): Call<void> {
    const mask = addressMask(iova, bytes);
    const hint = this.environment.invalidationHint && !tablesFreed;
    return this.flush(thread, domain, blockStart(iova, mask), mask, hint);
  }

  flushAll(thread: Thread, domain: DomainState): Call<void> {
    return this.flush(thread, domain, 0, EVERYTHING, false);
  }

  /** Nested entries carry the guest's domain ids, that of process address spaces among them: one descriptor for each. */
  *flushStage2(thread: Thread): Call<void> {
    const words = new Int32Array(BATCH * DESCRIPTOR_WORDS);
    for (const unit of this.units) {
      if (unit === null || unit.spec.stage !== 'nested') continue;
      const ids = [DEFAULT_DID, ...unit.liveDomainIds()];
      for (let from = 0; from < ids.length; from += BATCH) {
        const batch = ids.slice(from, from + BATCH);
        batch.forEach((id, i) => {
          encodeIotlbInvalidation(words, i * DESCRIPTOR_WORDS, Granularity.Domain, id, 0, 0, 0, false, true, true);
        });
        yield* unit.host.submit(thread, words, batch.length);
      }
    }
  }

  stored(hi: number, lo: number): void {
    for (const unit of this.units) if (unit?.stored(hi, lo) === true) return;
  }

  private flush(thread: Thread, domain: DomainState, start: number, mask: number, hint: boolean): Call<void> {
    const flush = this.idleFlushes.pop() ?? new RangeFlush(this.environment, this, this.idleFlushes);
    flush.begin(thread, domain, start, mask, hint);
    return flush;
  }

  /** End of the tags from number `from` on whose descriptors go to one unit at once. */
  batchEnd(domain: DomainState, from: number): number {
    const { tags } = domain;
    let end = from + 1;
    while (end < tags.length && end - from < BATCH && tags[end]!.unit === tags[from]!.unit) end++;
    return end;
  }

  /** Submits a descriptor for each of those tags. */
  submitBatch(
    thread: Thread,
    domain: DomainState,
    from: number,
    end: number,
    start: number,
    mask: number,
    hint: boolean,
  ): Call<void> {
    const { tags } = domain;
    const words = batchOf(domain);
    const unit = this.units[tags[from]!.unit]!;
    for (let at = from; at < end; at++) {
      this.encode(words, DESCRIPTOR_WORDS * (at - from), unit.spec, tags[at]!, start, mask, hint);
    }
    return unit.queue.submit(thread, words, end - from);
  }

  /** The descriptor for one tag; a range larger than the unit can name becomes the whole domain, or PASID. */
  private encode(
    out: Int32Array,
    at: number,
    spec: UnitSpec,
    tag: CacheTag,
    start: number,
    mask: number,
    hint: boolean,
  ): void {
    const all = mask > spec.invalidation.maxAddressMask;
    const { statistics } = this.environment;
    if (all) statistics.domains++;
    else statistics.pages++;
    const granularity = all ? Granularity.Domain : Granularity.Selective;
    const hi = all ? 0 : Math.floor(start / 2 ** 32);
    const lo = all ? 0 : start | 0;
    const am = all ? 0 : mask;
    if (tag.pasid >= 0) encodePasidIotlbInvalidation(out, at, granularity, tag.id, tag.pasid, hi, lo, am, hint);
    else encodeIotlbInvalidation(out, at, granularity, tag.id, hi, lo, am, hint, true, true);
  }

  /** The table that hardware walks: the domain's own, or its shadow in caching mode. Null: none, requests pass. */
  private rootOf(domain: DomainState, unit: VtdUnit, { id }: CacheTag): number | null {
    const { space } = domain;
    if (space === null) return domain.table?.root ?? null;
    const { monitor, memory, costs } = this.environment;
    if (monitor === null || !this.syncsMaps) return space.table.root;
    const { shadows } = unit.emulated!;
    let shadow = shadows.get(id);
    if (shadow === undefined) {
      const { frames } = this.environment.units[unit.id]!;
      shadow = new Shadow(space.table, space.code, {
        monitor,
        memory,
        frames,
        costs,
        invalidate: (thread, ...range) => unit.invalidate(thread, id, ...range),
      });
      shadows.set(id, shadow);
    }
    return shadow.table.root;
  }

  /** First-stage translations are invalidated by PASID, 0 for requests without; second-stage ones by domain id alone. */
  private tagPasid(domain: DomainState, spec: UnitSpec, pasid: number): number {
    return domain.type !== 'identity' && usesFirstStage(spec) ? Math.max(pasid, 0) : -1;
  }
}

/** Descriptors under construction, protected by the domain's cache_lock. */
function batchOf(domain: DomainState): Int32Array {
  domain.batch ??= new Int32Array(BATCH * DESCRIPTOR_WORDS);
  return domain.batch;
}
