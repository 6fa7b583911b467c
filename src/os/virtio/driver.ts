/**
 * The virtio-iommu driver (drivers/iommu/virtio-iommu.c): mappings are requests to the host. A map adds one and waits for it, a strict unmap
 * adds one and waits, a lazy unmap only adds; every wait is a notification and a poll under the one lock of the device.
 */
import {
  encodeAttach,
  encodeDetach,
  encodeMap,
  encodeUnmap,
  MapFlag,
  REQUEST_WORDS,
  Status,
} from '../../iommu/arch/virtio/format.js';
import { compileFormat } from '../../pagetable/format.js';
import { vtdSecondStage } from '../../pagetable/formats/vtdss.js';
import type { Interval } from '../../pagetable/intervals.js';
import type { PageTable } from '../../pagetable/table.js';
import { Access } from '../../protocol/access.js';
import type { DomainState } from '../domain-state.js';
import type { Endpoint, IommuDriver } from '../iommu-driver.js';
import { type Call, type Thread, Wait } from '../thread.js';
import type { UnitDriverEnvironment } from '../unit-environment.js';
import { MappingTable } from './mappings.js';
import { VirtioUnit } from './unit.js';

/** Interrupt messages of x86, which PROBE reports as reserved (QEMU hw/i386/pc.c). */
const INTERRUPTS = [[0xfee00000, 0xfeefffff]] as const;

export class VirtioDriver implements IommuDriver {
  readonly syncsMaps = true;
  private readonly units: readonly (VirtioUnit | null)[];

  constructor(private readonly environment: UnitDriverEnvironment) {
    this.units = environment.units.map((unit, id) =>
      unit === null ? null : new VirtioUnit(id, unit.spec, unit.frames, environment),
    );
  }

  createTable(unit: number): PageTable {
    const { spec, frames } = this.environment.units[unit]!;
    const options = {
      hostAddressWidth: spec.hostAddressWidth,
      guestAddressWidth: this.apertureBits(unit),
      largestPageLg2: 12,
      scalable: false,
      snoopControl: true,
      accessedDirty: false,
    };
    return new MappingTable(compileFormat(vtdSecondStage(options)), this.environment.memory, frames, spec.levels);
  }

  apertureBits(unit: number): number {
    return 12 + 9 * this.environment.units[unit]!.spec.levels;
  }

  supportsPasid(): boolean {
    return false;
  }

  reserved(): readonly (readonly [number, number])[] {
    return INTERRUPTS;
  }

  /** ATTACH, and the mappings again if the device has lost them with the domain's last endpoint. */
  attach(domain: DomainState, device: Endpoint, pasid: number): void {
    const unit = this.units[device.unit]!;
    const known = domain.tags.some((tag) => tag.unit === device.unit);
    const tag = domain.addTag(device.unit, -1, () => unit.allocateDomainId());
    const words = new Int32Array(REQUEST_WORDS);
    encodeAttach(words, tag.id, device.requester, domain.space === null);
    unit.boot(words);
    if (domain.space !== null && !known) {
      for (const mapping of tableOf(domain).mappings) {
        encodeInterval(words, tag.id, mapping);
        unit.boot(words);
      }
    }
    this.environment.observer?.attached(domain.id, device.unit, device.requester, pasid, domain.type === 'identity');
  }

  *detach(thread: Thread, domain: DomainState, device: Endpoint, pasid: number): Call<void> {
    const unit = this.units[device.unit]!;
    const tag = domain.tags.find((other) => other.unit === device.unit);
    if (tag === undefined) throw new Error(`domain ${domain.id} is not attached to ${device.name}`);
    const words = new Int32Array(REQUEST_WORDS);
    const bytes = encodeDetach(words, tag.id, device.requester);
    const status = yield* unit.queue.send(thread, words, bytes);
    if ((status as Status) !== Status.Ok) throw new Error(`DETACH of ${device.name} failed with status ${status}`);
    if (domain.dropTag(device.unit, -1)) unit.freeDomainId(tag.id);
    this.environment.observer?.detached(domain.id, device.unit, device.requester, pasid);
  }

  /** viommu_map_pages, a request for each mapping of the range, and viommu_iotlb_sync_map. */
  *syncMap(thread: Thread, domain: DomainState, iova: number, bytes: number): Call<void> {
    const words = new Int32Array(REQUEST_WORDS);
    for (let at = iova; at < iova + bytes; ) {
      const mapping = tableOf(domain).at(at);
      for (const { unit, id } of domain.tags) {
        const length = encodeInterval(words, id, mapping);
        yield* this.units[unit]!.queue.add(thread, words, length);
      }
      at = mapping.end;
    }
    yield* this.sync(thread, domain);
  }

  mapAtBoot(domain: DomainState, iova: number): void {
    const mapping = tableOf(domain).at(iova);
    const words = new Int32Array(REQUEST_WORDS);
    for (const { unit, id } of domain.tags) {
      encodeInterval(words, id, mapping);
      this.units[unit]!.boot(words);
    }
  }

  /** viommu_unmap_pages. */
  *forgetRange(thread: Thread, domain: DomainState, iova: number, bytes: number): Call<void> {
    const words = new Int32Array(REQUEST_WORDS);
    for (const { unit, id } of domain.tags) {
      this.environment.statistics.pages++;
      const length = encodeUnmap(words, id, iova, bytes);
      yield* this.units[unit]!.queue.add(thread, words, length);
    }
  }

  flushRange(thread: Thread, domain: DomainState): Call<void> {
    return this.flush(thread, domain);
  }

  flushAll(thread: Thread, domain: DomainState): Call<void> {
    return this.flush(thread, domain);
  }

  stored(hi: number, lo: number): void {
    for (const unit of this.units) if (unit?.queue.stored(hi, lo) === true) return;
  }

  private *flush(thread: Thread, domain: DomainState): Call<void> {
    const { scheduler, statistics } = this.environment;
    if (thread.debt !== 0) yield Wait.Run;
    const asked = scheduler.now();
    yield* this.sync(thread, domain);
    statistics.flushes++;
    statistics.latency.add(scheduler.now() - asked);
  }

  private *sync(thread: Thread, domain: DomainState): Call<void> {
    for (const { unit } of domain.tags) yield* this.units[unit]!.queue.sync(thread);
  }
}

function tableOf(domain: DomainState): MappingTable {
  return domain.space!.table as MappingTable;
}

function encodeInterval(words: Int32Array, id: number, { start, end, pa, access }: Interval): number {
  const read = (access & Access.Read) !== 0 ? MapFlag.Read : 0;
  const write = (access & Access.Write) !== 0 ? MapFlag.Write : 0;
  return encodeMap(words, id, start, end - start, pa, read | write);
}
