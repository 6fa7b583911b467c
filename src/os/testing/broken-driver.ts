/** Drivers with a bug on purpose: strict unmaps do not invalidate anything. An audit has to notice. For tests only. */
import { RiscvDriver } from '../riscv/driver.js';
import type { Call } from '../thread.js';
import { VtdDriver } from '../vtd/driver.js';

export class ForgetfulVtdDriver extends VtdDriver {
  override *flushRange(): Call<void> {}
}

export class ForgetfulRiscvDriver extends RiscvDriver {
  override *flushRange(): Call<void> {}
}
