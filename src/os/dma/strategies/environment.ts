/** What strategies get besides the table work (`Mapper`): one environment for each job. */
import type { MemorySystem } from '../../../memory/system.js';
import type { StrategySpec } from '../../spec.js';

export interface StrategyEnvironment {
  readonly spec: StrategySpec;
  /** CPU stores leave their lines in the caches it models; null = nobody models caches. */
  readonly timing: MemorySystem | null;
  /** Allocates whole pages on the job's socket, without simulated time. */
  buffer(bytes: number): number;
}
