/**
 * How the host's unit translates the DMA of a guest's devices: the domain that the guest attached an endpoint to says which shadow table.
 * The host's own directory (root and context entries) is not read: it never changes and stays cached. Faults become events.
 */
import type { Event } from '../../../kernel/event.js';
import { compileFormat, type Format } from '../../../pagetable/format.js';
import { vtdSecondStage } from '../../../pagetable/formats/vtdss.js';
import { Access } from '../../../protocol/access.js';
import { TlpFlag } from '../../../protocol/tlp.js';
import { Stage } from '../../address-space.js';
import { type Architecture, Found } from '../../architecture.js';
import { ContextCaches, OwnProcess } from '../../contexts.js';
import { FaultCounters } from '../../fault-counters.js';
import type { Miss } from '../../miss.js';
import type { IommuSpec } from '../../spec.js';
import { FaultReason } from './format.js';
import type { Host } from './host.js';

/** Sends a fault event to the guest; false if no buffer was there. */
export type Report = (reason: FaultReason, write: boolean, endpoint: number, hi: number, lo: number) => boolean;

export class Endpoints implements Architecture {
  readonly contexts: ContextCaches;
  readonly formats: readonly Format[];
  readonly pageSizes = [12, 21, 30] as const;
  readonly faults = new FaultCounters();
  /** Set by the builder: the unit needs this object, and they need the unit. */
  host: Host | null = null;
  report: Report = () => false;
  private readonly levels: number;

  constructor(spec: IommuSpec, seed: number, name: string) {
    this.contexts = new ContextCaches(spec, seed, name, 0);
    this.contexts.bypass = false;
    this.levels = spec.levels;
    const { hostAddressWidth, levels } = spec;
    const largestPageLg2 = largestOf(spec.largestPage);
    const options = { hostAddressWidth, guestAddressWidth: 12 + 9 * levels, largestPageLg2 };
    this.formats = [
      compileFormat(vtdSecondStage({ ...options, scalable: false, snoopControl: true, accessedDirty: false })),
    ];
  }

  start(m: Miss): Found {
    const host = this.host!;
    const domain = m.pasid >= 0 ? null : host.domainOf(m.requester);
    const { space } = m;
    space.pasid = 0;
    if (domain === null && (m.pasid >= 0 || !host.bypass)) {
      m.fault = FaultReason.Domain;
      return Found.Refused;
    }
    const table = domain?.table ?? null;
    space.did = domain?.did ?? 0;
    space.stage = table === null ? Stage.PassThrough : Stage.Second;
    if (table !== null) {
      space.format = 0;
      space.levels = this.levels;
      space.inputLg2 = table.inputLg2;
      space.rootHi = Math.floor(table.root / 2 ** 32);
      space.rootLo = table.root | 0;
    }
    this.contexts.fillDevice(m.requester, space, OwnProcess.None, false);
    return Found.Located;
  }

  step(m: Miss): Found {
    return this.start(m);
  }

  admit(): number {
    return 0;
  }

  required(flags: number): number {
    const access = (flags & TlpFlag.Write) !== 0 ? Access.Write : Access.Read;
    return access | ((flags & TlpFlag.Atomic) !== 0 ? Access.Read : 0);
  }

  translationFault(): FaultReason {
    return FaultReason.Mapping;
  }

  accessFault(): FaultReason {
    return FaultReason.Mapping;
  }

  refused(tlp: Event, requester: number, m: Miss): void {
    this.faults.count(m.fault);
    const write = (tlp.flags & TlpFlag.Write) !== 0;
    if (!this.report(m.fault, write, requester, tlp.addressHi, tlp.addressLo)) this.faults.lost++;
  }
}

/** log2 of the largest leaf: 4 KiB, 2 MiB or 1 GiB. */
export function largestOf(bytes: number): number {
  return bytes >= 2 ** 30 ? 30 : bytes >= 2 ** 21 ? 21 : 12;
}
