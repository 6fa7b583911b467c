/** How software that polls a memory word learns, without one event per poll, that hardware has stored to it. */
export interface StoreWatch {
  /** Hardware stored to the word at this instant; the new value can be read from physical memory. */
  stored(hi: number, lo: number): void;
}
