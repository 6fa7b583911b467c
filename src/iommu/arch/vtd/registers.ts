/**
 * Registers of a unit that its parts look at: root table address and global status. Writes take effect when they arrive; status bits
 * follow at once (real parts take microseconds for SRTP, once at boot). The queue's registers are the ring of the command queue.
 */
export class Registers {
  /** RTADDR_REG: table address, and translation table mode 01b = scalable. */
  rootHi = 0;
  rootLo = 0;
  scalable = false;
  /** The mode is reserved, or one that the unit does not have. */
  modeInvalid = false;
  /** IQA_REG.DW: 256-bit descriptors. */
  wide = false;
}
