/** Read-only description of the virtual machine that the operating system runs in, if it runs in one. Times in ps. */

/**
 * How the guest's IOMMU is made. `none`: no virtual machine, or a paravirtual IOMMU. `caching`: emulated, with shadow tables that the
 * host maintains (VT-d caching mode). `nested-trapped`: the guest owns the first stage, its queue is emulated. `nested-queue`: the same
 * with a queue that hardware executes.
 */
export const GUEST_MODES = ['none', 'caching', 'nested-trapped', 'nested-queue'] as const;
export type GuestMode = (typeof GUEST_MODES)[number];

export interface GuestSpec {
  readonly mode: GuestMode;
  /** From a trapped access to the monitor's code in user space, and back to the guest: both ways together. */
  readonly exit: number;
  /** The monitor's lock, free; and from its release to the next vCPU, which sleeps on it. */
  readonly lock: number;
  readonly lockHandOver: number;
  /** The monitor's code for one command of an emulated queue, or for one read of an emulated register. */
  readonly emulation: number;
  /** Most invalidation commands that the monitor hands to the host's kernel at once. */
  readonly batch: number;
  /** A system call into the host's IOMMU code, besides what that does to tables and queues. */
  readonly call: number;
  /** Pinning and unpinning one page of the guest's memory, already resident, for a shadow mapping. */
  readonly pin: number;
  readonly unpin: number;
  /** Time between changes of the second stage under the guest; 0 = never. */
  readonly stage2Change: number;
}
