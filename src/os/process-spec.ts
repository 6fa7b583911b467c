/** Read-only description of processes, threads that sleep and recoverable page faults. Times in integer picoseconds. */
import type { MmCosts } from './mm/spec.js';

export interface ProcessSpec {
  readonly memory: MmCosts & {
    /** Pages that one direct reclaim frees. */
    readonly cluster: number;
    /** Storage: of 4 KiB on an idle device, and between completions of a busy one. */
    readonly storageLatency: number;
    readonly storageInterval: number;
  };
  readonly faults: {
    /** Threads of a unit's fault workqueue, one core each. */
    readonly workers: number;
    readonly hardInterrupt: number;
    readonly unmask: number;
    readonly queueWork: number;
    readonly takeWork: number;
    readonly report: number;
  };
  /** Giving a CPU to a thread that slept (`TurnCosts`). */
  readonly wakeLatency: number;
  readonly contextSwitch: number;
  /** Binding a device to a process, and the opposite, without the driver's part. */
  readonly bind: number;
  readonly unbind: number;
}
