/**
 * A device that issues DMA (struct device with its struct dev_iommu): requester id, the unit in front of it, its group, and the
 * domains attached to it by PASID. The domain of requests without PASID belongs to the group.
 */
import type { Domain } from './domain.js';
import { AttachError } from './errors.js';
import type { Group } from './group.js';
import type { AtsCapability, Endpoint } from './iommu-driver.js';
import type { Call, Thread } from './thread.js';

/** PASIDs are 20 bits; 0 stands for requests without PASID (IOMMU_NO_PASID). */
const LAST_PASID = 2 ** 20 - 1;

export class Device implements Endpoint {
  private readonly byPasid = new Map<number, Domain>();

  constructor(
    readonly id: number,
    readonly name: string,
    /** Index of the IOMMU unit, -1 when DMA reaches memory directly. */
    readonly unit: number,
    readonly requester: number,
    readonly group: Group,
    readonly ats: AtsCapability | null = null,
  ) {
    group.add(this);
  }

  /** Domain of requests with `pasid`, -1 = without PASID; null if none is attached. */
  domainOf(pasid: number): Domain | null {
    return pasid < 0 ? this.group.domain : (this.byPasid.get(pasid) ?? null);
  }

  /** Attaches a domain for requests with `pasid`. Throws AttachError: EINVAL for a PASID or unit that cannot, EBUSY if one is attached. */
  attachPasid(pasid: number, domain: Domain): void {
    if (!Number.isInteger(pasid) || pasid < 1 || pasid > LAST_PASID) {
      throw new AttachError('EINVAL', `${this.name}: PASID ${pasid} is not in 1..${LAST_PASID}`);
    }
    if (this.unit < 0 || !domain.driver.supportsPasid(this.unit)) {
      throw new AttachError('EINVAL', `${this.name}: its IOMMU unit does not translate by PASID`);
    }
    if (this.byPasid.has(pasid)) throw new AttachError('EBUSY', `${this.name}: PASID ${pasid} has a domain already`);
    domain.driver.attach(domain, this, pasid);
    this.byPasid.set(pasid, domain);
  }

  /** Detaches by PASID; nothing is translated for it afterwards. Throws AttachError EINVAL if nothing is attached. */
  *detachPasid(thread: Thread, pasid: number): Call<void> {
    const domain = this.byPasid.get(pasid);
    if (domain === undefined) throw new AttachError('EINVAL', `${this.name}: PASID ${pasid} has no domain`);
    yield* domain.driver.detach(thread, domain, this, pasid);
    this.byPasid.delete(pasid);
  }
}
