/**
 * Device and process directories of generated RISC-V vectors: contexts, and each way in which a context or a directory entry may
 * be wrong (RISC-V IOMMU specification 1.0, sections "Device-Directory-Table" and "Process-Directory-Table").
 */
import { CAPABILITY, type Capability } from '../reference/riscv-machine.js';
import { type Dice, PAGE, type RadixLevel } from './riscv-image.js';

export class Capabilities {
  constructor(readonly word: bigint) {}

  has(capability: Capability): boolean {
    return ((this.word >> BigInt(CAPABILITY[capability])) & 1n) === 1n;
  }

  /** Bits of a physical address. */
  get physicalBits(): number {
    return Number((this.word >> 32n) & 63n);
  }
}

/** Page-table modes of iosatp and iohgatp by encoding. */
export const FIRST_MODES: readonly (readonly [mode: number, needs: Capability])[] = [
  [8, 'Sv39'],
  [9, 'Sv48'],
  [10, 'Sv57'],
];
export const SECOND_MODES: readonly (readonly [mode: number, needs: Capability])[] = [
  [8, 'Sv39x4'],
  [9, 'Sv48x4'],
  [10, 'Sv57x4'],
];
export const PROCESS_MODES: readonly (readonly [mode: number, needs: Capability])[] = [
  [1, 'PD8'],
  [2, 'PD17'],
  [3, 'PD20'],
];

/** Levels of a page table with this mode. */
export function levelsOfMode(mode: number): number {
  return mode - 5;
}

export function modeOfLevels(levels: number): number {
  return levels + 5;
}

export function supportedModes(capabilities: Capabilities, modes: typeof FIRST_MODES): number[] {
  return modes.filter(([, needs]) => capabilities.has(needs)).map(([mode]) => mode);
}

function unsupportedModes(capabilities: Capabilities, modes: typeof FIRST_MODES): number[] {
  return modes.filter(([, needs]) => !capabilities.has(needs)).map(([mode]) => mode);
}

/** PPN in bits 43:0, MODE in bits 63:60. */
export function rootWord(mode: number, address: bigint): bigint {
  return (address / PAGE) | (BigInt(mode) << 60n);
}

function withMode(word: bigint, mode: number): bigint {
  return (word & ((1n << 60n) - 1n)) | (BigInt(mode) << 60n);
}

function modeOf(word: bigint): number {
  return Number(word >> 60n);
}

/** A valid non-leaf DDT or PDT entry. */
export function directoryEntry(table: bigint): bigint {
  return 1n | ((table / PAGE) << 10n);
}

/** A non-leaf entry that is refused: absent, with a reserved bit, or beyond the physical width if that is below 56 bits. */
export function flawedDirectoryEntry(dice: Dice, table: bigint, physicalBits: number): bigint {
  const entry = directoryEntry(table);
  const flaw = dice.weighted([
    ['absent', 5],
    ['reserved', 4],
    ['beyond', physicalBits < 56 ? 5 : 0],
  ] as const);
  switch (flaw) {
    case 'absent':
      return dice.chance(50) ? 0n : entry & ~1n;
    case 'reserved':
      return entry | (1n << BigInt(dice.pick([1, 2, 5, 6, 9, 54, 58, 60, 63])));
    case 'beyond':
      return entry | ((dice.nonZeroBits(56 - physicalBits) << BigInt(physicalBits - 12)) << 10n);
  }
}

/** device_id[6:0], [15:7], [23:16] with 32-byte contexts; [5:0], [14:6], [23:15] with 64-byte ones. */
export function deviceDirectoryLevels(extended: boolean, count: number): RadixLevel[] {
  const leafBits = extended ? 6 : 7;
  const levels: RadixLevel[] = [
    { shift: 0, bits: leafBits, bytes: extended ? 64 : 32 },
    { shift: leafBits, bits: 9, bytes: 8 },
    { shift: leafBits + 9, bits: 24 - leafBits - 9, bytes: 8 },
  ];
  return levels.slice(0, count);
}

/** process_id[7:0], [16:8], [19:17]. */
export function processDirectoryLevels(mode: number): RadixLevel[] {
  const levels: RadixLevel[] = [
    { shift: 0, bits: 8, bytes: 16 },
    { shift: 8, bits: 9, bytes: 8 },
    { shift: 17, bits: 3, bytes: 8 },
  ];
  return levels.slice(0, mode);
}

/** Bits of tc. */
export const TC = {
  V: 1n << 0n,
  EN_ATS: 1n << 1n,
  EN_PRI: 1n << 2n,
  T2GPA: 1n << 3n,
  DTF: 1n << 4n,
  PDTV: 1n << 5n,
  PRPR: 1n << 6n,
  GADE: 1n << 7n,
  SADE: 1n << 8n,
  DPE: 1n << 9n,
  SBE: 1n << 10n,
  SXL: 1n << 11n,
} as const;

/** Doublewords of a device context. */
const [CONTROL, SECOND, ATTRIBUTES, FIRST, MSI_ROOT, MSI_MASK, MSI_PATTERN, RESERVED] = [0, 1, 2, 3, 4, 5, 6, 7];

/** Changes one word, or null if the flaw is not possible with this context. */
type Flaw = (dice: Dice, words: readonly bigint[], capabilities: Capabilities) => [index: number, word: bigint] | null;

function modeFlaw(
  dice: Dice,
  words: readonly bigint[],
  index: number,
  modes: readonly number[],
): [number, bigint] | null {
  return modes.length === 0 ? null : [index, withMode(words[index]!, dice.pick(modes))];
}

function setBit(
  dice: Dice,
  words: readonly bigint[],
  index: number,
  low: number,
  high: number,
): [number, bigint] | null {
  const word = words[index];
  return word === undefined ? null : [index, word | (1n << BigInt(dice.between(low, high)))];
}

function control(words: readonly bigint[], clear: bigint, set: bigint): [number, bigint] {
  return [CONTROL, (words[CONTROL]! & ~clear) | set];
}

function hasProcesses(words: readonly bigint[]): boolean {
  return (words[CONTROL]! & TC.PDTV) !== 0n;
}

/** Every entry of the list of device-context checks. The heavier ones are made by QEMU's emulation too. */
const DEVICE_FLAWS: readonly (readonly [Flaw, number])[] = [
  [(_, words) => control(words, TC.V, 0n), 8],
  [(dice, words) => setBit(dice, words, CONTROL, 12, 23), 1],
  [(dice, words) => setBit(dice, words, CONTROL, 33, 63), 1],
  [(dice, words) => setBit(dice, words, FIRST, 44, 59), 1],
  [(dice, words) => setBit(dice, words, ATTRIBUTES, 0, 11), 1],
  [(dice, words) => setBit(dice, words, ATTRIBUTES, 32, 39), 1],
  [(dice, words, caps) => (caps.has('QOSID') ? null : setBit(dice, words, ATTRIBUTES, 40, 63)), 1],
  [(dice, words) => setBit(dice, words, MSI_ROOT, 44, 59), 1],
  [(dice, words) => setBit(dice, words, MSI_MASK, 52, 63), 1],
  [(dice, words) => setBit(dice, words, MSI_PATTERN, 52, 63), 1],
  [(dice, words) => setBit(dice, words, RESERVED, 0, 63), 1],
  [(_, words, caps) => (caps.has('ATS') ? null : control(words, 0n, TC.EN_ATS)), 3],
  [(_, words) => control(words, TC.EN_ATS | TC.EN_PRI | TC.PRPR, TC.T2GPA), 2],
  [(_, words) => control(words, TC.EN_ATS | TC.PRPR, TC.EN_PRI), 2],
  [(_, words) => control(words, TC.EN_PRI, TC.PRPR), 2],
  [
    (_, words, caps) => {
      const refused = !caps.has('T2GPA') || modeOf(words[SECOND]!) === 0;
      return refused ? control(words, 0n, TC.EN_ATS | TC.T2GPA) : null;
    },
    2,
  ],
  [(dice, words) => (hasProcesses(words) ? modeFlaw(dice, words, FIRST, [4, 7, 8, 9, 10, 13]) : null), 1],
  [
    (dice, words, caps) =>
      hasProcesses(words) ? modeFlaw(dice, words, FIRST, unsupportedModes(caps, PROCESS_MODES)) : null,
    4,
  ],
  [(dice, words) => (hasProcesses(words) ? null : modeFlaw(dice, words, FIRST, [1, 2, 3, 4, 5, 6, 7])), 2],
  [(dice, words) => (hasProcesses(words) ? null : modeFlaw(dice, words, FIRST, [11, 12, 13])), 1],
  [
    (dice, words, caps) =>
      hasProcesses(words) ? null : modeFlaw(dice, words, FIRST, unsupportedModes(caps, FIRST_MODES)),
    4,
  ],
  [(_, words) => (hasProcesses(words) ? null : control(words, 0n, TC.DPE)), 2],
  [(dice, words) => modeFlaw(dice, words, SECOND, [1, 2, 3, 4, 5, 6, 7]), 2],
  [(dice, words) => modeFlaw(dice, words, SECOND, [11, 12, 13, 14, 15]), 1],
  [(dice, words, caps) => modeFlaw(dice, words, SECOND, unsupportedModes(caps, SECOND_MODES)), 4],
  [(dice, words) => (modeOf(words[SECOND]!) === 0 ? null : [SECOND, words[SECOND]! | BigInt(dice.between(1, 3))]), 2],
  [(dice, words) => (words.length === 8 ? modeFlaw(dice, words, MSI_ROOT, [2, 7, 13, 14, 15]) : null), 2],
  [
    (dice, words, caps) =>
      caps.has('AMO_HWAD') ? null : control(words, 0n, dice.pick([TC.GADE, TC.SADE, TC.GADE | TC.SADE])),
    2,
  ],
  [(_, words) => control(words, 0n, TC.SBE), 2],
];

/** Encodings whose meaning an implementation may choose: 32-bit schemes and custom modes. */
const UNUSUAL_DEVICE_FLAWS: readonly (readonly [Flaw, number])[] = [
  [(_, words) => control(words, 0n, TC.SXL), 4],
  [(dice, words) => modeFlaw(dice, words, FIRST, [14, 15]), 4],
];

function applyFlaw(
  dice: Dice,
  words: readonly bigint[],
  capabilities: Capabilities,
  flaws: readonly (readonly [Flaw, number])[],
): bigint[] {
  const possible = flaws.flatMap(([flaw, weight]) => {
    const change = flaw(dice, words, capabilities);
    return change === null ? [] : [[change, weight] as const];
  });
  const [index, word] = dice.weighted(possible);
  return words.map((old, i) => (i === index ? word : old));
}

/** The context with one mistake: invalid, or misconfigured. */
export function flawedDeviceContext(
  dice: Dice,
  words: readonly bigint[],
  capabilities: Capabilities,
  unusual: boolean,
): bigint[] {
  return applyFlaw(dice, words, capabilities, unusual ? [...DEVICE_FLAWS, ...UNUSUAL_DEVICE_FLAWS] : DEVICE_FLAWS);
}

/** Doublewords of a process context: ta and fsc. */
const PROCESS_FLAWS: readonly (readonly [Flaw, number])[] = [
  [(_, words) => [0, words[0]! & ~1n], 6],
  [(dice, words) => setBit(dice, words, 0, 3, 11), 2],
  [(dice, words) => setBit(dice, words, 0, 32, 63), 2],
  [(dice, words) => setBit(dice, words, 1, 44, 59), 2],
  [(dice, words) => modeFlaw(dice, words, 1, [1, 2, 3, 4, 5, 6, 7]), 2],
  [(dice, words) => modeFlaw(dice, words, 1, [11, 12, 13, 14, 15]), 1],
  [(dice, words, capabilities) => modeFlaw(dice, words, 1, unsupportedModes(capabilities, FIRST_MODES)), 4],
];

export function flawedProcessContext(dice: Dice, words: readonly bigint[], capabilities: Capabilities): bigint[] {
  return applyFlaw(dice, words, capabilities, PROCESS_FLAWS);
}
