/** What a unit is built into. */
import type { Event } from '../kernel/event.js';
import type { Kernel } from '../kernel/kernel.js';
import type { PhysicalMemory } from '../memory/physical.js';
import type { MemorySystem } from '../memory/system.js';
import type { LatencyLedger } from '../stats/latency-ledger.js';

export interface Surroundings {
  readonly kernel: Kernel;
  readonly memory: MemorySystem;
  readonly physical: PhysicalMemory;
  readonly ledger: LatencyLedger;
  readonly seed: number;
  /** Takes back the event of a register write. */
  readonly recycle: (event: Event) => void;
}
