/**
 * Tables that a PHB4 keeps on the chip: windows (TVT) and the state of each endpoint (PEST A and B), written through IODA_ADDR and
 * IODA_DATA0. The other IODA tables have to do with MMIO and interrupts and are not modelled.
 */
import { decodeTve, IodaTable, iodaIndex, iodaTable, PES, TOP, Tve, windowOf } from './format.js';

export class IodaTables {
  /** By PE * 2 + window. */
  private readonly windows: readonly Tve[] = Array.from({ length: 2 * PES }, () => new Tve());
  private readonly mmioFrozen = new Uint8Array(PES);
  private readonly dmaStopped = new Uint8Array(PES);
  private addressHi = 0;
  private addressLo = 0;

  /** IODA_ADDR. */
  select(hi: number, lo: number): void {
    this.addressHi = hi;
    this.addressLo = lo;
  }

  /** IODA_DATA0. */
  write(hi: number, lo: number): void {
    const index = iodaIndex(this.addressLo);
    const pe = index % PES;
    switch (iodaTable(this.addressHi)) {
      case IodaTable.Tvt:
        decodeTve(hi, lo, this.windows[index]!);
        break;
      case IodaTable.PestA:
        this.mmioFrozen[pe] = hi < 0 ? 1 : 0;
        break;
      case IodaTable.PestB:
        this.dmaStopped[pe] = hi < 0 ? 1 : 0;
        break;
      default:
        break;
    }
    if ((this.addressHi & TOP) !== 0) this.addressLo = (index + 1) & 0x3ff;
  }

  window(pe: number, addressHi: number): Tve {
    return this.windows[2 * pe + windowOf(addressHi)]!;
  }

  /** DMA of the endpoint is refused until software clears its PEST bits. */
  frozen(pe: number): boolean {
    return this.dmaStopped[pe] === 1;
  }

  freeze(pe: number): void {
    this.mmioFrozen[pe] = 1;
    this.dmaStopped[pe] = 1;
  }
}
