/** Vocabulary of compiled formats: permission bits, kinds of entries, and the columns of the classification table. */

/**
 * The bits of an entry's permission set, and what a request needs; the first three are `Access`. A user request needs R, W or X and
 * User. A privileged one needs R or W and Supervisor, or SupervisorExecute and Supervisor for an instruction fetch.
 */
export const enum Permission {
  Read = 1,
  Write = 2,
  Execute = 4,
  User = 8,
  Supervisor = 16,
  SupervisorExecute = 32,
  All = 63,
}

export const enum EntryKind {
  Absent,
  /** An encoding that ends the walk with the fault of its row. */
  Refused,
  Table,
  Leaf,
}

/** Values of Row.SizeLg2 that are no size. */
export const enum Size {
  /** The entry ends the walk. */
  None = -2,
  /** The address field encodes the size. */
  Coded = -1,
  Table = 0,
}

/** Columns of `Format.rows`; those of every step come first. */
export const enum Row {
  Kind,
  Permissions,
  ReservedHi,
  ReservedLo,
  /** Bits of the lower word that a use of the entry sets (accessed). */
  Used,
  /** Leaf: log2 of its size, or Size. */
  SizeLg2,
  /** Table: number of levels that it skips, and the input address bits that must be zero because of that. */
  Skipped,
  SkipHi,
  SkipLo,
  /** Leaf: bits of the lower word that make up its dirty state, and what they are when it is dirty. */
  DirtyMask,
  DirtyValue,
  /** Leaf: log2 of the part of the input address that its own address field is completed with. */
  OffsetLg2,
  /** Leaf: global when (lo & GlobalMask) is GlobalValue. */
  GlobalMask,
  GlobalValue,
  /** Absent and refused entries: how the walk ends. */
  Fault,
  /** When used or written bits are not as they should be: fault, or None if hardware updates the entry. */
  UpdateFault,
  /** The reserved bits that mean Fault.OutputSize. */
  WidthHi,
  WidthLo,
  /** Coded size: log2 is granule + 1 + number of low zeros of the address field ^ CodeInvert, and lies from LeastLg2 to MostLg2. */
  CodeInvert,
  LeastLg2,
  MostLg2,
  Stride = 32,
}
