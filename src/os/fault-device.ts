/** What the page-fault code keeps for each device (struct iommu_fault_param), and what it needs from the IOMMU's driver. */
import type { DomainState } from './domain-state.js';
import type { Endpoint } from './iommu-driver.js';
import type { FaultGroup, PageFault, PageResponse } from './page-fault.js';
import { RwSemaphore } from './rw-semaphore.js';
import type { Call, Thread } from './thread.js';

/** A device whose requests domains take by PASID. */
export interface FaultEndpoint extends Endpoint {
  domainOf(pasid: number): DomainState | null;
}

/** The driver of the unit that reports the device's faults. */
export interface PageResponder {
  /** page_response: sends the answer for a group; returns when the driver does. `pasid` -1: the requests had none. */
  respond(thread: Thread, device: Endpoint, pasid: number, group: number, code: PageResponse): Call<void>;
  /** Returns when no request of the PASID that arrived before is left in the unit's queue: all of them have been reported. */
  drainQueue(thread: Thread, device: Endpoint, pasid: number): Call<void>;
  /** After the last answer: returns when the unit and the device have nothing of the PASID in flight. */
  drainHardware(thread: Thread, device: Endpoint, pasid: number): Call<void>;
}

export class FaultDevice {
  /** Held over every answer (fault_param->lock, a mutex). */
  readonly lock = new RwSemaphore();
  /** Requests whose group is not complete. */
  readonly partial: PageFault[] = [];
  /** Groups without an answer. */
  readonly pending: FaultGroup[] = [];

  constructor(
    readonly endpoint: FaultEndpoint,
    readonly responder: PageResponder,
  ) {}
}
