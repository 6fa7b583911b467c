/**
 * What the commands do (specification 2.4): caches they empty, time they take, the store of COMPLETION_WAIT. Requests that still use
 * old translations are waited for after every invalidation, or once, at COMPLETION_WAIT (CP_CONTROL of the unit; `drain` of the
 * specification). COMPLETION_WAIT follows the answers of devices to INVALIDATE_IOTLB_PAGES, or their time-out, which is an event. Not modelled: completion
 * interrupts, interrupt remapping, COMMAND_HARDWARE_ERROR.
 */
import type { PhysicalMemory } from '../../../memory/physical.js';
import { ITAGS } from '../../../protocol/ats.js';
import { type CommandCounters, Removes } from '../../command-counters.js';
import { After, type CommandSet, type Ring } from '../../command-queue.js';
import type { ContextCaches } from '../../contexts.js';
import type { InvalidationSpec } from '../../spec.js';
import { type PageRange, pagesOf } from '../../page-range.js';
import type { PageRequestQueue } from '../../page-request-queue.js';
import type { PageStatus } from '../../../protocol/page-request.js';
import type { IommuUnit } from '../../unit.js';
import type { EventLog } from './event-log.js';
import { Command, decodeCommand, ENTRY_LG2, EventCode, EVERYTHING, Opcode } from './format.js';
import { invalidateAll, invalidateDevice, invalidateGuestPages, invalidateHostPages } from './invalidation.js';

export class Commands implements CommandSet {
  private readonly command = new Command();
  readonly statusBytes = 8;
  private ring: Ring | null = null;

  constructor(
    private readonly unit: IommuUnit,
    private readonly spec: InvalidationSpec,
    private readonly contexts: ContextCaches,
    private readonly physical: PhysicalMemory,
    private readonly counters: CommandCounters,
    private readonly log: EventLog,
    private readonly pages: PageRequestQueue,
  ) {}

  /** Where the commands come from: events name the address of an illegal one. */
  connect(ring: Ring): void {
    this.ring = ring;
  }

  get statusHi(): number {
    return this.command.addressHi;
  }

  get statusLo(): number {
    return this.command.addressLo;
  }

  decode(words: Int32Array): number {
    const { spec, command } = this;
    if (!decodeCommand(words, command)) {
      const { hi, lo, head } = this.ring!;
      this.log.record(EventCode.IllegalCommand, 0, 0, 0, hi, (lo + (head << ENTRY_LG2)) | 0);
      return -1;
    }
    switch (command.opcode) {
      case Opcode.CompletionWait:
        return spec.wait;
      case Opcode.InvalidateDeviceTableEntry:
        return spec.context;
      case Opcode.InvalidatePages:
        return command.addressMask === EVERYTHING ? spec.iotlbDomain : spec.iotlbPage;
      case Opcode.InvalidateIotlbPages:
        return spec.deviceTlb;
      case Opcode.InvalidateAll:
        return spec.iotlbGlobal;
      default:
        return 0;
    }
  }

  execute(): After {
    const { command: c, counters, contexts, spec } = this;
    const { walkers, translations } = this.unit;
    switch (c.opcode) {
      case Opcode.CompletionWait:
        if (this.unit.deviceTlbs !== null && this.unit.deviceTlbs.pending > 0) return After.Hold;
        counters.wait++;
        if (spec.drain) return c.store ? After.Store : After.Next;
        return c.store ? After.DrainStore : After.Drain;
      case Opcode.InvalidateDeviceTableEntry:
        counters.context++;
        invalidateDevice(contexts, c.device);
        walkers.overtake(-1, null);
        return this.invalidated();
      case Opcode.InvalidatePages:
        this.invalidatePages(c);
        return this.invalidated();
      case Opcode.InvalidateIotlbPages:
        return this.deviceTlb(c);
      case Opcode.InvalidateAll:
        counters.removes(Removes.Global, null);
        invalidateAll(translations, contexts);
        walkers.overtake(-1, null);
        return this.invalidated();
      case Opcode.CompletePageRequest:
        this.pages.respond(c.device, c.group, c.status as PageStatus);
        return After.Next;
      default:
        return After.Next;
    }
  }

  /** PASID 0 stands for requests without PASID, in guest tables (DTE.GIOV) and here: Linux sets GN for them too. */
  private deviceTlb({ device, maxPending, guest, pasid, addressHi, addressLo, addressMask }: Command): After {
    const { deviceTlbs } = this.unit;
    if (deviceTlbs === null) return After.Next;
    const sizeLg2 = addressMask === EVERYTHING ? 64 : 12 + addressMask;
    const sent = deviceTlbs.send(
      device,
      maxPending % ITAGS,
      guest && pasid > 0 ? pasid : -1,
      false,
      addressHi,
      addressLo,
      sizeLg2,
    );
    return sent ? After.Next : After.Hold;
  }

  /** IOTLB_INV_TIMEOUT: what waits for the device goes on. */
  deviceTimedOut(device: number): void {
    this.log.record(EventCode.IotlbInvalidationTimeout, 0, device, 0, 0, 0);
  }

  private invalidated(): After {
    return this.spec.drain ? After.Drain : After.Next;
  }

  private invalidatePages({ domain, pasid, guest, directories, addressMask, addressHi, addressLo }: Command): void {
    const { unit, contexts, counters, spec } = this;
    const range: PageRange = { hi: addressHi, lo: addressLo, addressMask };
    const t = unit.translations;
    if (addressMask === EVERYTHING) counters.removes(guest ? Removes.Pasid : Removes.Domain, null);
    else counters.removes(addressMask === 0 ? Removes.Page : Removes.Cover, pagesOf(range));
    if (guest) invalidateGuestPages(t, contexts, domain, pasid, range, directories, spec);
    else invalidateHostPages(t, domain, range, directories, spec);
    // Every page of the domain may hang from directory entries that go with the range.
    const leavesOnly = !directories && spec.hintHonoured;
    unit.walkers.overtake(domain, leavesOnly ? range : null, !guest);
  }

  store(): void {
    const { addressHi, addressLo, dataHi, dataLo } = this.command;
    this.physical.write(addressHi, addressLo, dataHi, dataLo);
  }

  completed(): void {}
}
