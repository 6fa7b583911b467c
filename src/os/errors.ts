/** Refusals of the IOMMU core, by the kernel's error names. */

export type AttachErrno = 'EBUSY' | 'EINVAL';

export class AttachError extends Error {
  constructor(
    readonly errno: AttachErrno,
    message: string,
  ) {
    super(message);
    this.name = 'AttachError';
  }
}

export type BindErrno = 'EBUSY' | 'EINVAL' | 'ENODEV' | 'ENOSPC' | 'EOVERFLOW' | 'ESRCH';

/** A process address space cannot be bound to a device. */
export class BindError extends Error {
  constructor(
    readonly errno: BindErrno,
    message: string,
  ) {
    super(message);
    this.name = 'BindError';
  }
}

/** The machine has no CPU left for a thread. */
export class OutOfCpus extends Error {
  constructor(socket: string, cores: number, thread: string) {
    super(`socket ${socket} has ${cores} cores and each runs one driver thread; none is left for ${thread}`);
    this.name = 'OutOfCpus';
  }
}
