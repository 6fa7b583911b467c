/**
 * The PASID translation table of a virtual machine: the processor replaces the guest PASID of an ENQCMD by the host's (Intel SDM 3C,
 * "PASID translation" VM-execution control; VMCS fields low and high PASID directory address). Bit 19 of a guest PASID selects one of two
 * directories of 512 entries of 8 bytes, bits 18:10 the entry, bits 9:0 the entry of a table of 1024 entries of 4 bytes: bit 31 valid, bits 19:0
 * the host PASID. An absent entry makes the machine exit (basic reasons 72 and 73). No released Linux fills such a table.
 */
import type { FrameAllocator } from '../../memory/frames.js';
import type { PhysicalMemory } from '../../memory/physical.js';

const TWO_32 = 2 ** 32;
const PRESENT = 1;
const FRAME = -4096;
const VALID = 0x80000000 | 0;
const PASID_MASK = 0xfffff;
export const PASID_LIMIT = 2 ** 20;

export class PasidTranslation {
  /** Physical addresses of the low and the high directory. */
  readonly directories: readonly [number, number];

  /** Throws OutOfMemory. */
  constructor(
    private readonly memory: PhysicalMemory,
    private readonly frames: FrameAllocator,
  ) {
    this.directories = [frames.allocate(), frames.allocate()];
  }

  /** The guest's PASID stands for the host's from now on. Throws RangeError for more than 20 bits, OutOfMemory. */
  set(guest: number, host: number): void {
    check(guest);
    check(host);
    let table = this.tableOf(guest);
    if (table < 0) {
      table = this.frames.allocate();
      const entry = this.entryOf(guest);
      this.memory.write(Math.floor(entry / TWO_32), entry | 0, Math.floor(table / TWO_32), table | PRESENT);
    }
    this.store(table, guest, VALID | host);
  }

  /** The guest's PASID stands for none: submissions with it leave the virtual machine. */
  clear(guest: number): void {
    check(guest);
    const table = this.tableOf(guest);
    if (table >= 0) this.store(table, guest, 0);
  }

  /** The host's PASID; -1: none. */
  translate(guest: number): number {
    check(guest);
    const table = this.tableOf(guest);
    if (table < 0) return -1;
    const { memory } = this;
    const [hi, lo] = wordOf(table, guest);
    memory.read(hi, lo);
    const entry = (guest & 1) === 0 ? memory.wordLo : memory.wordHi;
    return (entry & VALID) === 0 ? -1 : entry & PASID_MASK;
  }

  private store(table: number, guest: number, entry: number): void {
    const { memory } = this;
    const [hi, lo] = wordOf(table, guest);
    memory.read(hi, lo);
    const { wordHi, wordLo } = memory;
    if ((guest & 1) === 0) memory.write(hi, lo, wordHi, entry);
    else memory.write(hi, lo, entry, wordLo);
  }

  private entryOf(guest: number): number {
    return this.directories[(guest >>> 19) as 0 | 1] + 8 * ((guest >>> 10) & 511);
  }

  /** Physical address of the table that has the entry of the guest's PASID; -1: there is none. */
  private tableOf(guest: number): number {
    const { memory } = this;
    const entry = this.entryOf(guest);
    memory.read(Math.floor(entry / TWO_32), entry | 0);
    if ((memory.wordLo & PRESENT) === 0) return -1;
    return memory.wordHi * TWO_32 + ((memory.wordLo & FRAME) >>> 0);
  }
}

/** Address of the 64-bit word that has the entry. */
function wordOf(table: number, guest: number): [hi: number, lo: number] {
  const address = table + 4 * (guest & 1022);
  return [Math.floor(address / TWO_32), address | 0];
}

function check(pasid: number): void {
  if (!Number.isInteger(pasid) || pasid < 0 || pasid >= PASID_LIMIT) {
    throw new RangeError(`a PASID has 20 bits, got ${pasid}`);
  }
}
