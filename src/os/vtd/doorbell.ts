/** What a write of the tail register of an invalidation queue reaches when it is not the hardware's. */
import type { Call, Thread } from '../thread.js';

export interface Doorbell {
  /** The write of `tail` (in descriptors); returns when the CPU goes on. The descriptors before it are in memory. */
  ring(thread: Thread, tail: number): Call<void>;
}
