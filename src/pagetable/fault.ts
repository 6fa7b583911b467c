/** Why a walk ended without a translation; an architecture maps it to its codes. */
export const enum Fault {
  None,
  /** Entry not present, or not a valid entry at its level. */
  NotPresent,
  /** Reserved bit or encoding, page size not allowed at this level, address above the host address width where formats say so. */
  Reserved,
  ReadDenied,
  WriteDenied,
  ExecuteDenied,
  /** User request to a page without `Permission.User`, or privileged request to one without `Permission.Supervisor`. */
  Privilege,
  /** Input address above the width of the table. */
  AddressWidth,
  /** Input address not sign-extended. */
  NonCanonical,
  /** Memory refused the read of an entry (`refuseWalk`). */
  TableAccess,
  /** Accessed flag clear, or dirty state clean on a write, and hardware may not update it. */
  AccessFlag,
  /** Address in an entry beyond the output width. */
  OutputSize,
  /** Input address bits that belong to levels which the table entry skips are not zero (AMD-Vi). */
  SkippedBits,
  /** The table entry names a next level that is not below its own (AMD-Vi). */
  Level,
}
