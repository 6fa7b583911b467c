/**
 * The one switch that shows the order of stages: which component handles an event that has become due. `event.unit` picks the
 * instance. Called in batches, so that V8 optimises it by call count.
 * Hot path: bench/end-to-end.
 */
import type { Engine } from '../devices/engine.js';
import type { Hardware } from '../iommu/architecture.js';
import type { IommuUnit } from '../iommu/unit.js';
import type { Kernel } from '../kernel/kernel.js';
import type { Meter } from '../kernel/meter.js';
import type { Os } from '../os/os.js';
import type { Link } from '../pcie/link.js';
import type { RootPort } from '../pcie/root-port.js';
import { Op } from '../protocol/op.js';

/** `state` of an Op.WindowEnd event. */
export const enum WindowEnd {
  Armed = 0,
  /** Its window ended for another reason. */
  Void = 1,
}

/** What the dispatcher drives; index = unit number. Links, ports and engines are numbered by device. */
export interface Parts {
  readonly kernel: Kernel;
  readonly meter: Meter;
  readonly engines: readonly Engine[];
  readonly links: readonly Link[];
  readonly ports: readonly RootPort[];
  readonly units: readonly IommuUnit[];
  readonly hardware: readonly Hardware[];
  readonly os: Os;
}

export class Dispatcher {
  /** False after the last pending event: nothing will ever happen again. */
  alive = true;

  constructor(private readonly parts: Parts) {}

  /** Handles at most `limit` events; stops early when the meter closes or nothing is pending. Returns the number handled. */
  batch(limit: number): number {
    const { kernel, meter, engines, links, ports, units, hardware, os } = this.parts;
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
