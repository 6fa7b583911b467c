/**
 * Devices that the IOMMU cannot tell apart or isolate from each other (struct iommu_group): they share one domain for requests
 * without PASID. A group without a domain translates nothing.
 */
import type { Domain } from './domain.js';
import { AttachError } from './errors.js';
import type { Endpoint } from './iommu-driver.js';
import type { Call, Thread } from './thread.js';

export class Group {
  readonly devices: Endpoint[] = [];
  private current: Domain | null = null;

  constructor(readonly id: number) {}

  get domain(): Domain | null {
    return this.current;
  }

  /** Called by the device itself. Throws AttachError EBUSY once a domain is attached. */
  add(device: Endpoint): void {
    if (this.current !== null) {
      throw new AttachError(
        'EBUSY',
        `${device.name}: group ${this.id} has a domain attached and takes no further device`,
      );
    }
    this.devices.push(device);
  }

  /** Attaches every device of the group. Throws AttachError EBUSY if a domain is attached: detach it first. */
  attach(domain: Domain): void {
    if (this.current !== null) {
      throw new AttachError('EBUSY', `group ${this.id} is attached to domain ${this.current.id}`);
    }
    for (const device of this.devices) domain.driver.attach(domain, device, -1);
    this.current = domain;
  }

  /** Detaches every device; nothing is translated for the group afterwards. Throws AttachError EINVAL if nothing is attached. */
  *detach(thread: Thread): Call<void> {
    const domain = this.current;
    if (domain === null) throw new AttachError('EINVAL', `group ${this.id} has no domain`);
    for (const device of this.devices) yield* domain.driver.detach(thread, domain, device, -1);
    this.current = null;
  }
}
