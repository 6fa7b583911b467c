/** Registers of the ideal IOMMU: software selects a requester and PASID, then says which table translates its requests. */

export const enum Register {
  /** Low word: requester id; high word: PASID + 1, or 0 for requests without PASID. */
  Select = 0,
  /** Root of the table, with `Entry` bits; 0: nothing is translated. */
  Table = 8,
}

export const enum Entry {
  Valid = 1,
  PassThrough = 2,
}

/** Levels of its tables, in the second-stage format of VT-d. */
export const LEVELS = 4;
