/** What a unit is built into. */
import type { Event } from '../kernel/event.js';
import type { Kernel } from '../kernel/kernel.js';
import type { FrameAllocator } from '../memory/frames.js';
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

/** With the memory of a hypervisor, for units that are its software: frames of each socket, by number. */
export interface HostSurroundings extends Surroundings {
  readonly frames: readonly FrameAllocator[];
}
