/** The machine as the operating system finds it when it boots: what the rest of the simulator hands over. */
import type { Kernel } from '../kernel/kernel.js';
import type { FrameAllocator } from '../memory/frames.js';
import type { PhysicalMemory } from '../memory/physical.js';
import type { MemorySystem } from '../memory/system.js';
import type { DeviceWait } from '../protocol/ats.js';
import type { Observer } from '../protocol/observer.js';
import type { PageRequestLog } from '../protocol/page-request.js';
import type { Portals } from '../protocol/portal.js';
import type { DeviceQueue } from '../protocol/queue.js';
import type { RegisterBus } from '../protocol/registers.js';
import type { StallLog } from '../protocol/stall.js';
import type { OperationSink } from './drivers/driver.js';
import type { AtsCapability } from './endpoint.js';
import type { UnitSpec } from './spec.js';

export interface OsSocket {
  readonly name: string;
  readonly cores: number;
  /** Hz. */
  readonly frequency: number;
  readonly frames: FrameAllocator;
}

export interface OsUnit {
  readonly spec: UnitSpec;
  /** Socket whose memory holds the unit's tables and queues. */
  readonly socket: number;
  /** Measures stalled transactions; null or absent where nobody does. */
  readonly stalls?: StallLog | null;
  /** The same of page requests. */
  readonly pages?: PageRequestLog | null;
  /** Measures waits for device TLBs. */
  readonly deviceWait?: DeviceWait | null;
}

export interface OsDevice {
  readonly name: string;
  /** Index into the units; -1 = no IOMMU in front of it. */
  readonly unit: number;
  readonly requester: number;
  /** ATS is enabled in the device. */
  readonly ats?: AtsCapability | null;
}

/** The machine as the operating system finds it. */
export interface OsMachine {
  readonly kernel: Kernel;
  readonly memory: PhysicalMemory;
  /** CPU stores leave their lines in the caches it models; null = nobody models caches. */
  readonly timing: MemorySystem | null;
  readonly sockets: readonly OsSocket[];
  readonly units: readonly OsUnit[];
  readonly devices: readonly OsDevice[];
  readonly registers: RegisterBus;
  readonly queue: DeviceQueue;
  readonly portals: Portals;
  readonly observer: Observer | null;
  readonly sink: OperationSink | null;
  readonly seed: number;
}
