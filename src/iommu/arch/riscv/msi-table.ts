/**
 * MSI page tables in flat mode (RISC-V IOMMU specification, "Process to translate addresses of MSIs"): guest-physical pages that match
 * the address pattern of a device context are virtual interrupt files, translated by one 16-byte entry each. Basic translate mode;
 * memory-resident interrupt files (MRIF) count as misconfigured. Not modelled: MSI page tables of contexts without second stage.
 */
import type { PhysicalMemory } from '../../../memory/physical.js';
import { Permission } from '../../../pagetable/format.js';
import { Stage } from '../../address-space.js';
import type { Interception } from '../../architecture.js';
import type { Miss } from '../../miss.js';
import {
  Capability,
  Cause,
  Dword,
  isValid,
  msiEntryMisconfigured,
  pointerHi,
  pointerLo,
  rootHi,
  rootLo,
} from './format.js';
import type { Registers } from './registers.js';

/** `entry` of a miss that reads an MSI entry. */
export const MSI_ENTRY = 16;
const ENTRY_BYTES = 16;
const PAGE_LG2 = 12;
const EXECUTE = Permission.Execute | Permission.SupervisorExecute;

/** One device context's: page numbers as int32 pairs. */
interface Window {
  readonly tableHi: number;
  readonly tableLo: number;
  readonly maskHi: number;
  readonly maskLo: number;
  readonly patternHi: number;
  readonly patternLo: number;
}

export class MsiTables implements Interception {
  /** By number - 1; a context that is read again gets the number it had. */
  private readonly windows: Window[] = [];
  private readonly numbers = new Map<string, number>();

  constructor(
    private readonly registers: Registers,
    private readonly physical: PhysicalMemory,
  ) {}

  /** Number of the window that an extended device context describes. */
  numberOf(words: Int32Array): number {
    const part = words.subarray(Dword.MsiTable, Dword.MsiPattern + 2);
    const key = part.join();
    const known = this.numbers.get(key);
    if (known !== undefined) return known;
    const [rootWord, rootWordHi, maskLo, maskHi, patternLo, patternHi] = part as unknown as number[];
    const number = this.windows.push({
      tableHi: rootHi(rootWordHi!, rootWord!),
      tableLo: rootLo(rootWord!),
      maskHi: maskHi!,
      maskLo: maskLo!,
      patternHi: patternHi!,
      patternLo: patternLo!,
    });
    this.numbers.set(key, number);
    return number;
  }

  aim(m: Miss, hi: number, lo: number): boolean {
    const w = this.windows[m.space.window - 1]!;
    const bits = this.comparedBits() - PAGE_LG2;
    const limitLo = bits < 32 ? 2 ** bits - 1 : -1;
    const limitHi = bits > 32 ? 2 ** (bits - 32) - 1 : 0;
    const pageHi = hi >>> PAGE_LG2;
    const pageLo = (hi << (32 - PAGE_LG2)) | (lo >>> PAGE_LG2);
    const differs = ((pageHi ^ w.patternHi) & ~w.maskHi & limitHi) | ((pageLo ^ w.patternLo) & ~w.maskLo & limitLo);
    if (differs !== 0) return false;
    const low = selected(pageLo, w.maskLo & limitLo);
    const number = low + selected(pageHi, w.maskHi & limitHi) * 2 ** count(w.maskLo & limitLo);
    const offset = number * ENTRY_BYTES;
    m.entry = MSI_ENTRY;
    m.bytes = ENTRY_BYTES;
    m.guest = 0;
    m.readHi = w.tableHi | (offset / 2 ** 32);
    m.readLo = w.tableLo | offset;
    return true;
  }

  consume(m: Miss): number {
    const { physical } = this;
    const { walk } = m;
    physical.read(m.readHi, m.readLo);
    const { wordHi: hi, wordLo: lo } = physical;
    if (!isValid(lo)) return Cause.MsiInvalid;
    if (msiEntryMisconfigured(hi, lo)) return Cause.MsiMisconfigured;
    // Interrupt files are never executed from.
    if ((walk.access & EXECUTE) !== 0) return Cause.InstructionAccess;
    if (m.space.stage === Stage.Second) {
      walk.permissions = Permission.All;
      walk.clean = 0;
      walk.global = 0;
    }
    walk.permissions &= ~EXECUTE;
    walk.sizeLg2 = PAGE_LG2;
    walk.outHi = pointerHi(hi, lo);
    walk.outLo = pointerLo(lo) | (walk.inputLo & 4095);
    return 0;
  }

  /** Guest-physical address bits that the pattern is compared with: the widest second stage of the unit. */
  private comparedBits(): number {
    const { registers } = this;
    if (registers.has(Capability.Sv57x4)) return 59;
    if (registers.has(Capability.Sv48x4)) return 50;
    return registers.has(Capability.Sv39x4) ? 41 : registers.physicalBits;
  }
}

/** The bits of `value` that the mask selects, side by side. */
function selected(value: number, mask: number): number {
  let result = 0;
  let position = 1;
  for (let rest = mask; rest !== 0; rest &= rest - 1) {
    if ((value & rest & -rest) !== 0) result += position;
    position *= 2;
  }
  return result;
}

function count(mask: number): number {
  let bits = 0;
  for (let rest = mask; rest !== 0; rest &= rest - 1) bits++;
  return bits;
}
