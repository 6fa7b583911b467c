/** Registers of a unit that its parts look at: device table, and the bits of the control register. Writes take effect when they arrive. */
export class Registers {
  deviceTableHi = 0;
  deviceTableLo = 0;
  deviceTableBytes = 0;
  /** GTEn: DTE.GV counts. */
  guestTranslation = false;
  /** GCR3TRPMode: GCR3 tables lie at guest-physical addresses. */
  gcr3GuestPhysical = false;
}
