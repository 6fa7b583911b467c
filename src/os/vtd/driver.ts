/**
 * The VT-d driver (drivers/iommu/intel: iommu.c, pasid.c, cache.c): translation entries per device, domain ids per unit, and the
 * invalidations of the DMA API. Second-stage domains invalidate by domain id, first-stage domains by PASID, device TLBs after the unit's own
 * caches. Not modelled: hot-plug.
 */
import {
  encodeContextInvalidation,
  encodeDeviceTlbInvalidation,
  encodeIotlbInvalidation,
  encodePasidCacheInvalidation,
  encodePasidDeviceTlbInvalidation,
  encodePasidIotlbInvalidation,
  Granularity,
  PasidCacheGranularity,
} from '../../iommu/arch/vtd/format.js';
import type { Format } from '../../pagetable/format.js';
import { high } from '../../pagetable/page-size.js';
import { PageTable } from '../../pagetable/table.js';
import type { CacheTag, DeviceTag, DomainState } from '../domain-state.js';
import { shadowOf } from '../guest/shadow.js';
import type { PageResponder } from '../fault-device.js';
import type { Endpoint, FaultPath, IommuDriver } from '../iommu-driver.js';
import type { UnitSpec } from '../spec.js';
import type { UnitDriverEnvironment } from '../unit-environment.js';
import { type Call, type Thread, Wait } from '../thread.js';
import { type Block, coveringBlock } from '../flush-range.js';
import { DESCRIPTOR_WORDS } from './queue.js';
import { BATCH, RangeFlush } from './range-flush.js';
import { firstStageFormat, secondStageFormat, usesFirstStage } from './formats.js';
import { VtdUnit } from './unit.js';

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
    const ats = device.ats !== null;
    if (spec.mode === 'legacy') unit.tables.setContext(device.requester, root, tag.id, ats);
    else
      unit.tables.setPasid(device.requester, Math.max(pasid, 0), root, tag.id, ats, device.ats?.pageRequests === true);
    domain.addDeviceTag(device, pasid);
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
    if (device.ats !== null) {
      const { requester, ats } = device;
      encodeDeviceTlb(words, 0, { unit: unit.id, requester, pasid, queueDepth: ats.queueDepth }, 0, EVERYTHING);
      yield* unit.queue.submit(thread, words, 1);
    }
    domain.cacheLock.release(thread);
    domain.dropDeviceTag(device, pasid);
    if (domain.dropTag(device.unit, tagPasid) && domain.type === 'dma') {
      unit.emulated?.shadows.get(tag.id)?.destroy();
      unit.emulated?.shadows.delete(tag.id);
      unit.freeDomainId(tag.id);
    }
    this.environment.observer?.detached(domain.id, device.unit, device.requester, pasid);
  }

  /** cache_tag_flush_range_np. */
  syncMap(thread: Thread, domain: DomainState, iova: number, bytes: number): Call<void> {
    return this.flush(thread, domain, [coveringBlock(iova, bytes)], false);
  }

  mapAtBoot(domain: DomainState, iova: number, bytes: number): void {
    for (const { unit, id } of domain.tags) this.units[unit]!.emulated?.shadows.get(id)?.syncAtBoot(iova, iova + bytes);
  }

  flushRange(thread: Thread, domain: DomainState, iova: number, bytes: number, tablesFreed: boolean): Call<void> {
    return this.flush(thread, domain, [coveringBlock(iova, bytes)], this.environment.invalidationHint && !tablesFreed);
  }

  flushRanges(
    thread: Thread,
    domain: DomainState,
    iovas: readonly number[],
    bytes: number,
    tablesFreed: boolean,
  ): Call<void> {
    const hint = this.environment.invalidationHint && !tablesFreed;
    return this.flush(
      thread,
      domain,
      iovas.map((iova) => coveringBlock(iova, bytes)),
      hint,
    );
  }

  flushAll(thread: Thread, domain: DomainState): Call<void> {
    return this.flush(thread, domain, [{ start: 0, mask: EVERYTHING }], false);
  }

  /** qi_flush_iotlb with DMA_TLB_GLOBAL_FLUSH: of each unit, without the domain's lock. */
  *flushGlobal(thread: Thread, domain: DomainState): Call<void> {
    const { scheduler, statistics } = this.environment;
    if (thread.debt !== 0) yield Wait.Run;
    const asked = scheduler.now();
    const words = new Int32Array(DESCRIPTOR_WORDS);
    encodeIotlbInvalidation(words, 0, Granularity.Global, 0, 0, 0, 0, false, true, true);
    for (const id of new Set(domain.tags.map(({ unit }) => unit))) {
      thread.irqOff++;
      yield* this.units[id]!.queue.submit(thread, words, 1);
      thread.irqOff--;
    }
    if (thread.debt !== 0) yield Wait.Run;
    statistics.flushes++;
    statistics.latency.add(scheduler.now() - asked);
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

  recoverPageRequests(unit: number, path: FaultPath): PageResponder {
    return this.units[unit]!.recoverPageRequests(path, this.environment);
  }

  pagesRequested(unit: number): void {
    this.units[unit]!.pages!.line.raise();
  }

  changed(unit: number, offset: number, hi: number, lo: number): void {
    this.units[unit]?.pages?.changed(offset, lo);
    this.units[unit]?.host.changed(offset, hi, lo);
  }

  stored(hi: number, lo: number): void {
    for (const unit of this.units) if (unit?.stored(hi, lo) === true) return;
  }

  private flush(thread: Thread, domain: DomainState, blocks: readonly Block[], hint: boolean): Call<void> {
    const flush = this.idleFlushes.pop() ?? new RangeFlush(this.environment, this, this.idleFlushes);
    flush.begin(thread, domain, blocks, hint);
    return flush;
  }

  /** End of the tags of one unit, of which number `first` is the first. */
  unitEnd({ tags }: DomainState, first: number): number {
    let end = first + 1;
    while (end < tags.length && tags[end]!.unit === tags[first]!.unit) end++;
    return end;
  }

  /** Tags of devices behind the unit of tag `first`. */
  deviceTags({ tags, deviceTags }: DomainState, first: number): number {
    let count = 0;
    for (const tag of deviceTags) if (tag.unit === tags[first]!.unit) count++;
    return count;
  }

  /**
   * Submits `count` descriptors for a unit, those from number `from` on: one for each of its tags and each block, then, because a device that
   * missed before the unit's caches were clean would bring the old translation back, for the tags of devices.
   */
  submitBatch(
    thread: Thread,
    domain: DomainState,
    first: number,
    from: number,
    count: number,
    blocks: readonly Block[],
    hint: boolean,
  ): Call<void> {
    const { tags } = domain;
    const words = batchOf(domain);
    const unit = this.units[tags[first]!.unit]!;
    const own = this.unitEnd(domain, first) - first;
    for (let i = 0; i < count; i++) {
      const number = Math.floor((from + i) / blocks.length);
      const block = blocks[from + i - number * blocks.length]!;
      if (number < own) this.encode(words, DESCRIPTOR_WORDS * i, unit.spec, tags[first + number]!, block, hint);
      else {
        const tag = domain.deviceTags.filter((device) => device.unit === unit.id)[number - own]!;
        encodeDeviceTlb(words, DESCRIPTOR_WORDS * i, tag, block.start, block.mask);
      }
    }
    return unit.queue.submit(thread, words, count);
  }

  /** The descriptor for one tag; a range larger than the unit can name becomes the whole domain, or PASID. */
  private encode(
    out: Int32Array,
    at: number,
    spec: UnitSpec,
    tag: CacheTag,
    { start, mask }: Block,
    hint: boolean,
  ): void {
    const all = mask > spec.invalidation.maxAddressMask;
    const { statistics } = this.environment;
    if (all) statistics.domains++;
    else statistics.pages++;
    const granularity = all ? Granularity.Domain : Granularity.Selective;
    const hi = all ? 0 : high(start);
    const lo = all ? 0 : start | 0;
    const am = all ? 0 : mask;
    if (tag.pasid >= 0) encodePasidIotlbInvalidation(out, at, granularity, tag.id, tag.pasid, hi, lo, am, hint);
    else encodeIotlbInvalidation(out, at, granularity, tag.id, hi, lo, am, hint, true, true);
  }

  /** The table that hardware walks: the domain's own, or its shadow in caching mode. Null: none, requests pass. */
  private rootOf(domain: DomainState, unit: VtdUnit, { id }: CacheTag): number | null {
    const { space } = domain;
    if (space === null) return domain.table?.root ?? null;
    const { monitor } = this.environment;
    if (monitor === null || !this.syncsMaps) return space.table.root;
    const { memory, costs, units } = this.environment;
    return shadowOf(unit.emulated!.shadows, id, space, {
      monitor,
      memory,
      frames: units[unit.id]!.frames,
      costs,
      invalidate: (thread, ...range) => unit.invalidate(thread, id, ...range),
    }).table.root;
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

/** qi_batch_add_dev_iotlb and qi_batch_add_pasid_dev_iotlb: 2^mask pages from `start` on. Functions of their own have PFSID 0. */
function encodeDeviceTlb(out: Int32Array, at: number, tag: DeviceTag, start: number, mask: number): void {
  const all = mask >= EVERYTHING;
  const hi = all ? 0 : Math.floor(start / 2 ** 32);
  const lo = all ? 0 : start | 0;
  const sizeLg2 = all ? 64 : 12 + mask;
  const { requester, pasid, queueDepth } = tag;
  // 0 stands for 32.
  const most = queueDepth % 32;
  if (pasid < 0) encodeDeviceTlbInvalidation(out, at, requester, 0, most, hi, lo, sizeLg2);
  else encodePasidDeviceTlbInvalidation(out, at, requester, 0, most, pasid, hi, lo, sizeLg2);
}
