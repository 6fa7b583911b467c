/** A VT-d driver with a bug on purpose: strict unmaps do not invalidate anything. An audit has to notice. For tests only. */
import type { Call } from '../thread.js';
import { VtdDriver } from '../vtd/driver.js';

export class ForgetfulVtdDriver extends VtdDriver {
  override *flushRange(): Call<void> {}
}
