/** How software that polls a memory word or a status register learns, without one event per poll, that hardware has changed it. */
export interface StoreWatch {
  /** Hardware stored to the word at this instant; the new value can be read from physical memory. */
  stored(hi: number, lo: number): void;
  /** The status register at `offset` of a unit reads `hi:lo` from this instant on. Units whose commands complete in registers call it. */
  changed?(unit: number, offset: number, hi: number, lo: number): void;
  /** A message of the unit has reached a CPU: its event queue is not empty any more. Units with interrupts enabled call it. */
  interrupted?(unit: number): void;
  /** The same of its page request queue. */
  pagesRequested?(unit: number): void;
}
