/**
 * Registers that the parts of a unit look at: capabilities (what the unit can do), fctl and ddtp. Writes take effect when they arrive.
 * Queue registers are the ring of the command queue and the fault queue.
 */
import type { IommuSpec } from '../../spec.js';
import { Capability, DirectoryMode, pointerHi, pointerLo } from './format.js';

/** IOMMU version 1.0. */
const VERSION = 0x10;
const FIRST = [Capability.Sv39, Capability.Sv48, Capability.Sv57] as const;
const SECOND = [Capability.Sv39x4, Capability.Sv48x4, Capability.Sv57x4] as const;
const PROCESS = [Capability.Pd8, Capability.Pd17, Capability.Pd20] as const;

export class Registers {
  /** capabilities, bits 31:0 and 63:32. */
  private low = VERSION;
  private high = 0;
  /** fctl.WSI: interrupts are wires. */
  wired = false;
  mode: DirectoryMode = DirectoryMode.Off;
  /** ddtp: the root table. */
  rootHi = 0;
  rootLo = 0;

  /** The unit of a specification: base-format contexts, tables of up to its levels, no hardware A/D updates, ATS. */
  static of(spec: IommuSpec): Registers {
    const registers = new Registers();
    const { stage, levels, secondLevels, processLevels, hostAddressWidth } = spec;
    registers.enable(FIRST.slice(0, Math.max(0, stage === 'second' ? 0 : levels - 2)));
    registers.enable(SECOND.slice(0, Math.max(0, (stage === 'second' ? levels : secondLevels) - 2)));
    registers.enable(PROCESS.slice(0, processLevels));
    registers.enable([Capability.Ats]);
    if (spec.invalidation.maxAddressMask > 0) registers.enable([Capability.NonLeaf, Capability.AddressRange]);
    registers.high |= hostAddressWidth;
    return registers;
  }

  private enable(bits: readonly Capability[]): void {
    for (const bit of bits) {
      if (bit < 32) this.low |= 1 << bit;
      else this.high |= 1 << (bit - 32);
    }
  }

  /** Replaces `capabilities`. */
  setCapabilities(hi: number, lo: number): void {
    this.high = hi;
    this.low = lo;
  }

  has(bit: Capability): boolean {
    return (((bit < 32 ? this.low : this.high) >>> (bit & 31)) & 1) === 1;
  }

  /** capabilities.PAS. */
  get physicalBits(): number {
    return this.high & 0x3f;
  }

  /** MSI_FLAT: device contexts of 64 bytes. */
  get extended(): boolean {
    return this.has(Capability.MsiFlat);
  }

  /** A table of `levels` (0: Bare) is one that the unit has for first stages; -1 stands for a mode that does not exist. */
  hasFirst(levels: number): boolean {
    return levels === 0 || (levels > 0 && this.has(FIRST[levels - 3]!));
  }

  hasSecond(levels: number): boolean {
    return levels === 0 || (levels > 0 && this.has(SECOND[levels - 3]!));
  }

  /** PD8, PD17 and PD20 are modes 1, 2 and 3: as many levels. */
  hasProcess(mode: number): boolean {
    return mode === 0 || (mode <= PROCESS.length && this.has(PROCESS[mode - 1]!));
  }

  /** ddtp: a mode that does not exist leaves the mode as it is; address bits beyond the physical width are not kept. */
  writeDirectoryPointer(hi: number, lo: number): void {
    const mode = lo & 0xf;
    if (mode <= DirectoryMode.ThreeLevels) this.mode = mode;
    this.rootHi = pointerHi(hi, lo) & (2 ** (this.physicalBits - 32) - 1);
    this.rootLo = pointerLo(lo);
  }
}
