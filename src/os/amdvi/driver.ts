/**
 * The AMD driver (drivers/iommu/amd/iommu.c): device table entries, GCR3 entries, domain ids, and the invalidations of the DMA API. Host (v1)
 * domains share one domain id over all units and devices; guest (v2) domains are tagged by a domain id of each device and PASID. A flush
 * queues a command for every unit, or device, and then waits for one unit after the other, all under the domain's lock.
 * TLBs of devices are invalidated after that, before the waits. Not modelled: growing host tables (change_top), dirty tracking, SNP.
 */
import {
  encodeInvalidateAll,
  encodeInvalidateDevice,
  encodeInvalidateDeviceTlb,
  encodeInvalidatePages,
  EVERYTHING,
} from '../../iommu/arch/amdvi/format.js';
import type { Format } from '../../pagetable/format.js';
import { PageTable } from '../../pagetable/table.js';
import type { DomainState } from '../domain-state.js';
import { AttachError } from '../errors.js';
import { type Block, coveringBlock } from '../flush-range.js';
import { shadowOf } from '../guest/shadow.js';
import type { PageResponder } from '../fault-device.js';
import type { Endpoint, FaultPath, IommuDriver } from '../iommu-driver.js';
import { type Call, type Thread, Wait } from '../thread.js';
import type { UnitDriverEnvironment } from '../unit-environment.js';
import { COMMAND_WORDS } from './command-buffer.js';
import { guestTableFormat, hostTableFormat, usesGuestTables } from './formats.js';
import { AmdviUnit, type GuestDevice } from './unit.js';

const PAGE = 4096;
/** Domain ids are global; 0 is reserved. */
const DOMAIN_IDS = 2 ** 16;
/** Message-signalled interrupts, and the HyperTransport range below 1 TiB (amd_iommu_get_resv_regions). */
const RESERVED = [
  [0xfee00000, 0xfeefffff],
  [0xfd_0000_0000, 0xff_ffff_ffff],
] as const;

/** What a flush of a domain has to name on one unit: host pages (`pasid` -1) of a domain id, or guest pages of a device's. */
interface Target {
  readonly unit: AmdviUnit;
  readonly requester: number;
  readonly id: number;
  readonly pasid: number;
}

interface Attachments {
  /** Domain id of a host domain; 0: it has none yet. */
  id: number;
  /** Ordered by unit. */
  readonly targets: Target[];
  /** The command under construction, protected by the domain's lock. */
  readonly words: Int32Array;
}

export class AmdviDriver implements IommuDriver {
  /** With shadowed tables the monitor has to hear of every map (NpCache). */
  readonly syncsMaps: boolean;
  /** Linux maps strictly where the unit says NpCache (iommu_init_pci). */
  readonly defersFlush: boolean;
  private readonly units: readonly (AmdviUnit | null)[];
  private readonly formats: readonly (Format | null)[];
  private readonly attachments = new Map<DomainState, Attachments>();
  private readonly freeIds: number[] = [];
  private nextId = 1;

  /** Sets up and enables every unit. */
  constructor(protected readonly environment: UnitDriverEnvironment) {
    this.syncsMaps = environment.monitor?.spec.mode === 'caching';
    this.defersFlush = !this.syncsMaps;
    this.units = environment.units.map((unit, id) =>
      unit === null ? null : new AmdviUnit(id, unit.spec, unit.frames, environment),
    );
    this.formats = environment.units.map((unit) => {
      if (unit === null) return null;
      return usesGuestTables(unit.spec) ? guestTableFormat(unit.spec) : hostTableFormat(unit.spec);
    });
  }

  createTable(unit: number): PageTable {
    const { spec, frames } = this.environment.units[unit]!;
    return new PageTable(this.formats[unit]!, this.environment.memory, frames, spec.levels);
  }

  apertureBits(unit: number): number {
    const { spec } = this.environment.units[unit]!;
    const bits = Math.min(12 + 9 * spec.levels, 64);
    return usesGuestTables(spec) ? bits - 1 : bits;
  }

  supportsPasid(unit: number): boolean {
    return usesGuestTables(this.environment.units[unit]!.spec);
  }

  reserved(): readonly (readonly [number, number])[] {
    return RESERVED;
  }

  /** Throws AttachError EINVAL: requests with PASID cannot pass untranslated. */
  attach(domain: DomainState, device: Endpoint, pasid: number): void {
    const unit = this.units[device.unit]!;
    const { requester } = device;
    const root = domain.table?.root ?? null;
    if (root === null && pasid >= 0) {
      throw new AttachError('EINVAL', `${device.name}: AMD-Vi has no pass-through for requests with PASID`);
    }
    const known = this.attachmentsOf(domain);
    const ats = device.ats !== null;
    if (root !== null) domain.addDeviceTag(device, pasid);
    if (usesGuestTables(unit.spec)) {
      const guest = this.guestOf(unit, requester);
      guest.users++;
      if (root !== null) guest.gcr3.set(Math.max(pasid, 0), root);
      if (pasid < 0) unit.setGuestEntry(requester, guest, root !== null, ats, device.ats?.pageRequests === true);
      addTarget(known, { unit, requester, id: guest.domainId, pasid: Math.max(pasid, 0) });
    } else {
      if (known.id === 0) known.id = this.allocateId();
      unit.setHostEntry(requester, this.walkedRoot(domain, unit, known.id, root), known.id, ats);
      addTarget(known, { unit, requester, id: known.id, pasid: -1 });
    }
    this.environment.observer?.attached(domain.id, device.unit, requester, pasid, root === null);
  }

  /** detach_device, clear_gcr3: the entry, then its cache, then the translations, each waited for. */
  *detach(thread: Thread, domain: DomainState, device: Endpoint, pasid: number): Call<void> {
    const unit = this.units[device.unit]!;
    const { requester } = device;
    const known = this.attachmentsOf(domain);
    const guest = usesGuestTables(unit.spec) ? this.guestOf(unit, requester) : null;
    const tagPasid = guest === null ? -1 : Math.max(pasid, 0);
    const target = known.targets.find((t) => t.unit === unit && t.requester === requester && t.pasid === tagPasid);
    if (target === undefined) throw new Error(`domain ${domain.id} is not attached to ${device.name}`);
    if (thread.debt !== 0) yield Wait.Run;
    if (!domain.cacheLock.take(thread)) yield Wait.Block;
    if (guest !== null) {
      guest.users--;
      guest.gcr3.clear(tagPasid);
    }
    if (pasid < 0) {
      // Its GCR3 table stays while other PASIDs use it; that of PASID 0 is empty now.
      if (guest !== null && guest.users > 0) {
        unit.setGuestEntry(requester, guest, true, device.ats !== null, device.ats?.pageRequests === true);
      } else unit.devices.block(requester);
      encodeInvalidateDevice(known.words, 0, requester);
      yield* unit.commands.queue(thread, known.words);
      yield* unit.commands.completion(thread);
    }
    encodeInvalidatePages(known.words, 0, target.id, tagPasid, 0, 0, EVERYTHING, true);
    yield* unit.commands.queue(thread, known.words);
    if (device.ats !== null) {
      encodeInvalidateDeviceTlb(known.words, 0, requester, device.ats.queueDepth, tagPasid, 0, 0, EVERYTHING);
      yield* unit.commands.queue(thread, known.words);
    }
    yield* unit.commands.completion(thread);
    domain.dropDeviceTag(device, pasid);
    if (thread.debt !== 0) yield Wait.Run;
    domain.cacheLock.release(thread);
    known.targets.splice(known.targets.indexOf(target), 1);
    if (known.targets.length === 0) {
      if (known.id !== 0) {
        for (const each of this.units) {
          each?.emulated?.shadows.get(known.id)?.destroy();
          each?.emulated?.shadows.delete(known.id);
        }
        this.freeIds.push(known.id);
      }
      this.attachments.delete(domain);
    }
    this.environment.observer?.detached(domain.id, device.unit, requester, pasid);
  }

  /** domain_flush_np_cache. */
  *syncMap(thread: Thread, domain: DomainState, iova: number, bytes: number): Call<void> {
    yield* this.flushRange(thread, domain, iova, bytes, true);
  }

  mapAtBoot(domain: DomainState, iova: number, bytes: number): void {
    const { id, targets } = this.attachmentsOf(domain);
    for (const { unit } of targets) unit.emulated?.shadows.get(id)?.syncAtBoot(iova, iova + bytes);
  }

  /** amd_iommu_iotlb_sync: with NpCache naturally aligned pieces, one after the other; else the smallest aligned power of two that covers the range, whatever else lies in it (build_inv_address). */
  flushRange(thread: Thread, domain: DomainState, iova: number, bytes: number, tablesFreed: boolean): Call<void> {
    return this.flushRanges(thread, domain, [iova], bytes, tablesFreed);
  }

  flushRanges(
    thread: Thread,
    domain: DomainState,
    iovas: readonly number[],
    bytes: number,
    tablesFreed: boolean,
  ): Call<void> {
    // Older kernels set PDE in every command.
    const directories = tablesFreed || !this.environment.invalidationHint;
    const blocks = this.syncsMaps
      ? iovas.flatMap((iova) => alignedPieces(iova, bytes))
      : iovas.map((iova) => coveringBlock(iova, bytes));
    return this.flush(thread, domain, blocks, directories);
  }

  flushAll(thread: Thread, domain: DomainState): Call<void> {
    return this.flush(thread, domain, [{ start: 0, mask: EVERYTHING }], true);
  }

  /** amd_iommu_flush_all: INVALIDATE_IOMMU_ALL, which removes cached device table entries too. */
  *flushGlobal(thread: Thread, domain: DomainState): Call<void> {
    const { scheduler, statistics } = this.environment;
    if (thread.debt !== 0) yield Wait.Run;
    const asked = scheduler.now();
    const words = new Int32Array(COMMAND_WORDS);
    encodeInvalidateAll(words, 0);
    for (const unit of new Set(this.attachmentsOf(domain).targets.map((target) => target.unit))) {
      yield* unit.commands.queue(thread, words);
      yield* unit.commands.completion(thread);
    }
    if (thread.debt !== 0) yield Wait.Run;
    statistics.flushes++;
    statistics.latency.add(scheduler.now() - asked);
  }

  *flushStage2(thread: Thread): Call<void> {
    for (const unit of this.units) if (unit?.spec.stage === 'nested') yield* unit.flushStage2(thread);
  }

  recoverPageRequests(unit: number, path: FaultPath): PageResponder {
    return this.units[unit]!.recoverPageRequests(path);
  }

  pagesRequested(unit: number): void {
    this.units[unit]!.pages!.line.raise();
  }

  changed(unit: number, offset: number, _hi: number, lo: number): void {
    this.units[unit]?.pages?.changed(offset, lo);
  }

  stored(hi: number, lo: number): void {
    for (const unit of this.units) if (unit?.hostCommands.stored(hi, lo) === true) return;
  }

  /** __domain_flush_pages, then domain_flush_complete. */
  private *flush(thread: Thread, domain: DomainState, blocks: readonly Block[], directories: boolean): Call<void> {
    const { scheduler, statistics } = this.environment;
    if (thread.debt !== 0) yield Wait.Run;
    const asked = scheduler.now();
    if (!domain.cacheLock.take(thread)) yield Wait.Block;
    const { targets, words } = this.attachmentsOf(domain);
    for (const { start, mask } of blocks) {
      let last: Target | null = null;
      for (const target of targets) {
        // Host pages are named once a unit.
        if (target.pasid < 0 && target.unit === last?.unit) continue;
        last = target;
        const { unit, id, pasid } = target;
        const all = mask > unit.spec.invalidation.maxAddressMask;
        if (all) statistics.domains++;
        else statistics.pages++;
        const hi = all ? 0 : Math.floor(start / 2 ** 32);
        const lo = all ? 0 : start | 0;
        encodeInvalidatePages(words, 0, id, pasid, hi, lo, all ? EVERYTHING : mask, directories);
        yield* unit.commands.queue(thread, words);
      }
      for (const { unit: id, requester, pasid, queueDepth } of domain.deviceTags) {
        const unit = this.units[id]!;
        const all = mask >= EVERYTHING;
        const hi = all ? 0 : Math.floor(start / 2 ** 32);
        const lo = all ? 0 : start | 0;
        const named = usesGuestTables(unit.spec) ? Math.max(pasid, 0) : -1;
        encodeInvalidateDeviceTlb(words, 0, requester, queueDepth, named, hi, lo, mask);
        yield* unit.commands.queue(thread, words);
      }
    }
    let waited: AmdviUnit | null = null;
    for (const { unit } of targets) {
      if (unit !== waited) yield* unit.commands.completion(thread);
      waited = unit;
    }
    if (thread.debt !== 0) yield Wait.Run;
    domain.cacheLock.release(thread);
    statistics.flushes++;
    statistics.latency.add(scheduler.now() - asked);
  }

  /** The host table that hardware walks: the domain's own (`root`), or its shadow in caching mode. */
  private walkedRoot(domain: DomainState, unit: AmdviUnit, id: number, root: number | null): number | null {
    const { monitor } = this.environment;
    const { space } = domain;
    if (space === null || monitor === null || !this.syncsMaps) return root;
    const { memory, costs, units } = this.environment;
    return shadowOf(unit.emulated!.shadows, id, space, {
      monitor,
      memory,
      frames: units[unit.id]!.frames,
      costs,
      invalidate: (thread, ...range) => unit.invalidate(thread, id, ...range),
    }).table.root;
  }

  private attachmentsOf(domain: DomainState): Attachments {
    let known = this.attachments.get(domain);
    if (known === undefined) {
      known = { id: 0, targets: [], words: new Int32Array(COMMAND_WORDS) };
      this.attachments.set(domain, known);
    }
    return known;
  }

  private guestOf(unit: AmdviUnit, requester: number): GuestDevice {
    return unit.guest(requester, () => this.allocateId());
  }

  private allocateId(): number {
    const id = this.freeIds.pop() ?? this.nextId++;
    if (id >= DOMAIN_IDS) throw new RangeError('AMD-Vi has no domain id left');
    return id;
  }
}

/** Blocks that cover the range and nothing else (amd_iommu_domain_flush_pages). */
function alignedPieces(iova: number, bytes: number): Block[] {
  const pieces: Block[] = [];
  for (let page = iova / PAGE, left = bytes / PAGE; left > 0; ) {
    let mask = 0;
    while (2 ** (mask + 1) <= left && page % 2 ** (mask + 1) === 0) mask++;
    pieces.push({ start: page * PAGE, mask });
    page += 2 ** mask;
    left -= 2 ** mask;
  }
  return pieces;
}

function addTarget({ targets }: Attachments, target: Target): void {
  const at = targets.findIndex((other) => other.unit.id > target.unit.id);
  targets.splice(at < 0 ? targets.length : at, 0, target);
}
