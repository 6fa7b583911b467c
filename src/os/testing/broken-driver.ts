/** Drivers with a bug on purpose: strict unmaps do not invalidate anything, or no device TLB. An audit has to notice. For tests only. */
import type { DomainState } from '../domain-state.js';
import type { Endpoint } from '../endpoint.js';
import { RiscvDriver } from '../riscv/driver.js';
import type { Call } from '../thread.js';
import { VtdDriver } from '../vtd/driver.js';

export class ForgetfulVtdDriver extends VtdDriver {
  override *flushRange(): Call<void> {}
}

export class ForgetfulRiscvDriver extends RiscvDriver {
  override *flushRange(): Call<void> {}
}

/** Invalidates the caches of the unit, and forgets those of the device. */
export class AtsForgetfulVtdDriver extends VtdDriver {
  override attach(domain: DomainState, device: Endpoint, pasid: number): void {
    super.attach(domain, device, pasid);
    domain.deviceTags = [];
  }
}
