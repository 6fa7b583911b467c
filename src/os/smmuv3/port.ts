/** How software reaches the registers of a command queue that completes without messages: CMDQ_PROD and CMDQ_CONS. */
import type { Call, Thread } from '../thread.js';

/** Positions count commands since the start. */
export interface QueuePort {
  /** Publishes the commands before `until`, which are in memory; returns when the CPU goes on. */
  publish(thread: Thread, until: number): Call<void>;
  /** Polls CMDQ_CONS until the command at `position` has been consumed (__arm_smmu_cmdq_poll_until_consumed). */
  consumed(thread: Thread, position: number): Call<void>;
}
