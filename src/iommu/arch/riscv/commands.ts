/**
 * What the commands of the command queue do (RISC-V IOMMU specification, "Command-Queue"): caches they empty, time they take, the store
 * of a fence, which follows the answers of devices to ATS.INVAL; one without answer stops the queue at the next fence. Commands execute in order, each before
 * the head moves past it. Not modelled: completion interrupts (WSI).
 */
import type { PhysicalMemory } from '../../../memory/physical.js';
import type { StoreWatch } from '../../../protocol/watch.js';
import { type CommandCounters, Removes } from '../../command-counters.js';
import { After, type CommandSet, type Ring } from '../../command-queue.js';
import type { InvalidationSpec } from '../../spec.js';
import { type PageRange, pagesOf } from '../../page-range.js';
import type { PageRequestQueue } from '../../page-request-queue.js';
import type { PageStatus } from '../../../protocol/page-request.js';
import type { IommuUnit } from '../../unit.js';
import type { Directory } from './directory.js';
import { Capability, COMMAND_LG2, Command, DecodedCommand, decodeCommand, QueueControl, Register } from './format.js';
import { invalidateFirst, invalidateSecond } from './invalidation.js';
import type { Registers } from './registers.js';

export class Commands implements CommandSet {
  private readonly command = new DecodedCommand();
  readonly statusBytes = 4;
  /** cqcsr.cmd_ill. */
  illegal = false;
  /** A device has not answered in time; cqcsr.cmd_to. */
  private unanswered = false;
  timedOut = false;
  /** Where the head is told to who polls for it. */
  private ring: Ring | null = null;
  private watch: StoreWatch | null = null;

  constructor(
    private readonly unit: IommuUnit,
    private readonly spec: InvalidationSpec,
    private readonly registers: Registers,
    private readonly directory: Directory,
    private readonly physical: PhysicalMemory,
    private readonly counters: CommandCounters,
    private readonly pages: PageRequestQueue,
  ) {}

  /** Software that polls cqh is told, by the address of its slot, that the head moves past a command. */
  connect(ring: Ring, watch: StoreWatch): void {
    this.ring = ring;
    this.watch = watch;
  }

  get statusHi(): number {
    return this.command.addressHi;
  }

  get statusLo(): number {
    return this.command.addressLo;
  }

  decode(words: Int32Array): number {
    const { spec, command: c, registers } = this;
    const rules = {
      nonLeaf: registers.has(Capability.NonLeaf),
      ranges: registers.has(Capability.AddressRange),
      wiredFences: registers.wired,
    };
    if (!decodeCommand(words, rules, c)) {
      this.illegal = true;
      return -1;
    }
    switch (c.command) {
      case Command.InvalidateFirst:
      case Command.InvalidateSecond:
        if (c.byAddress) return spec.iotlbPage;
        return c.byPscid || c.byGscid ? spec.iotlbDomain : spec.iotlbGlobal;
      case Command.InvalidateDevices:
        return spec.context;
      case Command.InvalidateProcess:
        return spec.pasid;
      case Command.AtsInvalidate:
        return spec.deviceTlb;
      case Command.Fence:
        return spec.wait;
      default:
        return 0;
    }
  }

  execute(): After {
    const { command: c, counters, directory, unit } = this;
    switch (c.command) {
      case Command.InvalidateFirst:
      case Command.InvalidateSecond:
        this.invalidate(c);
        return After.Next;
      case Command.InvalidateDevices:
        counters.context++;
        directory.invalidateDevices(c.byDevice ? c.deviceId : -1);
        unit.walkers.overtake(-1, null);
        return After.Next;
      case Command.InvalidateProcess:
        counters.pasid++;
        directory.invalidateProcess(c.deviceId, c.processId);
        unit.walkers.overtake(-1, null);
        return After.Next;
      case Command.AtsInvalidate:
        return this.deviceTlb(c);
      case Command.PageGroupResponse:
        this.pages.respond(c.deviceId, c.group, c.code as PageStatus);
        return After.Next;
      case Command.Fence: {
        if (unit.deviceTlbs !== null && unit.deviceTlbs.pending > 0) return After.Hold;
        if (this.unanswered) return this.timeOut();
        counters.wait++;
        const drains = c.drains && this.spec.drain;
        if (c.stores) return drains ? After.DrainStore : After.Store;
        return drains ? After.Drain : After.Next;
      }
      default:
        return After.Next;
    }
  }

  private deviceTlb({ deviceId, byProcess, processId, global, addressHi, addressLo, sizeLg2 }: DecodedCommand): After {
    const { deviceTlbs } = this.unit;
    if (deviceTlbs === null) return After.Next;
    const pasid = byProcess ? processId : -1;
    return deviceTlbs.send(deviceId, 0, pasid, global, addressHi, addressLo, sizeLg2) ? After.Next : After.Hold;
  }

  /** A device has not answered ATS.INVAL: the next fence tells. */
  deviceTimedOut(): void {
    this.unanswered = true;
  }

  private timeOut(): After {
    this.unanswered = false;
    this.timedOut = true;
    const status = QueueControl.Enable | QueueControl.CommandTimeout;
    this.watch?.changed?.(this.unit.index, Register.CommandQueueControl, 0, status);
    return After.Stop;
  }

  private invalidate(c: DecodedCommand): void {
    const { counters, unit } = this;
    const t = unit.translations;
    const first = c.command === Command.InvalidateFirst;
    const range: PageRange | null = c.byAddress ? { hi: c.addressHi, lo: c.addressLo, addressMask: c.pagesLg2 } : null;
    const gscid = c.byGscid ? c.gscid : -1;
    if (range !== null) counters.removes(range.addressMask === 0 ? Removes.Page : Removes.Cover, pagesOf(range));
    else if (c.byPscid) counters.removes(Removes.Pasid, null);
    else counters.removes(c.byGscid ? Removes.Domain : Removes.Global, null);
    if (first) invalidateFirst(t, gscid, c.byPscid ? c.pscid : -1, range, c.nonLeaf);
    else invalidateSecond(t, gscid, range, c.nonLeaf);
    // A walk that has passed a non-leaf entry which stays cached may go on; guest addresses are not those of requests.
    const pages = first && !c.nonLeaf ? range : null;
    // The host's first-stage spaces have no GSCID: their domain is 0.
    const did = gscid >= 0 ? gscid : first ? 0 : -1;
    unit.walkers.overtake(did, pages);
  }

  store(): void {
    const { addressHi, addressLo, data } = this.command;
    const { physical } = this;
    const aligned = addressLo & ~7;
    physical.read(addressHi, aligned);
    if ((addressLo & 4) === 0) physical.write(addressHi, aligned, physical.wordHi, data);
    else physical.write(addressHi, aligned, data, physical.wordLo);
  }

  completed(): void {
    const { ring, watch } = this;
    if (ring !== null) watch?.stored(ring.hi, (ring.lo + (ring.head << COMMAND_LG2)) | 0);
  }
}
