/**
 * The SMMUv3 driver (drivers/iommu/arm/arm-smmu-v3/arm-smmu-v3.c): stream table entries and context descriptors per device, an ASID (or
 * VMID, for second-stage domains) per domain and unit, and the invalidations of the DMA API. Commands of a domain go to each of its
 * units in batches of 64 with one CMD_SYNC at the end; no lock of the domain is held. Faults of process domains stall where the unit can (faults.ts). TLBs of devices are
 * invalidated after the unit's own: their commands follow a CMD_SYNC. Not modelled: broadcast TLB
 * maintenance (Linux ignores it: CR2.PTM), the rounds of writes and CFGI commands that change a live stream table entry.
 */
import {
  ATC_INV_ALL,
  encodeContextInvalidation,
  encodeDeviceTlbInvalidation,
  encodeStreamInvalidation,
  encodeTlbi,
  encodeTlbiPage,
  encodeTlbiRange,
  Opcode,
} from '../../iommu/arch/smmuv3/format.js';
import type { Format } from '../../pagetable/format.js';
import { PageTable } from '../../pagetable/table.js';
import type { CacheTag, DomainState } from '../domain-state.js';
import { AttachError } from '../errors.js';
import type { PageResponder } from '../fault-device.js';
import type { Endpoint, FaultPath, IommuDriver } from '../iommu-driver.js';
import type { UnitSpec } from '../spec.js';
import { type Call, type Thread, Wait } from '../thread.js';
import type { UnitDriverEnvironment } from '../unit-environment.js';
import { coveringBlock } from '../flush-range.js';
import { granuleLg2, inputLg2, tableFormat, tableOptions } from './formats.js';
import { BATCH, Batch } from './queue.js';
import { isTooLarge, splitRange } from './ranges.js';
import { HOST_VMID, Smmuv3Unit } from './unit.js';

/** Software's window for message-signalled interrupts (MSI_IOVA_BASE and MSI_IOVA_LENGTH). */
const INTERRUPTS = [[0x8000000, 0x80fffff]] as const;

export class Smmuv3Driver implements IommuDriver {
  readonly syncsMaps = false;
  private readonly units: readonly (Smmuv3Unit | null)[];
  private readonly formats: readonly (Format | null)[];
  /** Batches that nobody is filling. */
  private readonly batches: Batch[] = [];

  /** Sets up and enables every unit. */
  constructor(private readonly environment: UnitDriverEnvironment) {
    this.units = environment.units.map((unit, id) =>
      unit === null ? null : new Smmuv3Unit(id, unit.spec, unit, environment),
    );
    this.formats = environment.units.map((unit) => (unit === null ? null : tableFormat(unit.spec, stageOf(unit.spec))));
  }

  createTable(unit: number): PageTable {
    const { spec, frames } = this.environment.units[unit]!;
    const options = tableOptions(spec, stageOf(spec), spec.levels);
    return new PageTable(this.formats[unit]!, this.environment.memory, frames, spec.levels, 'covered', options);
  }

  apertureBits(unit: number): number {
    const { spec } = this.environment.units[unit]!;
    return inputLg2(spec, stageOf(spec), spec.levels);
  }

  supportsPasid(unit: number): boolean {
    return this.units[unit]!.tables.substreamLimit > 0;
  }

  reserved(): readonly (readonly [number, number])[] {
    return INTERRUPTS;
  }

  /** Throws AttachError EINVAL for a PASID without a context descriptor, and for identity domains by PASID. */
  attach(domain: DomainState, device: Endpoint, pasid: number): void {
    const unit = this.units[device.unit]!;
    const { tables } = unit;
    const { requester } = device;
    const table = domain.table;
    if (pasid >= tables.substreamLimit) {
      throw new AttachError('EINVAL', `${device.name}: PASID ${pasid} is beyond ${tables.substreamLimit - 1}`);
    }
    if (pasid >= 0 && table === null) {
      throw new AttachError(
        'EINVAL',
        `${device.name}: an identity domain has no context descriptor for PASID ${pasid}`,
      );
    }
    if (device.ats !== null) tables.enableAts(requester);
    if (table !== null) domain.addDeviceTag(device, pasid);
    const id = table === null ? 0 : domain.addTag(device.unit, -1, () => unit.allocateId()).id;
    if (unit.spec.stage === 'second') tables.setStage2(requester, table, id);
    else if (table === null) tables.setOwn(requester, 'identity');
    else tables.setContext(requester, pasid, table, id, domain.faultHandler !== null && unit.faults !== null);
    const batch = this.take();
    encodeStreamInvalidation(batch.words, batch.next(), requester, true);
    encodeContextInvalidation(batch.words, batch.next(), requester, Math.max(pasid, 0), true);
    unit.host.post(batch);
    this.batches.push(batch);
    this.environment.observer?.attached(domain.id, device.unit, requester, pasid, domain.type === 'identity');
  }

  /** Entry, then its cache, and with the last attachment of the domain its translations, each waited for. */
  *detach(thread: Thread, domain: DomainState, device: Endpoint, pasid: number): Call<void> {
    const unit = this.units[device.unit]!;
    const { tables, configuration, spec } = unit;
    const queue = unit.queueOf(thread.cpu);
    const { requester } = device;
    const tag = domain.tags.find((other) => other.unit === device.unit);
    const translates = domain.type !== 'identity';
    if (translates && tag === undefined) throw new Error(`domain ${domain.id} is not attached to ${device.name}`);
    if (thread.debt !== 0) yield Wait.Run;
    const batch = this.take();
    if (spec.stage === 'second') tables.abort(requester);
    else if (translates) tables.clearContext(requester, pasid);
    else tables.setOwn(requester, 'abort');
    encodeStreamInvalidation(batch.words, batch.next(), requester, true);
    encodeContextInvalidation(batch.words, batch.next(), requester, Math.max(pasid, 0), true);
    yield* configuration.submit(thread, batch, true);
    if (device.ats !== null && translates) {
      encodeDeviceTlbInvalidation(batch.words, batch.next(), requester, pasid, 0, ATC_INV_ALL);
      yield* queue.submit(thread, batch, true);
      domain.dropDeviceTag(device, pasid);
    }
    if (tag !== undefined && domain.dropTag(device.unit, -1)) {
      encodeAll(batch, spec, tag.id);
      yield* queue.submit(thread, batch, true);
      unit.freeId(tag.id);
    }
    if (thread.debt !== 0) yield Wait.Run;
    this.batches.push(batch);
    this.environment.observer?.detached(domain.id, device.unit, requester, pasid);
  }

  *syncMap(): Call<void> {}

  flushRange(thread: Thread, domain: DomainState, iova: number, bytes: number, tablesFreed: boolean): Call<void> {
    return this.flush(thread, domain, [iova], bytes, !tablesFreed);
  }

  flushRanges(
    thread: Thread,
    domain: DomainState,
    iovas: readonly number[],
    bytes: number,
    tablesFreed: boolean,
  ): Call<void> {
    return this.flush(thread, domain, iovas, bytes, !tablesFreed);
  }

  flushAll(thread: Thread, domain: DomainState): Call<void> {
    return this.flush(thread, domain, [0], Infinity, false);
  }

  /** As arm_smmu_device_reset does, of the world that the unit's DMA translations live in. */
  *flushGlobal(thread: Thread, domain: DomainState): Call<void> {
    const { scheduler, statistics } = this.environment;
    if (thread.debt !== 0) yield Wait.Run;
    const asked = scheduler.now();
    const batch = this.take();
    for (const id of new Set(domain.tags.map((tag) => tag.unit))) {
      const unit = this.units[id]!;
      const all = unit.spec.stage === 'first' ? Opcode.TLBI_EL2_ALL : Opcode.TLBI_NSNH_ALL;
      encodeTlbi(batch.words, batch.next(), all, 0, 0);
      yield* unit.queueOf(thread.cpu).submit(thread, batch, true);
    }
    if (thread.debt !== 0) yield Wait.Run;
    this.batches.push(batch);
    statistics.flushes++;
    statistics.latency.add(scheduler.now() - asked);
  }

  *flushStage2(thread: Thread): Call<void> {
    for (const unit of this.units) {
      if (unit === null || unit.spec.stage !== 'nested') continue;
      const batch = this.take();
      encodeTlbi(batch.words, batch.next(), Opcode.TLBI_S12_VMALL, HOST_VMID, 0);
      yield* unit.host.submit(thread, batch, true);
      this.batches.push(batch);
    }
  }

  recoverFaults(unit: number, path: FaultPath): PageResponder {
    return this.units[unit]!.recoverFaults(path, this.environment);
  }

  recoverPageRequests(unit: number, path: FaultPath): PageResponder {
    return this.units[unit]!.recoverPageRequests(path, this.environment);
  }

  pagesRequested(unit: number): void {
    this.units[unit]!.pages!.line.raise();
  }

  interrupted(unit: number): void {
    this.units[unit]!.faults!.interrupted();
  }

  stored(hi: number, lo: number): void {
    for (const unit of this.units) if (unit?.stored(hi, lo) === true) return;
  }

  changed(unit: number, offset: number, _hi: number, lo: number): void {
    this.units[unit]?.changed(offset, lo);
  }

  /** arm_smmu_domain_inv_range: the commands of each unit, one unit after the other; of all ranges in one batch. */
  private *flush(
    thread: Thread,
    domain: DomainState,
    iovas: readonly number[],
    bytes: number,
    leaf: boolean,
  ): Call<void> {
    const { scheduler, statistics } = this.environment;
    if (thread.debt !== 0) yield Wait.Run;
    const asked = scheduler.now();
    const batch = this.take();
    // The kernel reads the list under RCU: what changes meanwhile does not count.
    const tags = domain.tags.slice();
    for (let at = 0; at < tags.length; ) {
      const unit = this.units[tags[at]!.unit]!;
      for (; at < tags.length && tags[at]!.unit === unit.id; at++) {
        for (const iova of iovas) yield* this.gather(thread, unit, batch, tags[at]!, iova, bytes, leaf);
      }
      yield* unit.queueOf(thread.cpu).submit(thread, batch, true);
      if (domain.deviceTags.length > 0) yield* this.invalidateDevices(thread, unit, batch, domain, iovas, bytes);
    }
    if (thread.debt !== 0) yield Wait.Run;
    this.batches.push(batch);
    statistics.flushes++;
    statistics.latency.add(scheduler.now() - asked);
  }

  /** arm_smmu_atc_inv_to_cmd: one aligned power of two of pages for each device and range. */
  private *invalidateDevices(
    thread: Thread,
    unit: Smmuv3Unit,
    batch: Batch,
    domain: DomainState,
    iovas: readonly number[],
    bytes: number,
  ): Call<void> {
    const queue = unit.queueOf(thread.cpu);
    // The list as it was: see `flush`.
    const tags = domain.deviceTags;
    for (const { unit: id, requester, pasid } of tags) {
      if (id !== unit.id) continue;
      for (const iova of iovas) {
        if (batch.count === BATCH) yield* queue.submit(thread, batch, false);
        const { start, mask } = bytes === Infinity ? { start: 0, mask: ATC_INV_ALL } : coveringBlock(iova, bytes);
        encodeDeviceTlbInvalidation(batch.words, batch.next(), requester, pasid, start, mask);
      }
    }
    if (batch.count > 0) yield* queue.submit(thread, batch, true);
  }

  /** Adds the commands for one tag; a full batch goes without CMD_SYNC. */
  private *gather(
    thread: Thread,
    unit: Smmuv3Unit,
    batch: Batch,
    tag: CacheTag,
    iova: number,
    bytes: number,
    leaf: boolean,
  ): Call<void> {
    const { spec } = unit;
    const queue = unit.queueOf(thread.cpu);
    const { statistics } = this.environment;
    const ranges = spec.invalidation.maxAddressMask > 0;
    if (bytes === Infinity || (!ranges && isTooLarge(bytes, spec.granule))) {
      if (batch.count === BATCH) yield* queue.submit(thread, batch, false);
      encodeAll(batch, spec, tag.id);
      statistics.domains++;
      return;
    }
    statistics.pages++;
    if (ranges) {
      const granule = granuleLg2(spec);
      for (const range of splitRange(iova, bytes, granule, leaf)) {
        if (batch.count === BATCH) yield* queue.submit(thread, batch, false);
        const at = batch.next();
        encodePage(batch, at, spec, tag.id, range.address, leaf);
        encodeTlbiRange(batch.words, at, { granuleLg2: granule, ...range });
      }
      return;
    }
    for (let address = iova; address < iova + bytes; address += spec.granule) {
      if (batch.count === BATCH) yield* queue.submit(thread, batch, false);
      encodePage(batch, batch.next(), spec, tag.id, address, leaf);
    }
  }

  private take(): Batch {
    return this.batches.pop() ?? new Batch();
  }
}

/** Which tables hold DMA mappings. */
function stageOf(spec: UnitSpec): 1 | 2 {
  return spec.stage === 'second' ? 2 : 1;
}

/** One page of a domain with ASID or VMID `id`. */
function encodePage(batch: Batch, at: number, { stage }: UnitSpec, id: number, address: number, leaf: boolean): void {
  const { words } = batch;
  if (stage === 'second') encodeTlbiPage(words, at, Opcode.TLBI_S2_IPA, id, 0, address, leaf);
  else if (stage === 'nested') encodeTlbiPage(words, at, Opcode.TLBI_NH_VA, HOST_VMID, id, address, leaf);
  else encodeTlbiPage(words, at, Opcode.TLBI_EL2_VA, 0, id, address, leaf);
}

/** Everything of the domain. */
function encodeAll(batch: Batch, { stage }: UnitSpec, id: number): void {
  const { words } = batch;
  const at = batch.next();
  if (stage === 'second') encodeTlbi(words, at, Opcode.TLBI_S12_VMALL, id, 0);
  else if (stage === 'nested') encodeTlbi(words, at, Opcode.TLBI_NH_ASID, HOST_VMID, id);
  else encodeTlbi(words, at, Opcode.TLBI_EL2_ASID, 0, id);
}
