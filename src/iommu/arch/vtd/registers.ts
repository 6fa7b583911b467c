/**
 * Registers of a unit that software programs: root table address, queue address and tail, global command. Writes take effect when
 * they arrive; status bits follow at once (real parts take microseconds for SRTP, once at boot).
 */
export class Registers {
  /** RTADDR_REG: table address, and translation table mode 01b = scalable. */
  rootHi = 0;
  rootLo = 0;
  scalable = false;
  /** GSTS.TES: until it is set requests pass untranslated. */
  translation = false;
  /** GSTS.QIES. */
  queuedInvalidation = false;
  /** IQA_REG: base, log2 of descriptors, 256-bit descriptors. */
  queueHi = 0;
  queueLo = 0;
  queueLg2 = 8;
  wide = false;
  /** Descriptor numbers. */
  head = 0;
  tail = 0;
  /** FSTS_REG bit 4, IQE: invalidation queue error. */
  queueError = false;
}
