/** How software reaches the registers of a unit: posted 64-bit writes over the processor's uncore. */
export interface RegisterBus {
  /** The write takes effect at `unit` after `flightPs`; writes to one unit arrive in the order they were made. */
  write(unit: number, offset: number, hi: number, lo: number, flightPs: number): void;
}
