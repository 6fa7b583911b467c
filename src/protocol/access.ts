/** Kind of an access, and permissions of a translation: a bit set. */
export const enum Access {
  None = 0,
  Read = 1,
  Write = 2,
  Execute = 4,
}
