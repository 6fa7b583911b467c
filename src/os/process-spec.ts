/** Read-only description of processes, threads that sleep and recoverable page faults. Times in integer picoseconds. */
import type { MmCosts } from './mm/spec.js';

/** What ENQCMD takes besides its way to the device and back. */
export interface EnqcmdSpec {
  /** A thread's first one: the fault, and loading the PASID register. */
  readonly fixup: number;
  /** The processor's look-up of a guest PASID. */
  readonly translate: number;
  /** Leaving the virtual machine for a guest PASID without entry, finding what it stands for, and coming back. */
  readonly exit: number;
}

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
  readonly enqcmd: EnqcmdSpec;
  readonly bind: number;
  readonly unbind: number;
}
