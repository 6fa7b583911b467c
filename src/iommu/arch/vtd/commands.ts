/**
 * What the descriptors of queued invalidation do (VT-d specification 6.5.2): caches they empty, time they take, the status word of a
 * wait descriptor, which follows the answers of devices to what came before it. Not modelled: completion by interrupt.
 */
import type { PhysicalMemory } from '../../../memory/physical.js';
import { type CommandCounters, Removes } from '../../command-counters.js';
import { After, type CommandSet } from '../../command-queue.js';
import type { InvalidationSpec } from '../../spec.js';
import { pagesOf } from '../../page-range.js';
import type { IommuUnit } from '../../unit.js';
import type { PageRequestQueue } from '../../page-request-queue.js';
import type { PageStatus } from '../../../protocol/page-request.js';
import type { Directory } from './directory.js';
import { decodeDescriptor, Descriptor, deviceTlbSizeLg2, DescriptorType, Granularity, WaitFlag } from './format.js';
import {
  invalidateDomain,
  invalidateGlobal,
  invalidatePages,
  invalidatePasid,
  invalidatePasidPages,
} from './invalidation.js';
import type { Registers } from './registers.js';

export class Commands implements CommandSet {
  private readonly descriptor = new Descriptor();
  /** Addresses of the invalidation at hand. */
  private readonly range = { hi: 0, lo: 0, addressMask: 0 };
  readonly statusBytes = 4;

  constructor(
    private readonly unit: IommuUnit,
    private readonly spec: InvalidationSpec,
    private readonly registers: Registers,
    private readonly directory: Directory,
    private readonly physical: PhysicalMemory,
    private readonly counters: CommandCounters,
    private readonly pages: PageRequestQueue,
  ) {}

  get statusHi(): number {
    return this.descriptor.addressHi;
  }

  get statusLo(): number {
    return this.descriptor.addressLo;
  }

  /** The command at hand is a wait descriptor. */
  get waiting(): boolean {
    return this.descriptor.type === DescriptorType.Wait;
  }

  decode(words: Int32Array): number {
    const { spec, descriptor: d } = this;
    if (!decodeDescriptor(words, this.registers.wide, spec.maxAddressMask, d)) return -1;
    switch (d.type) {
      case DescriptorType.ContextCache:
        return spec.context;
      case DescriptorType.PasidCache:
        return spec.pasid;
      case DescriptorType.Iotlb:
        if (d.granularity === Granularity.Global) return spec.iotlbGlobal;
        return d.granularity === Granularity.Domain ? spec.iotlbDomain : spec.iotlbPage;
      case DescriptorType.PasidIotlb:
        return d.granularity === Granularity.Domain ? spec.iotlbDomain : spec.iotlbPage;
      case DescriptorType.DeviceTlb:
      case DescriptorType.PasidDeviceTlb:
        return spec.deviceTlb;
      case DescriptorType.Wait:
        // A page request drain: requests received before are in memory.
        return spec.wait + ((d.flags & WaitFlag.PageRequestDrain) !== 0 ? this.pages.settling : 0);
      default:
        return 0;
    }
  }

  execute(): After {
    const { descriptor: d, counters } = this;
    switch (d.type) {
      case DescriptorType.ContextCache:
        counters.context++;
        this.directory.invalidateContext(d.granularity, d.domain, d.source, d.functionMask);
        this.unit.walkers.overtake(-1, null);
        break;
      case DescriptorType.PasidCache:
        counters.pasid++;
        this.directory.invalidatePasid(d.granularity, d.domain, d.pasid);
        this.unit.walkers.overtake(-1, null);
        break;
      case DescriptorType.Iotlb:
      case DescriptorType.PasidIotlb:
        return this.iotlb(d);
      case DescriptorType.DeviceTlb:
        return this.deviceTlb(d, -1);
      case DescriptorType.PasidDeviceTlb:
        return this.deviceTlb(d, d.pasid);
      case DescriptorType.Wait:
        if (this.unit.deviceTlbs !== null && this.unit.deviceTlbs.pending > 0) return After.Hold;
        counters.wait++;
        if ((d.flags & WaitFlag.StatusWrite) !== 0) return After.Store;
        break;
      case DescriptorType.PageGroupResponse:
        this.pages.respond(d.source, d.group, d.code as PageStatus);
        break;
      default:
        break;
    }
    return After.Next;
  }

  private iotlb(d: Descriptor): After {
    const { counters, spec } = this;
    const t = this.unit.translations;
    const { range } = this;
    range.hi = d.addressHi;
    range.lo = d.addressLo;
    range.addressMask = d.addressMask;
    const hint = d.hint === 1;
    counters.removes(kindOf(d), d.granularity === Granularity.Selective ? pagesOf(range) : null);
    if (d.type === DescriptorType.PasidIotlb) {
      if (d.granularity === Granularity.Domain) invalidatePasid(t, d.domain, d.pasid);
      else invalidatePasidPages(t, d.domain, d.pasid, range, hint, spec);
    } else if (d.granularity === Granularity.Global) invalidateGlobal(t);
    else if (d.granularity === Granularity.Domain) invalidateDomain(t, d.domain);
    else invalidatePages(t, d.domain, range, hint, spec);
    const pages = d.granularity === Granularity.Selective && hint && spec.hintHonoured;
    // The pages of an IOTLB command are second-stage addresses: what nested walks used them for does not show in their own address.
    const did = d.granularity === Granularity.Global ? -1 : d.domain;
    this.unit.walkers.overtake(did, pages ? range : null, d.type === DescriptorType.Iotlb);
    // PASID-based commands have no drain bits: hardware that has them always drains.
    const drain = d.type === DescriptorType.PasidIotlb || d.drainReads === 1 || d.drainWrites === 1;
    return drain && spec.drain ? After.Drain : After.Next;
  }

  private deviceTlb(d: Descriptor, pasid: number): After {
    const { deviceTlbs } = this.unit;
    if (deviceTlbs === null) return After.Next;
    const sizeLg2 = deviceTlbSizeLg2(d);
    const hi = sizeLg2 >= 64 ? 0 : sizeLg2 > 32 ? d.addressHi & (-1 << (sizeLg2 - 32)) : d.addressHi;
    const lo = sizeLg2 >= 32 ? 0 : d.addressLo & (-1 << sizeLg2);
    const sent = deviceTlbs.send(d.source, d.maxPending, pasid, d.everyPasid === 1, hi, lo, sizeLg2);
    return sent ? After.Next : After.Hold;
  }

  store(): void {
    const { addressHi, addressLo, statusData } = this.descriptor;
    this.physical.writeHalf(addressHi, addressLo, statusData);
  }

  completed(): void {}
}

function kindOf({ type, granularity, addressMask }: Descriptor): Removes {
  if (granularity === Granularity.Global) return Removes.Global;
  if (granularity === Granularity.Domain) return type === DescriptorType.PasidIotlb ? Removes.Pasid : Removes.Domain;
  return addressMask === 0 ? Removes.Page : Removes.Cover;
}
