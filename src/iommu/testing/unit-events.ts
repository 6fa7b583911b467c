/** What a dispatcher does with the events of one IOMMU unit, for machines in tests that have nothing but the unit and its registers. */
import type { Event } from '../../kernel/event.js';
import { Op } from '../../protocol/op.js';
import type { IommuUnit } from '../unit.js';

/** The part of a `Hardware` that such a machine drives. */
interface Steps {
  step(): void;
  readonly pages?: { recorded(event: Event): void } | null;
}

/** Handles an event of the unit; false: it is not one of its. */
export function unitEvent(unit: IommuUnit, hardware: Steps, event: Event): boolean {
  switch (event.op as Op) {
    case Op.IommuLookup:
      unit.lookup(event);
      return true;
    case Op.WalkRead:
      unit.walkers.walkRead(event);
      return true;
    case Op.WalkReplay:
      unit.walkers.walkReplay(event);
      return true;
    case Op.InvalidationStep:
      hardware.step();
      return true;
    case Op.MemoryServed:
      unit.served(event);
      return true;
    case Op.PageRecorded:
      hardware.pages!.recorded(event);
      return true;
    case Op.Relay:
      unit.kernel.relayed(event);
      return true;
    default:
      return false;
  }
}

/** Nobody in the machine handles the event. */
export function unowned(event: Event): never {
  throw new Error(`op ${event.op} in a machine without its owner`);
}
