/**
 * What the commands of the command queue do (Arm IHI 0070G chapter 4): caches they empty, time they take, the MSI write of a CMD_SYNC.
 * A command has taken effect when it has been consumed; a CMD_SYNC also waits until requests that used what was removed have been
 * served, and until devices have answered ATC_INV; one that a device does not answer makes the CMD_SYNC an error. Not modelled: prefetch commands, which
 * are consumed without effect; devices that answer another queue's ATC_INV (a CMD_SYNC waits for all); time of RESUME and STALL_TERM besides their fetch; completion by wired interrupt; aborted fetches (CERROR_ABT).
 */
import type { PhysicalMemory } from '../../../memory/physical.js';
import { PageStatus } from '../../../protocol/page-request.js';
import type { StoreWatch } from '../../../protocol/watch.js';
import { type CommandCounters, Removes } from '../../command-counters.js';
import { After, type CommandSet, type Ring } from '../../command-queue.js';
import type { InvalidationSpec } from '../../spec.js';
import type { PageRange, Pages } from '../../page-range.js';
import type { PageRequestQueue } from '../../page-request-queue.js';
import type { IommuUnit } from '../../unit.js';
import { type Directory, NO_SUBSTREAM } from './directory.js';
import {
  Command,
  CommandError,
  Completion,
  consumerRegister,
  decodeCommand,
  GlobalErrorBit,
  Opcode,
  PriResponse,
  RANGE_ALL,
  Register,
} from './format.js';
import {
  invalidateAsid,
  invalidateGuestPages,
  invalidateMachine,
  invalidateNonSecure,
  invalidatePages,
  invalidateStage1,
} from './invalidation.js';
import type { Registers } from './registers.js';

/** Answers on the wire by CMD_PRI_RESP.Resp; 0b11 is reserved. */
const STATUS: Readonly<Record<number, PageStatus>> = {
  [PriResponse.Failure]: PageStatus.Failure,
  [PriResponse.Invalid]: PageStatus.Invalid,
  [PriResponse.Success]: PageStatus.Success,
};

export class Commands implements CommandSet {
  readonly statusBytes = 4;
  private readonly command = new Command();
  /** Something has been removed since the last CMD_SYNC. */
  private pending = false;
  /** A device has not answered an ATC_INV in time. */
  private unanswered = false;
  /** Who is told of CMDQ_CONS. */
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

  /** Software that polls CMDQ_CONS, woken by an event or not, is told when it passes a CMD_SYNC without message. */
  connect(watch: StoreWatch): void {
    this.watch = watch;
  }

  get statusHi(): number {
    return this.command.addressHi;
  }

  get statusLo(): number {
    return this.command.addressLo;
  }

  decode(words: Int32Array): number {
    const { spec, command, registers } = this;
    if (!decodeCommand(words, this.directory.features.ranges, command)) {
      registers.commandError = CommandError.CERROR_ILL;
      registers.globalError ^= GlobalErrorBit.CMDQ;
      return -1;
    }
    switch (command.opcode) {
      case Opcode.CFGI_STE:
      case Opcode.CFGI_STE_RANGE:
        return spec.context;
      case Opcode.CFGI_CD:
      case Opcode.CFGI_CD_ALL:
        return spec.pasid;
      case Opcode.TLBI_NSNH_ALL:
      case Opcode.TLBI_EL2_ALL:
        return spec.iotlbGlobal;
      case Opcode.TLBI_NH_ALL:
      case Opcode.TLBI_NH_ASID:
      case Opcode.TLBI_EL2_ASID:
      case Opcode.TLBI_S12_VMALL:
        return spec.iotlbDomain;
      case Opcode.TLBI_NH_VA:
      case Opcode.TLBI_NH_VAA:
      case Opcode.TLBI_EL2_VA:
      case Opcode.TLBI_EL2_VAA:
      case Opcode.TLBI_S2_IPA:
        return spec.iotlbPage;
      case Opcode.ATC_INV:
        return spec.deviceTlb;
      case Opcode.CMD_SYNC:
        return spec.wait;
      default:
        return 0;
    }
  }

  execute(): After {
    const { command: c, counters } = this;
    const t = this.unit.translations;
    switch (c.opcode) {
      case Opcode.CFGI_STE:
      case Opcode.CFGI_STE_RANGE:
        counters.context++;
        this.invalidateStreams(c);
        break;
      case Opcode.CFGI_CD:
      case Opcode.CFGI_CD_ALL:
        counters.pasid++;
        this.invalidateContexts(c);
        break;
      case Opcode.TLBI_NSNH_ALL:
        counters.removes(Removes.Global, null);
        invalidateNonSecure(t);
        this.overtake(-1);
        break;
      case Opcode.TLBI_EL2_ALL:
        counters.removes(Removes.Global, null);
        invalidateStage1(t, true, null);
        this.overtake(-1);
        break;
      case Opcode.TLBI_NH_ALL:
        counters.removes(Removes.Domain, null);
        invalidateStage1(t, false, c.vmid);
        this.overtake(c.vmid);
        break;
      case Opcode.TLBI_NH_ASID:
      case Opcode.TLBI_EL2_ASID:
        counters.removes(Removes.Pasid, null);
        invalidateAsid(t, c.opcode === Opcode.TLBI_EL2_ASID, vmidOf(c), c.asid);
        this.overtake(vmidOf(c) ?? 0);
        break;
      case Opcode.TLBI_S12_VMALL:
        counters.removes(Removes.Domain, null);
        invalidateMachine(t, c.vmid);
        this.overtake(c.vmid);
        break;
      case Opcode.TLBI_NH_VA:
      case Opcode.TLBI_NH_VAA:
      case Opcode.TLBI_EL2_VA:
      case Opcode.TLBI_EL2_VAA:
        counters.removes(kindOf(c), pagesOf(c));
        this.invalidateAddresses(c);
        break;
      case Opcode.TLBI_S2_IPA:
        counters.removes(kindOf(c), pagesOf(c));
        invalidateGuestPages(t, c.vmid, pagesOf(c), c.leaf);
        this.overtake(c.vmid);
        break;
      case Opcode.RESUME:
        this.directory.stalls.resume(c.sid, c.tag, c.retry);
        break;
      case Opcode.PRI_RESP:
        this.pages.respond(c.sid, c.group, STATUS[c.response] ?? PageStatus.Failure);
        break;
      case Opcode.STALL_TERM:
        this.directory.stalls.terminate(c.sid);
        break;
      case Opcode.ATC_INV:
        return this.deviceTlb(c);
      case Opcode.CMD_SYNC:
        return this.sync(c);
      default:
        break;
    }
    return After.Next;
  }

  private invalidateAddresses(c: Command): void {
    const el2 = c.opcode === Opcode.TLBI_EL2_VA || c.opcode === Opcode.TLBI_EL2_VAA;
    const named = c.opcode === Opcode.TLBI_NH_VA || c.opcode === Opcode.TLBI_EL2_VA;
    const pages = pagesOf(c);
    invalidatePages(this.unit.translations, el2, vmidOf(c), named ? c.asid : null, pages, c.leaf);
    const whole = !c.leaf || this.directory.ignoresTopBytes;
    this.overtake(vmidOf(c) ?? 0, whole ? null : blockOf(c, pages));
  }

  /** Walks under way that may have used what is removed start again. */
  private overtake(vmid: number, range: PageRange | null = null): void {
    this.pending = true;
    this.unit.walkers.overtake(vmid, range);
  }

  /** CFGI_STE and CFGI_STE_RANGE: STEs, and the CDs that were reached through them. */
  private invalidateStreams({ opcode, sid, range }: Command): void {
    const { contexts } = this.directory;
    const rangeLg2 = opcode === Opcode.CFGI_STE ? 0 : range + 1;
    const all = opcode === Opcode.CFGI_STE_RANGE && range === RANGE_ALL;
    if (all) contexts.dropAll();
    else if (rangeLg2 === 0) {
      contexts.dropDevice(sid);
      contexts.dropProcessesOf(sid, () => true);
    } else {
      const mine = (requester: number): boolean => (requester ^ sid) >>> rangeLg2 === 0;
      contexts.dropDevices((entry) => mine(contexts.requesterOfDevice(entry)));
      contexts.dropProcesses((entry) => mine(contexts.requesterOfProcess(entry)));
    }
    this.overtake(-1);
  }

  private invalidateContexts({ opcode, sid, ssid }: Command): void {
    const { contexts } = this.directory;
    contexts.dropProcessesOf(sid, (entry) => {
      const cached = contexts.pasidOfProcess(entry);
      return opcode === Opcode.CFGI_CD_ALL || (cached === NO_SUBSTREAM ? 0 : cached) === ssid;
    });
    this.overtake(-1);
  }

  /** ATC_INV (4.5.1). */
  private deviceTlb({ sid, ssid, substreamValid, global, sizeLg2, addressHi, addressLo }: Command): After {
    const { deviceTlbs } = this.unit;
    if (deviceTlbs === null) return After.Next;
    const hi = sizeLg2 >= 64 ? 0 : sizeLg2 > 32 ? addressHi & (-1 << (sizeLg2 - 32)) : addressHi;
    const lo = sizeLg2 >= 32 ? 0 : addressLo & (-1 << sizeLg2);
    return deviceTlbs.send(sid, 0, substreamValid ? ssid : -1, global, hi, lo, sizeLg2) ? After.Next : After.Hold;
  }

  /** A device has not answered: the next CMD_SYNC is an error (7.1, CERROR_ATC_INV_SYNC). */
  deviceTimedOut(): void {
    this.unanswered = true;
  }

  private sync({ completion, addressHi, addressLo }: Command): After {
    const { deviceTlbs } = this.unit;
    if (deviceTlbs !== null && deviceTlbs.pending > 0) return After.Hold;
    if (this.unanswered) {
      this.unanswered = false;
      const { registers } = this;
      registers.commandError = CommandError.CERROR_ATC_INV_SYNC;
      registers.globalError ^= GlobalErrorBit.CMDQ;
      this.watch?.changed?.(this.unit.index, Register.GlobalError, 0, registers.globalError);
      return After.Stop;
    }
    this.counters.wait++;
    const drain = this.pending && this.spec.drain;
    this.pending = false;
    const stores = completion === Completion.Interrupt && (addressHi | addressLo) !== 0;
    if (stores) return drain ? After.DrainStore : After.Store;
    return drain ? After.Drain : After.Next;
  }

  store(): void {
    const { addressHi, addressLo, data } = this.command;
    const { physical } = this;
    const aligned = addressLo & ~7;
    physical.read(addressHi, aligned);
    if ((addressLo & 4) === 0) physical.write(addressHi, aligned, physical.wordHi, data);
    else physical.write(addressHi, aligned, data, physical.wordLo);
  }

  completed(ring: Ring): void {
    const { command, watch } = this;
    if (command.opcode !== Opcode.CMD_SYNC || command.completion === Completion.Interrupt) return;
    watch?.changed?.(this.unit.index, consumerRegister(ring.index), 0, ring.distance(0, ring.head + 1));
  }
}

/** EL2 entries have no VMID. */
function vmidOf({ opcode, vmid }: Command): number | null {
  return opcode >= Opcode.TLBI_EL2_ALL && opcode <= Opcode.TLBI_EL2_VAA ? null : vmid;
}

function kindOf({ granuleLg2, pages }: Command): Removes {
  return granuleLg2 === 0 || pages === 1 ? Removes.Page : Removes.Range;
}

/** The 4 KiB pages that a command by address names. Its address is aligned to the granule. */
function pagesOf({ addressHi, addressLo, granuleLg2, pages }: Command): Pages {
  const each = granuleLg2 === 0 ? 1 : 2 ** (granuleLg2 - 12);
  const first = (addressHi >>> 0) * 2 ** 20 + (addressLo >>> 12);
  return { first: Math.floor(first / each) * each, count: pages * each };
}

/** The smallest aligned block that holds the pages. */
function blockOf({ addressHi, addressLo }: Command, { first, count }: Pages): PageRange {
  let addressMask = 0;
  while (Math.floor(first / 2 ** addressMask) !== Math.floor((first + count - 1) / 2 ** addressMask)) addressMask++;
  return { hi: addressHi, lo: addressLo, addressMask };
}
