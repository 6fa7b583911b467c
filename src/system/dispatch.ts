/**
 * The one switch that shows the order of stages: which component handles an event that has become due. `event.unit` picks the
 * instance. Called in batches, so that V8 optimises it by call count.
 * Hot path: bench/end-to-end.
 */
import type { Accelerator } from '../devices/accelerator.js';
import type { Engine } from '../devices/engine.js';
import type { Hardware } from '../iommu/architecture.js';
import type { IommuUnit } from '../iommu/unit.js';
import type { Kernel } from '../kernel/kernel.js';
import type { Meter } from '../kernel/meter.js';
import type { Os } from '../os/os.js';
import type { Atc } from '../pcie/atc.js';
import type { Pri } from '../pcie/pri.js';
import type { Link } from '../pcie/link.js';
import type { Portal } from '../pcie/portal.js';
import type { RootPort } from '../pcie/root-port.js';
import { Op } from '../protocol/op.js';

/** `state` of an Op.WindowEnd event. */
export const enum WindowEnd {
  Armed = 0,
  /** Its window ended for another reason. */
  Void = 1,
}

/** What the dispatcher drives; index = unit number. Links, ports, device TLBs and engines are numbered by device. */
export interface Parts {
  readonly kernel: Kernel;
  readonly meter: Meter;
  readonly engines: readonly Engine[];
  readonly links: readonly Link[];
  /** By device; null: it has no TLB of its own. */
  readonly atcs: readonly (Atc | null)[];
  /** By device; null: it cannot ask for pages. */
  readonly pris: readonly (Pri | null)[];
  readonly ports: readonly RootPort[];
  readonly units: readonly IommuUnit[];
  readonly hardware: readonly Hardware[];
  readonly os: Os;
  /** By device; null where there is no accelerator. */
  readonly portals: readonly (Portal | null)[];
  readonly accelerators: readonly (Accelerator | null)[];
}

export class Dispatcher {
  /** False after the last pending event: nothing will ever happen again. */
  alive = true;

  constructor(private readonly parts: Parts) {}

  /** Handles at most `limit` events; stops early when the meter closes or nothing is pending. Returns the number handled. */
  batch(limit: number): number {
    const { kernel, meter, engines, links, atcs, pris, ports, units, hardware, os, portals, accelerators } = this.parts;
    let left = limit | 0;
    while (left > 0 && meter.open === true) {
      const event = kernel.next();
      if (event === null) {
        this.alive = false;
        break;
      }
      left = (left - 1) | 0;
      switch (event.op as Op) {
        case Op.PortArrive:
          ports[event.source]!.arrive(event);
          break;
        case Op.IommuLookup:
          units[event.unit]!.lookup(event);
          break;
        case Op.MemoryServed:
          if (ports[event.source]!.served(event)) engines[event.source]!.done(event);
          break;
        case Op.DeviceDone:
          engines[event.source]!.done(event);
          break;
        case Op.WalkRead:
          units[event.unit]!.walkers.walkRead(event);
          break;
        case Op.WalkReplay:
          units[event.unit]!.walkers.walkReplay(event);
          break;
        case Op.DeviceIssue:
          engines[event.unit]!.gateOpen(event);
          break;
        case Op.DeviceCredit:
          links[event.unit]!.woken();
          engines[event.unit]!.creditReady();
          break;
        case Op.AtcLookup:
          atcs[event.unit]!.lookup(event);
          break;
        case Op.AtsCheck:
          units[event.unit]!.agent!.check(event);
          break;
        case Op.AtsAnswer:
          ports[event.source]!.answer(event);
          break;
        case Op.AtcAnswer:
          atcs[event.source]!.answered(event);
          break;
        case Op.AtcDone:
          atcs[event.source]!.done(event);
          break;
        case Op.AtcInvalidate:
          atcs[event.source]!.invalidate(event);
          break;
        case Op.AtcForget:
          atcs[event.source]!.forget(event);
          break;
        case Op.AtsTimeout:
          units[event.unit]!.agent!.invalidations.expire();
          break;
        case Op.AtcCredit:
          links[event.unit]!.woken();
          atcs[event.unit]!.creditReady();
          break;
        case Op.PageGroupDue:
          pris[event.unit]!.groupDue();
          break;
        case Op.PageRequestArrive:
          ports[event.source]!.pageRequest(event);
          pris[event.source]!.recycle(event);
          break;
        case Op.PageRecorded:
          hardware[event.unit]!.pages!.recorded(event);
          break;
        case Op.PageResponse:
          pris[event.source]!.responded(event.parent, event.value);
          ports[event.source]!.recycle(event);
          break;
        case Op.ThreadStep:
          os.threadStep(event);
          break;
        case Op.Timer:
          os.timer(event);
          break;
        case Op.MmioWrite:
          hardware[event.unit]!.registerWrite(event);
          break;
        case Op.InvalidationStep:
          hardware[event.unit]!.step();
          break;
        case Op.EventRecorded:
          hardware[event.unit]!.recorded!(event);
          break;
        case Op.PortalEnter:
          portals[event.unit]!.enter(event);
          break;
        case Op.PortalArrive:
          portals[event.unit]!.arrive(event);
          break;
        case Op.PortalReturn:
          portals[event.unit]!.return(event);
          break;
        case Op.PortalAnswer:
          portals[event.unit]!.answer(event);
          break;
        case Op.AcceleratorDispatch:
          accelerators[event.unit]!.dispatch();
          break;
        case Op.Relay:
          kernel.relayed(event);
          break;
        case Op.WindowEnd:
          if (event.state !== WindowEnd.Void) meter.close();
          break;
      }
    }
    return limit - left;
  }
}
