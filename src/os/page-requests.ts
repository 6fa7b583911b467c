/** What the drivers of all architectures make of a page request: a fault for `FaultQueue.report`, with what is known of its way so far. */
import type { Access } from '../protocol/access.js';
import { PageRequestBit } from '../protocol/page-request.js';
import type { FaultPath } from './iommu-driver.js';
import type { ThreadedInterrupt } from './interrupt.js';
import { FaultStage, type PageFault } from './page-fault.js';

/** A page request as the queues of all architectures hold it. */
export interface QueuedRequest {
  /** -1: none. */
  readonly pasid: number;
  /** `PageRequestBit` bits. */
  readonly bits: number;
  readonly group: number;
  readonly addressHi: number;
  readonly addressLo: number;
}

/** `slot`: of its record in the queue. */
export function pageFaultOf(
  { queue, pages }: FaultPath,
  line: ThreadedInterrupt,
  requester: number,
  { pasid, bits, group, addressHi, addressLo }: QueuedRequest,
  slot: number,
): PageFault {
  const fault = queue.fault();
  fault.pasid = pasid;
  fault.address = (addressHi >>> 0) * 2 ** 32 + (addressLo >>> 0);
  fault.access = (bits & PageRequestBit.Access) as Access;
  fault.privileged = (bits & PageRequestBit.Privileged) !== 0;
  fault.group = group;
  fault.last = (bits & PageRequestBit.Last) !== 0;
  if (pages === null) fault.arrive(line.handledAt);
  else {
    const recorded = pages.recordedAt(slot);
    const asked = pages.askedAt(requester, group, addressHi, addressLo);
    // Hardware has answered a group that it lost the end of: nobody waits for this request.
    if (Number.isNaN(asked)) fault.arrive(recorded);
    else {
      fault.arrive(asked);
      fault.charge(FaultStage.Device, recorded);
      fault.owner = queue;
      pages.follow(requester, group, addressHi, addressLo, fault);
    }
  }
  fault.charge(FaultStage.Interrupt, line.handledAt);
  fault.charge(FaultStage.Wake, line.startedAt);
  return fault;
}
